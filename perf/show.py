"""The figures of ``perf.cost`` for people."""

from typing import Any

from rich.console import Console
from rich.table import Table

from perf.cost import MOST


def table(found: dict[str, Any]) -> None:
    """One row a kind of step; what is asked of ours stands beside it."""
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
