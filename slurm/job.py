"""``python -m slurm job``: what a job runs, one step of a run. Scripts call it, nobody else."""

import contextlib
import time
from typing import Any

from conf import compose
from conf.schema import Config
from lineage.errors import InUse, TactError
from lineage.forget import PAIRS
from lineage.run import RUNNING, RunFolder, now
from slurm import record
from train import processes
from train.checkpoint import LAST, steps_done
from train.stopping import Interrupted

PATIENCE_S = 120.0  # for a process of a node that was taken away to end


def run_step(run: RunFolder, number: int) -> dict[str, Any]:
    """Run step ``number`` of the run's own config; raises TactError and what training raises."""
    config = compose.from_yaml(run.path / "config.yaml")
    config.checkpoints = str(run.path.parent)
    if processes.is_started_beside(config.trainer):
        return _beside(config)
    chain = record.read(run)
    job = next((j for j in (chain.jobs if chain else []) if j.number == number), None)
    if job is None:
        raise TactError(
            f"run={run.name} has no job of step {number} in {record.folder(run)}: do all nodes see "
            "the folder of the run folders?"
        )
    print(f"{now()} {job.name} begins on {record.node()}", flush=True)
    note = record.folder(run) / f"{job.name}.json"
    with record.noted(note, reached=reached(run), job=job.id):
        done = patiently(config, only=number)
    print(f"{now()} {job.name} is done", flush=True)
    return done


def _beside(config: Config) -> dict[str, Any]:
    """Follow the first process, which says how the job ended."""
    from train.run import execute

    with contextlib.suppress(processes.Elsewhere, Interrupted):
        execute(config)
    return {"run": config.run}


def reached(run: RunFolder) -> str:
    """How far a run is: stages, the optimiser steps behind its checkpoints, parts."""
    stages = run.read().stages
    steps = {
        s.stage: steps_done(run.stage_dir(s.stage) / LAST) for s in stages if s.state == RUNNING
    }
    parts = len(list(run.path.glob("report/*/parts/*")))
    drawn = len(list(run.private.glob(f"{PAIRS}*/part-*")))
    return f"{len(stages)} stages, steps {steps}, {drawn} parts drawn, {parts} parts of reports"


def patiently(config: Config, *, only: int | None = None) -> dict[str, Any]:
    """Train; a requeued job may start while the run is still held where it ran before."""
    from train.run import execute

    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            return execute(config, only=only)
        except InUse:
            if time.monotonic() > end:
                raise
            time.sleep(1)
