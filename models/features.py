"""The tower's features of many pictures."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from data.collate import open_picture
from models.vlm import VLM


@torch.no_grad()
def picture_features(model: VLM, pictures: Sequence[Any], *, batch: int = 128) -> Tensor:
    """Features (P, N, D) of pictures as an image column holds them; the tower is left in eval."""
    model.eval()
    found = []
    for at in range(0, len(pictures), batch):
        opened = [open_picture(p) for p in pictures[at : at + batch]]
        found.append(model.features(model.parts.encoder.pixels(opened)))
    return torch.cat(found)
