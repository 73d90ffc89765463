"""Run folders: one writer, one config, and parents that are whole."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lineage import files, provenance
from lineage.difference import difference
from lineage.errors import TactError
from lineage.run import DONE, INHERITED, Manifest, RunFolder

ROOT = Path(__file__).resolve().parents[2]
HOLDER = """
import sys, time
from pathlib import Path
from lineage.run import RunFolder
with RunFolder.open("r", checkpoints=Path(sys.argv[1])).lock():
    print("held", flush=True)
    time.sleep(600)
"""
CONFIG = """
run: a
steps: [instruct, prefer]
stages: null
stage: {prefer: {steps: 20, betas: [0.9, 0.999]}}
trainer: {progress: true}
"""


def run(tmp_path: Path, name: str = "r") -> RunFolder:
    return RunFolder.open(name, checkpoints=tmp_path)


def trained(tmp_path: Path, *stages: str, finished: bool = True) -> RunFolder:
    folder = run(tmp_path, "parent")
    for stage in stages:
        folder.begin(stage, trains=["lora"], steps=3)
        folder.weights(stage).write_bytes(stage.encode())
        folder.end(stage)
    manifest = folder.read()
    manifest.finished = finished
    folder.write(manifest)
    return folder


def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        env=environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    with pytest.raises(TactError, match=f"process {holder.pid}.*another run="):
        with run(tmp_path).lock():
            pass
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    with run(tmp_path).lock():
        pass


def test_the_lock_clears_what_a_dead_writer_left(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    part = run(tmp_path).path / f".manifest.json.{gone.pid}.part"
    part.write_bytes(b"half")
    with run(tmp_path).lock():
        assert not part.exists()


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a b", "a\n"])
def test_a_name_that_no_folder_can_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(TactError, match="letters, digits"):
        run(tmp_path, name)


def test_a_run_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    trained(tmp_path, "align")
    with pytest.raises(TactError, match="run=nobody: no such run; there are: parent"):
        RunFolder.existing("nobody", checkpoints=tmp_path)


def test_what_is_private_is_for_the_owner_alone(tmp_path: Path) -> None:
    assert run(tmp_path).private.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("steps: 20", "steps: 40", "stage.prefer.steps: 20 → 40"),
        ("0.999", "0.99", "stage.prefer.betas: [0.9, 0.999] → [0.9, 0.99]"),
        ("run: a", "run: a\nseed: 1", "seed: (not there) → 1"),
    ],
)
def test_a_config_that_differs_is_refused_key_by_key(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    folder = run(tmp_path)
    folder.keep_config(CONFIG)
    with pytest.raises(TactError) as caught:
        folder.keep_config(CONFIG.replace(old, new), ignore=("run", "steps", "progress"))
    assert said in str(caught.value) and "choose another run=" in str(caught.value)
    assert (folder.path / "config.yaml").read_text() == CONFIG


def test_harmless_keys_may_differ() -> None:
    ignore = ("run", "steps", "stages", "progress")
    for old, new in [
        ("stages: null", "stages: [prefer]"),
        ("[instruct, prefer]", "[instruct]"),
        ("progress: true", "progress: false"),
    ]:
        assert difference(CONFIG, CONFIG.replace(old, new)) != []
        assert difference(CONFIG, CONFIG.replace(old, new), ignore=ignore) == []


def test_a_child_has_its_own_whole_copy_of_the_parents_stages(tmp_path: Path) -> None:
    parent, child = trained(tmp_path, "align", "instruct", "prefer"), run(tmp_path, "child")
    child.inherit(parent, upto="instruct")
    assert [(s.stage, s.state) for s in child.finished_stages()] == [
        ("align", INHERITED), ("instruct", INHERITED),
    ]  # fmt: skip
    origin = child.read().parent
    assert origin is not None and (origin["run"], origin["stage"]) == ("parent", "instruct")
    child.begin("prefer", trains=["lora"], steps=3)
    child.weights("prefer").write_bytes(b"new")
    child.end("prefer")
    assert [s.state for s in child.finished_stages()] == [INHERITED, INHERITED, DONE]
    assert parent.weights("prefer").read_bytes() == b"prefer"
    child.inherit(parent, upto="instruct")  # on resume
    assert len(child.read().stages) == 3


def test_a_child_takes_over_the_terms_of_its_parents_sources(tmp_path: Path) -> None:
    parent, child = run(tmp_path, "parent"), run(tmp_path, "child")
    for name, terms in (("align", {"name": "CelebA"}), ("instruct", None)):
        parent.begin(name, trains=["lora"], steps=3, terms=terms)
        parent.weights(name).write_bytes(name.encode())
        parent.end(name)
    child.inherit(parent, upto="instruct")
    assert [s.terms for s in child.read().stages] == [{"name": "CelebA"}, None]


def test_a_parent_without_the_stage_is_refused(tmp_path: Path) -> None:
    parent = trained(tmp_path, "align")
    with pytest.raises(TactError, match="parent=parent@prefer.*finished: align"):
        run(tmp_path, "child").inherit(parent, upto="prefer")
    assert run(tmp_path, "child").read().stages == []


def test_a_parent_with_nothing_done_is_refused(tmp_path: Path) -> None:
    parent = trained(tmp_path, finished=False)
    parent.begin("align", trains=["interface"], steps=3)
    with pytest.raises(TactError, match="parent=parent: that stage is not finished"):
        run(tmp_path, "child").inherit(parent, upto=None)


def test_a_parent_that_was_cut_off_gives_only_a_stage_that_is_named(tmp_path: Path) -> None:
    parent = trained(tmp_path, "align", finished=False)
    parent.begin("instruct", trains=["lora"], steps=3)
    child = run(tmp_path, "child")
    with pytest.raises(TactError, match="has not finished.*parent=parent@align"):
        child.inherit(parent, upto=None)
    child.inherit(parent, upto="align")
    assert [s.stage for s in child.read().stages] == ["align"]


@pytest.mark.parametrize("harm", ["missing", "cut off"])
def test_a_parent_whose_weights_are_not_whole_is_refused(tmp_path: Path, harm: str) -> None:
    parent = trained(tmp_path, "align", "instruct")
    weights = parent.weights("align")
    weights.unlink() if harm == "missing" else weights.write_bytes(b"ali")
    with pytest.raises(TactError, match="run=parent: the weights of stage align"):
        run(tmp_path, "child").inherit(parent, upto="instruct")


def test_finished_weights_are_read_once_until_they_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = trained(tmp_path, "align", "instruct")
    reads: list[str] = []
    opened = Path.open

    def counted(path: Path, *words: Any, **options: Any) -> Any:
        if path.name == "model.safetensors":
            reads.append(path.parent.name)
        return opened(path, *words, **options)

    assert len(folder.finished_stages()) == 2
    monkeypatch.setattr(Path, "open", counted)
    assert len(folder.finished_stages()) == 2 and reads == []
    weights = folder.weights("align")
    before = weights.stat()
    files.write_bytes(weights, b"nilag")  # of the same size, with the same time
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(TactError, match="the weights of stage align"):
        folder.finished_stages()
    assert "1-align" in reads


def test_a_run_is_not_its_own_parent(tmp_path: Path) -> None:
    folder = run(tmp_path)
    folder.write(Manifest())
    with pytest.raises(TactError, match="is the run itself"):
        folder.inherit(folder, upto=None)


def test_a_manifest_of_another_version_is_refused(tmp_path: Path) -> None:
    folder = trained(tmp_path, "align")
    path = folder.path / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "unheard_of": 1}))
    with pytest.raises(TactError, match="manifest.json is not one that this version wrote"):
        folder.read()


def test_outside_git_there_is_no_revision(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "provenance.py"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.git_revision() == ("", False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.git_revision() == ("", False)


def test_the_door_shows_a_run(tmp_path: Path) -> None:
    trained(tmp_path, "align")
    door = [sys.executable, "-m", "lineage"]
    asked = [*door, "show", "run=parent", f"checkpoints={tmp_path}"]
    shown = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "parent: finished" in shown and "align" in shown
    done = subprocess.run([*asked, "json=true"], cwd=ROOT, capture_output=True, check=True)
    assert json.loads(done.stdout)["stages"][0]["state"] == DONE
    wrong = [*door, "run=nobody", f"checkpoints={tmp_path}"]
    refused = subprocess.run(wrong, cwd=ROOT, capture_output=True, text=True, check=False)
    assert refused.returncode == 2 and refused.stderr.startswith("error: run=nobody")
    bare = subprocess.run(door, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "python -m lineage show run=demo" in bare.stdout
