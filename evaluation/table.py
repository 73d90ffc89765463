"""The figures of a run's reports, stage beside stage, in a terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table

from lineage import files
from lineage.errors import TactError
from lineage.run import RunFolder


def reports(run: RunFolder) -> list[dict[str, Any]]:
    """All reports of the run, in the order they were made; TactError if there is none."""
    found = sorted((run.path / "report").glob("*/report.json"), key=lambda p: p.parent.name)
    if not found:
        raise TactError(f"run={run.name}: it has no report; make one: python -m evaluation run=…")
    return [files.read_json(path) for path in found]


def show(run: RunFolder, *, quiet: bool = False) -> dict[str, Any]:
    """Print the table; returns stage → measure → value."""
    made = reports(run)
    values: dict[str, dict[str, float]] = {
        report["stage"]: {f"{m['name']} {m['group']}": m["value"] for m in report["measures"]}
        for report in made
    }
    if not quiet:
        table = Table(title=f"{run.name}: {made[-1]['interface']}", title_justify="left")
        table.add_column("measure")
        for stage in values:
            table.add_column(f"after {stage}", justify="right")
        for key in dict.fromkeys(k for found in values.values() for k in found):
            cells = [f"{found[key]:.3f}" if key in found else "" for found in values.values()]
            table.add_row(key.replace("_", " "), *cells)
        console = Console()
        console.print(table)
        where = sorted((run.path / "report").glob("*/report.html"))[-1]
        console.print(f"page: {where}", soft_wrap=True)
    return values
