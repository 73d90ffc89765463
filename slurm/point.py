"""``python -m slurm point``: what a sweep runs, one point of it. Nobody else calls it."""

import os
import time
from typing import Any

from lineage.errors import TactError
from lineage.run import RunFolder, now
from privacy.ledger import NAME, Ledger
from slurm import record
from slurm.job import patiently, reached
from slurm.sweep import Sweep


def run_point(sweep: Sweep, number: int | None) -> dict[str, Any]:
    """Train point ``number``, or that of the array's task, and note its ε. Raises TactError."""
    number = int(os.environ["SLURM_ARRAY_TASK_ID"]) if number is None else number
    point = sweep.manifest.points[number]
    name, words = sweep.manifest.run(point), " ".join(point.words)
    print(f"{now()} {name} begins on {record.node()}: {words}", flush=True)
    began = time.monotonic()
    run = RunFolder(sweep.checkpoints / name)
    with record.noted(sweep.note(point), reached=reached(run), words=point.words) as note:
        done = patiently(sweep.manifest.config(point, checkpoints=sweep.checkpoints))
        if (run.path / NAME).exists():
            ledger = Ledger.read(run.path)
            if ledger.plan.events:
                note["epsilon"] = ledger.epsilon()
        note["seconds"] = time.monotonic() - began
    if not run.read().finished:
        raise TactError(f"{run.name} is not finished")
    print(f"{now()} {run.name} is done", flush=True)
    return done
