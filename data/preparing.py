"""A stage's rows encoded in chunks and kept in the cache: memory stays flat, and it goes on.

A chunk's file is known by all that it depends on: the rows themselves, the files of their pictures,
the encoder and the code. So what was prepared before a kill, or for another stage or run, is found,
and what changed is made again.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset

from data import attributes, encode, encoded, pictures, table_files
from data.collate import name_of, open_picture
from data.encode import Encoder, RowError
from data.encoded import EncodedSet
from data.errors import DataError
from data.pictures import identity, key_of, undecoded
from lineage import files

CHUNK_ROWS = 1000  # encoded in a second or two: what a kill costs at the most
FOLDER = "rows"  # below the cache


def encoded_set(
    rows: Dataset,
    encoder: Encoder,
    *,
    max_length: int,
    max_rejects: float,
    rejects: Path,
    cache: Path,
) -> EncodedSet:
    """All rows as ids, read from ``cache``; bad ones are counted, named in ``rejects`` and bounded.

    What ``cache`` lacks is encoded, a chunk of rows after the other. Raises DataError where more
    than ``max_rejects`` (a share) of them are bad, or none is left, and DiskFull.
    """
    rows = undecoded(rows)
    chunks = _chunks(rows, encoder, max_length=max_length, folder=cache / FOLDER)
    if not chunks:
        raise DataError(_rejected([], 0, max_rejects, rejects))
    made = EncodedSet(table_files.read(chunks), rows)
    bad = made.bad()
    if bad:
        files.write_text(rejects, "".join(json.dumps(b) + "\n" for b in bad), mode=0o600)
    if len(bad) > max_rejects * len(rows) or not len(made.rows):
        raise DataError(_rejected(bad, len(rows), max_rejects, rejects))
    return made


def _chunks(rows: Dataset, encoder: Encoder, *, max_length: int, folder: Path) -> list[Path]:
    """The chunks' files, all of them there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    files.remove_leftovers(folder)
    known_by = hashlib.sha256(_source() + encoder.preprocessing() + encoder.wording())
    known_by.update(str(max_length).encode())
    seen, paths = SeenPictures(encoder), []
    for start in range(0, len(rows), CHUNK_ROWS):
        some = rows.select(range(start, min(start + CHUNK_ROWS, len(rows))))
        path = folder / f"{_digest(some, known_by.digest())}.arrow"
        if not path.exists():
            made = _encoded(some, encoder, seen, max_length=max_length)
            table_files.write(path, made, encoded.FEATURES)
        paths.append(path)
    return paths


def _encoded(
    rows: Dataset, encoder: Encoder, seen: "SeenPictures", *, max_length: int
) -> Iterator[dict[str, Any]]:
    for row in rows:
        try:
            made = encode.encode(row, encoder)
            if len(made) > max_length:
                raise RowError(
                    f"longer than data.max_length_tokens={max_length} (raise it; no row is cut): "
                    f"{len(made)} tokens, {encoder.tokens_per_picture} a picture"
                )
            seen.check(made.pictures)
            yield encoded.stored(made)
        except RowError as error:
            yield encoded.stored_bad(row, str(error))


def _digest(rows: Dataset, known_by: bytes) -> str:
    """Hash of the rows' content and of their pictures' files, by size and time of change."""
    table = rows.with_format("arrow")[:]
    digest = hashlib.sha256(known_by)
    with (
        pa.PythonFile(_Hashed(digest), mode="w") as sink,
        pa.ipc.new_stream(sink, table.schema) as s,
    ):
        s.write_table(table)
    for path in _paths(table):
        try:
            digest.update(identity(path))
        except OSError:
            digest.update(b"not there")
    return digest.hexdigest()[:32]


class _Hashed:
    """A file that is written into a hash."""

    closed = False

    def __init__(self, digest: Any) -> None:
        self.digest = digest

    def write(self, content: Any) -> int:
        self.digest.update(content)
        return len(content)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        self.closed = True


def _paths(table: pa.Table) -> Iterator[str]:
    """Where the pictures lie that the rows don't hold themselves."""
    for name in ("image", "images"):
        if name not in table.column_names:
            continue
        column = table[name].combine_chunks()
        if pa.types.is_list(column.type):
            column = column.flatten()
        if pa.types.is_struct(column.type):
            own = pc.is_null(pc.struct_field(column, "bytes"))
            column = pc.struct_field(column, "path").filter(own)
        yield from column.drop_null().to_pylist()


@lru_cache(maxsize=1)
def _source() -> bytes:
    """Hash of the code that makes rows' ids: another code is another cache."""
    modules = (attributes, encode, encoded, pictures)
    return files.digest([*(Path(str(module.__file__)) for module in modules), Path(__file__)])


class SeenPictures:
    """Pictures that can be opened and that the image processor takes, each looked at once."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self.readable: dict[bytes, str | None] = {}  # picture's key → why it can't be taken
        self.sizes: dict[tuple[int, int], str | None] = {}  # the same by size in pixels

    def check(self, pictures: Sequence[Any]) -> None:
        """RowError on the first that can't be taken."""
        for picture in pictures:
            key = key_of(picture)
            if key not in self.readable:
                self.readable[key] = self._why_not(picture)
            if reason := self.readable[key]:
                raise RowError(reason)

    def _why_not(self, picture: Any) -> str | None:
        try:
            opened = open_picture(picture)
        except DataError as error:
            return str(error)
        if opened.size not in self.sizes:
            self.sizes[opened.size] = self._refused(opened)
        if (refused := self.sizes[opened.size]) is None:
            return None
        width, height = opened.size
        return f"pictures of {width} x {height} px are refused ({refused}): {name_of(picture)}"

    def _refused(self, opened: Any) -> str | None:
        try:
            self.encoder.pixels([opened])
        except (ValueError, TypeError, RuntimeError, ArithmeticError, LookupError) as error:
            return (str(error) or type(error).__name__).splitlines()[0].replace(":", ";")
        return None


def _rejected(bad: Sequence[Mapping[str, str]], total: int, allowed: float, rejects: Path) -> str:
    reasons = Counter(b["reason"].split(":")[0] for b in bad).most_common(3)
    listed = "; ".join(f"{count} x {reason}" for reason, count in reasons)
    return (
        f"{len(bad)} of {total} rows are bad ({listed}); data.max_rejects allows "
        f"{allowed:.1%}. They are named in {rejects.name} of the run's private/ folder: "
        "mend them, or raise data.max_rejects"
    )
