"""Tables on disk as Arrow files, each whole or not there, for the owner alone, mapped when read."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
from datasets import Dataset, Features, concatenate_datasets
from datasets.arrow_writer import ArrowWriter

from lineage.files import write_with


def write(path: Path, rows: Iterable[Mapping[str, Any]], features: Features) -> None:
    """Write ``rows`` as they come. Pictures stay paths: ``save_to_disk`` would copy their bytes.

    Raises DiskFull.
    """
    write_with(path, partial(_fill, rows, features), mode=0o600)


def read(paths: Sequence[Path]) -> Dataset:
    """The files' rows one after the other, mapped from disk."""
    return concatenate_datasets([Dataset.from_file(str(path)) for path in paths])


def _fill(rows: Iterable[Mapping[str, Any]], features: Features, file: BinaryIO) -> None:
    with ArrowWriter(features=features, stream=pa.PythonFile(file, mode="w")) as writer:
        for row in rows:
            writer.write(features.encode_example(row))
        writer.finalize(close_stream=False)
