"""A disk that fills while a stage trains: one error, the last checkpoint whole, then the rest."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lineage.files import sha256
from train.checkpoint import AtomicCheckpointIO

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = Path("stages") / "1-base_tower" / "model.safetensors"


def start(words: list[str]) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "train", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)


def fill_the_disk(process: "subprocess.Popen[str]", checkpoint: Path) -> str:
    """Let no file grow past a megabyte once the checkpoint is there; what the run says."""
    end = time.monotonic() + 120
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.005)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    return process.communicate()[1]


@pytest.mark.system
@pytest.mark.parametrize(("every", "name"), [(5, "last.ckpt"), (15, "model.safetensors")])
def test_a_disk_that_fills_is_one_error_and_the_same_command_goes_on(
    short: Callable[..., list[str]],
    finished: Callable[[str], Path],
    pictures: Any,
    tmp_path: Path,
    every: int,
    name: str,
) -> None:
    folder = tmp_path / "full"
    words = short("run=full", "stages=[base_tower]", f"trainer.checkpoint_every_steps={every}")
    process = start(words)
    checkpoint = folder / WEIGHTS.with_name("last.ckpt")
    said = fill_the_disk(process, checkpoint)
    assert process.returncode == 2 and "Traceback" not in said
    assert said.count("error: ") == 1 and f"no space left to write {name}" in said
    assert AtomicCheckpointIO().load_checkpoint(checkpoint)["global_step"] == every
    assert not (folder / WEIGHTS).exists() and not list(folder.rglob("*.part"))
    again = start(words)
    again.communicate()
    assert again.returncode == 0
    assert sha256(folder / WEIGHTS) == sha256(finished("private") / WEIGHTS)
