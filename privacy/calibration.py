"""The noise that a budget allows: the least σ/C with which a plan's releases meet ε.

RDP, which is cheap, says about where it is; ε by PLD is nearly a power of σ there, so a few secants
of its logarithm enclose it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial

from lineage.errors import TactError
from privacy.accounting import WHOLE, Event
from privacy.accounting import epsilon as epsilon_of

LEAST_NOISE, MOST_NOISE = 0.2, 200.0  # σ/C that is tried
TOLERANCE = 1e-3  # of a calibrated σ/C
ROUGH = 0.02  # share of σ/C to which RDP tells it
START, SLOPE = 1.0, -1.5  # σ/C and d ln ε / d ln σ to begin with
ASIDE = 0.4  # of the tolerance: so far beside the expected σ, on both sides, it is enclosed
PATIENCE = 12  # secants, before halves


def noise_multiplier(
    plan: Sequence[Event], *, epsilon: float, delta: float, spent: Sequence[Event] = ()
) -> float:
    """The smallest common σ/C with which ``spent`` and all of ``plan`` stay within ``epsilon``.

    It meets ``epsilon``, and ``TOLERANCE`` less would not. The plan's own noise plays no part; that
    of ``spent`` is as it was. TactError where no noise of 0.2 to 200 is what it takes.
    """
    return _calibrated(tuple(plan), tuple(spent), epsilon, delta)


@lru_cache(maxsize=64)
def _calibrated(
    plan: tuple[Event, ...], spent: tuple[Event, ...], epsilon: float, delta: float
) -> float:
    def over(sigma: float, **accountant: str) -> float:
        """ln of ε by the budget: above 0 where the noise is too little."""
        events = [*spent, *(replace(e, noise_multiplier=sigma) for e in plan)]
        return _log(epsilon_of(events, delta=delta, **accountant)) - _log(epsilon)

    def refused(why: str) -> TactError:
        return TactError(
            f"privacy.epsilon={epsilon}: no noise multiplier in {LEAST_NOISE:g} to {MOST_NOISE:g} "
            f"gives it ({why}){' on top of what is spent' if spent else ''}: take fewer steps, "
            "more units, or another epsilon"
        )

    if over(MOST_NOISE) > 0:
        raise refused("the most is too little")
    rough = partial(over, accountant=WHOLE)
    start, slope = _least(rough, start=START, slope=SLOPE, within=ROUGH)
    found, _ = _least(over, start=start, slope=slope, within=TOLERANCE / start)
    if math.isclose(found, LEAST_NOISE):
        raise refused("the least is more than enough")
    return found


def _least(
    over: Callable[[float], float], *, start: float, slope: float, within: float
) -> tuple[float, float]:
    """The least σ whose ``over`` is not above 0, ``within`` a share of it, and the slope there.

    Both ends are evaluated, but for 200, which is known to do.
    """
    least, fails, meets = math.log(LEAST_NOISE), -math.inf, math.log(MOST_NOISE)
    x, seen = math.log(start), list[tuple[float, float]]()
    while meets - fails > within:
        seen.append((x, over(math.exp(x))))
        fails, meets = (x, meets) if seen[-1][1] > 0 else (fails, x)
        if meets <= least:
            break
        slope = _slope(seen) or slope
        near, value = min(seen, key=lambda point: abs(point[1]))
        root = near - value / slope
        x = root + (ASIDE if meets > root + within else -ASIDE) * within
        low = max(fails, least)
        if fails < least >= x:
            x = least
        elif not low < x < meets or len(seen) > PATIENCE:
            x = (low + meets) / 2
    return math.exp(meets), slope


def _slope(seen: Sequence[tuple[float, float]]) -> float | None:
    """Through the two points nearest to 0; None where they tell none."""
    if len(seen) < 2:
        return None
    (x, a), (y, b) = sorted(seen, key=lambda point: abs(point[1]))[:2]
    found = (a - b) / (x - y)
    return found if found < 0 else None


def _log(epsilon: float) -> float:
    return math.log(min(max(epsilon, 1e-300), 1e300))
