"""What callbacks of a step have in common: a step ends with the last of its parts."""

from typing import Any

import pytorch_lightning as pl


class AfterStep(pl.Callback):
    """Calls ``after_step`` once an optimiser step has ended, whatever parts it was split into."""

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        index: int,
    ) -> None:
        """Lightning calls it after each part."""
        if (index + 1) % trainer.accumulate_grad_batches == 0:
            self.after_step(trainer, pl_module)

    def after_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """What is done after a step."""
        raise NotImplementedError
