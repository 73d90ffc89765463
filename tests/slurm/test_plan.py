"""``python -m slurm plan``: figures of every stage, and what would be refused."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conf.compose import load
from lineage.errors import TactError
from lineage.place import CHECKOUT
from slurm import disk
from slurm.plan import planned
from train import pace
from train.run import execute

DP = ["privacy.epsilon=8", "privacy.units=30", "privacy.expected_batch_units=6",
      "privacy.delta=1e-3", "stage.instruct.gradient_clip_norm=0",
      "+stage.instruct.rows.rows_per_subject=2"]  # fmt: skip


def test_steps_memory_and_epsilon_by_stage(
    short: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    found = planned(load([*short(), "run=r", "steps=[base_language,instruct]", *DP]))
    base, instruct = found["stages"]
    assert (base["stage"], base["steps"], base["private"]) == ("base_language", 20, False)
    assert instruct["private"] and 7 < instruct["epsilon_so_far"] <= 8
    assert "epsilon_so_far" not in base
    for each in found["stages"]:
        assert each["memory"]["peak"] > each["memory"]["weights"] > 2**20
    assert found["refused"] == [] and found["site"] is None
    assert "base_language" in capsys.readouterr().out


def test_all_that_would_be_refused_is_told_at_once(short: Callable[..., list[str]]) -> None:
    words = [*short(), "run=r", "steps=[base_language,instruct]", *DP, "json=true",
             "model.lora.targets=[nothing]", "privacy.epsilon=0.001", "site=slurm"]  # fmt: skip
    found = planned(load(words))
    assert [each["stage"] for each in found["stages"]] == ["base_language"]
    told = "\n".join(found["refused"])
    assert "'nothing' matches no layer" in told
    assert "privacy.epsilon=0.001" in told
    assert "no Slurm on this machine" in told


def test_rows_that_are_too_long_are_counted(short: Callable[..., list[str]]) -> None:
    words = [*short(), "run=r", "steps=[instruct]", "json=true"]
    longest = planned(load(words))["stages"][0]["longest_tokens"]
    (cut,) = planned(load([*words, f"data.max_length_tokens={longest - 1}"]))["stages"]
    assert 0 < cut["rejects"] < 1 and cut["longest_tokens"] < longest


def test_what_a_stage_took_is_what_it_is_said_to_take(
    finished: Callable[[str], Path], short: Callable[..., list[str]]
) -> None:
    finished("private")
    found = planned(load([*short(), "run=r", "steps=[align,prefer]", "stage.prefer.steps=2000"]))
    align, prefer = (each["time"] for each in found["stages"])
    assert align["run"] == "private" and align["jobs"] == 1
    known = pace.known(load([*short(), "run=r"]), "prefer")
    assert known is not None and known.rows > 100 and known.step_s > 0
    assert prefer["seconds"] == pytest.approx(known.around_s + 2000 * known.step_s)


def test_disk_is_what_a_run_folder_takes(
    finished: Callable[[str], Path], short: Callable[..., list[str]]
) -> None:
    there = finished("private")
    room = planned(load([*short(), "run=r"]))["disk"]
    weights = sum(path.stat().st_size for path in there.glob("stages/*/model.safetensors"))
    assert room["weights"] == pytest.approx(weights, rel=0.02)
    exported = sum(path.stat().st_size for path in there.glob("export/**/*.safetensors"))
    assert room["export"] == pytest.approx(exported, rel=0.25)


def test_a_disk_that_is_too_small_is_refused(short: Callable[..., list[str]]) -> None:
    config = load([*short(), "run=r"])
    free = disk.free_bytes(Path(config.checkpoints) / "not" / "there")
    disk.check(config, {"weights": free // 2, "cache": 2 * free})
    with pytest.raises(TactError, match="its disk has .* MiB left"):
        disk.check(config, {"weights": free, "export": free})


@pytest.mark.system
def test_a_probe_tells_the_time_of_a_run(
    short: Callable[..., list[str]], pictures: Any, tmp_path: Path
) -> None:
    words = [*short(), "run=r", "steps=[base_language,instruct]", *DP, "json=true"]
    words += [f"cache={tmp_path / 'cache'}", "stage.base_language.steps=150",
              "stage.instruct.steps=60", "privacy.fixed_key=same"]  # fmt: skip
    config = load(words)
    shutil.copytree(
        Path(load([*short(), "run=r"]).cache) / "portraits", tmp_path / "cache/portraits"
    )
    assert [each["time"] for each in planned(config)["stages"]] == [None, None]
    found = planned(config, probed=True)
    assert found["refused"] == [] and not list(tmp_path.glob("probe-*"))
    probed = [each["time"]["seconds"] for each in found["stages"]]
    execute(config)
    for name, seconds in zip(("base_language", "instruct"), probed, strict=True):
        taken = pace.known(config, name)
        assert taken is not None and taken.run == "r"
        assert seconds == pytest.approx(taken.seconds(config.stage[name].steps), rel=0.3)


@pytest.mark.system
def test_the_demo_is_planned_in_seconds(tmp_path: Path) -> None:
    words = ["experiment=demo", f"cache={tmp_path}", f"checkpoints={tmp_path}", "json=true"]
    command = [sys.executable, "-m", "slurm", "plan", *words]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1"}
    took = []
    for _ in range(2):  # the first draws the sample
        before = os.times()
        began = time.monotonic()
        subprocess.run(command, cwd=CHECKOUT, env=environment, check=True, capture_output=True)
        after = os.times()
        busy = after.children_user + after.children_system
        took.append(busy - before.children_user - before.children_system)
        print(f"{time.monotonic() - began:.1f} s, of a core {took[-1]:.1f} s")
    assert min(took) < 10
