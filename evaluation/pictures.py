"""Pictures of one split with what the tower makes of them, and answers of a model about them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from rich.console import Console
from rich.progress import track

from conf.schema import Config, ReportConfig
from data.encode import prompt_text
from data.pictures import listed
from data.prepared import cache_folder
from evaluation.attackers import Read
from evaluation.sides import Side, labels
from models.features import cached_features
from models.generate import greedy, side_by_side
from models.interface import Codes
from models.vlm import VLM


@dataclass(frozen=True)
class Pictures:
    """Rows of a pictures table, not decoded, and the tower's features of them (P, N, D)."""

    table: Dataset
    features: torch.Tensor

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The table as a list."""
        return listed(self.table)

    @cached_property
    def number(self) -> dict[str, int]:
        """Place of each picture by its id."""
        return {row["picture_id"]: i for i, row in enumerate(self.rows)}

    def side(self, read: Read) -> Side:
        """These people with what an attacker gets of them."""
        return Side([row["subject_id"] for row in self.rows], labels(self.rows), read)


def seen(model: VLM, table: Dataset, config: Config) -> Pictures:
    """The table's pictures as the model's tower sees them; kept in the cache (private)."""
    folder: Path = cache_folder(config) / "features"
    images = [row["image"] for row in listed(table)]
    return Pictures(table, cached_features(model, images, folder=folder))


class Answerer:
    """Answers prompts about pictures with one model; what it was asked once it knows.

    Behind a private interface an answer is a function of the prompt and the picture's words, so
    pictures with the same words share it.
    """

    def __init__(self, model: VLM, pictures: Pictures, settings: ReportConfig) -> None:
        self.model, self.pictures, self.settings = model, pictures, settings
        self.said: dict[tuple[Any, ...], str] = {}
        self.codes: list[Any] = list(range(len(pictures.features)))
        if isinstance(model.interface, Codes):
            parts = [model.interface.codes(p) for p in pictures.features.split(256)]
            self.codes = [tuple(words) for words in torch.cat(parts).tolist()]

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> list[str]:
        """The answer to each row's prompt; rows of like length go together."""
        if not rows:
            return []
        encoder = self.model.parts.encoder
        prompts = encoder.encode([prompt_text(row, encoder) for row in rows])
        at = [self.pictures.number[row["picture_id"]] for row in rows]
        keys = [(tuple(p), self.codes[i]) for p, i in zip(prompts, at, strict=True)]
        new = {key: place for key, place in zip(keys, at, strict=True) if key not in self.said}
        order = sorted(new, key=lambda key: len(key[0]))
        size = self.settings.batch_size_rows
        batches = [order[at : at + size] for at in range(0, len(order), size)]
        console = Console(stderr=True)
        for some, answers in track(
            zip(batches, self._answered(batches, new), strict=True),
            "answering",
            total=len(batches),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        ):
            self.said.update(zip(some, answers, strict=True))
        return [self.said[key] for key in keys]

    def _answered(
        self, batches: Sequence[Sequence[Any]], place: Mapping[Any, int]
    ) -> Iterator[list[str]]:
        """Answers of each batch; batches side by side, since one alone leaves cores idle."""

        def one(some: Sequence[Any]) -> list[str]:
            return greedy(
                self.model,
                [key[0] for key in some],
                self.pictures.features[[place[key] for key in some]],
                max_new_tokens=self.settings.max_new_tokens,
            )

        yield from side_by_side(one, batches)
