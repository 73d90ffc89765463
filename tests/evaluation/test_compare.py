"""Reports side by side, and only those of a run's own weights."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from evaluation import stored
from evaluation.__main__ import main
from evaluation.compare import compare
from evaluation.measure import Measure
from lineage import files
from lineage.errors import TactError
from lineage.run import RunFolder

ROOT = Path(__file__).resolve().parents[2]


def auc(attacker: str, value: float, chosen_on: str | None = None) -> Measure:
    return Measure(
        "interface", "attacker_auc", "gender", value, value - 0.02, value + 0.02, 200, "person",
        attacker=attacker, chosen_on=chosen_on,
    )  # fmt: skip


def leak(suite: str, value: float) -> Measure:
    return Measure(suite, "leak_rate", "seen/all_unshared", value, 0.0, value + 0.01, 90, "person")


def trained(checkpoints: Path, name: str, *stages: str) -> RunFolder:
    """A run whose stages are done, each with weights of its own."""
    run = RunFolder.open(name, checkpoints=checkpoints)
    for stage in stages:
        run.begin(stage, trains=["lora"], steps=3)
        run.weights(stage).write_bytes(f"{name} {stage}".encode())
        run.end(stage)
    return run


def reported(run: RunFolder, folder: str, *measures: Measure, upto: int | None = None) -> None:
    """Put a report of the run's first ``upto`` stages into its folder."""
    stages = run.read().stages[:upto]
    content: dict[str, Any] = {
        "version": 2, "run": run.name, "stage": stages[-1].stage,
        "weights_sha256": [s.weights_sha256 for s in stages],
        "interface": {"kind": "private", "bits": 16, "tokens": 4},
        "measures": [m.record() for m in measures],
    }  # fmt: skip
    files.write_json(run.path / "report" / folder / "report.json", content)


def two(checkpoints: Path) -> None:
    a = trained(checkpoints, "a", "instruct", "prefer")
    reported(a, "1-instruct", leak("behaviour", 0.61), upto=1)
    best = auc("trees", 0.541, chosen_on="validation people")
    reported(
        a, "2-prefer", auc("MLP", 0.577), auc("trees", 0.541), best, leak("behaviour", 0.012),
        leak("control/before", 0.613),
    )  # fmt: skip
    b = trained(checkpoints, "b", "instruct")
    reported(b, "1-instruct", leak("behaviour", 0.402), leak("paraphrases", 0.433))


def test_the_last_reports_stand_side_by_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two(tmp_path)
    found = compare("[a, b]", checkpoints=tmp_path)
    own = "behaviour leak_rate seen/all_unshared"
    assert {name: one[own]["value"] for name, one in found.items()} == {"a": 0.012, "b": 0.402}
    assert not any(key.startswith("control/") for one in found.values() for key in one)
    printed = [line.split("│") for line in capsys.readouterr().out.splitlines()]
    cells = [[cell.strip() for cell in line[1:-1]] for line in printed if len(line) == 5]
    assert ["attacker's AUC: gender", "0.541  0.521 to 0.561", "–"] in cells
    values = [row[1:] for row in cells]
    assert ["0.012  0.000 to 0.022", "0.402  0.000 to 0.412"] in values
    assert ["–", "0.433  0.000 to 0.443"] in values


def test_the_chosen_attacker_stands_for_all_though_another_got_more(tmp_path: Path) -> None:
    two(tmp_path)
    found = compare("a,b", checkpoints=tmp_path, quiet=True)
    one = found["a"]["interface attacker_auc gender"]
    assert (one["attacker"], one["value"]) == ("trees", 0.541)


def test_the_door_gives_json_and_one_clear_error(tmp_path: Path) -> None:
    two(tmp_path)

    def door(runs: str) -> subprocess.CompletedProcess[str]:
        words = ["compare", f"run={runs}", f"checkpoints={tmp_path}", "json=true"]
        command = [sys.executable, "-m", "evaluation", *words]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert list(json.loads(door("[b,a]").stdout)) == ["b", "a"]
    refused = door("[a,c]")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == "error: run=c: no such run; there are: a, b\n"


@pytest.mark.parametrize("runs", ["a", "[a]", "[]", "[a,a]"])
def test_one_run_is_not_compared(runs: str, tmp_path: Path) -> None:
    two(tmp_path)
    with pytest.raises(TactError, match=r"name two runs or more.*run=\[A,B\]"):
        main(["compare", f"run={runs}", f"checkpoints={tmp_path}"])


def test_a_run_without_report_is_refused(tmp_path: Path) -> None:
    two(tmp_path)
    trained(tmp_path, "c", "instruct")
    with pytest.raises(TactError, match="run=c: it has no report; make one.*run=c"):
        compare("[a,c]", checkpoints=tmp_path)


def test_a_report_of_other_weights_is_refused(tmp_path: Path) -> None:
    two(tmp_path)
    a = RunFolder.existing("a", checkpoints=tmp_path)
    a.weights("prefer").write_bytes(b"trained again")
    a.end("prefer")
    for verb, runs in (("show", "a"), ("compare", "[a,b]")):
        with pytest.raises(TactError, match="run=a: report/2-prefer is of other weights"):
            main([verb, f"run={runs}", f"checkpoints={tmp_path}"])


def test_a_report_put_in_from_another_run_is_refused(tmp_path: Path) -> None:
    two(tmp_path)
    a, b = (RunFolder.existing(name, checkpoints=tmp_path) for name in "ab")
    theirs = files.read_json(a.path / "report/1-instruct/report.json")
    files.write_json(b.path / "report/1-instruct/report.json", theirs)
    with pytest.raises(TactError, match="run=b: report/1-instruct is of other weights"):
        stored.load(b)


def test_weights_that_are_not_whole_are_refused(tmp_path: Path) -> None:
    two(tmp_path)
    a = RunFolder.existing("a", checkpoints=tmp_path)
    a.weights("instruct").write_bytes(b"cut")
    with pytest.raises(TactError, match="weights of stage instruct are missing or not those"):
        stored.load(a)


def test_reports_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    run = trained(tmp_path, "long", *(f"s{number}" for number in range(1, 12)))
    for number in (11, 2, 10, 1):
        reported(run, f"{number}-s{number}", leak("behaviour", 0.1), upto=number)
    assert [one["stage"] for one in stored.load(run)] == ["s1", "s2", "s10", "s11"]
