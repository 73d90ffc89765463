"""The last reports of several runs, side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from evaluation import records, stored, words
from evaluation.records import CONTROL, Record
from evaluation.table import key
from lineage.errors import TactError
from lineage.run import RunFolder


def compare(names: str, *, checkpoints: Path, quiet: bool = False) -> dict[str, Any]:
    """Print the runs of ``[A,B]`` beside each other; returns run → measure → its record.

    The best attacker of each kind stands for all, and controls stay on each run's own page.
    Raises TactError on fewer than two runs, and where a run has no report of its own weights.
    """
    found = {
        name: stored.load(RunFolder.existing(name, checkpoints=checkpoints))[-1]
        for name in _names(names)
    }
    measures = {name: _measures(report) for name, report in found.items()}
    if not quiet:
        Console().print(_table(found, measures))
    return measures


def _names(given: str) -> list[str]:
    names = [word.strip() for word in given.strip("[]").split(",") if word.strip()]
    if len(set(names)) < 2:
        raise TactError(f"run={given}: name two runs or more to compare: run=[A,B]")
    return names


def _measures(report: dict[str, Any]) -> dict[str, Record]:
    kept = [m for m in report["measures"] if not m["suite"].startswith(CONTROL)]
    return {key(m): m for m in records.headline(kept)}


def _table(found: dict[str, dict[str, Any]], measures: dict[str, dict[str, Record]]) -> Table:
    table = Table(title="value and interval; the best attacker of each", title_justify="left")
    table.add_column("measure")
    for name, report in found.items():
        table.add_column(f"{name}\nafter {report['stage']}", justify="right")
    suite = ""
    for row, record in _union(list(measures.values())).items():
        if record["suite"] != suite:
            suite = record["suite"]
            table.add_section()
            table.add_row(f"[bold]{suite}[/bold]")
        cells = [_cell(one.get(row)) for one in measures.values()]
        table.add_row(f"{words.words(record['name'])}: {words.words(record['group'])}", *cells)
    return table


def _union(measures: Sequence[dict[str, Record]]) -> dict[str, Record]:
    """A record of each measure that any run has, those of a suite together."""
    every: dict[str, Record] = {}
    for one in measures:
        every |= {row: record for row, record in one.items() if row not in every}
    suites = list(dict.fromkeys(record["suite"] for record in every.values()))
    return dict(sorted(every.items(), key=lambda item: suites.index(item[1]["suite"])))


def _cell(record: Record | None) -> str:
    if record is None:
        return "–"
    return f"{words.number(record['value'])}  {words.interval(record)}"
