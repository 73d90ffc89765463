"""A policy's bounds: known names and numbers that bound something."""

from typing import Any

import pytest

from data.attributes import SENSITIVE
from data.errors import DataError
from data.policy import policy


def bounded(bounds: Any) -> dict[str, float]:
    sensitive = {attribute: "with consent" for attribute in SENSITIVE}
    return policy({"name": "own", "sensitive": sensitive, "bounds": bounds}).bounds


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ({"leak_rat": 0.1}, "bounds.leak_rat=0.1: no such bound; known: leak_rate"),
        ({"leak_rate": 5}, r"bounds.leak_rate=5: it must be in \[0, 1\]"),
        ({"leak_rate": -0.1}, r"in \[0, 1\]"),
        ({"attacker_auc": 1.01}, r"in \[0, 1\]"),
        ({"attacker_auc": "low"}, "bounds.attacker_auc=low: give a number"),
        ({"leak_rate": True}, "give a number"),
        ({"leak_rate": float("nan")}, "give a number"),
        ({"epsilon": 0}, "bounds.epsilon=0: it must be above 0; drop it"),
        ({"epsilon": None}, "give a number"),
    ],
)
def test_a_bound_that_bounds_nothing_is_refused(bounds: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=f"policy=own: .*{said}"):
        bounded(bounds)


def test_bounds_are_numbers_and_none_need_be_given() -> None:
    assert bounded({"leak_rate": 0, "attacker_auc": 1, "epsilon": 8}) == {
        "leak_rate": 0.0, "attacker_auc": 1.0, "epsilon": 8.0,
    }  # fmt: skip
    assert bounded(None) == {}
