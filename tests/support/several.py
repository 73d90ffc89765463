"""A stage on several processes and nodes: its words, and how far two runs' weights are apart."""

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from conf.compose import load
from lineage.run import RunFolder
from train.run import execute
from train.stage import Stage
from train.stopping import Interrupted

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


def run_until(step: int, words: list[str]) -> None:
    """A run of its own process, stopped by a signal in the step before ``step``."""
    code = "import sys, several; several.execute_until(int(sys.argv[1]), sys.argv[2:])"
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    command = [sys.executable, "-c", code, str(step), *words]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": path})


def execute_until(step: int, words: list[str]) -> None:
    """The run, stopped in this process."""
    with pytest.MonkeyPatch.context() as within:
        stops_at(step, within)
        with pytest.raises(Interrupted, match=f"at step {step}, saved"):
            execute(load(words))


def moments(folder: Path, run: str, stage: str) -> dict[str, dict[int, Tensor]]:
    """What AdamW keeps in a stopped stage's checkpoint, by kind and the parameter's number."""
    (path,) = (folder / run / "stages").glob(f"*-{stage}/last.ckpt")
    (state,) = torch.load(path, weights_only=True)["optimizer_states"]
    kinds = ("step", "exp_avg", "exp_avg_sq")
    return {k: {i: each[k] for i, each in state["state"].items()} for k in kinds}


def unlike(ours: dict[str, dict[int, Tensor]], theirs: dict[str, dict[int, Tensor]]) -> float:
    """The largest difference of two states' kinds, over the largest value of the kind.

    Where one of them has no state of a parameter, the other's moments are to be zero.
    """
    found = 0.0
    for kind, mine in ours.items():
        other, most = theirs[kind], max(float(t.abs().max()) for t in mine.values())
        alone = [] if kind == "step" else [x[n] for x, y in ((mine, other), (other, mine))
                                           for n in x.keys() - y.keys()]  # fmt: skip
        both = [mine[n] - other[n] for n in mine.keys() & other.keys()]
        found = max(found, *(float(t.abs().max()) / most for t in (*alone, *both)))
    return found
