"""A stage that draws pairs from the model, and the stage that trains on them, by the real door."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import scorers
from datasets import Dataset

from conf import compose
from conf.compose import ConfigError, load
from data import prepared
from export.run import export
from lineage import people
from lineage.errors import TactError
from lineage.run import RunFolder
from lineage.who import exclude
from models import state
from privacy import verify
from slurm.plan import planned
from train import pace, pair_files
from train.run import execute

ROOT = Path(__file__).resolve().parents[2]
Words = Callable[..., list[str]]
SAMPLE = [
    "+stage@stage.sample=sample", "stage.sample.rows.count=60", "stage.sample.batch_size_rows=10",
    "stage.sample.sample.score._target_=scorers.by_words", "stage.sample.sample.min_gap=0.05",
    "stage.sample.sample.min_reward=0", "stage.prefer.rows_from=sample",
    "stage.base_language.steps=12", "stage.instruct.steps=12", "stage.prefer.steps=4",
    "steps=[base_language,instruct,sample,prefer]",
]  # fmt: skip
DP = [
    *SAMPLE, "privacy.epsilon=8", "privacy.units=30", "privacy.expected_batch_units=6",
    "privacy.delta=1e-3", "steps=[base_language,sample,prefer]",
    "+stage.sample.rows.rows_per_subject=2", "stage.sample.sample.score_public=true",
    "stage.prefer.gradient_clip_norm=0", "stage.base_language.steps=25",
]  # fmt: skip


@pytest.fixture(scope="module")
def drawn(short_in: Words, pictures: Any, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that sampled and trained on its pairs."""
    folder = tmp_path_factory.mktemp("drawn")
    execute(load(short_in(folder, *SAMPLE, "run=drawn")))
    return RunFolder.existing("drawn", checkpoints=folder)


def pairs_of(run: RunFolder) -> Dataset:
    everyone = {who for part in people.of(run) or () for who in part.people}
    return pair_files.read(run, "sample", people=everyone)


def heir(parent: RunFolder, folder: Path) -> RunFolder:
    """A run that has begun from ``parent`` after it sampled."""
    run = RunFolder.open("heir", checkpoints=folder)
    run.inherit(parent, upto="sample")
    stages = [state.stage for state in run.read().stages]
    people.inherit(run, parent, stages)
    pair_files.inherit(run, parent, stages)
    return run


def told(run: RunFolder) -> list[Any]:
    return [row for row in pairs_of(run)]


def test_what_drawing_took_is_what_a_plan_foresees(drawn: RunFolder) -> None:
    config = compose.from_yaml(drawn.path / "config.yaml")
    config.json = True
    found = pace.known(config, "sample")
    assert found is not None and found.run == "drawn"
    assert found.parts == len(list(drawn.private.glob("pairs-sample/part-*"))) > 1
    assert found.step_s > 0
    (sample,) = [s for s in planned(config)["stages"] if s["stage"] == "sample"]
    assert sample["time"]["seconds"] == found.around_s + found.parts * found.step_s


def test_pairs_are_trls_rows_of_the_splits_people_for_the_owner_alone(
    drawn: RunFolder, short: Words
) -> None:
    rows = pairs_of(drawn)
    splits = prepared.prepared(load(short(*SAMPLE, "run=x")))
    assert 0 < len(rows) <= 60 and set(rows["subject_id"]) <= set(splits["private"]["subject_id"])
    for row in rows:
        assert row["prompt"][-1]["role"] == "user" and len(row["images"]) == 1
        sides = [row[side][0]["content"] for side in ("chosen", "rejected")]
        assert sides[0] and len(sides[0].split()) < len(sides[1].split())
        better, worse = (row[f"{side}_scores"] for side in ("chosen", "rejected"))
        assert better["personalization"] - worse["personalization"] >= 0.049
    files = [*(drawn.private / "pairs-sample").iterdir()]
    assert len(files) > 4 and all(stat.S_IMODE(f.stat().st_mode) == 0o600 for f in files)


def test_it_is_in_the_manifest_and_its_pairs_were_trained_on(drawn: RunFolder) -> None:
    states = {state.stage: state for state in drawn.finished_stages()}
    assert list(states) == ["base_language", "instruct", "sample", "prefer"]
    assert (states["sample"].trains, states["sample"].steps) == ([], 0)
    noted = {part.stage: part for part in people.of(drawn) or () if part.kind == people.STAGE}
    assert set(noted["prefer"].people) == set(pairs_of(drawn)["subject_id"])
    assert set(noted["prefer"].people) <= set(noted["sample"].people)
    whole = json.loads((drawn.private / "pairs-sample" / "whole.json").read_text())
    assert whole["rows"] == 60 and whole["pairs"] == len(pairs_of(drawn))
    said = json.loads((drawn.stage_dir("prefer") / "validation.json").read_text())
    assert said["losses"]["prefer"] > 0


