"""Pictures as files: none empty, none missing, no one person under two names."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Set
from pathlib import Path

from data.errors import DataError

SAME = ("refuse", "one_person")

Shown = tuple[str, str]  # a picture's path, and who is in it


def whole(
    shown: Iterable[Shown], *, out: Set[str], missing: bool = False
) -> Iterator[tuple[Shown, int]]:
    """Each with its file's size in bytes; ``missing``: a file that isn't there is left out.

    Of those who are excluded (``out``) a file that is gone or empty is left out too. DataError on
    any other of 0 bytes, and on one that is missing.
    """
    for path, subject in shown:
        try:
            size = Path(path).stat().st_size
        except OSError as error:
            if missing or subject in out:
                continue
            raise DataError(
                f"picture {Path(path).name} of {Path(path).parent.name}/ is not there "
                f"({error.strerror}): unpack the whole set into data.source.path"
            ) from error
        if not size and subject in out:
            continue
        if not size:
            raise DataError(
                f"picture {Path(path).name} of {Path(path).parent.name}/ has 0 bytes, as a copy "
                "that was cut off has: fetch it again, or take its row out of the table"
            )
        yield (path, subject), size


def one_name_each(
    shown: Iterable[Shown], *, out: Set[str], same_picture: str, missing: bool = False
) -> dict[str, str]:
    """Name → the name that stands for it, for people who share a picture to the byte.

    Only files of one size are read. With ``refuse`` such a picture is a DataError that names both
    files: a person under two names could stand in two splits, and counts as two under DP.
    """
    if same_picture not in SAME:
        raise DataError(f"data.source.same_picture={same_picture}: choose {' or '.join(SAME)}")
    by_size: dict[int, list[Shown]] = {}
    for each, size in whole(shown, out=out, missing=missing):
        by_size.setdefault(size, []).append(each)
    stands: dict[str, str] = {}
    for group in by_size.values():
        first: dict[bytes, Shown] = {}
        for path, subject in group if len(group) > 1 else ():
            digest = hashlib.sha256(Path(path).read_bytes()).digest()
            other, who = first.setdefault(digest, (path, subject))
            ours, theirs = _stands(stands, subject), _stands(stands, who)
            if ours == theirs:
                continue
            if same_picture == "refuse":
                raise DataError(_twice(path, subject, other, who))
            stands[max(ours, theirs)] = min(ours, theirs)
    return {name: _stands(stands, name) for name in stands}


def together(stands: Mapping[str, str]) -> dict[str, list[str]]:
    """The one name that stands for a person of several → all of theirs."""
    found: dict[str, list[str]] = {}
    for name, one in stands.items():
        found.setdefault(one, [one]).append(name)
    return found


def _stands(stands: dict[str, str], name: str) -> str:
    while name in stands:
        name = stands[name]
    return name


def _twice(path: str, subject: str, other: str, who: str) -> str:
    return (
        f"{Path(path).name} (person {subject}) and {Path(other).name} (person {who}) are the same "
        "picture: one person under two names. Give both one name, take one out, or make all who "
        "share a picture one person by data.source.same_picture=one_person"
    )
