"""Emptying caches of one person. What of it is made again is made without them."""

import shutil
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from lineage import files

PAIRS = "pairs-"  # in a run's private/: answers that a stage drew, by person
# of many people in one file each, named by hashes; copies of tables that a source reads again
ALL_OF = ("features", "references", "show", "conversations")


def forget(subject: str, cache: Path) -> list[str]:
    """Empty ``cache`` of ``subject``; returns what was emptied.

    Features, reference scores, contact sheets and copies of conversations go for everyone: a file
    of them says not of whom it is. Chunks of encoded rows go where the person is in them. Tables of
    sets are written again without the person, whose pictures go where they were laid beside them.
    The source's own files are not touched.
    """
    emptied = [name for name in ALL_OF if _remove(cache / name)]
    if [chunk for chunk in (cache / "rows").glob("*.arrow") if _unlinked(subject, chunk)]:
        emptied.append("rows")
    for folder in sorted((cache / "sets").glob("*/whole.json")):
        if _without(subject, folder.parent):
            emptied.append(f"sets/{folder.parent.name}")
    return emptied


def _remove(folder: Path) -> bool:
    there = folder.exists()
    shutil.rmtree(folder, ignore_errors=True)
    return there


def _unlinked(subject: str, chunk: Path) -> bool:
    """Whether the person was in it. A chunk without them would no longer be what its name says."""
    _, own = _table(subject, chunk)
    there = bool(own.true_count)
    if there:
        chunk.unlink()
    return there


def _table(subject: str, chunk: Path) -> tuple[Any, Any]:
    """A chunk, and which of its rows are the person's."""
    import pyarrow as pa
    import pyarrow.compute as pc

    with pa.memory_map(str(chunk)) as file:
        table = pa.ipc.open_stream(file).read_all()
    return table, pc.equal(table["subject_id"], subject).combine_chunks()


def pairs(subject: str, checkpoints: Path) -> list[str]:
    """Take ``subject``'s pairs out of all runs; returns the runs that had any."""
    found = []
    for folder in sorted(checkpoints.glob(f"*/private/{PAIRS}*")):
        if any([_rewritten(part, subject) is not None for part in sorted(folder.glob("*.arrow"))]):
            found.append(folder.parent.parent.name)
    return list(dict.fromkeys(found))


def _without(subject: str, folder: Path) -> bool:
    found = False
    for chunk in sorted(folder.glob("*.arrow")):
        own = _rewritten(chunk, subject)
        if own is None:
            continue
        found = True
        for picture in own["image"].to_pylist():
            path = Path(picture["path"])
            if path.parent == folder.parent / "pictures":
                path.unlink(missing_ok=True)
    return found


def _rewritten(chunk: Path, subject: str) -> Any:
    """Take ``subject``'s rows out of a table on disk; returns them, None where there are none."""
    import pyarrow.compute as pc

    table, own = _table(subject, chunk)
    if not own.true_count:
        return None
    files.write_with(chunk, partial(_fill, table.filter(pc.invert(own))), mode=0o600)
    return table.filter(own)


def _fill(table: Any, file: BinaryIO) -> None:
    import pyarrow as pa

    with pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)
