"""A report of a finished run: what it holds, that it goes on where it died, what it refuses."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conf import compose
from data.pictures import listed
from evaluation import suites
from evaluation.measure import NAMES
from evaluation.report import report
from evaluation.stored import load
from lineage.errors import TactError
from lineage.run import RunFolder


@pytest.fixture
def run(finished: Callable[[str], Path], tmp_path: Path) -> RunFolder:
    """A copy of the finished private run."""
    shutil.copytree(finished("private"), tmp_path / "private")
    return RunFolder(tmp_path / "private")


def last(run: RunFolder) -> Path:
    return run.path / "report" / "5-prefer"


def test_a_report_holds_every_suite_and_each_number_its_source(run: RunFolder) -> None:
    before, content = load(run)
    assert (before["stage"], content["stage"]) == ("instruct", "prefer")
    suites = {m["suite"] for m in content["measures"]}
    assert {"behaviour", "paraphrases", "flips", "interface", "strength", "curve", "codes",
            "control/refuse_all", "control/constant", "control/before",
            "control/system_prompt"} <= suites  # fmt: skip
    for m in content["measures"]:
        assert m["name"] in NAMES and m["n"] > 0 and m["unit"] == "person" and m["stage"]
        assert m["low"] - 1e-9 <= m["value"] <= m["high"] + 1e-9, m
        assert m["attacker"] or "attacker" not in m["name"]
    chosen = {m["group"] for m in content["measures"] if m["suite"] == "interface"
              and m["name"] == "attacker_auc" and m["chosen_on"]}  # fmt: skip
    assert chosen == {"gender", "age", "skin", "expression"}
    refusing = {(m["name"], m["group"]): m["value"] for m in content["measures"]
                if m["suite"] == "control/refuse_all"}  # fmt: skip
    assert (
        refusing["over_refusal", "seen/facts"] == 1 and refusing["leak_rate", "seen/insisting"] == 0
    )
    assert (
        refusing["shared_use", "seen/as_pictured"] == refusing["fact_accuracy", "seen/facts"] == 0
    )
    assert all(e["before_stage"] == "instruct" and e["before"] is not None
               for e in content["examples"])  # fmt: skip
    assert [f["status"] for f in content["findings"]][0] == "proven"


def test_what_is_measured_is_kept_and_what_died_goes_on(
    run: RunFolder, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = json.loads((last(run) / "report.json").read_text())

    def no(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(suites.interface, "measures", no)
    assert report(run, cache=str(cache)) == whole  # it is there: nothing is measured
    (last(run) / "report.json").unlink()
    for part in run.path.glob("report/*/parts/interface.json"):
        part.unlink()
    with pytest.raises(KeyboardInterrupt):
        report(run, cache=str(cache))
    assert not (last(run) / "report.json").exists()
    monkeypatch.undo()
    monkeypatch.setattr(suites.behaviour, "answered", no)  # behaviour is not measured again
    assert report(run, cache=str(cache))["measures"] == whole["measures"]


def test_a_report_of_other_weights_is_neither_kept_nor_shown(run: RunFolder) -> None:
    path = last(run) / "report.json"
    content = json.loads(path.read_text())
    content["weights_sha256"][-1] = "0" * 64
    path.write_text(json.dumps(content))
    with pytest.raises(TactError, match="other weights than the run's"):
        load(run)


def test_a_stage_that_is_not_there_and_a_control_without_report(
    run: RunFolder, cache: Path
) -> None:
    with pytest.raises(TactError, match="has finished base_tower"):
        report(run, stage="sample", cache=str(cache))
    text = (run.path / "config.yaml").read_text()
    (run.path / "config.yaml").write_text(text.replace("controls: {}", "controls: {sft_only: a}"))
    with pytest.raises(TactError, match="no such run"):
        report(run, cache=str(cache))


def test_too_few_people_for_an_attack_are_named(run: RunFolder, cache: Path) -> None:
    path = run.path / "config.yaml"
    text = path.read_text()
    path.write_text(text.replace("  attack_split: attack", "  attack_split: validation"))
    with pytest.raises(TactError, match="needs 20 people on either side; the attack side has 10"):
        report(run, cache=str(cache))


def test_people_who_moved_between_splits_are_refused(run: RunFolder, cache: Path) -> None:
    path = run.path / "config.yaml"
    text = path.read_text()
    path.write_text(text.replace("private: 30", "private: 20").replace("test: 25", "test: 35"))
    with pytest.raises(TactError, match="whoever it knows may now be tested"):
        report(run, cache=str(cache))


def test_people_without_labels_are_named(run: RunFolder, cache: Path, pictures: Any) -> None:
    folder = run.path / "bare"
    folder.mkdir()
    names = []
    for row in listed(pictures):
        shutil.copy(row["image"]["path"], folder)
        names.append(f"{row['picture_id']}.png,{row['subject_id']}")
    (folder / "people.csv").write_text("\n".join(["file,subject_id", *names]))
    path, manifest = run.path / "config.yaml", run.read()
    config = compose.from_yaml(path)
    config.data.source = {"_target_": "data.sources.folder", "path": str(folder)}
    path.write_text(compose.to_yaml(config))
    manifest.data_fingerprint = None
    run.write(manifest)
    with pytest.raises(TactError, match="no picture of data.people.test has a label"):
        report(run, cache=str(cache))


def test_nobody_to_test_on_is_named(run: RunFolder, cache: Path) -> None:
    path = run.path / "config.yaml"
    path.write_text(path.read_text().replace("  split: test", "  split: nobody"))
    with pytest.raises(TactError, match="report.split=nobody: no such split"):
        report(run, cache=str(cache))
