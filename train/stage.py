"""The one LightningModule of all stages: forward, named losses, weighted sum, log."""

import resource
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from conf.schema import StageConfig
from data.collate import Batch
from lineage.errors import TactError
from models.vlm import VLM
from train import processes
from train.optimizer import made, warmup_cosine
from train.terms import Step, Term, adversaries, weight


class Stage(pl.LightningModule):
    """Trains the parts that the stage names with the losses that it names.

    Checkpoints hold what trains and nothing else; the rest is rebuilt from where it came from.
    """

    strict_loading = False

    def __init__(
        self,
        model: VLM,
        config: StageConfig,
        *,
        terms: Mapping[str, Term],
        words: Tensor,
        features: Tensor | None = None,
        references: Mapping[str, Tensor] | None = None,
        chunk: int = 4096,
        parts: int = 1,
    ) -> None:
        super().__init__()
        self.parts, self._part = parts, 0  # of a step, one after the other
        self.seed = torch.initial_seed()
        self.model, self.config, self.terms = model, config, dict(terms)
        self.weights = {name: weight(config.losses[name]) for name in terms}
        self.features, self.references, self.chunk = features, references, chunk
        self.register_buffer("words", words, persistent=False)
        if config.flip and "tower" in config.train and not model.parts.encoder.flippable:
            raise TactError(
                "flip=true mirrors whole pictures; this model takes them in crops or patches. "
                "Set the stage's flip=false"
            )
        self.names = list(model.train_only([*config.train, *adversaries(config)]))
        self._started = time.perf_counter()

    @property
    def trainable(self) -> dict[str, nn.Parameter]:
        """What trains, by name; a strategy that shards it puts others in its place."""
        return {name: self.model.get_parameter(name) for name in self.names}

    @property
    def kept(self) -> dict[str, nn.Parameter]:
        """What the stage's weights hold, by name: what trains, and the A of a frozen adapter."""
        if "lora" not in self.config.train:
            return self.trainable
        return {**self.trainable, **dict(self.model.named_parts().get("lora_frozen", []))}

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Weighted sum of the mean of each term over the batch's rows."""
        self._part = index % self.parts
        values = self.values(batch)
        total = torch.stack([self.weights[k] * v.mean() for k, v in values.items()]).sum()
        if not torch.isfinite(total):
            raise self._failure(batch, "the loss is not finite")
        self._log(batch, values, total)
        return total

    def values(self, batch: Batch) -> dict[str, Tensor]:
        """Each term's values by row, (B,); an error names the rows."""
        try:
            step = self.step_of(batch)
            return self.model.within(lambda: {n: term(step) for n, term in self.terms.items()})
        except (RuntimeError, ValueError, IndexError) as error:
            if processes.is_gone(error):
                raise
            raise self._failure(batch, str(error).splitlines()[0]) from error

    def step_of(self, batch: Batch) -> Step:
        """What the terms are given."""
        cached = None
        if self.features is not None:
            cached = self._as_weights(self.features[batch.pictures.to(self.features.device)])
        elif batch.pixel_values is not None:
            batch = replace(batch, pixel_values=self._as_weights(batch.pixel_values))
        references = None
        if self.references is not None:
            both = torch.stack([self.references[r] for r in batch.row_ids])  # (B, 2)
            references = both.to(self.device).T.flatten()
        tower = "tower" in self.config.train
        if tower and self.config.flip and self.training and batch.pixel_values is not None:
            mirrored = self._mirrored(batch.rows)[batch.picture_row.cpu()]
            batch.pixel_values[mirrored] = batch.pixel_values[mirrored].flip(-1)
        return Step(
            model=self.model,
            batch=batch,
            words=self.words,  # type: ignore[arg-type]
            progress=self.global_step / self.config.steps,
            cached_features=cached,
            cached_references=references,
            chunk=self.chunk,
            train_tower=tower,
        )

    def _mirrored(self, rows: int) -> Tensor:
        """Which rows of a batch are mirrored, (B,), whatever processes and parts a step has."""
        step = torch.Generator().manual_seed(self.seed * 1_000_003 + self.global_step)
        every = torch.rand(rows * self.parts * processes.world(), generator=step) < 0.5
        own = every[processes.rank() :: processes.world()]
        return own.view(self.parts, rows)[self._part]

    def _as_weights(self, values: Tensor) -> Tensor:
        """On the stage's device, and in bf16 where all of it is (``trainer.precision``)."""
        half = self.dtype != torch.float32
        return values.to(self.device, self.dtype if half else values.dtype)  # type: ignore[arg-type]

    def _failure(self, batch: Batch, reason: str) -> TactError:
        rows = ", ".join(batch.row_ids[:8]) + (" …" if batch.rows > 8 else "")
        return TactError(
            f"step {self.global_step}: {reason}. Rows: {rows}. "
            "Look at them (python -m data show), or lower the learning rate"
        )

    def _log(self, batch: Batch, values: Mapping[str, Tensor], total: Tensor) -> None:
        now, world = time.perf_counter(), processes.world()
        seconds, self._started = now - self._started, now
        tokens = (batch.segments >= 0).sum()
        each = [total, tokens, *(value.mean() for value in values.values())]
        loss, tokens, *means = processes.mean(torch.stack([x.detach().float() for x in each]))
        self.log("loss", loss, prog_bar=True, batch_size=batch.rows)
        for name, value in zip(values, means, strict=True):
            self.log(f"loss/{name}", value, batch_size=batch.rows)
        self.log("rows_per_second", batch.rows * world / seconds, batch_size=batch.rows)
        self.log("tokens_per_second", float(tokens) * world / seconds, batch_size=batch.rows)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        self.log("memory_peak_mib", peak, batch_size=batch.rows)

    def configure_optimizers(self) -> Any:
        """AdamW or SGD (adversaries with their own rate), linear warm-up, then cosine to 5 %."""
        config = self.config
        optimizer = made(config, self.trainable)
        curve = partial(warmup_cosine, warmup=config.warmup_steps, steps=config.steps)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, curve)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what trains, and the random state."""
        state = checkpoint["state_dict"]
        checkpoint["state_dict"] = {f"model.{n}": state[f"model.{n}"] for n in self.names}
        checkpoint["random_state"] = torch.get_rng_state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the random state up again where it was, and count batches as they are split now."""
        missing = [n for n in self.names if f"model.{n}" not in checkpoint["state_dict"]]
        if missing:
            raise TactError(
                f"checkpoint: it lacks {missing[0]} and {len(missing) - 1} more; it is of another "
                "model. Choose another run= or restore the config"
            )
        torch.set_rng_state(checkpoint["random_state"])
        if rank := processes.rank():  # the state is the first process's
            torch.manual_seed(self.seed + rank + checkpoint["global_step"])
        progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        for counted in (progress["total"], progress["current"]):
            more = checkpoint["global_step"] * self.parts - counted["ready"]
            counted.update({name: number + more for name, number in counted.items()})
