"""A plan as a table for people."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from train.footprint import Footprint

console = Console(highlight=False)


def show(found: Mapping[str, Any]) -> None:
    """Print what ``slurm.plan.planned`` found."""
    parts = tuple(Footprint.__dataclass_fields__)
    names = ("steps", "rows", "time", "MiB", *parts, "ε", "bad rows")
    table = Table(title="by stage: rows a step, memory of a process at its fullest", box=None)
    table.add_column("stage", no_wrap=True)
    for each in names:
        table.add_column(each, justify="right")
    for each in found["stages"]:
        memory, spent = each["memory"], each.get("epsilon_so_far")
        free = "∞" if each["private"] else ""
        table.add_row(
            each["stage"], _or_unknown(each["steps"]), f"{each['rows']:g}", _time(each["time"]),
            *(_mib(memory[part]) for part in ("peak", *parts)),
            free if spent is None else f"{spent:.3g}", f"{each['rejects']:.1%}",
        )  # fmt: skip
    console.print(table)
    console.print(f"from {found['sample']}")
    for each in found["stages"]:
        console.print(_of(each))
        if each["gpus"]:
            console.print(_on_gpus(each))
    disk = ", ".join(f"{name} {_mib(size)}" for name, size in found["disk"].items())
    console.print(f"disk, MiB: {disk}")
    if site := found["site"]:
        fit = ", ".join(site["fit"]) or "none"
        console.print(f"partitions that fit: {fit}")
        console.print(f"the first job: {site['start']}")
    if found["unpinned"]:
        console.print(found["unpinned"])
    for each in found["refused"]:
        console.print(f"refused: {each}")


def _of(stage: Mapping[str, Any]) -> str:
    """What a stage's time and its share of bad rows rest on."""
    found = stage["time"]
    if found is None and stage["steps"] == 0:
        return f"{stage['stage']}: bad rows as sampled; its time is known once it was drawn"
    epochs = "" if stage["epochs"] is None else f"{stage['epochs']:g} epochs, "
    if found is None:
        told = "its steps and time" if epochs else "its time"
        return f"{stage['stage']}: {epochs}bad rows as sampled; probe=true tells {told}"
    said = (
        f"{stage['stage']}: {epochs}time and bad rows as in run {found['run']} ({found['machine']})"
    )
    if found["jobs"] > 1:
        said += f"; {found['jobs']} jobs one after the other, each requeued at site.time"
    return said


def _on_gpus(stage: Mapping[str, Any]) -> str:
    """The rows that go through a GPU of each size at once, and so in how many parts a step goes."""
    told = (
        f"{size} GB: " + (f"{rows} rows at once" if rows else "not one row")
        for size, rows in stage["gpus"].items()
    )
    fix = "privacy.physical_batch_rows" if stage["private"] else "trainer.accumulate"
    return f"{stage['stage']} on one GPU of {', '.join(told)} (by {fix})"


def _or_unknown(steps: int | None) -> str:
    return "?" if steps is None else str(steps)


def _time(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "?"
    seconds = round(found["seconds"])
    if seconds < 60:
        return f"{seconds} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _mib(size: float) -> str:
    return f"{size / 2**20:.0f}"
