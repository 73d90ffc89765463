"""Every number that is reported: what, of whom, by which attacker, with which interval."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

NAMES = (
    "leak_rate", "shared_use", "over_refusal", "fact_accuracy", "attacker_auc",
    "attacker_floor", "text_attacker_auc", "flip_rate", "reidentification_auc",
    "membership_auc", "membership_tpr", "epsilon", "audit_epsilon_low", "time_ratio",
    "memory_ratio", "code_entropy",
)  # fmt: skip
LEVEL = 0.95
RESAMPLES = 500


@dataclass(frozen=True)
class Measure:
    """One number with its interval; ``unit`` is what n counts and what was resampled."""

    suite: str
    name: str
    group: str
    value: float
    low: float
    high: float
    n: int
    unit: str
    level: float = LEVEL
    attacker: str | None = None
    chosen_on: str | None = None
    stage: str = ""
    seed: int = 0
    note: str = ""

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise ValueError(f"measure {self.name!r} is none of {', '.join(NAMES)}")

    def noting(self, note: str) -> "Measure":
        """The same with one more note."""
        return replace(self, note=f"{self.note}; {note}" if self.note else note)

    def record(self) -> dict[str, Any]:
        """As ``report.json`` holds it."""
        return asdict(self)


def rate(hits: Sequence[float], people: Sequence[str]) -> tuple[float, float, float, int]:
    """Mean of the hits, its interval by bootstrap over people, and the number of people.

    People are resampled whole, since one person's answers are no independent trials.
    """
    names, where = np.unique(np.asarray(people), return_inverse=True)
    hit = np.bincount(where, weights=np.asarray(hits, float), minlength=len(names))
    count = np.bincount(where, minlength=len(names)).astype(float)
    drawn = np.random.default_rng(0).multinomial(
        len(names), np.full(len(names), 1 / len(names)), size=RESAMPLES
    )
    shares = (drawn @ hit) / np.maximum(drawn @ count, 1)
    low, high = np.quantile(shares, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(hit.sum() / count.sum()), float(low), float(high), len(names)
