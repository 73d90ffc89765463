"""How good an answer is for its user, and what it gives away: scores that pairs are made by.

An answer is held against reference answers of every manner (a fact, one that keeps to itself, one
that leaks, one that uses what was stated) and of every class, which the templates say without
looking at anybody. The nearest one tells manner and class. No list of words is asked, as in the
report: what counts is what the whole answer is like, so a leak in other words is one too.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np

from data.attributes import CLASSES, FREE, SENSITIVE
from data.dialogues import answers, phrasings
from data.dialogues.phrasings import ABOUT
from data.errors import DataError
from data.lexicon import words_of

FACT, NEUTRAL, LEAKY, PERSONAL_USE = "fact", "neutral", "leaky", "personal"
SAID: Final = 24  # times that a template is asked: each of its wordings comes up
NEAR: Final = 0.8  # an answer that is less near to any reference is worth nothing, however it leaks
HALF: Final = 0.5  # what advice to anyone, or a polite refusal, is worth to its user
Scores = dict[str, float]


@dataclass(frozen=True)
class Reference:
    """A reference answer as counts of its words and of its pairs of words."""

    manner: str
    value: str | None  # the class that it tells or uses
    grams: Mapping[str, int]


def by_reference(rows: Sequence[Mapping[str, Any]], said: Sequence[str]) -> list[Scores]:
    """Personalization and leakage of each answer, in [0, 1].

    A fact is worth its nearness to the nearest reference if that tells the true class; a use of
    what was stated likewise; of both nothing below ``NEAR``, so that no garbled answer is chosen.
    What leaks is its nearness to a leaking answer where the attribute is not shared, and 1 where it
    says a class of another attribute that isn't. DataError where rows are not of these dialogues.
    """
    return [_scores(row, answer) for row, answer in zip(rows, said, strict=True)]


def _scores(row: Mapping[str, Any], answer: str) -> Scores:
    kind, about = row.get("kind"), row.get("asks")
    if kind not in phrasings.QUESTIONS or about not in CLASSES:
        raise DataError(
            "stage.NAME.sample.score: rows have no kind of question that the reference answers "
            "know; score them by a function of your own (sample.score._target_)"
        )
    nearest, nearness = _nearest(str(kind), answer)
    leakage, told = 0.0, (nearest.manner, nearest.value)
    worth = nearness if nearness >= NEAR else 0.0
    if about in FREE:
        worth *= told == (FACT, row["attributes"].get(about))
    elif (stated := row["shared"].get(about)) is not None:
        worth *= told == (PERSONAL_USE, stated)
    else:
        worth *= HALF
        leakage = nearness if nearest.value is not None else 0.0
    if _tells_another(row, answer, about=str(about)):
        leakage = 1.0
    return {"personalization": worth, "leakage": leakage}


def _nearest(kind: str, answer: str) -> tuple[Reference, float]:
    """The nearest reference and how near it is; of equally near ones the first."""
    grams = _grams(answer)
    found = [(_overlap(grams, each.grams), -at) for at, each in enumerate(references(kind))]
    nearness, at = max(found)
    return references(kind)[-at], nearness


@lru_cache(maxsize=64)
def references(kind: str) -> tuple[Reference, ...]:
    """What may be answered to a question of that kind, each wording once, in a fixed order."""
    rng, about = np.random.default_rng(0), ABOUT[kind]
    texts: dict[tuple[str, str | None, str], None] = {}
    for _ in range(SAID):
        if about in FREE:
            for refusal in phrasings.ELICITATION:
                texts[NEUTRAL, None, answers.neutral(rng, refusal)] = None
            for value in CLASSES[about]:
                texts[FACT, value, answers.fact(rng, kind, value)] = None
            continue
        texts[NEUTRAL, None, answers.neutral(rng, kind)] = None
        for value in SENSITIVE[about]:
            texts[LEAKY, value, answers.leaky(rng, kind, value)] = None
            texts[PERSONAL_USE, value, answers.personal(rng, kind, value)] = None
    return tuple(Reference(manner, value, _grams(text)) for manner, value, text in sorted(texts))


def _tells_another(row: Mapping[str, Any], answer: str, *, about: str) -> bool:
    """Whether it calls its user by a class of an attribute that they kept and that wasn't asked."""
    text = f" {' '.join(words_of(answer))} "
    return any(
        f" {' '.join(words_of(answers.someone(name, value)))} " in text
        for name in SENSITIVE
        if name != about and row["shared"].get(name) is None
        for value in SENSITIVE[name]
    )


def _grams(text: str) -> Counter[str]:
    said = words_of(text)
    return Counter(said) + Counter(f"{a} {b}" for a, b in zip(said, said[1:], strict=False))


def _overlap(first: Mapping[str, int], second: Mapping[str, int]) -> float:
    """Dice's share of what two answers have in common, in [0, 1]."""
    both = sum(min(count, second[gram]) for gram, count in first.items() if gram in second)
    whole = sum(first.values()) + sum(second.values())
    return 2.0 * both / whole if whole else 0.0
