"""From a config's source to splits of pictures by person, each checked.

A source is a function ``(cache=…, **options) -> datasets.Dataset`` with the columns
``picture_id``, ``subject_id``, ``image`` and ``attributes``; it may also bring conversations of
its own (``messages`` or ``prompt``/``chosen``/``rejected``, TRL's formats).
"""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset, Image, List, load_dataset, load_from_disk
from datasets.exceptions import DatasetsError

from data.attributes import CLASSES
from data.dialogues.features import NAMED, TEXT
from data.errors import DataError
from data.picture_files import one_name_each, together
from data.pictures import check_disjoint, split_people
from lineage.exclusion import excluded

TABLES = {".csv", ".jsonl"}
COPIES = "conversations"  # below the cache


def folder(
    *,
    path: str,
    table: str | None = None,
    picture_column: str = "file",
    subject_column: str = "subject_id",
    columns: Mapping[str, str] | None = None,
    same_picture: str = "refuse",
    cache: str | Path = "",
) -> Dataset:
    """Pictures in a folder, with a CSV or JSON-lines file that says what they show.

    ``columns`` maps an attribute to the file's column where the names differ. Where the file has
    no ``subject_column`` each picture is its own person; people who share a picture are refused,
    or one (``same_picture=one_person``). DataError names the file and the fix.
    """
    where = Path(path).expanduser()
    file = where / table if table else _only_table(where)
    rows: list[dict[str, Any]] = []
    for number, raw in enumerate(_read(file), start=1):
        if not raw.get(picture_column):
            raise DataError(
                f"{file.name} line {number}: no {picture_column!r}; name the picture's column by "
                "data.source.picture_column"
            )
        picture = where / str(raw[picture_column])
        attributes = {a: raw.get((columns or {}).get(a, a)) or None for a in CLASSES}
        for name, value in attributes.items():
            if value is not None and value not in CLASSES[name]:
                raise DataError(
                    f"{file.name} line {number}: unknown class {name}={value!r}; "
                    f"known: {', '.join(CLASSES[name])}"
                )
        name = str(Path(raw[picture_column]).with_suffix(""))
        rows.append(
            {
                "picture_id": name,
                "subject_id": str(raw.get(subject_column) or name),
                "image": {"path": str(picture), "bytes": None},
                "attributes": attributes,
            }
        )
    if not rows:
        raise DataError(f"{file.name}: it has no rows")
    shown = [(row["image"]["path"], row["subject_id"]) for row in rows]
    out = excluded(cache).keys()
    stands = one_name_each(shown, out=out, same_picture=same_picture, missing=True)
    named = together(stands)
    for row in rows:
        row["subject_id"] = stands.get(row["subject_id"], row["subject_id"])
        row["names"] = named.get(row["subject_id"])
    return Dataset.from_list(rows, features=NAMED)


def conversations(
    *, path: str, split: str = "train", subject_column: str = "subject_id", cache: str | Path = ""
) -> Dataset:
    """A set in TRL's conversational format, by folder (``save_to_disk``), file or Hub id.

    Columns ``image`` or ``images`` with ``messages``, ``prompt``/``completion`` or
    ``prompt``/``chosen``/``rejected`` are taken as they are; where there is no
    ``subject_column``, each picture_id (each row, where there is none) is its own person. Ids are
    text. DataError names what can't be read.
    """
    try:
        rows = _load(path, split, cache=cache)
    except (OSError, ValueError, DatasetsError) as error:
        reason = error.__cause__ or error
        raise DataError(f"data.source.path={path}: it can't be read ({reason})") from error
    if subject_column in rows.column_names and subject_column != "subject_id":
        rows = rows.rename_column(subject_column, "subject_id")
    for column in ("row_id", "picture_id"):
        rows = _named(rows, column, lambda own: [f"r{i:07d}" for i in range(len(own))])
    # no bound by person holds where a picture's name stands for theirs: train.units says so
    rows = _named(rows, "subject_id", lambda own: own["picture_id"])
    if not {"image", "images"} & set(rows.column_names):
        raise DataError(f"data.source.path={path}: it has neither an image nor an images column")
    return rows


def _named(rows: Dataset, column: str, stands: Callable[[Dataset], Sequence[str]]) -> Dataset:
    """The rows with ids of ``column`` as text; where there is none, what ``stands`` for it."""
    kind = rows.features.get(column)
    if kind == TEXT or isinstance(kind, List):  # a list is refused when people are parted
        return rows
    given = [None] * len(rows) if kind is None else rows[column]
    both = zip(given, stands(rows), strict=True)
    own = [other if name is None else str(name) for name, other in both]
    rest = rows if kind is None else rows.remove_columns(column)
    return rest.add_column(column, own)


def own_rows(pictures: Dataset, *, seed: int, policy: Any, count: int | None = None) -> Dataset:
    """The source's own conversations as a stage's rows, at most ``count`` of them."""
    del seed, policy
    if "messages" not in pictures.column_names and "prompt" not in pictures.column_names:
        raise DataError(
            "data.source has no conversations of its own (messages or prompt): take rows made "
            "from labels, such as stage.instruct.rows._target_=data.dialogues.rows.instruct_rows"
        )
    return pictures if count is None else pictures.select(range(min(count, len(pictures))))


def splits(source: Dataset, people: Mapping[str, int], *, seed: int) -> dict[str, Dataset]:
    """The source parted by person, disjointness checked."""
    parted = split_people(source, people, seed=seed)
    check_disjoint(parted)
    return parted


def _load(path: str, split: str, *, cache: str | Path) -> Dataset:
    where = Path(path).expanduser()
    if (where / "dataset_info.json").exists() or (where / "state.json").exists():
        return load_from_disk(str(where))
    if where.is_file() and not where.stat().st_size:
        raise ValueError("it has 0 bytes, as a copy that was cut off has: write it again")
    if where.suffix in (".json", ".jsonl"):
        loaded = Dataset.from_json(str(where), cache_dir=_copies(cache))
    else:
        loaded = load_dataset(path, split=split, cache_dir=_copies(cache))
    if "image" in loaded.column_names and not isinstance(loaded.features["image"], Image):
        loaded = loaded.cast_column("image", Image())
    return loaded


def _copies(cache: str | Path) -> str | None:
    """Where ``datasets`` keeps rows as Arrow, for the owner alone; else its own cache."""
    if not cache:
        return None
    folder = Path(cache).expanduser() / COPIES
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return str(folder)


def _only_table(where: Path) -> Path:
    if not where.is_dir():
        raise DataError(f"data.source.path={where.name}: no such folder")
    found = sorted(p for p in where.iterdir() if p.suffix in TABLES)
    if len(found) != 1:
        raise DataError(
            f"data.source.path={where.name}: it should hold one CSV or JSON-lines file, and has "
            f"{len(found)}; name it by data.source.table"
        )
    return found[0]


def _read(file: Path) -> list[dict[str, Any]]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as text:
            if file.suffix == ".csv":
                return list(csv.DictReader(text))
            return [json.loads(line) for line in text if line.strip()]
    except (OSError, json.JSONDecodeError, csv.Error) as error:
        raise DataError(f"{file.name}: it can't be read ({error})") from error
