"""The table of rendered pictures: drawn in parallel, kept on disk by fingerprint.

Pictures are kept in chunks of people. A chunk is a folder that appears whole or not at all, so a
build that was broken off goes on, and more people cost only those that are new.
"""

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from datasets import Dataset

from data.dialogues.features import PICTURES
from data.errors import DataError
from data.portraits.chunks import CHUNK, chunk_folder, draw_chunks, read_chunk
from lineage import files


def portraits(
    *,
    people: int,
    cache: str | Path,
    pictures_per_person: int = 4,
    size_px: int = 96,
    seed: int = 0,
    proxy_strength: float = 0.5,
    first_person: int = 0,
    workers: int = 2,
    progress: bool = True,
) -> Dataset:
    """A pictures table of ``people`` rendered people, from number ``first_person`` on.

    The same settings give the same bytes, whatever was drawn before and by how many ``workers``
    (processes). ``size_px`` is a picture's side. Raises DataError where there is nothing to draw
    or a setting is out of range, DiskFull where the cache can't be written.
    """
    for name, value, least in (
        ("people", people, 1), ("pictures_per_person", pictures_per_person, 1),
        ("size_px", size_px, 16), ("first_person", first_person, 0), ("workers", workers, 1),
    ):  # fmt: skip
        if value < least:
            raise DataError(f"data.source.{name}={value}: it must be at least {least}")
    if not 0.0 <= proxy_strength <= 1.0:
        raise DataError(f"data.source.proxy_strength={proxy_strength}: it must be in [0, 1]")
    settings = {"pictures_per_person": pictures_per_person, "size_px": size_px, "seed": seed,
                "proxy_strength": proxy_strength}  # fmt: skip
    folder = Path(cache).expanduser() / "portraits" / fingerprint(settings)
    last = first_person + people - 1
    chunks = range(first_person // CHUNK, last // CHUNK + 1)
    missing = [c for c in chunks if not chunk_folder(folder, c).exists()]
    if missing:
        draw_chunks(folder, missing, settings=settings, workers=workers, progress=progress)
    wanted = range(first_person, last + 1)
    rows = [row for c in chunks for row in read_chunk(folder, c, people=wanted)]
    return Dataset.from_list(rows, features=PICTURES)


def fingerprint(settings: dict[str, Any]) -> str:
    """Hash of what decides the pictures: settings, the head and the renderer's own source."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    digest.update(_source_digest())
    return digest.hexdigest()[:16]


@lru_cache(maxsize=1)
def _source_digest() -> bytes:
    here = Path(__file__).parent
    own = sorted(here.glob("*.py"))
    return files.digest([*own, here / "head.npz", here.parent / "attributes.py"])
