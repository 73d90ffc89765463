"""Figures over seeds against scipy's own test, and what is refused or said to be none."""

from typing import Any

import pytest
from scipy import stats

from evaluation import claim_table
from evaluation.claim_figures import NONE, figure, met, records_used, t_interval
from evaluation.claim_file import Figure, Reading
from lineage.errors import TactError

AUC = Reading("off", "align", "interface", "attacker_auc", ("age",), best=True)
ON = Reading("on", "align", "interface", "attacker_auc", ("age",), best=True)
OFF_VALUES, ON_VALUES = [0.60, 0.63, 0.61], [0.52, 0.56, 0.53]


def record(value: float, group: str = "age", **more: Any) -> dict[str, Any]:
    return {"suite": "interface", "name": "attacker_auc", "group": group, "value": value,
            "low": value - 0.02, "high": value + 0.02, "level": 0.95, "n": 500, "unit": "person",
            "attacker": "trees", "chosen_on": "validation", "stage": "align", "seed": 0,
            "note": "", **more}  # fmt: skip


def reports(**values: list[float]) -> dict[str, dict[int, dict[str, Any]]]:
    """Run → seed → stage → a report with the chosen attacker and a worse one that was not."""
    return {
        run: {
            seed: {"align": {"run": run, "measures": [
                record(value, seed=seed),
                record(value - 0.1, seed=seed, attacker="logistic", chosen_on=None),
            ]}}
            for seed, value in enumerate(some)
        }
        for run, some in values.items()
    }  # fmt: skip


def test_the_interval_is_that_of_scipys_test() -> None:
    low, high = t_interval(OFF_VALUES)
    theirs = stats.ttest_1samp(OFF_VALUES, 0.0).confidence_interval(0.95)
    assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    with pytest.raises(ValueError, match="at least two"):
        t_interval([0.5])


def test_a_difference_is_paired_by_seed() -> None:
    made = figure(Figure("gain", AUC, minus=ON), reports(off=OFF_VALUES, on=ON_VALUES), [0, 1, 2])
    theirs = stats.ttest_rel(OFF_VALUES, ON_VALUES).confidence_interval(0.95)
    assert (made["low"], made["high"]) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert made["value"] == pytest.approx(0.07667, abs=1e-5) and NONE not in made["note"]
    assert made["interval"] == "t over 3 seeds"


def test_a_floor_below_chance_is_chance() -> None:
    floor = Reading("off", "align", "interface", "attacker_floor", ("age",))
    found = reports(off=[0.55])
    for value, gap in ((0.43, 0.05), (0.52, 0.03)):
        own = found["off"][0]["align"]["measures"]
        own[2:] = [record(value, name="attacker_floor")]
        made = figure(Figure("above", AUC, minus=floor), found, [0])
        assert made["value"] == pytest.approx(gap)


def test_a_gain_whose_interval_contains_zero_is_said_to_be_none() -> None:
    made = figure(
        Figure("gain", AUC, minus=ON), reports(off=OFF_VALUES, on=[0.61, 0.60, 0.64]), [0, 1, 2]
    )
    assert made["low"] < 0 < made["high"] and made["note"].startswith(NONE)
    assert "| gain | none: −.003 (" in table(made)


def test_one_seed_gives_its_records_own_interval_and_a_difference_none() -> None:
    there = reports(off=[0.6], on=[0.52])
    alone = figure(Figure("auc", AUC), there, [0])
    assert (alone["low"], alone["high"]) == pytest.approx((0.58, 0.62))
    assert alone["interval"] == "of people, within the one seed there is"
    gain = figure(Figure("gain", AUC, minus=ON), there, [0])
    assert gain["low"] is None and gain["high"] is None and gain["interval"].startswith("none")
    assert "| gain | .080 |" in table(gain)


