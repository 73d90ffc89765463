"""A model's trained state as safetensors, stage by stage, and how it is put together again.

A stage's file holds the parameters that it trained. A model is its beginning (pretrained, or
drawn from a seed) with the stages' files laid over it in order; an adapter is merged into the
weights before the next stage. One way serves training, evaluation and export, so all three see
the same numbers.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from lineage import files
from lineage.errors import TactError
from models import lora
from models.vlm import VLM

ADVERSARIES = ("token_adversary.", "answer_adversary.")


def write(
    path: Path, tensors: Mapping[str, Tensor], *, note: Mapping[str, str] | None = None
) -> None:
    """Write tensors atomically; adversaries are left out: they are no part of the model.

    ``note`` goes into the file's head, and so into its hash.
    """
    kept = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in tensors.items()
        if not name.startswith(ADVERSARIES)
    }
    # One entry: safetensors writes several in an order of its own, another in each process.
    head = {"note": json.dumps(note, sort_keys=True)} if note else None
    files.write_bytes(path, save(kept, head))


def digest(tensors: Mapping[str, Tensor]) -> bytes:
    """SHA-256 of tensors by name: what a cache knows a model by."""
    found = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        found.update(name.encode())
        found.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return found.digest()


def lay(model: VLM, path: Path, *, parts: Sequence[str] | None = None) -> None:
    """Copy a stage's tensors into ``model``; TactError where they are of another model.

    ``parts`` takes only these parts' tensors (of a parent with another interface).
    """
    own = {name.replace(".base_layer", ""): p for name, p in model.named_parameters()}
    own.update(model.named_parameters())
    with safe_open(path, framework="pt") as stored:
        for name in stored.keys():  # noqa: SIM118 (no mapping)
            if parts is not None and name.split(".")[0] not in parts:
                continue
            tensor = stored.get_tensor(name)
            if name not in own or own[name].shape != tensor.shape:
                has = tuple(own[name].shape) if name in own else "no such parameter"
                raise TactError(
                    f"{path.parent.name}: {name} {tuple(tensor.shape)} is of another model "
                    f"(this one has {has}). Give the model that it was trained with, or take "
                    "only some parts with parent_parts=[tower,reader]"
                )
            with torch.no_grad():
                own[name].copy_(tensor)


def replay(
    model: VLM,
    stages: Sequence[tuple[Path, Sequence[str]]],
    *,
    settings: Mapping[str, object],
    parts: Sequence[str] | None = None,
    merge_last: bool = True,
) -> None:
    """Lay stages' files over ``model`` in order: (path, parts that the stage trained).

    ``settings`` are those of ``lora.attach``; with ``merge_last`` false the last adapter stays
    attached.
    """
    for number, (path, trained) in enumerate(stages):
        adapter = "lora" in trained and (parts is None or "language_model" in parts)
        if adapter:
            lora.attach(model.language_model, **settings)  # type: ignore[arg-type]
        lay(model, path, parts=parts)
        if adapter and (merge_last or number < len(stages) - 1):
            lora.merge(model.language_model)
