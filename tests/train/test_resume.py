"""A run that is killed at any moment ends with the weights of one that was not."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file

from lineage.files import sha256

ROOT = Path(__file__).resolve().parents[2]
STAGES = ("base_tower", "align", "base_language", "instruct", "prefer")
Words = Callable[..., list[str]]


def command(words: list[str]) -> list[str]:
    return [sys.executable, "-m", "train", *words, f"steps=[{','.join(STAGES)}]"]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


def weights(folder: Path) -> dict[str, str]:
    return {
        stage: sha256(folder / "stages" / f"{n}-{stage}" / "model.safetensors")
        for n, stage in enumerate(STAGES, start=1)
    }


def last_step(folder: Path, stage: str) -> int:
    metrics = folder / "stages" / f"{STAGES.index(stage) + 1}-{stage}" / "last.ckpt"
    return int(metrics.exists())


def kill_when(folder: Path, words: list[str], stage: str, *, after: float, sign: int) -> int:
    """Start the run, send ``sign`` a moment after ``stage``'s first checkpoint; its status."""
    process = subprocess.Popen(command(words), cwd=ROOT, env=environment(), stderr=subprocess.PIPE)
    end = time.monotonic() + 240
    while time.monotonic() < end and process.poll() is None:
        if last_step(folder, stage):
            time.sleep(after)
            process.send_signal(sign)
            break
        time.sleep(0.01)
    process.communicate()
    return process.returncode


@pytest.fixture
def whole(finished: Callable[[str], Path]) -> dict[str, str]:
    return weights(finished("private"))


@pytest.mark.system
def test_killed_in_each_stage_and_resumed_is_bit_equal(
    short: Words, whole: dict[str, str], tmp_path: Path
) -> None:
    words, folder = short("run=broken"), tmp_path / "broken"
    rng = random.Random(int(os.environ.get("TACT_TEST_SEED", "0")))
    killed = 0
    for stage in STAGES:
        killed += kill_when(folder, words, stage, after=rng.random() / 4, sign=signal.SIGKILL) < 0
    subprocess.run(command(words), cwd=ROOT, env=environment(), check=True)
    assert killed >= 3  # a fast stage may end before the kill reaches it
    assert weights(folder) == whole


@pytest.mark.parametrize(
    "sign", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.system)]
)
def test_a_signal_saves_stops_and_the_same_command_goes_on(
    short: Words, whole: dict[str, str], tmp_path: Path, sign: signal.Signals
) -> None:
    words, folder = short("run=stopped"), tmp_path / "stopped"
    status = kill_when(folder, words, "instruct", after=0.05, sign=sign)
    assert status in (os.EX_TEMPFAIL, 0)
    subprocess.run(command(words), cwd=ROOT, env=environment(), check=True)
    assert weights(folder) == whole


def test_the_run_moved_what_trains_and_nothing_else(
    finished: Callable[[str], Path],
) -> None:
    stage = finished("private") / "stages"
    prefer = load_file(stage / "5-prefer" / "model.safetensors")
    assert prefer and all(".lora_" in name for name in prefer)
    assert all(float(t.abs().sum()) > 0 for t in prefer.values())  # B starts at 0 and moved
    tower = load_file(stage / "1-base_tower" / "model.safetensors")
    assert {name.split(".")[0] for name in tower} == {"tower", "reader"}