def test_no_file_of_an_export_is_of_pairs(drawn: RunFolder) -> None:
    export(drawn)
    for path in (p for p in (drawn.path / "export").rglob("*") if p.is_file()):
        assert path.suffix != ".arrow" and "pairs-sample" not in path.read_text(errors="replace")
    written = json.loads((drawn.path / "export" / "privacy.json").read_text())
    assert "sample" in [stage["stage"] for stage in written["stages"]]


def test_a_child_takes_its_parents_pairs(drawn: RunFolder, short_in: Words) -> None:
    folder = drawn.path.parent
    words = short_in(folder, *SAMPLE, "run=child", "steps=[prefer]", "parent=drawn@sample")
    execute(load(words))
    child = RunFolder.existing("child", checkpoints=folder)
    assert told(child) == told(drawn)
    ends = [run.read().stages[-1].weights_sha256 for run in (child, drawn)]
    assert ends[0] == ends[1]


def test_a_part_that_is_lost_is_named(drawn: RunFolder, tmp_path: Path) -> None:
    run = heir(drawn, tmp_path)
    (run.private / "pairs-sample" / "part-00001.arrow").unlink()
    with pytest.raises(TactError, match="1 parts of run=heir are gone, part-00001.arrow first"):
        pairs_of(run)
    with pytest.raises(TactError, match="people who are not in this stage's split"):
        pair_files.read(drawn, "sample", people={"somebody"})
    with pytest.raises(TactError, match=r"rows_from=instruct: run=drawn has no pairs"):
        pair_files.read(drawn, "instruct", people=())


def test_a_broken_off_stage_goes_on_and_ends_with_the_same_pairs(
    drawn: RunFolder, short: Words, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = short(*SAMPLE, "run=again", "steps=[base_language,instruct,sample]")
    monkeypatch.setattr(scorers, "seen", 0)
    plain = scorers.by_words
    monkeypatch.setattr(scorers, "by_words", _breaking(plain))
    with pytest.raises(RuntimeError, match="out of order"):
        execute(load(words))
    run = RunFolder.existing("again", checkpoints=tmp_path)
    there = sorted((run.private / "pairs-sample").glob("part-*"))
    assert len(there) == 2 and run.read().stages[-1].state == "running"
    kept = [path.stat().st_mtime_ns for path in there]
    monkeypatch.setattr(scorers, "by_words", plain)
    execute(load(words))
    assert [path.stat().st_mtime_ns for path in there] == kept  # not drawn again
    assert told(run) == told(drawn)


def _breaking(plain: Any) -> Any:
    def breaks(rows: Any, said: Any) -> Any:
        scorers.seen += 1
        if scorers.seen == 3:
            raise RuntimeError("out of order")
        return plain(rows, said)

    return breaks


@pytest.mark.system
def test_killed_as_it_draws_it_ends_with_the_same_pairs_and_weights(
    drawn: RunFolder, short: Words, tmp_path: Path
) -> None:
    words = short(*SAMPLE, "run=killed")
    command = [sys.executable, "-m", "train", *words]
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "support")])
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": path})
    folder = tmp_path / "killed" / "private" / "pairs-sample"
    while not list(folder.glob("part-*")) and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (folder / "whole.json").exists()
    subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, check=True)
    run = RunFolder.existing("killed", checkpoints=tmp_path)
    assert told(run) == told(drawn)
    hashes = [[s.weights_sha256 for s in r.finished_stages()] for r in (run, drawn)]
    assert hashes[0] == hashes[1]


def test_what_a_file_without_tensors_says_is_one_hash(tmp_path: Path) -> None:
    note = {"drawn_by": "sample", "of": "weights", "by": "nobody"}
    for number in range(16):
        state.write(tmp_path / f"{number}.safetensors", {}, note=note)
    assert len({file.read_bytes() for file in tmp_path.iterdir()}) == 1


