"""A stage on several processes and nodes: its words, and how far two runs' weights are apart."""

import csv
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from torch import Tensor

from lineage.run import RunFolder
from train.stage import Stage

STAGES = ("base_tower", "align", "base_language", "instruct", "prefer")
EACH = ("steps=4", "batch_size_rows=8", "warmup_steps=1")
FEW = [f"stage.{s}.{k}" for s in STAGES for k in EACH]
# Adam makes a step of a gradient that is zero but for its rounding (a bias of keys has one)
SGD = [f"stage.{s}.{k}" for s in STAGES for k in ("optimizer=sgd", "momentum=0.9")]
SGD += [f"stage.{s}.learning_rate=0.05" for s in STAGES]
LINE = [*FEW, *SGD, "+stage.align.losses.rate={_target_: train.terms.rate, weight: 0.01}"]
LANGUAGE = [*FEW, *SGD, "steps=[base_language,instruct]", "trainer.checkpoint_every_steps=2"]
EXACT, CLOSE = 1e-6, 1e-4


def several(strategy: str) -> list[str]:
    return ["trainer.devices=2", f"trainer.strategy={strategy}"]


def weights(folder: Path, run: str) -> dict[str, dict[str, Tensor]]:
    """A run's weights by stage and name."""
    made = RunFolder.existing(run, checkpoints=folder)
    return {s.stage: load_file(made.weights(s.stage)) for s in made.finished_stages()}


def apart(ours: dict[str, dict[str, Tensor]], theirs: dict[str, dict[str, Tensor]]) -> float:
    """The largest difference of two runs' weights."""
    assert ours.keys() == theirs.keys()
    assert all(ours[s].keys() == theirs[s].keys() for s in ours)
    return max(float((ours[s][n] - theirs[s][n]).abs().max()) for s in ours for n in ours[s])


def losses(folder: Path, run: str) -> list[float]:
    """What all stages logged as their loss."""
    found = []
    for path in sorted((folder / run / "stages").glob("*/metrics.csv")):
        with path.open() as file:
            found += [float(row["loss"]) for row in csv.DictReader(file) if row["loss"]]
    return found


def stops_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this process told to stop, once, in the step before."""
    plain, left = Stage.training_step, [step - 1]

    def told(self: Stage, batch: Any, index: int) -> Any:
        if self.global_step in left:
            left.clear()
            os.kill(os.getpid(), signal.SIGTERM)
        return plain(self, batch, index)

    monkeypatch.setattr(Stage, "training_step", told)
