"""``python -m slurm status`` and ``logs``: how far a run's jobs are, and what they print."""

import csv
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from lineage.errors import TactError
from lineage.run import DONE, RUNNING, RunFolder
from privacy.ledger import NAME, Ledger
from slurm import client, record
from slurm.client import Queued
from slurm.record import Chain, Job

LOOK_S = 0.5
ENDED, NEVER = "ended", "never ran"
UNSEEN = "it left no word: cancelled before it began, or its node sees other run folders than you"


def status(run: RunFolder, *, quiet: bool = False) -> dict[str, Any]:
    """Print the run's jobs unless ``quiet``; returns them. Raises TactError."""
    chain = _chain(run)
    queue = client.queue()
    lines: list[dict[str, Any]] = []
    for job in chain.jobs:
        due = not lines or lines[-1]["state"] == record.DONE
        lines.append(_line(run, job, queue, due=due))
    if not quiet:
        table = Table(title=f"{run.name} on {chain.site}", title_justify="left")
        for column in ("step", "job", "state", "steps", "restarts", "why"):
            table.add_column(column, overflow="fold")
        for line in lines:
            table.add_row(*(str(value) for value in line.values()))
        Console().print(table)
    return {"run": run.name, "jobs": lines}


def logs(run: RunFolder, *, follow: bool = False) -> None:
    """Print what the run's jobs have printed; with ``follow`` go on until the last has ended."""
    chain = _chain(run)
    read: dict[str, int] = {}
    while True:
        over = not follow or not set(client.queue()) & {job.id for job in chain.jobs}
        for job in chain.jobs:
            _more(record.folder(run) / f"{job.name}.log", read)
        if over:
            return
        time.sleep(LOOK_S)


def _more(path: Path, read: dict[str, int]) -> None:
    """Print what a log holds past what was ``read`` of it."""
    if not path.exists():
        return
    with path.open("rb") as file:
        before = file.seek(read.get(path.name, 0))
        text = file.read()
    if path.name not in read:
        print(f"== {path.stem}")
    sys.stdout.write(text.decode(errors="replace"))
    sys.stdout.flush()
    read[path.name] = before + len(text)


def _chain(run: RunFolder) -> Chain:
    chain = record.read(run)
    if chain is None:
        raise TactError(f"run={run.name} was never submitted: python -m slurm submit … does it")
    return chain


def _line(run: RunFolder, job: Job, queue: Mapping[str, Queued], *, due: bool) -> dict[str, Any]:
    """One job; ``due`` once the one before it ended well."""
    note = record.state(run, job) or {}
    found, why = _state(run, job, note, queue.get(job.id))
    if found == NEVER and due:
        why = UNSEEN
    return {
        "step": job.name,
        "job": job.id,
        "state": found,
        "steps": _steps(run, job.step),
        "restarts": note.get("restarts", 0),
        "why": why,
    }


def _state(
    run: RunFolder, job: Job, note: Mapping[str, Any], queued: Queued | None
) -> tuple[str, str]:
    """What the queue says of a job that is in it, else what the job wrote of itself."""
    if note.get("state") == record.DONE or _done(run, job.step):
        return record.DONE, ""
    if queued is not None:
        waits = queued.state == "PENDING"
        return ("waits", queued.reason) if waits else (queued.state.lower(), "")
    if note.get("state") == record.FAILED:
        return record.FAILED, str(note["error"])
    log = record.folder(run) / f"{job.name}.log"
    if not note:
        return (ENDED, _last(log)) if log.exists() else (NEVER, "")
    return ENDED, str(note.get("error", "")) or _last(log)


def _done(run: RunFolder, stage: str) -> bool:
    return any(s.stage == stage and s.state != RUNNING for s in run.read().stages)


def _steps(run: RunFolder, stage: str) -> str:
    """Optimiser steps that a stage has logged, of all; empty for other steps."""
    state = next((s for s in run.read().stages if s.stage == stage), None)
    if state is None:
        return ""
    if state.state == DONE:
        return f"{state.steps} of {state.steps}"
    charged = Ledger.read(run.path).content["charged"] if (run.path / NAME).exists() else {}
    if stage in charged:
        return f"{charged[stage]} of {state.steps}"
    path = run.stage_dir(stage) / "metrics.csv"
    if not path.exists():
        return f"0 of {state.steps}"
    with path.open(newline="") as file:
        logged = [int(row["step"]) for row in csv.DictReader(file) if row.get("step")]
    return f"{max(logged, default=-1) + 1} of {state.steps}"


def _last(log: Path) -> str:
    """The last error that a log tells of, else its last line."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("error: ", "slurmstepd: error"))]
    return (errors or lines or [""])[-1]
