"""A set as a table on disk: written in chunks of rows, so that memory stays flat.

A chunk is an Arrow file that appears whole or not at all: a build that was broken off goes on.
Pictures are in it by path.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from datasets import Dataset, Features

from data import table_files
from data.errors import DataError
from lineage.exclusion import excluded
from lineage.files import digest, read_json, remove_leftovers, write_json
from lineage.forget import EMPTY, IDS

CHUNK_ROWS = 5000
FOLDER = "sets"  # below the cache
WHOLE = "whole.json"

Rows = Callable[[Set[str]], Iterable[Mapping[str, Any]]]


def built(rows: Rows, *, features: Features, cache: str | Path, known_by: Sequence[Any]) -> Dataset:
    """``rows(out)`` as a table below ``cache``, read from there once it is whole.

    ``out`` are those whom the cache lists as excluded: of their rows the table holds ids alone.

    ``known_by`` says what the table depends on: settings, and the files that rows are read from
    (paths, by their size and time of change). Raises DataError where there are no rows.
    """
    folder = Path(cache).expanduser() / FOLDER / _digest(known_by)
    if not (folder / WHOLE).exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        remove_leftovers(folder)
        out = excluded(cache).keys()
        count = _write((_told(row, out) for row in rows(out)), folder, features)
        if not count:
            raise DataError("data.source: it has no rows; look at the folder or file it names")
        write_json(folder / WHOLE, {"chunks": count})
    return read(folder)


def read(folder: Path) -> Dataset:
    """The table that lies whole in ``folder``, mapped from disk."""
    count = read_json(folder / WHOLE)["chunks"]
    return table_files.read([chunk(folder, i) for i in range(count)])


def chunk(folder: Path, number: int) -> Path:
    """Where a chunk lies; it is there only when whole."""
    return folder / f"{number:05d}.arrow"


def _write(rows: Iterable[Mapping[str, Any]], folder: Path, features: Features) -> int:
    left, number = iter(rows), 0
    while some := list(islice(left, CHUNK_ROWS)):
        if not chunk(folder, number).exists():
            table_files.write(chunk(folder, number), some, features)
        number += 1
    return number


def _told(row: Mapping[str, Any], out: Set[str]) -> Mapping[str, Any]:
    """The row, or of somebody who is excluded what stands for it."""
    if out.isdisjoint([row["subject_id"], *(row.get("names") or ())]):
        return row
    return {name: cell if name in IDS else EMPTY.get(name) for name, cell in row.items()}


def _digest(known_by: Sequence[Any]) -> str:
    found = hashlib.sha256(_source())
    for each in known_by:
        if isinstance(each, Path):
            state = each.stat()
            each = [str(each), state.st_size, state.st_mtime_ns]
        found.update(json.dumps(each).encode() + b"\n")
    return found.hexdigest()[:16]


@lru_cache(maxsize=1)
def _source() -> bytes:
    """Hash of the code that makes rows: another code is another table."""
    return digest(sorted(Path(__file__).parent.glob("*.py")))
