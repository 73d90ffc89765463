"""What our steps are held against: TRL's own trainers, with weights and rows that are ours."""

from pathlib import Path
from typing import Any

import tiny_families
import torch
from datasets import Dataset, Image, List
from family_rows import LORA, attach, columns, family
from peft import LoraConfig
from torch import Tensor

from conf.schema import StageConfig
from data.encoded import EncodedSet
from data.preparing import encoded_set
from models import lora
from train.stage import Stage
from train.terms import of_stage

BETA = 0.3
PREFER = {"prefer": {"_target_": "train.terms.prefer", "beta": BETA, "margin": 0.0}}
LANGUAGE = {"language": {"_target_": "train.terms.language"}}
STEPS = {
    "steps": 4, "batch_size_rows": 2, "learning_rate": 1e-2, "warmup_steps": 0,
    "weight_decay": 0.1, "gradient_clip_norm": 1.0,
}  # fmt: skip
IN_LANGUAGE_MODEL = rf".*(language_model|text_model)\..*\.({'|'.join(LORA['targets'])})"


def ours(name: str, losses: dict[str, dict[str, Any]]) -> Stage:
    """A stage that trains an adapter, which already does something, on a tiny family."""
    model = family(name, "open")
    torch.manual_seed(0)
    attach(model)
    config = StageConfig(train=["lora"], losses=losses, **STEPS)
    return Stage(model, config, terms=of_stage(config), words=torch.zeros(0, 0))


def dataset(model: Any, several: list[dict[str, Any]]) -> Dataset:
    """Rows as both read them: a question, pictures (two in the last where it may), ``several``."""
    many = min(2, model.parts.encoder.max_pictures)
    rows = [
        columns(model, seed=i + 1, pictures=many if i == len(several) - 1 else 1, **own)
        for i, own in enumerate(several)
    ]
    return Dataset.from_list(rows).cast_column("images", List(Image()))


def encoded(model: Any, rows: Dataset, folder: Path) -> EncodedSet:
    """The rows as ids, none of them rejected."""
    return encoded_set(
        rows, model.parts.encoder, max_length=512, max_rejects=0.0, rejects=folder / "rejects",
        cache=folder / "cache",
    )  # fmt: skip


def lora_config() -> LoraConfig:
    """The adapter that ``attach`` makes, in the language model of a whole model."""
    return LoraConfig(
        r=LORA["rank"],
        lora_alpha=LORA["alpha"],
        lora_dropout=LORA["dropout"],
        target_modules=IN_LANGUAGE_MODEL,
    )


def trainer(kind: str, name: str, rows: Dataset, folder: Path, *, stage: Stage) -> Any:
    """TRL's trainer, ``kind`` dpo or sft, of the same family with ``stage``'s adapter.

    It reads the rows in their order. A cosine down to 5 % without warm-up is the stage's own.
    """
    from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

    make, configure, own = SFTTrainer, SFTConfig, {}
    if kind == "dpo":
        make, configure, own = DPOTrainer, DPOConfig, {"beta": BETA}
    whole, processor = tiny_families.make(name)
    made = make(
        model=whole,
        args=configure(
            output_dir=str(folder / "trl"),
            max_steps=STEPS["steps"],
            per_device_train_batch_size=STEPS["batch_size_rows"],
            learning_rate=STEPS["learning_rate"],
            weight_decay=STEPS["weight_decay"],
            max_grad_norm=STEPS["gradient_clip_norm"],
            lr_scheduler_type="cosine_with_min_lr",
            lr_scheduler_kwargs={"min_lr_rate": 0.05},
            train_sampling_strategy="sequential",
            max_length=None,
            remove_unused_columns=False,
            gradient_checkpointing=False,
            use_cpu=True,
            bf16=False,
            report_to=[],
            save_strategy="no",
            disable_tqdm=True,
            **own,
        ),
        train_dataset=rows,
        processing_class=processor,
        peft_config=lora_config(),
    )
    copy(stage.model, made.model)
    return made


def adapter(module: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """The adapter's parameters, by their name within the language model."""
    found = {n: p for n, p in module.named_parameters() if lora.is_adapter(n)}
    return {n[n.index("layers.") :]: p for n, p in found.items()}


def copy(source: torch.nn.Module, target: torch.nn.Module) -> None:
    """Give ``target`` the adapter's weights of ``source``; both have the same layers adapted."""
    given, own = adapter(source), adapter(target)
    assert given.keys() == own.keys()
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(given[name])


def gradients(module: torch.nn.Module) -> Tensor:
    """The gradients of the adapter's parameters in one vector."""
    return torch.cat([p.grad.flatten() for _, p in sorted(adapter(module).items())])
