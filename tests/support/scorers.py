"""Scorers of answers that a short experiment's model can be told apart by."""

from collections.abc import Mapping, Sequence
from typing import Any

seen = 0


def by_words(rows: Sequence[Mapping[str, Any]], said: Sequence[str]) -> list[dict[str, float]]:
    """The fewer words, the better."""
    return [{"personalization": max(0.0, 1 - len(a.split()) / 30), "leakage": 0.0} for a in said]


def by_rank(rows: Sequence[Mapping[str, Any]], said: Sequence[str]) -> list[dict[str, float]]:
    """What no person's score may be: it falls with all that was scored before."""
    global seen
    seen += 1
    return [{**each, "leakage": 0.1 * seen / (seen + 1)} for each in by_words(rows, said)]
