"""From several answers to a row to one pair, or none: pure functions of scored answers.

A person's pairs are made of their own answers alone: thresholds are constants, nothing is
normalised, and what is dropped as said before was said before by the same person.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conf.schema import SampleConfig
from lineage.errors import TactError

Row = Mapping[str, Any]
Scorer = Callable[[Sequence[Row], Sequence[str]], Sequence[Mapping[str, float]]]
NAMES = ("personalization", "leakage")


@dataclass(frozen=True)
class Scored:
    """An answer, and what it was found to be worth and to give away, each in [0, 1]."""

    text: str
    personalization: float
    leakage: float

    def reward(self, penalty: float) -> float:
        """Personalization less ``penalty`` times leakage."""
        return self.personalization - penalty * self.leakage

    @property
    def scores(self) -> dict[str, float]:
        """As a row's ``chosen_scores`` has them."""
        return {"personalization": self.personalization, "leakage": self.leakage}


@dataclass(frozen=True)
class Pair:
    """The best and the worst answer to one row."""

    row: int  # its place among those of the unit
    chosen: Scored
    rejected: Scored


def scored(
    rows: Sequence[Row], said: Sequence[Sequence[str | None]], scorer: Scorer
) -> list[list[Scored]]:
    """Each row's different answers with their scores, in the order they were drawn in.

    ``said`` has k answers a row, None where one did not end; empty ones are dropped too. TactError
    where the scorer gives no two numbers in [0, 1] to each.
    """
    once = [[text for text in dict.fromkeys(own) if text] for own in said]
    flat = [(row, text) for row, own in zip(rows, once, strict=True) for text in own]
    found = list(scorer([row for row, _ in flat], [text for _, text in flat])) if flat else []
    if len(found) != len(flat):
        raise TactError(
            f"sample.score: {len(found)} scores for {len(flat)} answers; return one for each"
        )
    given = iter(found)
    return [[_checked(text, next(given)) for text in own] for own in once]


def _checked(text: str, found: Mapping[str, float]) -> Scored:
    values = [float(found.get(name, math.nan)) for name in NAMES]
    if not all(0.0 <= value <= 1.0 for value in values):
        raise TactError(
            f"sample.score: it gave {dict(zip(NAMES, values, strict=True))}; personalization and "
            "leakage are numbers in [0, 1]"
        )
    return Scored(text, *values)


def pair(answers: Sequence[Scored], wanted: SampleConfig) -> tuple[Scored, Scored] | None:
    """The best and the worst of a row's answers, where gap and best are as much as is asked."""
    if not answers:
        return None
    best = max(answers, key=lambda each: each.reward(wanted.penalty))  # of equals the first drawn
    worst = min(answers, key=lambda each: each.reward(wanted.penalty))
    reward = best.reward(wanted.penalty)
    if reward >= wanted.min_reward and reward - worst.reward(wanted.penalty) >= wanted.min_gap:
        return best, worst
    return None


def once(found: Sequence[Pair], asked: Mapping[int, Any]) -> list[Pair]:
    """The pairs without those that the same unit has already; ``asked`` tells its rows apart."""
    kept: dict[Any, Pair] = {}
    for pair in found:
        kept.setdefault((asked[pair.row], pair.chosen.text, pair.rejected.text), pair)
    return list(kept.values())
