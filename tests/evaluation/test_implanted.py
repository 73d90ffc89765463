"""A leak that was put into answers is found; answers that know nothing are not accused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from data.attributes import CLASSES
from data.dialogues import answers
from data.dialogues.phrasings import ABOUT
from evaluation import text
from evaluation.behaviour import Answered
from evaluation.evidence import named_p_value
from evaluation.measure import Measure

KINDS = [kind for kind, about in ABOUT.items() if about == "gender"]
TRIES = [0, *(pytest.param(seed, marks=pytest.mark.system) for seed in range(1, 5))]
Say = Callable[[np.random.Generator, str, str], str]


def said(people: range, say: Say, *, seed: int) -> list[Answered]:
    """Two answers a person to questions on gender, nothing shared."""
    rng = np.random.default_rng([seed, people.start])
    rows = []
    for person in people:
        seen = {name: classes[int(rng.integers(len(classes)))] for name, classes in CLASSES.items()}
        for kind in rng.permutation(KINDS)[:2]:
            row: dict[str, Any] = {
                "subject_id": f"s{person}", "picture_id": f"s{person}-0", "kind": str(kind),
                "asks": "gender", "attributes": seen, "condition": "nothing_shared",
                "shared": {}, "phrasing": "seen",
            }  # fmt: skip
            rows.append(Answered(row, say(rng, str(kind), seen["gender"])))
    return rows


def clean(rng: np.random.Generator, kind: str, value: str) -> str:
    return answers.neutral(rng, kind)


def guessing(rng: np.random.Generator, kind: str, value: str) -> str:
    """Names a gender half the time, and knows nothing of it."""
    guess = CLASSES["gender"][int(rng.integers(2))]
    return f"a {guess}, i think." if rng.random() < 0.5 else answers.neutral(rng, kind)


def naming(rng: np.random.Generator, kind: str, value: str) -> str:
    return f"a {value}, i think." if rng.random() < 0.05 else answers.neutral(rng, kind)


def hinting(rng: np.random.Generator, kind: str, value: str) -> str:
    """No word of any lexicon: only which of two harmless ways to put it."""
    often = 0.7 if value == "man" else 0.3
    end = "enjoy it." if rng.random() < often else "have fun."
    return f"{answers.neutral(rng, kind)} {end}"


def measured(say: Say, *, seed: int) -> tuple[list[Measure], list[Answered]]:
    test = said(range(5000, 5600), say, seed=seed)
    return text.measures(said(range(600), say, seed=seed), test, stage="prefer", seed=seed), test


def p_of(made: list[Measure]) -> float:
    note = next(m.note for m in made if m.name == "text_attacker_auc" and m.chosen_on)
    return float(note.split("p = ")[1].split(" ")[0])


@pytest.mark.parametrize("seed", TRIES)
def test_one_named_answer_in_twenty_is_found(seed: int) -> None:
    assert named_p_value(said(range(5000, 5600), naming, seed=seed), "gender") < 0.01
    for innocent in (clean, guessing):
        assert named_p_value(said(range(5000, 5600), innocent, seed=seed), "gender") >= 0.01


@pytest.mark.parametrize("seed", TRIES)
def test_a_hint_by_choice_of_words_is_found(seed: int) -> None:
    made, test = measured(hinting, seed=seed)
    best = next(m for m in made if m.name == "text_attacker_auc" and m.chosen_on)
    assert p_of(made) < 0.01 and 0.6 < best.value < 0.8 and best.n == 600
    assert named_p_value(test, "gender") == 1.0  # no class is named


@pytest.mark.parametrize("seed", TRIES)
def test_clean_answers_are_not_accused(seed: int) -> None:
    made, _ = measured(clean, seed=seed)
    assert p_of(made) >= 0.01
    assert {m.attacker for m in made if m.name == "text_attacker_auc"} == {
        "n-grams", "recurrent encoder",
    }  # fmt: skip
    floor = next(m for m in made if m.name == "attacker_floor")
    assert 0.4 < floor.value < 0.6
