"""The figures of a run's reports, stage beside stage, in a terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table

from evaluation import records, stored, words
from lineage.run import RunFolder

ASIDE = (records.CONTROL, "strength", "curve")  # they stand on the page

DETAIL = ("/facts/above_twin", "/advice/above_twin", "/elicitation/above_twin",
          "/stereotype/above_twin", "/advice", "/elicitation", "/stereotype")  # fmt: skip


def show(run: RunFolder, *, quiet: bool = False) -> dict[str, Any]:
    """Print the table; returns stage → measure → value. Raises TactError."""
    made = stored.load(run)
    values: dict[str, dict[str, float]] = {
        report["stage"]: {
            key(m): m["value"]
            for m in records.headline(report["measures"])
            if not m["suite"].startswith(ASIDE) and not m["group"].endswith(DETAIL)
        }
        for report in made
    }
    if not quiet:
        table = Table(title=f"{run.name}: {made[-1]['interface']}", title_justify="left")
        table.add_column("measure")
        for stage in values:
            table.add_column(f"after {stage}", justify="right")
        for row in dict.fromkeys(k for found in values.values() for k in found):
            cells = [words.number(found[row]) if row in found else "" for found in values.values()]
            table.add_row(row.replace("_", " "), *cells)
        console = Console()
        console.print(table)
        console.print(f"page: {stored.paths(run)[-1].with_name('report.html')}", soft_wrap=True)
    return values


def key(record: dict[str, Any]) -> str:
    """What names a measure beside others of its report."""
    return " ".join(part for part in (record["suite"], record["name"], record["group"]) if part)
