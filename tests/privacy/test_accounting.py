"""ε against dp_accounting's and Opacus' own figures."""

import math

import dp_accounting as dp
import pytest

from lineage.errors import TactError
from privacy.accounting import Event, epsilon
from privacy.calibration import noise_multiplier

DELTA = 1e-5


def event(rate: float, sigma: float, steps: int, stage: str = "instruct") -> Event:
    return Event(stage, rate, sigma, 1.0, steps)


PLANS = [
    [event(0.032, 0.8, 200)],
    [event(0.032, 1.0, 1000)],
    [event(0.01, 0.7, 500)],
    [event(0.05, 1.5, 400)],
    [event(0.1, 2.0, 300)],
    [event(0.02, 1.1, 2000)],
    [event(0.004, 0.6, 1000)],
    [event(0.2, 4.0, 500)],
    [event(0.03, 0.9, 100)],
    [event(0.032, 0.9, 200), event(0.016, 0.9, 300, "prefer")],
    [event(0.01, 1.2, 500), event(0.05, 1.2, 100, "prefer"), event(0.02, 1.2, 50, "third")],
    [event(0.1, 3.0, 100), event(0.032, 3.0, 900, "prefer")],
]


@pytest.mark.parametrize("plan", PLANS)
def test_epsilon_is_opacus_prv_within_two_percent(plan: list[Event]) -> None:
    from opacus.accountants import PRVAccountant

    theirs = PRVAccountant()
    theirs.history = [(e.noise_multiplier, e.sample_rate, e.steps) for e in plan]
    assert epsilon(plan, delta=DELTA) == pytest.approx(theirs.get_epsilon(DELTA), rel=0.02)


@pytest.mark.parametrize("plan", PLANS)
def test_epsilon_is_dp_accountings_own_composition(plan: list[Event]) -> None:
    relation = dp.NeighboringRelation.ADD_OR_REMOVE_ONE
    pld = dp.pld.PLDAccountant(relation, value_discretization_interval=1e-3)
    rdp = dp.rdp.RdpAccountant(neighboring_relation=relation)
    for e in plan:
        step = dp.PoissonSampledDpEvent(e.sample_rate, dp.GaussianDpEvent(e.noise_multiplier))
        pld.compose(step, e.steps)
        rdp.compose(step, e.steps)
    assert epsilon(plan, delta=DELTA) == pld.get_epsilon(DELTA)
    assert epsilon(plan, delta=DELTA, accountant="rdp") == rdp.get_epsilon(DELTA)
    assert rdp.get_epsilon(DELTA) > pld.get_epsilon(DELTA)


def test_there_are_twelve_plans_three_of_several_stages() -> None:
    assert len(PLANS) == 12
    several = [plan for plan in PLANS if len({e.stage for e in plan}) > 1]
    assert len(several) == 3 and all(len({e.sample_rate for e in p}) > 1 for p in several)


def test_what_is_spent_leaves_less() -> None:
    spent, plan = [event(0.2, 0.8, 4, "before")], [event(0.2, 0.0, 4)]
    alone = noise_multiplier(plan, epsilon=6.0, delta=1e-3)
    sigma = noise_multiplier(plan, epsilon=6.0, delta=1e-3, spent=spent)
    both = [*spent, event(0.2, sigma, 4)]
    assert sigma > alone and 5.9 < epsilon(both, delta=1e-3) <= 6.0


def test_one_noise_for_all_stages_meets_the_budget() -> None:
    plan = [event(0.032, 0.0, 100), event(0.032, 0.0, 100, "prefer")]
    sigma = noise_multiplier(plan, epsilon=8.0, delta=DELTA)
    spent = epsilon([Event(e.stage, e.sample_rate, sigma, 1.0, e.steps) for e in plan], delta=DELTA)
    assert 7.9 < spent <= 8.0


def test_no_noise_is_no_privacy_and_no_step_costs_nothing() -> None:
    assert epsilon([event(0.1, 0.0, 1)], delta=DELTA) == math.inf
    assert epsilon([event(0.1, 1.0, 0)], delta=DELTA) == 0.0
    with pytest.raises(TactError, match="fewer steps"):
        noise_multiplier([event(1.0, 0.0, 1000)], epsilon=1e-5, delta=DELTA)
    with pytest.raises(ValueError, match="pld or rdp"):
        epsilon([event(0.1, 1.0, 1)], delta=DELTA, accountant="gdp")
