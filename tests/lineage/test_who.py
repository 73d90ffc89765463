"""Where a person was, and keeping them out: lists, caches, runs."""

import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import published
import pytest

from lineage import exclusion, people
from lineage.errors import TactError
from lineage.run import PUSHED, RunFolder
from lineage.who import exclude, who

ROOT = Path(__file__).resolve().parents[2]


def noted(checkpoints: Path, name: str, **stages: list[str]) -> RunFolder:
    run = RunFolder.open(name, checkpoints=checkpoints)
    run.write(run.read())
    for stage, subjects in stages.items():
        people.note(run, stage, kind=people.STAGE, split="private", people=subjects)
    return run


def test_a_person_is_found_in_runs_stages_reports_and_exports(tmp_path: Path) -> None:
    first = noted(tmp_path, "first", instruct=["ann", "bea"], prefer=["bea"])
    people.note(first, "prefer", kind=people.REPORT, split="test", people=["cem"])
    (first.path / "export").mkdir()
    noted(tmp_path, "second", instruct=["cem"])
    old = RunFolder.open("old", checkpoints=tmp_path)
    old.write(old.read())
    found = who("ann", tmp_path, quiet=True)
    instruct = {"stage": "instruct", "kind": "stage", "split": "private"}
    assert found["runs"] == [{"run": "first", "parts": [instruct], "exported": True, "pushed": []}]
    assert found["unknown"] == ["old"] and found["excluded"] is None
    there = {run["run"]: run["exported"] for run in who("cem", tmp_path, quiet=True)["runs"]}
    assert there == {"first": False, "second": False}
    mode = stat.S_IMODE((first.private / people.NAME).stat().st_mode)
    assert mode == 0o600


def test_an_export_that_was_pushed_is_named_though_it_is_gone_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = noted(tmp_path, "run", instruct=["ann"])
    pushed = {"to": "me/demo", "begun": True, "made": True, "commit": "abc", "files": ""}
    (run.path / PUSHED).write_text(json.dumps(pushed))
    (there,) = who("ann", tmp_path)["runs"]
    assert (there["exported"], there["pushed"]) == (True, ["me/demo"])
    assert "me/demo" in capsys.readouterr().out
    assert exclude("ann", tmp_path, tmp_path / "cache")["pushed"] == ["me/demo"]
    assert "take it down there: me/demo" in capsys.readouterr().out
    (run.path / PUSHED).write_text(json.dumps({**pushed, "made": False}))
    assert who("ann", tmp_path, quiet=True)["runs"][0]["exported"] is False


def test_a_stage_that_goes_on_keeps_those_it_had(tmp_path: Path) -> None:
    run = noted(tmp_path, "run", instruct=["ann"])
    people.note(run, "instruct", kind=people.STAGE, split="private", people=["bea"])
    assert people.trained_on(run) == {"ann", "bea"}


def test_a_child_knows_whom_its_weights_come_from(tmp_path: Path) -> None:
    parent = noted(tmp_path, "parent", align=["ann"], instruct=["bea"])
    child = RunFolder.open("child", checkpoints=tmp_path)
    people.inherit(child, parent, ["align"])
    assert people.trained_on(child) == {"ann"}


def test_exclusion_is_kept_names_runs_and_says_what_it_does_not_do(tmp_path: Path) -> None:
    run = noted(tmp_path, "run", instruct=["ann", "bea"])
    people.note(run, "instruct", kind=people.REPORT, split="test", people=["ann"])
    noted(tmp_path, "other", instruct=["bea"])
    for name in ("features", "references"):
        (tmp_path / "cache" / name).mkdir(parents=True)
    found = exclude("ann", tmp_path, tmp_path / "cache", quiet=True)
    assert found["train_again"] == found["measure_again"] == ["run"]
    assert found["emptied"] == ["features", "references"]
    assert "does not erase" in found["said"] and "charged to them" in found["said"]
    again = exclude("ann", tmp_path, tmp_path / "cache", quiet=True)
    assert again["excluded"] == found["excluded"] and again["emptied"] == []
    assert stat.S_IMODE((tmp_path / exclusion.NAME).stat().st_mode) == 0o600
    with pytest.raises(TactError, match=r"export: run=run was trained on 1 who are excluded"):
        exclusion.check(run, goes_on="export")


def test_tables_and_laid_pictures_of_a_person_go_and_others_stay(tmp_path: Path) -> None:
    from data.sets.user_vlm import user_vlm_instruct

    said = {"question": ["q", "r", "s"], "answer": ["a", "b", "c"]}
    where = {"path": str(published.parquet(tmp_path / "set", seeds=(1, 2, 1), **said))}
    table = user_vlm_instruct(**where, cache=tmp_path / "cache")
    out, stays = table["subject_id"][0], table["subject_id"][1]
    emptied = exclude(out, tmp_path, tmp_path / "cache", quiet=True)["emptied"]
    assert len(emptied) == 1 and emptied[0].startswith("sets/")
    again = user_vlm_instruct(**where, cache=tmp_path / "cache")
    assert again["subject_id"] == [out, stays, out] and again[1]["image"].size == (16, 16)
    assert again[0] == {**dict.fromkeys(again[0]), "row_id": "instruct0000000", "part": "instruct",
                        "picture_id": out, "subject_id": out}  # fmt: skip
    assert [path.stem for path in (tmp_path / "cache/sets/pictures").iterdir()] == [stays]


def test_the_excluded_are_dealt_and_then_left_out_so_nobody_else_moves(tmp_path: Path) -> None:
    from conf.compose import load
    from data import prepared

    (tmp_path / "set").mkdir()
    path = published.fairface(tmp_path / "set")
    words = ["data=fairface", f"data.source.path={path}", f"cache={tmp_path / 'cache'}", "run=x",
             f"checkpoints={tmp_path}"]  # fmt: skip
    words += ["data.people={private: 1, validation: 1, test: 1, attack: 0}"]
    config = load(words, check=False)
    before = {name: table["subject_id"] for name, table in prepared.prepared(config).items()}
    out = before["private"][0]
    exclusion.add(out, tmp_path)
    after = {name: table["subject_id"] for name, table in prepared.prepared(config).items()}
    assert after == {**before, "private": []}  # the others stay where they were
    assert prepared.fingerprint(prepared.dealt(config)) != prepared.fingerprint(
        prepared.prepared(config)
    )


def door(*words: str) -> tuple[int, dict[str, Any], str]:
    command = [sys.executable, "-m", "lineage", *words, "json=true"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    said = json.loads(done.stdout.splitlines()[-1]) if done.stdout else {}
    return done.returncode, said, done.stderr


def test_the_door_tells_and_excludes(tmp_path: Path) -> None:
    noted(tmp_path, "run", instruct=["ann"])
    place = [f"checkpoints={tmp_path}"]
    status, said, _ = door("exclude", "subject=ann", f"cache={tmp_path / 'cache'}", *place)
    assert status == 0 and said["train_again"] == ["run"]
    status, said, _ = door("who", "subject=ann", *place)
    assert status == 0 and said["excluded"] and said["runs"][0]["run"] == "run"
    status, _, error = door("who", *place)
    assert status == 2 and "give subject=ID" in error and "Traceback" not in error


def test_an_id_that_no_run_knows_is_excluded_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noted(tmp_path, "first", instruct=["ann"])
    exclude("anne", tmp_path, tmp_path / "cache")
    assert "in no run that notes its people; check the id" in capsys.readouterr().out
    exclude("ann", tmp_path, tmp_path / "cache")
    said = capsys.readouterr().out
    assert "check the id" not in said and "train again" in said
