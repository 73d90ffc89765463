"""Counterfactual pictures: the same person, pose, light and noise, with one attribute changed.

Only rendered people have them. Beside each change stands a *null twin*: the same attributes,
another pose, light and noise, which says how far answers move when nothing was changed.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from datasets import Dataset, Features, Value

from data.attributes import CLASSES, SENSITIVE
from data.dialogues.features import PICTURES
from data.pictures import listed
from data.portraits.person import (
    Person,
    Picture,
    attributes,
    counterfactual,
    sample_person,
    sample_picture,
    twin,
)
from data.portraits.render import render
from data.portraits.table import fingerprint
from lineage.files import write_bytes

TWIN = "twin"
CHANGED = Features({**PICTURES, "of": Value("string"), "changed": Value("string")})


def rendered(
    pictures: Dataset,
    *,
    cache: str | Path,
    size_px: int = 96,
    seed: int = 0,
    proxy_strength: float = 0.5,
    changes: Sequence[str] = tuple(SENSITIVE),
) -> Dataset:
    """For each rendered picture one with each of ``changes`` changed, and its null twin.

    Settings are those of ``data.portraits.table.portraits``. Columns as a pictures table has
    them, with ``of`` (the picture it was made from) and ``changed`` (the attribute, or "twin").
    The new class is another one, drawn by the person and picture alone.
    """
    settings = {"size_px": size_px, "seed": seed, "proxy_strength": proxy_strength}
    folder = Path(cache).expanduser() / "counterfactuals" / fingerprint(settings)
    rows = []
    for row in listed(pictures):
        name = row["picture_id"]
        index, number = (int(part) for part in name[1:].split("-"))
        person = sample_person(seed, index, proxy_strength=proxy_strength)
        picture = sample_picture(person, number)
        for changed in (*changes, TWIN):
            who, what = _changed(person, picture, changed, number)
            path = folder / f"{name}-{changed}.png"
            if not path.exists():
                _draw(path, who, what, size_px)
            rows.append({
                "picture_id": path.stem, "subject_id": row["subject_id"], "of": name,
                "image": {"path": str(path), "bytes": None}, "changed": changed,
                "attributes": attributes(who, what),
            })  # fmt: skip
    return Dataset.from_list(rows, features=CHANGED)


def _changed(person: Person, picture: Picture, change: str, number: int) -> tuple[Person, Picture]:
    if change == TWIN:
        return person, twin(person, picture)
    known = attributes(person, picture)[change]
    others = [value for value in CLASSES[change] if value != known]
    rng = np.random.default_rng([person.seed, person.index, 5, number, list(CLASSES).index(change)])
    value = others[int(rng.integers(len(others)))]
    return counterfactual(person, picture, attribute=change, value=value)


def _draw(path: Path, person: Person, picture: Picture, size_px: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    _, png = cv2.imencode(".png", render(person, picture, size=size_px)[..., ::-1])
    write_bytes(path, png.tobytes())


def changes_of(table: Dataset) -> dict[str, list[dict[str, Any]]]:
    """The rows by what was changed."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in listed(table):
        found.setdefault(row["changed"], []).append(row)
    return found
