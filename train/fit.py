"""One stage of a run: model, rows, loop; from where it stopped, if it stopped."""

import logging
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from datasets import Dataset, disable_progress_bars
from hydra.utils import instantiate
from rich.console import Console

from conf import target
from conf.schema import Config, StageConfig
from data.collate import Collator
from data.lexicon import WORDS
from data.policy import Policy
from lineage import files
from lineage.run import RunFolder
from models import configured, lora, state
from models.features import picture_features
from models.vlm import VLM
from models.words import word_mask
from train import references
from train.checkpoint import LAST, AtomicCheckpointIO, SaveLast, steps_done
from train.rows import EncodedSet, encoded_set, loader
from train.stage import Stage, Term

console = Console(stderr=True)


def fit(
    config: Config, name: str, run: RunFolder, splits: Mapping[str, Dataset], policy: Policy
) -> None:
    """Train stage ``name`` to its end and write its weights. Raises TactError, Interrupted."""
    _quiet()
    stage = config.stage[name]
    started = [*run.finished_stages()]
    folder = run.begin(name, trains=list(stage.train), steps=stage.steps)
    pl.seed_everything(config.seed * 1000 + len(started), verbose=False)
    model = configured.model(config.model, policy, seed=config.seed)
    configured.after(model, config.model, run, started, inherited_parts=config.parent_parts)
    if "lora" in stage.train:
        lora.attach(model.language_model, **configured.lora_settings(config.model))
    rows = stage_rows(stage.rows, splits[stage.people], seed=config.seed, policy=policy)
    encoded = encoded_set(
        rows,
        model.parts.encoder,
        max_length=config.data.max_length_tokens,
        max_rejects=config.data.max_rejects,
        rejects=run.private / f"rejects-{name}.jsonl",
    )
    module = _module(config, stage, model, encoded, run, name)
    _train(
        config, stage, module, encoded, folder, _validation(config, stage, model, splits, policy)
    )
    state.write(run.weights(name), {n: p for n, p in module.trainable.items()})
    run.end(name)
    (folder / LAST).unlink(missing_ok=True)


def stage_rows(
    settings: Mapping[str, Any], pictures: Dataset, *, seed: int, policy: Policy
) -> Dataset:
    """The rows that a stage's ``rows`` makes of a split's pictures."""
    make = target.function(settings, where="stage.rows")
    return make(pictures, seed=seed, policy=policy)


def terms(stage: StageConfig) -> dict[str, Term]:
    """The stage's losses that have a weight, as functions of a Step; TactError on a bad one."""
    return {
        name: target.function(settings, where=f"losses.{name}", without=("weight",))
        for name, settings in stage.losses.items()
        if float(settings.get("weight", 1.0))
    }


def _module(
    config: Config,
    stage: StageConfig,
    model: VLM,
    encoded: EncodedSet,
    run: RunFolder,
    name: str,
) -> Stage:
    features = None
    if config.trainer.cache_features and "tower" not in stage.train:
        features = picture_features(model, encoded.pictures)
    cached = None
    if stage.columns == "preference" and stage.references == "cached":
        cached = references.cached(
            model, encoded, features, folder=run.private, batch=stage.batch_size_rows
        )
    size = int(model.language_model.get_input_embeddings().weight.shape[0])  # type: ignore
    return Stage(
        model,
        stage,
        terms=terms(stage),
        words=word_mask(model.parts.encoder.tokenizer, WORDS, size),
        features=features,
        references=cached,
        chunk=config.trainer.lm_head_chunk_positions,
    )


def _validation(
    config: Config, stage: StageConfig, model: VLM, splits: Mapping[str, Dataset], policy: Policy
) -> EncodedSet | None:
    if "validation" not in splits or not config.trainer.validation_rows:
        return None
    settings = dict(stage.rows)
    if "count" in settings:
        settings["count"] = config.trainer.validation_rows
    rows = stage_rows(settings, splits["validation"], seed=config.seed + 1, policy=policy)
    return encoded_set(
        rows.select(range(min(len(rows), config.trainer.validation_rows))),
        model.parts.encoder,
        max_length=config.data.max_length_tokens,
        max_rejects=1.0,
        rejects=Path("/dev/null"),
    )


def _train(
    config: Config,
    stage: StageConfig,
    module: Stage,
    encoded: EncodedSet,
    folder: Path,
    validation: EncodedSet | None,
) -> None:
    torch.set_num_threads(config.trainer.threads)
    torch.set_flush_denormal(True)
    encoder = module.model.parts.encoder
    last = folder / LAST
    start = steps_done(last)
    batches = loader(
        encoded,
        encoder,
        batch=stage.batch_size_rows,
        steps=stage.steps,
        seed=config.seed,
        start=start,
        pixels=module.features is None,
    )
    trainer = pl.Trainer(
        accelerator=config.trainer.accelerator,
        devices=config.trainer.devices,
        strategy=config.trainer.strategy,
        precision=config.trainer.precision,  # type: ignore[arg-type]
        max_steps=stage.steps,
        max_epochs=1,
        gradient_clip_val=stage.gradient_clip_norm,
        logger=_loggers(config, folder),
        log_every_n_steps=config.trainer.log_every_steps,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        callbacks=[
            SaveLast(folder, every=config.trainer.checkpoint_every_steps),
            Progress(folder.name, shown=config.trainer.progress),
        ],
        plugins=[AtomicCheckpointIO()],
        limit_val_batches=0,
    )
    module.train()
    trainer.fit(module, batches, ckpt_path=str(last) if start else None, weights_only=True)
    if validation is not None:
        _validate(module, validation, folder)


@torch.no_grad()
def _validate(module: Stage, validation: EncodedSet, folder: Path) -> None:
    module.eval()
    features, module.features = module.features, None
    batch = Collator(module.model.parts.encoder, index=lambda _: 0)(validation.rows)
    module.references = None
    values = {k: float(v.mean()) for k, v in module._values(batch).items()}
    module.features = features
    files.write_json(folder / "validation.json", {"rows": batch.rows, "losses": values})


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
            loss = float(trainer.callback_metrics.get("loss", torch.nan))
            self.bar.update(0, completed=trainer.global_step,
                            description=f"{self.name}  loss {loss:.3f}")  # fmt: skip

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close it and say how it ended."""
        loss = float(trainer.callback_metrics.get("loss", torch.nan))
        if self.shown:
            console.print(f"{self.name}: {trainer.global_step} steps, loss {loss:.3f}")

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Leave the terminal as it was."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


def _quiet() -> None:
    """Leave the terminal to the progress bar: libraries speak only of what is wrong."""
    disable_progress_bars()
    for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")


def _loggers(config: Config, folder: Path) -> list[Any]:
    return [
        instantiate(settings, **_where(settings, folder)) for settings in config.logger.values()
    ]


def _where(settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    if settings["_target_"].endswith(("CSVLogger", "TensorBoardLogger")):
        name = "" if settings["_target_"].endswith("CSVLogger") else "tensorboard"
        return {"save_dir": str(folder), "name": name, "version": ""}
    return {}
