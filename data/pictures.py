"""Tables of pictures: reading them without decoding, and parting them by person."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, Image, List

from data.errors import DataError

KEY_BYTES = 16


def listed(pictures: Dataset) -> list[dict[str, Any]]:
    """The table as a list of rows, pictures referred to ({path, bytes}) and not decoded."""
    rows: list[dict[str, Any]] = undecoded(pictures).to_list()
    return rows


def undecoded(rows: Dataset) -> Dataset:
    """The rows with their image columns left as they are on disk."""
    for column, feature in rows.features.items():
        if isinstance(feature, Image):
            rows = rows.cast_column(column, Image(decode=False))
        elif isinstance(feature, List) and isinstance(feature.feature, Image):
            rows = rows.cast_column(column, List(Image(decode=False)))
    return rows


def split_people(pictures: Dataset, people: Mapping[str, int], *, seed: int) -> dict[str, Dataset]:
    """Disjoint splits by person, ``people`` of them each, drawn by ``seed``.

    DataError where the source has fewer people than asked for or none, or rows of several people.
    """
    if isinstance(pictures.features["subject_id"], List):
        raise DataError(
            "data.source: subject_id is a list, so a row is of several people; a row is of one: "
            "part such rows by person"
        )
    subjects = sorted(set(pictures["subject_id"]))
    wanted = sum(people.values())
    if not subjects:
        raise DataError("data.source: it has no people; look at the folder or file it names")
    if wanted > len(subjects):
        raise DataError(
            f"data.people asks for {wanted} people ({dict(people)}); the source has "
            f"{len(subjects)}: ask for fewer, or bring more"
        )
    order = np.random.default_rng([seed, 11]).permutation(len(subjects))
    home: dict[str, str] = {}
    at = 0
    for split, count in people.items():
        home.update({subjects[i]: split for i in order[at : at + count]})
        at += count
    where = np.array([home.get(s, "") for s in pictures["subject_id"]])
    return {split: pictures.select(np.flatnonzero(where == split)) for split in people}


def check_disjoint(splits: Mapping[str, Dataset]) -> None:
    """DataError that names a person who is in two splits."""
    home: dict[str, str] = {}
    for split, table in splits.items():
        for subject in set(table["subject_id"]):
            if home.setdefault(subject, split) != split:
                raise DataError(
                    f"person {subject} is in the splits {home[subject]} and {split}: part the "
                    "source by subject_id, or leave the splitting to data.people"
                )


def shown_in(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """A row's pictures, as its ``images`` or ``image`` column holds them."""
    return tuple(row.get("images") or ([row["image"]] if row.get("image") else []))


def key_of(picture: Any) -> bytes:
    """What tells two pictures apart without decoding them: their bytes, or where they lie."""
    if isinstance(picture, Mapping) and picture.get("bytes") is not None:
        return hashlib.blake2b(picture["bytes"], digest_size=KEY_BYTES, person=b"bytes").digest()
    path = picture["path"] if isinstance(picture, Mapping) else picture
    return hashlib.blake2b(str(path).encode(), digest_size=KEY_BYTES, person=b"path").digest()


def identity(picture: Any) -> bytes:
    """What a cache knows a picture by: its bytes, or its file's path, size and time of change.

    The path alone will not do: another run may find another picture by the same name.
    """
    if isinstance(picture, Mapping):
        if picture.get("bytes") is not None:
            return hashlib.sha256(picture["bytes"]).digest()
        picture = picture["path"]
    if not isinstance(picture, str | Path):
        return hashlib.sha256(picture.tobytes()).digest()
    found = Path(picture).stat()
    return f"{picture}\t{found.st_size}\t{found.st_mtime_ns}".encode()
