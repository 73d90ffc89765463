"""How far a stage is: a bar on a terminal, a line at its end in a log."""

import sys
from typing import Any

import pytorch_lightning as pl
from rich.console import Console

console = Console(stderr=True)


class Progress(pl.Callback):
    """A rich bar on a terminal; on a log, a line at the stage's end."""

    def __init__(self, name: str, *, shown: bool) -> None:
        self.name, self.shown = name, shown
        self.bar: Any = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the bar."""
        if self.shown and sys.stderr.isatty():
            from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            self.bar = Bar("{task.description}", BarColumn(), MofNCompleteColumn(),
                           TimeRemainingColumn(), console=console)  # fmt: skip
            self.bar.start()
            self.bar.add_task(self.name, total=trainer.max_steps, completed=trainer.global_step)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Move it on."""
        if self.bar is not None:
            self.bar.update(0, completed=trainer.global_step,
                            description=f"{self.name}{_loss(trainer, '  ')}")  # fmt: skip

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close it and say how it ended."""
        if self.shown:
            console.print(f"{self.name}: {trainer.global_step} steps{_loss(trainer, ', ')}")

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Leave the terminal as it was."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


def _loss(trainer: pl.Trainer, before: str) -> str:
    """The last loss; nothing where a stage keeps it to itself."""
    loss = trainer.callback_metrics.get("loss")
    return "" if loss is None else f"{before}loss {float(loss):.3f}"
