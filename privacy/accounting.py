"""ε of a list of mechanism events.

Relation: two sets of people are neighbours if one has one unit more. Sampling is Poisson, noise
Gaussian. ε is from privacy loss distributions (PLD; Doroshenko et al. 2022, "Connect the dots"),
pessimistic where they are rounded; RDP (Mironov 2017) stands beside it.
"""

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

RELATION = "add or remove one unit"
ACCOUNTANTS = PLD, RDP, WHOLE = "pld", "rdp", "rdp of whole orders"
WHOLE_ORDERS = (*range(2, 33), 48, 64, 128, 256)  # have a closed form
Mechanism = tuple[float, float, int]  # sample rate, σ/C, steps


@dataclass(frozen=True)
class Event:
    """``steps`` releases of a sum of clipped gradients with noise σ = noise_multiplier · C."""

    stage: str
    sample_rate: float  # chance of each unit to be in a step
    noise_multiplier: float
    max_grad_norm: float
    steps: int


def epsilon(events: Sequence[Event], *, delta: float, accountant: str = PLD) -> float:
    """ε at ``delta`` of all events together; 0 without any, infinite without noise.

    ``accountant``: pld, rdp, or "rdp of whole orders", which is looser and takes a fraction of the
    time. ValueError on another.
    """
    if accountant not in ACCOUNTANTS:
        raise ValueError(f"accountant={accountant!r}: choose pld or rdp")
    counted = [e for e in events if e.steps and e.sample_rate]
    if any(e.noise_multiplier <= 0 for e in counted):
        return math.inf
    if not counted:
        return 0.0
    mechanisms = tuple((e.sample_rate, e.noise_multiplier, e.steps) for e in counted)
    return _epsilon(mechanisms, delta, accountant)


@lru_cache(maxsize=256)
def _epsilon(mechanisms: tuple[Mechanism, ...], delta: float, accountant: str) -> float:
    import dp_accounting as dp

    made = _accountant(accountant)
    steps = [
        dp.SelfComposedDpEvent(dp.PoissonSampledDpEvent(rate, dp.GaussianDpEvent(sigma)), steps)
        for rate, sigma, steps in mechanisms
    ]
    with _quiet():
        made.compose(dp.ComposedDpEvent(steps))
        return float(made.get_epsilon(delta))


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


def _accountant(name: str) -> Any:
    import dp_accounting as dp

    relation = dp.NeighboringRelation.ADD_OR_REMOVE_ONE
    if name == RDP:
        return dp.rdp.RdpAccountant(neighboring_relation=relation)
    if name == WHOLE:
        return dp.rdp.RdpAccountant(WHOLE_ORDERS, neighboring_relation=relation)
    return dp.pld.PLDAccountant(relation, value_discretization_interval=1e-3)
