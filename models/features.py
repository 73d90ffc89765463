"""The tower's features of many pictures."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from data.collate import open_picture
from data.pictures import identity
from lineage import files
from models import state
from models.vlm import VLM

BATCH_PICTURES = 128


@torch.no_grad()
def picture_features(model: VLM, pictures: Sequence[Any], *, batch: int = BATCH_PICTURES) -> Tensor:
    """Features (P, N, D) of pictures as an image column holds them; the tower is left in eval."""
    model.eval()
    found = []
    for at in range(0, len(pictures), batch):
        opened = [open_picture(p) for p in pictures[at : at + batch]]
        pixels = model.parts.encoder.pixels(opened)
        found.append(model.features(pixels.to(next(model.tower.parameters()).device)))
    return torch.cat(found)


def cached_features(model: VLM, pictures: Sequence[Any], *, folder: Path) -> Tensor:
    """``picture_features``, kept in ``folder`` (private) by what they depend on.

    That is the tower's weights and how it is read, the image processor's settings, and each
    picture's bytes, or path, size and time of change: a change of any is a new file, never a stale
    hit.
    """
    path = folder / f"{_fingerprint(model, pictures)}.safetensors"
    if path.exists():
        kept: Tensor = load_file(path)["features"]
        return kept
    features = picture_features(model, pictures)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    files.write_bytes(path, save({"features": features.contiguous()}), mode=0o600)
    return features


def _fingerprint(model: VLM, pictures: Sequence[Any]) -> str:
    digest = hashlib.sha256(model.parts.encoder.preprocessing())
    digest.update(state.digest(model.tower.state_dict()))
    read = (model.tower.settings(), model.tower.vision_config.to_json_string())
    digest.update(repr(read).encode())
    for picture in pictures:
        digest.update(identity(picture))
    return digest.hexdigest()[:24]