def test_the_attacker_is_the_one_that_was_chosen_elsewhere() -> None:
    there = reports(off=OFF_VALUES)
    made = figure(Figure("auc", AUC), there, [0, 1, 2])
    assert made["values"] == OFF_VALUES and made["attacker"] == "trees"
    assert len(records_used([Figure("auc", AUC), Figure("again", AUC)], there, [0, 1])) == 2
    every = Reading("off", "align", "interface", "attacker_auc", ("age",))
    with pytest.raises(TactError, match="2 records of .*by attacker: say best: true"):
        figure(Figure("auc", every), there, [0])
    for one in there["off"][0]["align"]["measures"]:
        one["chosen_on"] = None
    with pytest.raises(TactError, match="0 of 2 records of .* are the chosen"):
        figure(Figure("auc", AUC), there, [0])


def test_a_record_that_is_not_there_is_named_with_those_that_are() -> None:
    skin = Reading("off", "align", "interface", "attacker_auc", ("skin",))
    with pytest.raises(TactError, match=r"figure \(auc\): run off after align: .*skin.*has: age"):
        figure(Figure("auc", skin), reports(off=[0.6]), [0])


def test_several_groups_give_their_mean() -> None:
    there = reports(off=[0.6])
    there["off"][0]["align"]["measures"].append(record(0.8, "skin", note="proxies tell", n=400))
    both = Reading("off", "align", "interface", "attacker_auc", ("age", "skin"), best=True)
    made = figure(Figure("mean", both), there, [0])
    assert made["value"] == pytest.approx(0.7) and made["low"] is None
    assert made["n_people"] == 400 and made["note"] == "proxies tell"


@pytest.mark.parametrize(
    ("value", "most", "least", "said"),
    [(0.5, None, None, None), (0.5, 0.5, None, True), (0.51, 0.5, None, False),
     (0.5, None, 0.5, True), (0.49, None, 0.5, False), (0.5, 0.6, 0.55, False)],
)  # fmt: skip
def test_a_bound_is_of_the_mean(
    value: float, most: float | None, least: float | None, said: bool | None
) -> None:
    assert met(value, at_most=most, at_least=least) is said


def test_what_misses_its_bound_is_in_the_table_whatever_is_asked() -> None:
    there = reports(off=OFF_VALUES)
    hidden = [Figure("held", AUC, at_most=0.7, shown=False),
              Figure("broken", AUC, at_most=0.6, shown=False)]  # fmt: skip
    said = table(*[figure(asked, there, [0, 1, 2]) for asked in hidden])
    assert "| held |" not in said
    assert "| broken | .613 (.575 to .651) | at most .60 | **missed** |" in said


def test_figures_of_one_label_share_a_row() -> None:
    there = reports(off=OFF_VALUES, on=ON_VALUES)
    at = [{"adversary": name, "bits": "64"} for name in ("off", "as_on")]
    both = [Figure("auc", AUC, at_most=0.7, at=at[0]), Figure("auc", ON, at_most=0.5, at=at[1])]
    said = table(*[figure(asked, there, [0]) for asked in both])
    assert (
        "| auc (off / as on) | .600 (.580 to .620) / .520 (.500 to .540) "
        "| at most .70 / at most .50 | **missed** |" in said
    )


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.9731, ".973"), (-0.0121, "−.012"), (1.0, "1.000"), (11.53, "11.5"), (-0.0001, ".000")],
)
def test_numbers_are_written_as_prose_writes_them(value: float, said: str) -> None:
    assert claim_table.number(value) == said


def table(*figures: dict[str, Any]) -> str:
    """The table of a result with these figures."""
    result = {
        "claim": "c", "question": "Is it so?", "command": "x", "figures": list(figures),
        "seeds": figures[0]["seeds"], "seeds_claimed": figures[0]["seeds"], "seconds": 60.0,
        "machine": {"cpu": "a processor", "cores": 2}, "revision": "0123456789abcdef",
        "dirty": False,
    }  # fmt: skip
    return claim_table.markdown(result, stale=False)
