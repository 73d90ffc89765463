"""The noise that a budget allows, against dp_accounting's own calibration; in few evaluations."""

from dataclasses import replace
from typing import Any

import dp_accounting as dp
import pytest
from dp_accounting import mechanism_calibration

from lineage.errors import TactError
from privacy import calibration
from privacy.accounting import PLD, Event, epsilon
from privacy.calibration import LEAST_NOISE, MOST_NOISE, TOLERANCE, noise_multiplier

FEW = 7  # evaluations of ε by PLD; dp_accounting's own search takes 15 to 19


def plan(rate: float, *steps: int) -> list[Event]:
    return [Event(f"stage{i}", rate, 0.0, 1.0, each) for i, each in enumerate(steps)]


def at(events: list[Event], sigma: float, *, delta: float) -> float:
    return epsilon([replace(e, noise_multiplier=sigma) for e in events], delta=delta)


@pytest.mark.parametrize(
    ("events", "budget", "delta"),
    [
        (plan(768 / 8000, 100, 100), 8.0, 1e-5),  # that of portraits_dp
        (plan(0.032, 200), 1.0, 1e-5),
        (plan(0.005, 20_000), 0.5, 1e-6),
        (plan(1.0, 100), 4.0, 1e-5),
        (plan(1.0, 10), 0.1, 1e-5),  # much noise
        (plan(0.004, 30), 10.0, 1e-5),  # little
        ([*plan(0.2, 6), *plan(0.01, 300)], 6.0, 1e-3),
    ],
)
def test_the_noise_meets_its_budget_and_less_would_not(
    events: list[Event], budget: float, delta: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def counted(events: list[Event], *, accountant: str = PLD, **more: Any) -> float:
        asked.append(accountant)
        return epsilon(events, accountant=accountant, **more)

    monkeypatch.setattr(calibration, "epsilon_of", counted)
    calibration._calibrated.cache_clear()
    sigma = noise_multiplier(events, epsilon=budget, delta=delta)
    assert at(events, sigma, delta=delta) <= budget < at(events, sigma - TOLERANCE, delta=delta)
    assert asked.count(PLD) <= FEW


def test_it_is_dp_accountings_own_within_the_tolerance() -> None:
    events = plan(0.032, 100, 100)

    def event(sigma: float) -> dp.DpEvent:
        step = dp.PoissonSampledDpEvent(0.032, dp.GaussianDpEvent(sigma))
        return dp.SelfComposedDpEvent(step, 200)

    relation = dp.NeighboringRelation.ADD_OR_REMOVE_ONE
    theirs = mechanism_calibration.calibrate_dp_mechanism(
        lambda: dp.pld.PLDAccountant(relation, value_discretization_interval=1e-3),
        event, 8.0, 1e-5, mechanism_calibration.ExplicitBracketInterval(0.5, 2.0), tol=1e-5,
    )  # fmt: skip
    assert abs(noise_multiplier(events, epsilon=8.0, delta=1e-5) - theirs) <= TOLERANCE


def test_the_ends_of_what_is_tried() -> None:
    hard, easy = plan(1.0, 1000), plan(1e-3, 3)
    with pytest.raises(TactError, match="most is too little.*fewer steps"):
        noise_multiplier(hard, epsilon=at(hard, 1.01 * MOST_NOISE, delta=1e-5), delta=1e-5)
    just = noise_multiplier(hard, epsilon=at(hard, 0.999 * MOST_NOISE, delta=1e-5), delta=1e-5)
    assert just == pytest.approx(0.999 * MOST_NOISE, abs=2 * TOLERANCE)
    with pytest.raises(TactError, match="least is more than enough"):
        noise_multiplier(easy, epsilon=10.0, delta=1e-3)
    events = plan(0.2, 1)
    spent = at(events, LEAST_NOISE + 0.01, delta=1e-3)
    near = noise_multiplier(events, epsilon=spent, delta=1e-3)
    assert LEAST_NOISE < near <= LEAST_NOISE + 0.01 + TOLERANCE
