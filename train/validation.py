"""After a stage: its losses on people that it did not see, and a few answers on public ones."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset

from conf.schema import Config, StageConfig
from data.collate import Collator
from data.dialogues.probes import probe_rows
from data.encode import prompt_text
from data.pictures import listed
from data.policy import Policy
from lineage import files
from models.features import picture_features
from models.generate import greedy
from models.vlm import VLM
from train.rows import encoded_set, stage_rows
from train.stage import Stage

SPLIT = "validation"
SAMPLES = 6


@torch.no_grad()
def validate(
    config: Config,
    stage: StageConfig,
    module: Stage,
    splits: Mapping[str, Dataset],
    policy: Policy,
    *,
    folder: Path,
) -> None:
    """Write ``validation.json`` and, where the people are public, ``samples.json``."""
    count = config.trainer.validation_rows
    if SPLIT not in splits or not count:
        return
    if stage.columns == "preference" and "lora" not in stage.train:
        return  # references are cached for the stage's own rows alone
    module.eval()
    losses = _losses(config, stage, module, splits[SPLIT], policy, folder=folder)
    files.write_json(folder / "validation.json", {"rows": count, "losses": losses})
    speaks = {"lora", "language_model"} & set(stage.train)
    if speaks and SPLIT in config.data.public:
        said = samples(module.model, splits[SPLIT], policy, seed=config.seed)
        files.write_json(folder / "samples.json", said)


def _losses(
    config: Config,
    stage: StageConfig,
    module: Stage,
    pictures: Dataset,
    policy: Policy,
    *,
    folder: Path,
) -> dict[str, float]:
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
    )
    batch = Collator(encoder, index=lambda _: 0)(encoded.rows)
    kept = module.features, module.references
    module.features = module.references = None
    values = module.values(batch)
    module.features, module.references = kept
    return {name: float(value.mean()) for name, value in values.items()}


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
