"""Reference log-probabilities, computed once and kept by what they depend on."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from data.collate import Collator
from data.encoded import EncodedSet
from data.pictures import identity
from lineage import files
from models import state
from models.vlm import VLM
from train.terms import Step


@torch.no_grad()
def cached(
    model: VLM, encoded: EncodedSet, features: Tensor | None, *, folder: Path, batch: int
) -> Mapping[str, Tensor]:
    """Row id → reference log-probabilities of chosen and rejected, (2,).

    Kept in ``folder``, for the owner alone and never in a run folder, under a fingerprint of the
    model, its image processor and the rows: a change of any is a new file, never a stale hit.
    """
    path = folder / f"{fingerprint(model, encoded)}.safetensors"
    if path.exists():
        stored: dict[str, Tensor] = load_file(path)
        return stored
    model.eval()
    collator = Collator(model.parts.encoder, index=encoded.index, pixels=features is None)
    found: dict[str, Tensor] = {}
    words = torch.zeros(0, 0)
    for at in range(0, len(encoded.rows), batch):
        made = collator(encoded.rows[at : at + batch])
        own = None if features is None else features[made.pictures]
        step = Step(model=model, batch=made, words=words, progress=0.0, cached_features=own)
        chosen, rejected = step.reference_logps().chunk(2)
        for i, row in enumerate(made.row_ids):
            found[row] = torch.stack([chosen[i], rejected[i]])
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    files.write_bytes(path, save(found), mode=0o600)
    return found


def fingerprint(model: VLM, encoded: EncodedSet) -> str:
    """Hash of config and weights, of how pixels are made, and of all rows' ids and pictures."""
    digest = hashlib.sha256(state.digest(model.state_dict()))
    digest.update(model.parts.whole.config.to_json_string().encode())
    digest.update(model.parts.encoder.preprocessing())
    for row in encoded.rows:
        digest.update(repr((row.row_id, row.prompt, row.answers, row.pictures)).encode())
    for picture in encoded.pictures:
        digest.update(identity(picture))
    return digest.hexdigest()[:24]
