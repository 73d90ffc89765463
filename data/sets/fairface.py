"""FairFace (Kärkkäinen and Joo 2021): ``fairface_label_train.csv`` beside ``train/``.

Read are gender and age. Race is not: no policy here infers it. People under 20 are left out: a
child can't agree to be read. The set names nobody, so each picture is its own person.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

from datasets import Dataset

from data.errors import DataError
from data.sets.labelled import Face, band, columns, pictures, there

COLUMNS = ("file", "age", "gender", "race", "service_test")
GENDER = {"Male": "man", "Female": "woman"}
CHILDREN = ("0-2", "3-9", "10-19")
AGES = {f"{years}-{years + 9}": band(years) for years in range(20, 70, 10)}
AGES["more than 70"] = band(70)


def fairface(
    *, path: str, split: str = "train", same_picture: str = "refuse", cache: str | Path = ""
) -> Dataset:
    """The set's ``split``, train or val, as a pictures table. Raises DataError."""
    if split not in ("train", "val"):
        raise DataError(f"data.source.split={split}: FairFace has train and val")
    folder = Path(path).expanduser()
    file = there(folder, f"fairface_label_{split}.csv", of="FairFace")
    return pictures(
        lambda: _faces(file), cache=cache, known_by=["fairface", file], same_picture=same_picture
    )


def _faces(file: Path) -> Iterator[Face]:
    with file.open(newline="", encoding="utf-8-sig") as text:
        table = csv.DictReader(text)
        columns(table.fieldnames, COLUMNS, file=file, of="FairFace")
        for row in table:
            if row["age"] in CHILDREN:
                continue
            if row["age"] not in AGES or row["gender"] not in GENDER:
                raise DataError(
                    f"{file.name} line {table.line_num}: age {row['age']!r}, gender "
                    f"{row['gender']!r} are none of FairFace's: take the file as published"
                )
            name = str(Path(row["file"]).with_suffix(""))
            labels = {"gender": GENDER[row["gender"]], "age": AGES[row["age"]]}
            yield Face(name, name, file.parent / row["file"], labels)
