"""Encoded rows to a batch of tensors.

B rows, T positions, P pictures, N supervised positions of all rows together, A attributes.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from data.attributes import CLASSES
from data.encode import EncodedRow, Encoder
from data.errors import DataError


@dataclass(frozen=True)
class Batch:
    """What a stage's step gets. ``owner`` counts chosen answers 0…B-1, rejected ones B…2B-1."""

    row_ids: list[str]
    input_ids: Tensor  # (B, T)
    segments: Tensor  # (B, T): -1 padding, 0 prompt, 1 answer or chosen, 2 rejected
    source: Tensor  # (N,) flat position b * T + t whose state predicts the target
    targets: Tensor  # (N,)
    owner: Tensor  # (N,)
    emphasis: Tensor  # (N,) bool
    pixel_values: Tensor | None  # (P, 3, h, w), or None where features are cached
    pictures: Tensor  # (P,) index of each picture in the stage's table
    picture_row: Tensor  # (P,) the row that it belongs to
    labels: dict[str, Tensor]  # attribute → (B,), -1 unknown
    unshared: Tensor  # (B, A_sensitive) bool
    scores: Tensor  # (B, 2, 2): chosen, rejected x personalization, leakage

    @property
    def rows(self) -> int:
        """B."""
        return len(self.row_ids)

    def to(self, device: Any) -> "Batch":
        """The batch with its tensors on ``device``."""
        moved: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Tensor):
                value = value.to(device)
            elif isinstance(value, Mapping):
                value = {k: v.to(device) for k, v in value.items()}
            moved[field.name] = value
        return Batch(**moved)


def open_picture(picture: Any) -> Image.Image:
    """A picture as an image column holds it ({path, bytes}, path or PIL) → RGB, read whole.

    DataError where it can't be read, naming it.
    """
    try:
        if isinstance(picture, Image.Image):
            return picture.convert("RGB")
        if isinstance(picture, Mapping):
            raw = picture.get("bytes")
            source: Any = io.BytesIO(raw) if raw else picture.get("path")
        else:
            source = picture
        with Image.open(source) as image:
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError, AttributeError) as error:
        raise DataError(f"picture {name_of(picture)} can't be read: {error}") from error


def name_of(picture: Any) -> str:
    """What a message may call a picture: its file's name, never its content."""
    path = picture.get("path") if isinstance(picture, Mapping) else picture
    return Path(path).name if isinstance(path, str | Path) else "(no path)"


class Collator:
    """Encoded rows → Batch; ``index`` numbers pictures, ``pixels=False`` leaves them undecoded."""

    def __init__(
        self, encoder: Encoder, *, index: Callable[[Any], int], pixels: bool = True
    ) -> None:
        self.encoder, self.index, self.pixels = encoder, index, pixels

    def __call__(self, rows: Sequence[EncodedRow]) -> Batch:
        pictures = [(i, p) for i, row in enumerate(rows) for p in row.pictures]
        pixel_values = None
        if self.pixels:
            pixel_values = self.encoder.pixels([open_picture(p) for _, p in pictures])
        ids, segments = self._padded(rows)
        source, targets, owner, emphasis = _supervision(rows, ids.shape[1])
        return Batch(
            row_ids=[row.row_id for row in rows],
            input_ids=ids,
            segments=segments,
            source=torch.tensor(source),
            targets=torch.tensor(targets),
            owner=torch.tensor(owner),
            emphasis=torch.tensor(emphasis),
            pixel_values=pixel_values,
            pictures=torch.tensor([self.index(p) for _, p in pictures]),
            picture_row=torch.tensor([i for i, _ in pictures]),
            labels={name: torch.tensor([row.labels[name] for row in rows]) for name in CLASSES},
            unshared=torch.tensor([row.unshared for row in rows]),
            scores=torch.tensor([row.scores for row in rows]).view(-1, 2, 2),
        )

    def _padded(self, rows: Sequence[EncodedRow]) -> tuple[Tensor, Tensor]:
        longest = max(len(row) for row in rows)
        ids = torch.full((len(rows), longest), self.encoder.pad_token_id)
        segments = torch.full((len(rows), longest), -1)
        for i, row in enumerate(rows):
            at = 0
            for number, part in enumerate((row.prompt, *row.answers)):
                ids[i, at : at + len(part)] = torch.tensor(part, dtype=torch.long)
                segments[i, at : at + len(part)] = number
                at += len(part)
        return ids, segments


def _supervision(
    rows: Sequence[EncodedRow], length: int
) -> tuple[list[int], list[int], list[int], list[bool]]:
    """Predictor, target, owner and emphasis of each supervised position.

    An answer's first token is predicted from the prompt's last position, also the rejected's.
    """
    source, targets, owner, emphasis = [], [], [], []
    for i, row in enumerate(rows):
        start = len(row.prompt)
        for number, answer in enumerate(row.answers):
            for j, token in enumerate(answer):
                if row.supervised[number][j]:
                    before = len(row.prompt) - 1 if j == 0 else start + j - 1
                    source.append(i * length + before)
                    targets.append(token)
                    owner.append(number * len(rows) + i)
                    emphasis.append(row.emphasis[number][j])
            start += len(answer)
    return source, targets, owner, emphasis
