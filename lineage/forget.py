"""Emptying caches of one person. What of it is made again is made without them."""

import shutil
from collections.abc import Set
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from lineage import files
from lineage.errors import InUse
from lineage.run import RunFolder

PAIRS = "pairs-"  # in a run's private/: answers that a stage drew, by person
# of many people in one file each, named by hashes; copies of tables that a source reads again
ALL_OF = ("features", "references", "show", "conversations")
IDS = ("row_id", "picture_id", "subject_id", "names", "part")  # what a set's table keeps of a row
EMPTY: dict[str, Any] = {"attributes": {}}  # what stands in a column of theirs; in others, nothing


def forget(names: Set[str], cache: Path) -> list[str]:
    """Empty ``cache`` of whoever has one of ``names``; returns what was emptied.

    Features, reference scores, contact sheets and copies of conversations go for everyone: a file
    of them says not of whom it is. Chunks of encoded rows go where the person is in them. Tables of
    sets, half-built ones too, keep the ids of the person's rows, by which all others are dealt as
    before, and nothing else; pictures that were laid beside them go. The source's own files are not
    touched.
    """
    emptied = [name for name in ALL_OF if _remove(cache / name)]
    if [chunk for chunk in (cache / "rows").glob("*.arrow") if _unlinked(names, chunk)]:
        emptied.append("rows")
    tables = [c.parent.name for c in sorted(cache.glob("sets/*/*.arrow")) if _blanked(names, c)]
    for picture in cache.glob("sets/pictures/*"):
        if picture.stem in names:
            picture.unlink(missing_ok=True)
    return [*emptied, *(f"sets/{name}" for name in dict.fromkeys(tables))]


def pairs(names: Set[str], checkpoints: Path) -> tuple[list[str], list[str]]:
    """Take out the pairs of whoever has one of ``names``.

    Returns the runs that had any, and those that are in use and so were left as they are.
    """
    found, busy = [], []
    for path in sorted({own.parents[1] for own in checkpoints.glob(f"*/private/{PAIRS}*")}):
        run = RunFolder(path)
        try:
            with run.lock():
                if any([_taken_out(names, p) for p in run.private.glob(f"{PAIRS}*/*.arrow")]):
                    found.append(run.name)
        except InUse:
            busy.append(run.name)
    return found, busy


def _remove(folder: Path) -> bool:
    there = folder.exists()
    shutil.rmtree(folder, ignore_errors=True)
    return there


def _unlinked(names: Set[str], chunk: Path) -> bool:
    """Whether the person was in it. A chunk without them would no longer be what its name says."""
    _, own = _table(names, chunk)
    there = bool(own.true_count)
    if there:
        chunk.unlink()
    return there


def _blanked(names: Set[str], chunk: Path) -> bool:
    """Whether the person's rows held more than ids, as they do no more."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table, own = _table(names, chunk)
    if not pc.and_(own, pc.is_valid(table["image"]).combine_chunks()).true_count:
        return False
    for number, field in enumerate(table.schema):
        if field.name not in IDS:
            nothing = pa.scalar(EMPTY.get(field.name), field.type)
            table = table.set_column(number, field, pc.if_else(own, nothing, table[field.name]))
    _rewrite(chunk, table)
    return True


def _taken_out(names: Set[str], chunk: Path) -> bool:
    """Whether the person had rows in it, as they have no more."""
    import pyarrow.compute as pc

    table, own = _table(names, chunk)
    if own.true_count:
        _rewrite(chunk, table.filter(pc.invert(own)))
    return bool(own.true_count)


def _table(names: Set[str], chunk: Path) -> tuple[Any, Any]:
    """A chunk, and which of its rows are the person's."""
    import pyarrow as pa
    import pyarrow.compute as pc

    with pa.memory_map(str(chunk)) as file:
        table = pa.ipc.open_stream(file).read_all()
    own = pc.is_in(table["subject_id"], pa.array(sorted(names))).combine_chunks()
    if "names" in table.column_names:
        merged = [not names.isdisjoint(each or ()) for each in table["names"].to_pylist()]
        own = pc.or_(own, pa.array(merged, pa.bool_()))
    return table, own


def _rewrite(chunk: Path, table: Any) -> None:
    files.write_with(chunk, partial(_fill, table), mode=0o600)


def _fill(table: Any, file: BinaryIO) -> None:
    import pyarrow as pa

    with pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)
