"""A stage on people that it does not see: its losses, and a few answers to public ones."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from datasets import Dataset

from conf.schema import Config, StageConfig
from data.collate import Batch, Collator
from data.dialogues.probes import probe_rows
from data.encode import prompt_text
from data.pictures import listed
from data.policy import Policy
from data.prepared import cache_folder
from data.preparing import encoded_set
from lineage import files
from models.features import picture_features
from models.generate import greedy
from models.vlm import VLM
from train import processes
from train.after_step import AfterStep
from train.rows import stage_rows
from train.stage import Stage

SPLIT = "validation"
SAMPLES = 6


class HeldOut:
    """A stage's rows of people that it does not see, and its losses on them."""

    def __init__(
        self,
        config: Config,
        stage: StageConfig,
        module: Stage,
        pictures: Dataset,
        policy: Policy,
        *,
        folder: Path,
    ) -> None:
        count = config.trainer.validation_rows
        settings = {**stage.rows}
        if "count" in settings:
            settings["count"] = count
        rows = stage_rows(settings, pictures, seed=config.seed + 1, policy=policy)
        encoder = module.model.parts.encoder
        encoded = encoded_set(
            rows.select(range(min(len(rows), count))),
            encoder,
            max_length=config.data.max_length_tokens,
            max_rejects=1.0,
            rejects=folder / "validation-rejects.jsonl",
            cache=cache_folder(config),
        )
        self.batch: Batch = Collator(encoder, index=lambda _: 0)(encoded.rows[:])

    @torch.no_grad()
    def losses(self, module: Stage) -> dict[str, float]:
        """Mean of each term; the module's mode and the random state stay as they were."""
        kept, training = (module.features, module.references), module.training
        module.features = module.references = None
        module.eval()
        try:
            with torch.random.fork_rng():
                values = module.values(self.batch.to(module.device))
        finally:
            module.features, module.references = kept
            module.train(training)
        return {name: float(value.mean()) for name, value in values.items()}


def held_out(
    config: Config,
    stage: StageConfig,
    module: Stage,
    splits: Mapping[str, Dataset],
    policy: Policy,
    *,
    folder: Path,
) -> HeldOut | None:
    """What the stage is validated on; None where there is nobody or nothing to compare with."""
    if SPLIT not in splits or not config.trainer.validation_rows:
        return None
    if stage.columns == "preference" and "lora" not in stage.train:
        return None  # references are cached for the stage's own rows alone
    return HeldOut(config, stage, module, splits[SPLIT], policy, folder=folder)


class Validate(AfterStep):
    """Logs the losses on held-out people as ``validation/<term>`` every so many steps."""

    def __init__(self, held: HeldOut, *, every: int) -> None:
        self.held, self.every = held, every

    def after_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure where it is due."""
        if trainer.global_step % self.every == 0:
            assert isinstance(pl_module, Stage)
            losses = self.held.losses(pl_module)
            named = {f"validation/{name}": value for name, value in losses.items()}
            for logger in trainer.loggers:
                logger.log_metrics(named, step=trainer.global_step)


def conclude(
    config: Config,
    stage: StageConfig,
    module: Stage,
    held: HeldOut | None,
    splits: Mapping[str, Dataset],
    policy: Policy,
    *,
    folder: Path,
) -> None:
    """Write ``validation.json`` and, where the people are public, ``samples.json``.

    All processes compute the same, since each may hold a shard of the weights; the first writes.
    """
    if held is None:
        return
    content = {"rows": held.batch.rows, "losses": held.losses(module)}
    first = processes.rank() == 0
    if first:
        files.write_json(folder / "validation.json", content)
    module.eval()
    speaks = {"lora", "language_model"} & set(stage.train)
    if speaks and SPLIT in config.data.public:
        model, pictures = module.model, splits[SPLIT]
        said = model.within(lambda: samples(model, pictures, policy, seed=config.seed))
        if first:
            files.write_json(folder / "samples.json", said)


@torch.no_grad()
def samples(model: VLM, pictures: Dataset, policy: Policy, *, seed: int) -> list[dict[str, Any]]:
    """A few answers to held-out phrasings: kind, condition, question, answer."""
    probes = probe_rows(pictures, seed=seed, policy=policy, phrasing="held_out", people=SAMPLES)
    rows = listed(probes)
    rows = rows[:: max(1, len(rows) // SAMPLES)][:SAMPLES]
    encoder = model.parts.encoder
    features = picture_features(model, [row["images"][0] for row in rows])
    prompts = encoder.encode([prompt_text(row, encoder) for row in rows])
    answers = greedy(model, prompts, features, max_new_tokens=24)
    return [
        {"kind": row["kind"], "condition": row["condition"],
         "system": row["prompt"][0]["content"], "question": row["prompt"][-1]["content"],
         "answer": answer}
        for row, answer in zip(rows, answers, strict=True)
    ]  # fmt: skip
