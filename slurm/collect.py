"""A sweep as one table and one picture: each point's words, ε and what its last report measured."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from evaluation import records, stored
from evaluation.canvas import BLUE, GREY
from evaluation.records import CONTROL
from evaluation.table import key
from lineage import files
from lineage.errors import TactError
from lineage.run import RunFolder
from slurm import record
from slurm.sweep import Sweep

Row = dict[str, Any]
FIRST = ("point", "run", "state", "epsilon")


def collect(sweep: Sweep, *, x: str | None = None, y: str | None = None) -> dict[str, Any]:
    """Write ``table.csv``, ``table.json`` and, where points were measured, ``frontier.svg``.

    ``x`` and ``y`` are columns, or the end of several, which are then averaged: by default ε or the
    first axis of numbers, and ``fact_accuracy``. Raises TactError where no point has them.
    """
    rows = table(sweep)
    files.write_json(sweep.folder / "table.json", rows)
    files.write_text(sweep.folder / "table.csv", _csv(rows))
    made = {
        "sweep": sweep.manifest.name, "points": len(rows), "table": "table.csv",
        "not accounted": "a choice among these points by figures of private people",
    }  # fmt: skip
    across = x or _across(rows)
    points = [(_value(row, across), _value(row, y or "fact_accuracy")) for row in rows]
    known = [(a, b) for a, b in points if a is not None and b is not None]
    if known:
        draw(sweep.folder / "frontier.svg", known, x=across, y=y or "fact_accuracy")
        return {**made, "frontier": "frontier.svg"}
    if x or y:
        raise TactError(
            f"sweep={sweep.manifest.name}: no point has both {across} and {y or 'fact_accuracy'}; "
            f"the columns are: {', '.join(_columns(rows))}"
        )
    return made


def table(sweep: Sweep) -> list[Row]:
    """A row for each point that is done."""
    rows = []
    states = sweep.states()
    for point in sweep.manifest.points:
        state = states[point.number]
        name = sweep.manifest.run(point)
        row: Row = {"point": point.number, "run": name, "state": state["state"],
                    "epsilon": state.get("epsilon")}  # fmt: skip
        row |= dict(word.lstrip("+~").split("=", 1) for word in point.words)
        if state["state"] == record.DONE:
            row |= _measured(RunFolder.existing(name, checkpoints=sweep.checkpoints))
        rows.append(row)
    return rows


def draw(path: Path, points: Iterable[tuple[float, float]], *, x: str, y: str) -> None:
    """Each point as a dot, and the mean at each ``x`` joined; the same points, the same bytes."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    from evaluation.frontier import STYLE

    at: dict[float, list[float]] = {}
    for a, b in sorted(points):
        at.setdefault(a, []).append(b)
    with rc_context(STYLE):
        page = Figure(figsize=(5.2, 3.6), layout="constrained", facecolor="white")
        panel = page.subplots()
        panel.plot(list(at), [sum(v) / len(v) for v in at.values()], color=BLUE, linewidth=1.5)
        panel.plot(*zip(*sorted(points), strict=True), "o", color=BLUE, markersize=4.5)
        panel.grid(axis="y", color=GREY, alpha=0.3, linewidth=0.8)
        panel.set_xlabel(x)
        panel.set_ylabel(y.replace("_", " "))
        files.write_with(path, lambda out: page.savefig(out, format="svg", metadata={"Date": None}))


def _measured(run: RunFolder) -> Row:
    if not stored.paths(run):
        return {}
    last = stored.load(run)[-1]["measures"]
    kept = records.headline(m for m in last if not m["suite"].startswith(CONTROL))
    return {key(one): one["value"] for one in kept}


def _columns(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys([*FIRST, *(name for row in rows for name in row)]))


def _csv(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, _columns(rows), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _across(rows: Sequence[Row]) -> str:
    """What stands across: ε where it is known, else the first axis of numbers, seeds aside."""
    if any(row["epsilon"] is not None for row in rows):
        return "epsilon"
    axes = [name for name in rows[0] if name not in (*FIRST, "seed")]
    numbers = [name for name in axes if all(_value(row, name) is not None for row in rows)]
    return numbers[0] if numbers else "seed"


def _value(row: Mapping[str, Any], name: str) -> float | None:
    """The column's number, or the mean of the measures of that name."""
    found = [row[name]] if name in row else [v for k, v in row.items() if name in k.split()]
    try:
        return sum(map(float, found)) / len(found) if found else None
    except (TypeError, ValueError):
        return None