def test_somebody_who_is_excluded_goes_from_the_pairs(drawn: RunFolder, tmp_path: Path) -> None:
    run = heir(drawn, tmp_path)
    before = pairs_of(run)["subject_id"]
    found = exclude(before[0], tmp_path, tmp_path / "cache", quiet=True)
    assert found["pairs_removed"] == ["heir"]
    assert pairs_of(run)["subject_id"] == [who for who in before if who != before[0]]
    assert before[0] in pairs_of(drawn)["subject_id"]  # another folder's files are its own


def test_under_dp_it_stands_in_the_ledger_and_costs_nothing(short: Words, tmp_path: Path) -> None:
    config = load(short(*DP, "run=dp"))
    execute(config)
    run = RunFolder.existing("dp", checkpoints=tmp_path)
    ledger = verify.verified(config, run)
    assert ledger.content["charged"] == {"sample": 0, "prefer": 4}
    assert set(ledger.content["weights_sha256"]) == {"sample", "prefer"}
    alone = [event for event in ledger.events() if event.stage == "prefer"]
    assert verify.stated(config, run)["epsilon"] == ledger.epsilon() > 0
    assert alone[0].noise_multiplier == ledger.plan.noise_multiplier
    public = [p for p in run.path.rglob("*") if p.is_file() and run.private not in p.parents]
    assert not any("pairs" in p.read_text(errors="replace") for p in public if p.suffix == ".json")


def test_under_dp_a_scorer_that_remembers_is_refused(short: Words) -> None:
    words = short(*DP, "run=ranks", "stage.sample.sample.score._target_=scorers.by_rank")
    with pytest.raises(TactError, match="no mean, rank or scale over people"):
        execute(load(words))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["stage.sample.steps=3"], "draws answers and trains nothing"),
        (["stage.sample.train=[lora]"], "draws answers and trains nothing"),
        (["stage.sample.rows_from=sample"], "this stage samples"),
        (["stage.sample.sample.answers=1"], "a pair takes 2"),
        (["stage.sample.sample.temperature=0"], "temperature=0.0: it must be above 0"),
        (["stage.sample.sample.min_gap=0"], "min_gap=0.0: it must be above 0"),
        (["stage.sample.sample.penalty=-1"], "0 or more"),
        (["stage.sample.sample.max_new_tokens=0"], "at least 1"),
        (["stage.sample.batch_size_rows=0"], "at least 1"),
        (["stage.sample.people=nobody"], "no such split"),
        (["stage.sample.people=public"], "people stay in their split"),
        (["stage.prefer.rows_from=instruct"], "no stage of that name samples"),
        (["stage.prefer.columns=messages"], "set stage.prefer.columns=preference"),
        (["steps=[base_language,prefer,sample]"], "steps has no sample before prefer"),
        (["steps=[base_language,prefer]"], r"parent=RUN@sample"),
        (["~stage.sample"], r"add \+stage@stage.sample=sample"),
    ],
)
def test_what_cannot_be_sampled_is_refused(short: Words, words: list[str], says: str) -> None:
    load(short(*SAMPLE, "run=x"))
    with pytest.raises(ConfigError, match=says):
        load(short(*SAMPLE, "run=x", *words))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["stage.sample.rows.rows_per_subject=null"], "depend on who else"),
        (["stage.sample.sample.score_public=false"], "learned from public people alone"),
        (["stage.prefer.gradient_clip_norm=1"], "set stage.prefer.gradient_clip_norm=0"),
    ],
)
def test_under_dp_what_would_break_it_is_refused(short: Words, words: list[str], says: str) -> None:
    load(short(*DP, "run=x"))
    with pytest.raises(ConfigError, match=says):
        load(short(*DP, "run=x", *words))


def test_a_scorer_that_is_not_there_is_named_before_anything_trains(short: Words) -> None:
    words = short(*SAMPLE, "run=none", "stage.sample.sample.score._target_=scorers.nope")
    with pytest.raises(TactError, match=r"stage\.sample\.sample\.score.*not found"):
        execute(load([*words, "dry_run=true"]))


def test_where_no_two_answers_differ_enough_the_fix_is_named(
    drawn: RunFolder, short: Words
) -> None:
    folder = drawn.path.parent
    words = [w for w in short(*SAMPLE, "run=same", "steps=[sample,prefer]",
                              "parent=drawn@instruct", "stage.sample.sample.min_gap=2")
             if not w.startswith("checkpoints=")]  # fmt: skip
    with pytest.raises(TactError, match="lower stage.sample.sample.min_gap"):
        execute(load([*words, f"checkpoints={folder}"]))
