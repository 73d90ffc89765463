"""The figures for people."""

from typing import Any

from rich.console import Console
from rich.table import Table

from perf import foretold as plans
from perf.cost import MOST


def clipping(found: dict[str, Any]) -> None:
    """Of ``perf.cost``: one row a kind of step; what is asked of ours stands beside it."""
    made = Table("trains", "step", "processor s", "time", "memory", "asked of ours")
    for trained, kinds in found["figures"].items():
        for kind, own in kinds.items():
            time, memory = MOST[trained]
            asked = f"time {time:.2f}" + (f", memory {memory:.2f}" if memory else "")
            made.add_row(
                trained, kind, f"{own['seconds']:.2f}", f"{own['time_ratio']:.3f}",
                f"{own['memory_ratio']:.3f}", asked if kind == "ours" else "",
            )  # fmt: skip
    Console().print(made)


def rows(found: dict[str, Any]) -> None:
    """Of ``perf.rows``, beside what is asked."""
    made = Table(f"preparing {found['rows']:,} rows", "here", "asked")
    memory = found["rss_mib"]
    for what, here, asked in (
        ("rows a second", f"{found['rows_per_second']:.0f}", "500"),
        ("most memory above the start, MiB", f"{memory['most_above_start']:.0f}", "under 1000"),
        ("its slope, MiB in 100,000 rows", f"{memory['slope_per_100_000_rows']:.0f}", "flat"),
        ("killed after rows", f"{found['killed_at_rows']:,}", ""),
        ("seconds until it went on", f"{found['seconds_to_first_new_chunk']:.1f}", ""),
        ("result as if undisturbed", "yes" if found["resumed_equal"] else "NO", "yes"),
    ):
        made.add_row(what, here, asked)
    Console().print(made)


def foretold(found: dict[str, Any]) -> None:
    """Of ``perf.foretold``: one row a stage."""
    made = Table("stage", "foretold s", "taken s", "ratio", "asked")
    asked = f"{1 - plans.MOST:.1f} to {1 + plans.MOST:.1f}"
    for stage, own in found["stages"].items():
        ratio = f"{own['ratio']:.2f}"
        made.add_row(stage, f"{own['foretold_s']:.0f}", f"{own['taken_s']:.0f}", ratio, asked)
    Console().print(made)
