"""CelebA (Liu et al. 2015): 40 attributes of ±1 a picture, and who is in it.

Read are gender, glasses, hair, beard and lipstick, where one class is said. ``Young`` and
``Smiling`` are not: their opposites are none of our classes, so one class alone would be known.
"""

from collections.abc import Iterator
from pathlib import Path

from datasets import Dataset

from data.errors import DataError
from data.sets import terms
from data.sets.labelled import Face, columns, pictures, there

HAIR = {"Black_Hair": "black", "Brown_Hair": "brown", "Blond_Hair": "blond", "Gray_Hair": "grey"}
EITHER = {  # theirs → ours, the class where it is 1 and where it is -1
    "Male": ("gender", "man", "woman"),
    "Eyeglasses": ("glasses", "yes", "no"),
    "No_Beard": ("beard", "no", "yes"),
    "Wearing_Lipstick": ("lipstick", "yes", "no"),
}


def celeba(
    *,
    path: str,
    accept_terms: bool = False,
    same_picture: str = "refuse",
    cache: str | Path = "",
) -> Dataset:
    """The aligned pictures as a pictures table, people by ``identity_CelebA.txt``.

    Files may lie in ``Img/`` and ``Anno/`` as published, or side by side. Raises DataError.
    """
    terms.need("celeba", accepted=accept_terms)
    folder = Path(path).expanduser()
    where = there(folder, "Img/img_align_celeba", "img_align_celeba", of="CelebA")
    labels = there(folder, "Anno/list_attr_celeba.txt", "list_attr_celeba.txt", of="CelebA")
    people = there(folder, "Anno/identity_CelebA.txt", "identity_CelebA.txt", of="CelebA")
    return pictures(
        lambda: _faces(where, labels, people),
        cache=cache,
        known_by=["celeba", str(where), labels, people],
        same_picture=same_picture,
    )


def _faces(where: Path, labels: Path, people: Path) -> Iterator[Face]:
    whose = dict(line.split() for line in people.read_text().splitlines() if line.strip())
    with labels.open() as text:
        text.readline()  # how many there are
        names = text.readline().split()
        columns(names, [*EITHER, *HAIR], file=labels, of="CelebA")
        for number, line in enumerate(text, start=3):
            file, *values = line.split()
            if len(values) != len(names) or file not in whose:
                raise DataError(
                    f"{labels.name} line {number}: {len(values)} of {len(names)} values, or no "
                    f"person in {people.name}: take both files as published"
                )
            said = {n for n, value in zip(names, values, strict=True) if value == "1"}
            yield Face(file.partition(".")[0], whose[file], where / file, _attributes(said))


def _attributes(said: set[str]) -> dict[str, str]:
    found = {own: yes if theirs in said else no for theirs, (own, yes, no) in EITHER.items()}
    hair = [ours for theirs, ours in HAIR.items() if theirs in said]
    return {**found, "hair": hair[0]} if len(hair) == 1 else found
