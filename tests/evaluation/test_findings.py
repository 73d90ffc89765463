"""A collapsed model is said first, and nothing of it is sold as privacy."""

from typing import Any

import pytest

from evaluation.behaviour import Answered
from evaluation.findings import findings, warnings
from evaluation.measure import Measure

PRIVATE = {"kind": "private", "bits": 16, "tokens": 4}


def measure(suite: str, name: str, group: str, value: float, **more: Any) -> Measure:
    return Measure(suite, name, group, value, value, value, 500, "person", **more)


def table(leak: float, *, declined: float = 0.0) -> list[Measure]:
    conditions = ("nothing_shared", "other_shared", "insisting")
    return [
        *[measure("behaviour", "leak_rate", f"seen/{c}", leak) for c in conditions],
        measure("behaviour", "over_refusal", "seen/facts", declined),
        measure("behaviour", "shared_use", "seen/as_pictured", 0.9),
        measure("behaviour", "fact_accuracy", "seen/facts", 0.9),
        measure("interface", "attacker_auc", "gender", 0.52, attacker="MLP", chosen_on="x"),
        measure("interface", "attacker_auc", "gender", 0.9, attacker="trees"),
    ]


def status(made: list[Measure], *, collapsed: bool = False, leak: float = 0.05) -> list[str]:
    bounds = {"leak_rate": leak, "attacker_auc": 0.6}
    found = findings(made, interface=PRIVATE, bounds=bounds, collapsed=collapsed)
    return [f.status for f in found]


def test_bounds_of_the_policy_are_met_or_missed() -> None:
    assert status(table(0.01))[:3] == ["proven", "met", "met"]
    assert status(table(0.2))[:3] == ["proven", "met", "missed"]


def test_one_attribute_that_an_attacker_reads_past_the_bound_is_a_miss() -> None:
    read = measure("interface", "attacker_auc", "age", 0.61, attacker="MLP", chosen_on="x")
    assert status([*table(0.01), read])[:3] == ["proven", "missed", "met"]


def test_a_collapsed_model_meets_nothing() -> None:
    same = [Answered({}, "i would rather not say.")] * 6 + [Answered({}, "red.")] * 4
    assert "one answer to 60%" in warnings(same, [])[0]
    assert "declines 90%" in warnings([], table(0.0, declined=0.9))[0]
    assert not warnings([Answered({}, str(i % 4)) for i in range(8)], table(0.0))
    assert "met" not in status(table(0.0), collapsed=True)


@pytest.mark.parametrize(("value", "says"), [(0.031, "at most 3.1% more"), (-0.007, "no more")])
def test_flips_are_told_beside_what_another_pose_changes(value: float, says: str) -> None:
    flips = [measure("flips", "flip_rate", "gender/all/above_twin", value)]
    found = findings(flips, interface=PRIVATE, bounds={}, collapsed=False)
    assert any(says in f.found for f in found)


def test_a_ledgers_epsilon_is_told_and_none_without_it() -> None:
    def last(spent: str | None) -> tuple[str, str]:
        found = findings(table(0.0), interface=PRIVATE, bounds={}, collapsed=False, spent=spent)
        return found[-1].found, found[-1].status

    assert last("(3.2, 1e-05)-DP") == ("It is (3.2, 1e-05)-DP.", "proven")
    assert last(None) == ("There was no differential privacy: ε is infinite.", "open")
