"""Emptying caches of one person. What of it is made again is made without them."""

import shutil
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from lineage import files

ALL_OF = ("features", "references", "show")  # of many people in one file each, named by hashes


def forget(subject: str, cache: Path) -> list[str]:
    """Empty ``cache`` of ``subject``; returns what was emptied.

    Features, reference scores and contact sheets go for everyone: a file of them says not of whom
    it is. Tables of sets are written again without the person, whose pictures go where they were
    laid beside them. The source's own files are not touched.
    """
    emptied = [name for name in ALL_OF if _remove(cache / name)]
    for folder in sorted((cache / "sets").glob("*/whole.json")):
        if _without(subject, folder.parent):
            emptied.append(f"sets/{folder.parent.name}")
    return emptied


def _remove(folder: Path) -> bool:
    there = folder.exists()
    shutil.rmtree(folder, ignore_errors=True)
    return there


def _without(subject: str, folder: Path) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    found = False
    for chunk in sorted(folder.glob("*.arrow")):
        with pa.memory_map(str(chunk)) as file:
            table = pa.ipc.open_stream(file).read_all()
        own = pc.equal(table["subject_id"], subject)
        if not pc.any(own).as_py():
            continue
        found = True
        for picture in table.filter(own)["image"].to_pylist():
            path = Path(picture["path"])
            if path.parent == folder.parent / "pictures":
                path.unlink(missing_ok=True)
        files.write_with(chunk, partial(_fill, table.filter(pc.invert(own))), mode=0o600)
    return found


def _fill(table: Any, file: BinaryIO) -> None:
    import pyarrow as pa

    with pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)
