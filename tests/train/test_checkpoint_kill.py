"""Killed while a checkpoint is being written: what lies there is whole."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from train.checkpoint import AtomicCheckpointIO

ROOT = Path(__file__).resolve().parents[2]
WRITER = """
import sys, torch
from pathlib import Path
from train.checkpoint import AtomicCheckpointIO
path, step = Path(sys.argv[1]), 0
while True:
    step += 1
    state = {"global_step": step, "state": torch.full((400_000,), float(step))}
    AtomicCheckpointIO().save_checkpoint(state, path)
"""


@pytest.mark.system
def test_a_checkpoint_is_the_old_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    for attempt in range(4):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        end = time.monotonic() + 120
        while not path.exists() and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.02 + 0.013 * attempt)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        state = AtomicCheckpointIO().load_checkpoint(path)
        assert bool((state["state"] == state["global_step"]).all())
        path.unlink()
