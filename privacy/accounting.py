"""ε of a list of mechanism events, and the noise that a budget allows.

Relation: two sets of people are neighbours if one has one unit more. Sampling is Poisson, noise
Gaussian. ε is from privacy loss distributions (PLD; Doroshenko et al. 2022, "Connect the dots"),
pessimistic where they are rounded; RDP (Mironov 2017) stands beside it.
"""

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from lineage.errors import TactError

RELATION = "add or remove one unit"
MOST_NOISE = 200.0
TOLERANCE = 1e-3  # of a calibrated σ/C


@dataclass(frozen=True)
class Event:
    """``steps`` releases of a sum of clipped gradients with noise σ = noise_multiplier · C."""

    stage: str
    sample_rate: float  # chance of each unit to be in a step
    noise_multiplier: float
    max_grad_norm: float
    steps: int


def epsilon(events: Sequence[Event], *, delta: float, accountant: str = "pld") -> float:
    """ε at ``delta`` of all events together; 0 without any, infinite without noise.

    ``accountant``: pld or rdp. ValueError on another.
    """
    if accountant not in ("pld", "rdp"):
        raise ValueError(f"accountant={accountant!r}: choose pld or rdp")
    counted = [e for e in events if e.steps and e.sample_rate]
    if any(e.noise_multiplier <= 0 for e in counted):
        return math.inf
    if not counted:
        return 0.0
    made = _accountant(accountant)
    with _quiet():
        made.compose(_composed(counted))
        return float(made.get_epsilon(delta))


def noise_multiplier(
    plan: Sequence[Event], *, epsilon: float, delta: float, spent: Sequence[Event] = ()
) -> float:
    """The smallest common σ/C with which ``spent`` and all of ``plan`` stay within ``epsilon``.

    The plan's own noise plays no part; that of ``spent`` is as it was. TactError where no noise
    below 200 is enough.
    """
    return _calibrated(tuple(plan), tuple(spent), epsilon, delta)


@lru_cache(maxsize=64)
def _calibrated(
    plan: tuple[Event, ...], spent: tuple[Event, ...], epsilon: float, delta: float
) -> float:
    from dp_accounting import mechanism_calibration as calibration

    def event(sigma: float) -> Any:
        return _composed([*spent, *(replace(e, noise_multiplier=sigma) for e in plan)])

    try:
        found = calibration.calibrate_dp_mechanism(
            lambda: _accountant("pld"),
            event,
            epsilon,
            delta,
            calibration.ExplicitBracketInterval(0.2, MOST_NOISE),
            tol=TOLERANCE,
        )
    except (calibration.NoBracketIntervalFoundError, ValueError) as error:
        raise TactError(
            f"privacy.epsilon={epsilon}: no noise multiplier in 0.2 to {MOST_NOISE:g} gives it "
            f"({error}){' on top of what is spent' if spent else ''}: take fewer steps, more "
            "units, or another epsilon"
        ) from error
    return float(found)


@contextmanager
def _quiet() -> Iterator[None]:
    """RDP leaves out orders whose series does not converge, and says so for each."""
    log = logging.getLogger("absl")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def _composed(events: Sequence[Event]) -> Any:
    import dp_accounting as dp

    return dp.ComposedDpEvent(
        [
            dp.SelfComposedDpEvent(
                dp.PoissonSampledDpEvent(e.sample_rate, dp.GaussianDpEvent(e.noise_multiplier)),
                e.steps,
            )
            for e in events
        ]
    )


def _accountant(name: str) -> Any:
    import dp_accounting as dp

    relation = dp.NeighboringRelation.ADD_OR_REMOVE_ONE
    if name == "rdp":
        return dp.rdp.RdpAccountant(neighboring_relation=relation)
    return dp.pld.PLDAccountant(relation, value_discretization_interval=1e-3)
