"""A run for people: where it came from, its stages and their state."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from lineage.place import place
from lineage.run import Manifest, RunFolder

root = place  # the name that the evaluation door knows it by


def show(name: str, checkpoints: Path, *, quiet: bool = False) -> dict[str, Any]:
    """Print the run unless ``quiet``; returns its manifest. Raises TactError."""
    manifest = RunFolder.existing(name, checkpoints=checkpoints).read()
    if not quiet:
        console = Console()
        console.print(_table(name, manifest))
        for line in _origin(manifest):
            console.print(line, highlight=False)
    return {"run": name, **asdict(manifest)}


def _table(name: str, manifest: Manifest) -> Table:
    state = "finished" if manifest.finished else "not finished"
    table = Table(title=f"{name}: {state}", title_justify="left")
    for column in ("stage", "state", "steps", "trains", "ended", "weights"):
        table.add_column(column)
    for s in manifest.stages:
        digest = (s.weights_sha256 or "")[:12]
        table.add_row(s.stage, s.state, str(s.steps), " ".join(s.trains), s.ended or "", digest)
    return table


def _origin(manifest: Manifest) -> list[str]:
    changed = " with changes" if manifest.dirty else ""
    lines = [
        f"begun {manifest.created}, seed {manifest.seed}",
        f"revision {manifest.revision[:12] or 'none'}{changed}",
        f"data {(manifest.data_fingerprint or 'none yet')[:12]}",
    ]
    if manifest.parent:
        lines.append(f"from {manifest.parent['run']} after {manifest.parent['stage']}")
    return lines
