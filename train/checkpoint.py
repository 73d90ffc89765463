"""Checkpoints that are whole or not there, written at step boundaries only."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.io import CheckpointIO

from lineage import files
from lineage.errors import TactError
from train import processes
from train.after_step import AfterStep
from train.stopping import handled, interrupted

LAST = "last.ckpt"


class AtomicCheckpointIO(CheckpointIO):
    """Atomic writes; reads without unpickling code (``weights_only``)."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Write ``checkpoint`` to ``path``, whole or not at all. Raises DiskFull."""

        def write(file: BinaryIO) -> None:
            torch.save(checkpoint, file)

        files.write_with(Path(path), write)

    def load_checkpoint(
        self, path: Any, map_location: Any | None = None, weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Read a checkpoint onto the CPU; TactError where it isn't whole."""
        try:
            loaded = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            raise TactError(
                f"{Path(path).name} in {Path(path).parent.name}/ can't be read: {error}. "
                "Remove it and run the same command: the stage starts again"
            ) from error
        return dict(loaded)

    def remove_checkpoint(self, path: Any) -> None:
        """Remove it, if it is there."""
        Path(path).unlink(missing_ok=True)


class WholeFile:
    """What strategies that shard have in common: their file is the whole one of any other."""

    checkpoint_io: Any
    is_global_zero: Any

    @property
    def lightning_restore_optimizer(self) -> bool:
        """From the plain state that a checkpoint holds."""
        return True

    def save_checkpoint(
        self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any = None
    ) -> None:
        """The first process writes it."""
        if self.is_global_zero:
            self.checkpoint_io.save_checkpoint(checkpoint, filepath)

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> Any:
        """Read whole on each process."""
        return self.checkpoint_io.load_checkpoint(checkpoint_path)


class SaveLast(AfterStep):
    """Saves every so many steps, and at the next step boundary after SIGINT, SIGTERM or SIGUSR1.

    A signal to one process stops all. ``private``: all hold the same, so the first one saves alone.
    """

    def __init__(self, folder: Path, *, every: int, private: bool = False) -> None:
        self.path, self.every, self.private = folder / LAST, every, private
        self.caught: int | None = None
        self._listens: tuple[int, ...] = ()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Within, signals are noted and nothing else; after, however it ends, they are as before.

        Lightning calls no ``teardown`` of a callback where training is stopped by an error.
        """
        with handled(self._note) as self._listens:
            yield

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take them from Lightning, which would stop between two parts of a step."""
        for number in self._listens:
            signal.signal(number, self._note)

    def after_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save where it is due; after a signal stop as well."""
        step = trainer.global_step
        self.caught = max(processes.by_all(lambda: self.caught or 0)) or None
        due = step % self.every == 0 or self.caught is not None
        if due and step < trainer.max_steps and not (self.private and processes.rank()):
            trainer.save_checkpoint(self.path)
        if self.caught is not None and step < trainer.max_steps:
            raise interrupted(self.caught, f"at step {step}, saved")

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.caught = number


def steps_done(path: Path) -> int:
    """Optimiser steps behind a checkpoint; 0 where there is none."""
    if not path.exists():
        return 0
    return int(AtomicCheckpointIO().load_checkpoint(path)["global_step"])
