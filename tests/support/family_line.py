"""A tiny family through every stage by the train room, with a note of what each stage had."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tiny_families
import torch
from torch import Tensor

from conf.compose import load
from lineage.run import RunFolder
from models import lora
from models.vlm import VLM
from train import fit
from train.run import execute
from train.stage import Stage

STAGES = ("base_tower", "align", "base_language", "instruct", "prefer")
# No weight decay: a parameter moves by its gradient or not at all.
EACH = ("steps=3", "batch_size_rows=4", "rows.count=12", "warmup_steps=1", "weight_decay=0")
WORDS = [
    "model=pretrained",
    "model.lora.rank=2",
    "data.source.people=150",
    "data.source.pictures_per_person=2",
    "data.people={public: 60, private: 30, validation: 10, attack: 25, test: 25}",
    "stage.base_tower.flip=false",
    "stage.align.losses.facts.weight=1",
    "trainer.progress=false",
    "trainer.threads=1",
    "trainer.validation_rows=4",
    "export.allow=[leak_rate,attacker_auc]",
    *[f"stage.{stage}.{word}" for stage in STAGES for word in EACH],
]


class Watched(Stage):
    """A stage that keeps what its model was before the first step."""

    def __init__(self, model: VLM, *given: Any, **options: Any) -> None:
        super().__init__(model, *given, **options)
        self.before = weights(model)


@dataclass(frozen=True)
class Line:
    """A finished run and, stage by stage, the models that it trained."""

    run: RunFolder
    stages: dict[str, Watched]

    @property
    def model(self) -> VLM:
        """The model as the last stage left it in memory, adapter and all."""
        return self.stages[STAGES[-1]].model.eval()


def weights(model: VLM) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def save(name: str, folder: Path) -> Path:
    """The tiny family as a folder that ``model.id`` may name."""
    whole, processor = tiny_families.make(name)
    whole.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def words(name: str, kind: str, *, folder: Path, cache: Path, steps: tuple[str, ...]) -> list[str]:
    """What follows ``python -m train``; the family is saved in ``folder``, where the run goes."""
    attention = "eager" if name == "paligemma2" else "sdpa"  # Gemma 2 has its own
    return [
        *WORDS,
        f"run={name}-{kind}",
        f"steps=[{','.join(steps)}]",
        f"model.id={save(name, folder / name)}",
        f"model.attention={attention}",
        f"model.interface={{kind: {kind}, bits: 8, tokens: 2}}",
        f"cache={cache}",
        f"checkpoints={folder}",
    ]


def train(name: str, kind: str, *, folder: Path, cache: Path) -> Line:
    """All stages, here."""
    made: list[Watched] = []

    def watched(*given: Any, **options: Any) -> Watched:
        made.append(Watched(*given, **options))
        return made[-1]

    config = load(words(name, kind, folder=folder, cache=cache, steps=STAGES))
    with pytest.MonkeyPatch.context() as patch, settings_kept():
        patch.setattr(fit, "Stage", watched)
        execute(config)
    run = RunFolder.existing(config.run, checkpoints=folder)
    return Line(run, dict(zip(STAGES, made, strict=True)))


@contextmanager
def settings_kept() -> Iterator[None]:
    """Training sets how torch computes; what runs after is computed as before."""
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(False)


def of_part(name: str, part: str) -> bool:
    """Whether a parameter of that full name is of a part that stages train by."""
    if part == "lora":
        return lora.is_adapter(name) and name.startswith("language_model.")
    first = ("language_model.", "head.") if part == "language_model" else (f"{part}.",)
    return name.startswith(first) and not lora.is_adapter(name)
