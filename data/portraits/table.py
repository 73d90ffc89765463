"""The table of rendered pictures: drawn in parallel, kept on disk by fingerprint.

Pictures are kept in chunks of people. A chunk is written whole or not at all, so a build that
was broken off goes on, and more people cost only those that are new.
"""

import hashlib
import json
import multiprocessing
import os
import shutil
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import cv2
from datasets import Dataset

from data.dialogues.features import PICTURES
from data.errors import DataError
from data.portraits.person import attributes, sample_person, sample_picture
from data.portraits.render import render

CHUNK = 50  # people


def portraits(
    *,
    people: int,
    cache: str | Path,
    pictures_per_person: int = 4,
    size_px: int = 96,
    seed: int = 0,
    proxy_strength: float = 0.5,
    workers: int = 2,
    progress: bool = True,
) -> Dataset:
    """A pictures table of ``people`` rendered people; the same bytes for the same seed.

    Raises DataError where there is nothing to draw.
    """
    if people < 1 or pictures_per_person < 1:
        raise DataError(
            f"data.source: people={people}, pictures_per_person={pictures_per_person}: "
            "a source needs at least one of each"
        )
    settings = {"pictures_per_person": pictures_per_person, "size_px": size_px, "seed": seed,
                "proxy_strength": proxy_strength}  # fmt: skip
    folder = Path(cache) / "portraits" / fingerprint(settings)
    chunks = range(-(-people // CHUNK))
    missing = [c for c in chunks if not (_chunk(folder, c) / "rows.json").exists()]
    if missing:
        _draw(folder, missing, settings, workers=workers, progress=progress)
    rows = [row for c in chunks for row in _read(folder, c)]
    return Dataset.from_list(rows[: people * pictures_per_person], features=PICTURES)


def fingerprint(settings: dict[str, Any]) -> str:
    """Hash of what decides the pictures: settings, the head and the renderer's own source."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    digest.update(_source_digest())
    return digest.hexdigest()[:16]


@lru_cache(maxsize=1)
def _source_digest() -> bytes:
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for path in (*sorted(here.glob("*.py")), here / "head.npz"):
        digest.update(path.read_bytes())
    return digest.digest()


def _draw(
    folder: Path, missing: list[int], settings: dict[str, Any], *, workers: int, progress: bool
) -> None:
    from rich.progress import track

    render(sample_person(0, 0, proxy_strength=0.0), sample_picture(
        sample_person(0, 0, proxy_strength=0.0), 0), size=32)  # compile before the workers start
    draw = partial(_draw_chunk, folder, settings=settings)
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        done: Iterator[None] = pool.imap_unordered(draw, missing)
        for _ in track(
            done, "drawing people", total=len(missing), disable=not progress, transient=True
        ):
            pass


def _draw_chunk(folder: Path, chunk: int, *, settings: dict[str, Any]) -> None:
    cv2.setNumThreads(1)
    target = _chunk(folder, chunk)
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    rows = []
    for index in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        person = sample_person(settings["seed"], index, proxy_strength=settings["proxy_strength"])
        for number in range(settings["pictures_per_person"]):
            picture = sample_picture(person, number)
            pixels = render(person, picture, size=settings["size_px"])
            name = f"s{index:06d}-{number}"
            cv2.imwrite(str(part / f"{name}.png"), pixels[..., ::-1])
            rows.append({"picture_id": name, "subject_id": f"s{index:06d}",
                         "attributes": attributes(person, picture)})  # fmt: skip
    (part / "rows.json").write_text(json.dumps(rows))
    shutil.rmtree(target, ignore_errors=True)
    os.replace(part, target)


def _chunk(folder: Path, chunk: int) -> Path:
    return folder / f"{chunk:05d}"


def _read(folder: Path, chunk: int) -> list[dict[str, Any]]:
    where = _chunk(folder, chunk)
    rows: list[dict[str, Any]] = json.loads((where / "rows.json").read_text())
    for row in rows:
        row["image"] = {"path": str(where / f"{row['picture_id']}.png"), "bytes": None}
    return rows
