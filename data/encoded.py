"""A stage's rows as ids, mapped from disk: what is read of them is made when it is asked for.

A file holds a chunk of the stage's rows in their order, bad ones with their reason, and whose they
are; pictures stay in the rows that they came with.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar, overload

import numpy as np
import pyarrow.compute as pc
from datasets import Dataset, Features, List, Value
from numpy.typing import NDArray

from data.attributes import CLASSES
from data.encode import EncodedRow
from data.pictures import KEY_BYTES, key_of, shown_in

IDS, MARKS = List(Value("int32")), List(Value("bool"))
FEATURES = Features(
    {
        "reason": Value("string"),  # why it is bad; all but row_id and subject_id is empty then
        "row_id": Value("string"),
        "subject_id": Value("string"),
        "pictures": List(Value("binary")),  # their keys
        "tokens": Value("int32"),  # the row's length
        "prompt": IDS,
        "answers": List(IDS),
        "supervised": List(MARKS),
        "emphasis": List(MARKS),
        "labels": List(Value("int8")),  # by CLASSES
        "unshared": MARKS,
        "scores": List(Value("float64")),
    }
)
READ_ROWS = 256  # at once, where all are read in their order
T = TypeVar("T")


def stored(row: EncodedRow) -> dict[str, Any]:
    """A row as FEATURES has it."""
    return {
        "reason": None,
        "row_id": row.row_id,
        "subject_id": row.subject,
        "pictures": [key_of(picture) for picture in row.pictures],
        "tokens": len(row),
        "prompt": row.prompt,
        "answers": row.answers,
        "supervised": row.supervised,
        "emphasis": row.emphasis,
        "labels": [row.labels[name] for name in CLASSES],
        "unshared": row.unshared,
        "scores": row.scores,
    }


def stored_bad(row: Mapping[str, Any], reason: str) -> dict[str, Any]:
    """A row that can't be trained on, as FEATURES has it."""
    who = str(row.get("subject_id") or "")
    told = {"reason": reason, "row_id": str(row.get("row_id")), "subject_id": who, "tokens": 0}
    return {name: told.get(name, []) for name in FEATURES}


def _read(kept: Mapping[str, Any], row: Mapping[str, Any]) -> EncodedRow:
    return EncodedRow(
        row_id=kept["row_id"],
        pictures=shown_in(row),
        prompt=kept["prompt"],
        answers=tuple(kept["answers"]),
        supervised=tuple(kept["supervised"]),
        emphasis=tuple(kept["emphasis"]),
        labels=dict(zip(CLASSES, kept["labels"], strict=True)),
        unshared=tuple(kept["unshared"]),
        scores=tuple(kept["scores"]),
        subject=kept["subject_id"],
    )


class Mapped(Sequence[T]):
    """What is made of a table's rows whenever it is asked for; in memory are places alone."""

    def __init__(self, places: NDArray[np.int64]) -> None:
        self.places = places

    def __getitems__(self, indices: Sequence[int]) -> list[T]:
        """Several at once, as torch's loader asks for a batch."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            return self.__getitems__(range(*index.indices(len(self))))
        return self.__getitems__([index])[0]

    def __iter__(self) -> Iterator[T]:
        for at in range(0, len(self), READ_ROWS):
            yield from self[at : at + READ_ROWS]


class EncodedRows(Mapped[EncodedRow]):
    """The good rows, by number."""

    def __init__(self, kept: Dataset, shown: Dataset, places: NDArray[np.int64]) -> None:
        super().__init__(places)
        self.kept, self.shown = kept, shown

    def __getitems__(self, indices: Sequence[int]) -> list[EncodedRow]:
        """Several rows at once."""
        at = self.places[list(indices)].tolist()
        both = zip(_rows(self.kept, at), _rows(self.shown, at), strict=True)
        return [_read(kept, row) for kept, row in both]


class Pictures(Mapped[Any]):
    """The distinct pictures, by their first appearance, as the rows' column holds them."""

    def __init__(
        self, shown: Dataset, places: NDArray[np.int64], within: NDArray[np.int64]
    ) -> None:
        super().__init__(places)
        self.shown, self.within = shown, within

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """Several pictures at once."""
        chosen = list(indices)
        rows = _rows(self.shown, self.places[chosen].tolist())
        return [shown_in(r)[int(i)] for r, i in zip(rows, self.within[chosen], strict=True)]


def _rows(table: Dataset, at: list[int]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = table[at].to_pylist() if at else []
    return found


class EncodedSet:
    """A stage's rows as ids, with the distinct pictures that the good ones show.

    ``kept`` are its files' rows (FEATURES), ``rows`` the same rows as they came, undecoded.
    """

    def __init__(self, kept: Dataset, rows: Dataset) -> None:
        table = kept.data.table
        good = table["reason"].is_null()
        places = np.flatnonzero(good.to_numpy())
        columns = [c for c in ("image", "images") if c in rows.column_names]
        shown = rows.select_columns(columns).with_format("arrow")
        self._told = table.select(["reason", "row_id", "subject_id", "tokens"])
        self._good = good
        self.rejected = len(table) - len(places)  # rows that were bad
        self.rows = EncodedRows(kept.with_format("arrow"), shown, places)

        pictures = table["pictures"].filter(good)
        owner = np.repeat(places, pc.list_value_length(pictures).to_numpy())
        keys = np.array(pc.list_flatten(pictures).to_pylist(), dtype=f"S{KEY_BYTES}")
        self._keys, first = np.unique(keys, return_index=True)
        self._place = np.argsort(np.argsort(first))  # sorted key → place by first appearance
        first = np.sort(first)
        within = first - np.searchsorted(owner, owner[first])
        self.pictures = Pictures(shown, owner[first], within)

    @property
    def subjects(self) -> list[str]:
        """Who is in each good row; empty where the source names nobody."""
        found: list[str] = self._told["subject_id"].filter(self._good).to_pylist()
        return found

    @property
    def longest(self) -> int:
        """Tokens of the longest row."""
        return int(pc.max(self._told["tokens"]).as_py())

    def bad(self) -> list[dict[str, str]]:
        """``row_id`` and ``reason`` of the bad rows, in their order."""
        table = self._told.select(["row_id", "reason"]).filter(pc.invert(self._good))
        found: list[dict[str, str]] = table.to_pylist()
        return found

    def index(self, picture: Any) -> int:
        """Place of a picture among the distinct ones."""
        key = np.array(key_of(picture), dtype=self._keys.dtype)
        at = int(np.searchsorted(self._keys, key))
        if at == len(self._keys) or self._keys[at] != key:
            raise KeyError("a picture of none of these rows")
        return int(self._place[at])
