"""How long a stage takes, step by step and around its steps."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytorch_lightning as pl

from conf.schema import Config
from data.encoded import EncodedSet
from lineage import provenance
from lineage.run import RunFolder, now
from train import pace
from train.after_step import AfterStep
from train.pace import LEAST_STEPS, Pace


class Clock(AfterStep):
    """Counts the steps that it sees from the moment that it was made."""

    def __init__(self) -> None:
        self.made = time.monotonic()
        self.steps = 0
        self.prepare_s = 0.0
        self.first = self.last = self.made  # when the first and the last step ended

    def after_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note a step."""
        self.tick()

    def tick(self) -> None:
        """A step, or a part of what is drawn, has ended now."""
        self.last = time.monotonic()
        self.first = self.last if self.steps == 0 else self.first
        self.steps += 1

    @contextmanager
    def preparing(self) -> Iterator[None]:
        """Within, what is done stays in the cache."""
        began = time.monotonic()
        yield
        self.prepare_s += time.monotonic() - began

    def keep(
        self, config: Config, name: str, run: RunFolder, encoded: EncodedSet, *, parts: int = 0
    ) -> None:
        """Record the stage's pace, where there were steps enough to tell it.

        ``parts``: of a stage that draws, of which some may have been there already.
        """
        if self.steps < LEAST_STEPS:
            return
        step_s = (self.last - self.first) / (self.steps - 1)
        total_s = time.monotonic() - self.made
        rows = len(encoded.rows) + encoded.rejected
        pace.keep(config, name, Pace(
            run=run.name, ended=now(), machine=provenance.machine(),
            rows=rows, rejects=encoded.rejected / rows,
            longest_tokens=encoded.longest,
            around_s=total_s - self.prepare_s - self.steps * step_s, step_s=step_s,
            prepare_s=self.prepare_s, parts=parts,
        ))  # fmt: skip
