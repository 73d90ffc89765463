"""The ledger on disk: begun once, never less than was released, ended before its budget is."""

from dataclasses import replace
from pathlib import Path

import pytest

from lineage.errors import TactError
from privacy import ledger
from privacy.accounting import Event
from privacy.plan import Plan

EVENTS = tuple(Event(stage, 0.2, 0.0, 1.0, 3) for stage in ("instruct", "prefer"))
PLAN = Plan("subject", 30, 1e-3, 8.0, 1.0, 1, EVENTS)


def begun(folder: Path, plan: Plan = PLAN) -> ledger.Ledger:
    return ledger.Ledger.begin(folder, plan, key_known=False)


def test_a_resume_goes_on_with_the_account(tmp_path: Path) -> None:
    first = begun(tmp_path)
    first.charge("instruct", 2)
    again = begun(tmp_path)
    assert again.content["charged"] == {"instruct": 2, "prefer": 0}
    assert again.plan == first.plan and again.epsilon() > 0
    again.charge("instruct", 1)  # what was released is not taken back
    assert ledger.Ledger.read(tmp_path).content["charged"]["instruct"] == 2


def test_what_is_not_covered_is_in_each_ledger(tmp_path: Path) -> None:
    said = "; ".join(begun(tmp_path).content["not_accounted"])
    for part in ("validation", "checkpoint", "seed", "class weights", "pretrained", "other runs",
                 "floating-point"):  # fmt: skip
        assert part in said


def test_a_ledger_of_another_plan_is_refused(tmp_path: Path) -> None:
    begun(tmp_path)
    for other in (replace(PLAN, epsilon=4.0), replace(PLAN, events=EVENTS[:1])):
        with pytest.raises(TactError, match="another plan than this config's: restore the config"):
            begun(tmp_path, other)


def test_the_run_ends_before_a_step_that_would_pass_the_budget(tmp_path: Path) -> None:
    """Steps that one stage was charged again are missing at another's end."""
    made = begun(tmp_path)
    made.charge("instruct", 4)
    made.charge("prefer", 2)
    with pytest.raises(TactError, match="another step would pass epsilon=8"):
        made.charge("prefer", 3)
    kept = ledger.Ledger.read(tmp_path)
    assert kept.content["charged"] == {"instruct": 4, "prefer": 2} and kept.epsilon() <= 8.0


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace('"instruct": 2', '"instruct": 1'),
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('"noise_multiplier": 0', '"noise_multiplier": 1'),
        lambda text: text.replace('"digest"', '"other"'),
        lambda text: "",
    ],
)
def test_a_ledger_that_was_changed_or_cut_off_is_named(tmp_path: Path, spoil: object) -> None:
    begun(tmp_path).charge("instruct", 2)
    path = tmp_path / ledger.NAME
    text = path.read_text()
    path.write_text(spoil(text))  # type: ignore[operator]
    assert path.read_text() != text
    with pytest.raises(TactError, match=r"ledger.json"):
        ledger.Ledger.read(tmp_path)
