"""UTKFace (Zhang, Song and Qi 2017): labels in the names, ``[age]_[gender]_[race]_[date].jpg``.

Read are gender and age; race is not. People under 18 are left out, and so are the few published
names that lack a label. The set names nobody, so each picture is its own person.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from datasets import Dataset

from data.errors import DataError
from data.sets import terms
from data.sets.labelled import Face, band, pictures

NAME = re.compile(r"(?P<age>\d{1,3})_(?P<gender>[01])_[0-4]_\d+(\.jpg)?(\.chip)?\.jpg")
GENDER = {"0": "man", "1": "woman"}
UNLABELLED = 0.01  # share of names without labels past which it is another set


def utkface(
    *,
    path: str,
    accept_terms: bool = False,
    same_picture: str = "refuse",
    cache: str | Path = "",
) -> Dataset:
    """All JPEGs below ``path`` as a pictures table. Raises DataError."""
    terms.need("utkface", accepted=accept_terms)
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise DataError(f"data.source.path={folder.name}: no such folder")
    files = sorted(folder.rglob("*.jpg"))
    odd = [file for file in files if not NAME.fullmatch(file.name)]
    if not files or len(odd) > UNLABELLED * len(files):
        shown = odd[0].name if odd else "no .jpg"
        raise DataError(
            f"data.source.path={folder.name}: {len(odd)} of {len(files)} pictures have no UTKFace "
            f"name, [age]_[gender]_[race]_[date].jpg (such as {shown}): take the set as published, "
            "or read it by data=folder with a table"
        )
    names = [str(file.relative_to(folder)) for file in files]
    return pictures(
        lambda: _faces(folder, names),
        cache=cache,
        known_by=["utkface", str(folder), names],
        same_picture=same_picture,
    )


def _faces(folder: Path, names: list[str]) -> Iterator[Face]:
    for name in names:
        label = NAME.fullmatch(Path(name).name)
        if label and int(label["age"]) >= 18:
            labels = {"gender": GENDER[label["gender"]], "age": band(int(label["age"]))}
            whose = name.partition(".jpg")[0]
            yield Face(whose, whose, folder / name, labels)
