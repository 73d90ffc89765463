"""What sets of labelled faces have in common: from labels to the pictures table."""

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset

from data.attributes import CLASSES
from data.dialogues.features import NAMED
from data.errors import DataError
from data.picture_files import one_name_each, together
from data.sets.chunks import built


@dataclass(frozen=True)
class Face:
    """One picture of a set."""

    picture_id: str
    subject_id: str
    path: Path
    attributes: dict[str, str]


def pictures(
    faces: Callable[[], Iterable[Face]],
    *,
    cache: str | Path,
    known_by: Sequence[Any],
    same_picture: str,
) -> Dataset:
    """The faces as a pictures table. DataError on empty or missing files, or one person twice."""

    def rows(out: Set[str]) -> Iterator[dict[str, Any]]:
        shown = ((str(face.path), face.subject_id) for face in faces())
        stands = one_name_each(shown, out=out, same_picture=same_picture)
        named = together(stands)
        for face in faces():
            who = stands.get(face.subject_id, face.subject_id)
            yield {
                "picture_id": face.picture_id,
                "subject_id": who,
                "image": {"path": str(face.path), "bytes": None},
                "attributes": {name: face.attributes.get(name) for name in CLASSES},
                "names": named.get(who),
            }

    return built(rows, features=NAMED, cache=cache, known_by=[*known_by, same_picture])


def there(folder: Path, *names: str, of: str) -> Path:
    """The first of ``names`` in ``folder`` that is there; DataError names the set and the fix."""
    for name in names:
        if (folder / name).exists():
            return folder / name
    raise DataError(
        f"data.source.path={folder.name}: it holds no {' or '.join(names)}; give the folder that "
        f"{of} was unpacked into"
    )


def columns(found: Sequence[str] | None, wanted: Sequence[str], *, file: Path, of: str) -> None:
    """DataError that names the columns that ``file`` lacks."""
    if missing := [name for name in wanted if name not in (found or ())]:
        raise DataError(
            f"{file.name}: {of} has the columns {', '.join(wanted)}, and this file lacks "
            f"{', '.join(missing)} (it has {', '.join(found or ()) or 'none'}): take the set as "
            "published, or read it by data=folder with data.source.columns"
        )


def band(years: int) -> str:
    """The age band of a grown person."""
    return "young adult" if years < 40 else "middle-aged" if years < 60 else "senior"
