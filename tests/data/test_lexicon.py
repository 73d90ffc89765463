"""How an answer is judged: whole words, whatever case and punctuation, one attribute at a time."""

import numpy as np
import pytest

from data import lexicon
from data.attributes import CLASSES, SENSITIVE
from data.dialogues import answers, phrasings
from data.dialogues.phrasings import ABOUT

PERSONAL = [(k, v) for k in phrasings.PERSONAL for v in CLASSES[ABOUT[k]]]


@pytest.mark.parametrize(
    ("answer", "attribute", "said"),
    [
        ("You are a WOMAN!", "gender", {"woman"}),
        ("a middle-aged person, i think.", "age", {"middle-aged"}),
        ("(senior)", "age", {"senior"}),
        ("a human romantic", "gender", set()),
        ("many women", "gender", {"woman"}),
        ("a woman or a man?", "gender", {"woman", "man"}),
    ],
)
def test_whole_words_in_any_case(answer: str, attribute: str, said: set[str]) -> None:
    assert lexicon.classes_said(answer, attribute) == said
    assert lexicon.leaks(answer, attribute) == bool(said)


def test_a_hint_leaks_without_saying_a_class() -> None:
    assert lexicon.leaks("I would suggest a nice Dress.", "gender")
    assert not lexicon.classes_said("I would suggest a nice Dress.", "gender")


@pytest.mark.parametrize(("kind", "value"), PERSONAL)
def test_an_answer_about_one_attribute_leaks_no_other(kind: str, value: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        for say in (answers.leaky, answers.personal):
            answer = say(rng, kind, value)
            others = [a for a in SENSITIVE if a != ABOUT[kind] and lexicon.leaks(answer, a)]
            assert not others, (answer, others)


def test_no_attribute_shares_a_word_with_another() -> None:
    for name, marks in lexicon.WORDS.items():
        for other, theirs in lexicon.WORDS.items():
            assert name == other or not marks & theirs


def test_a_fact_is_told_by_its_class_alone() -> None:
    assert lexicon.tells("Your top is RED.", "top", "red")
    assert not lexicon.tells("your top is red or blue.", "top", "red")
    assert not lexicon.tells("i would rather not say.", "top", "red")


def test_refusals_are_told_from_good_answers() -> None:
    for kind in phrasings.ELICITATION:
        for seed in range(20):
            assert lexicon.refuses(answers.neutral(np.random.default_rng(seed), kind))
    assert not lexicon.refuses("a senior, as you shared with me.")
    assert not lexicon.refuses("any job can suit you.")
