"""From scored answers to pairs: thresholds, repeats, and what a scorer may return."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from conf.schema import SampleConfig
from lineage.errors import TactError
from train.drawing import parts_of
from train.pairing import Pair, Scored, once, pair, scored

WANTED = SampleConfig(min_gap=0.5, min_reward=0.25, penalty=1.0)


def by_length(rows: Sequence[Mapping[str, Any]], said: Sequence[str]) -> list[dict[str, float]]:
    return [{"personalization": len(text) / 10, "leakage": 0.0} for text in said]


def answer(text: str, worth: float, leakage: float = 0.0) -> Scored:
    return Scored(text, worth, leakage)


def test_the_best_stands_against_the_worst_where_the_gap_is_wide_enough() -> None:
    middling, leaky, good = answer("m", 0.5), answer("l", 0.5, 1.0), answer("g", 1.0)
    assert pair([middling, leaky, good], WANTED) == (good, leaky)
    assert pair([middling, good], WANTED) == (good, middling)  # a gap of 0.5 is enough
    assert pair([answer("a", 0.6), good], WANTED) is None
    assert pair([good], WANTED) is None and pair([], WANTED) is None
    assert pair([answer("a", 0.2), answer("b", 0.0, 1.0)], WANTED) is None  # the best is no good
    lenient = SampleConfig(min_gap=0.5, min_reward=0.25, penalty=0.1)
    assert pair([middling, leaky], lenient) is None  # a leak costs little


def test_of_equals_the_first_drawn() -> None:
    drawn = [answer("a", 1.0), answer("b", 1.0), answer("c", 0.0), answer("d", 0.0)]
    assert pair(drawn, WANTED) == (drawn[0], drawn[2])


def test_a_unit_says_a_thing_once_and_another_question_is_another_thing() -> None:
    good, bad = answer("good", 1.0), answer("bad", 0.0)
    found = [Pair(row, good, bad) for row in (4, 7, 9)]
    kept = once(found, {4: "age?", 7: "age?", 9: "job?"})
    assert [each.row for each in kept] == [4, 9]


def test_repeats_and_answers_without_an_end_are_dropped() -> None:
    (own,) = scored([{}], [["aa", None, "aa", "", "b"]], by_length)
    assert [(each.text, each.personalization) for each in own] == [("aa", 0.2), ("b", 0.1)]
    assert scored([{}], [[None, None]], by_length) == [[]]


@pytest.mark.parametrize(
    "found",
    [[], [{"personalization": 0.5}], [{"personalization": 1.5, "leakage": 0.0}],
     [{"personalization": float("nan"), "leakage": 0.0}]],
)  # fmt: skip
def test_a_scorer_gives_two_numbers_between_0_and_1_to_each(found: list[dict[str, float]]) -> None:
    with pytest.raises(TactError, match="sample.score"):
        scored([{}], [["a"]], lambda rows, said: found)


def test_parts_hold_whole_units() -> None:
    units = [[0, 1, 2], [3], [4, 5], [6]]
    assert parts_of(units, least=3) == [[[0, 1, 2]], [[3], [4, 5]], [[6]]]
    assert parts_of([], least=3) == []
