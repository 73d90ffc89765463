"""``python -m slurm submit``: steps as jobs, each once the one before ended well."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from conf import compose, rules
from conf.schema import Config
from lineage.errors import TactError
from lineage.place import place
from lineage.run import DONE, INHERITED, RunFolder, now
from slurm import client, code, limits, record, script
from slurm.record import Chain, Job

console = Console(highlight=False)


def submit(config: Config, *, dirty: bool = False) -> dict[str, Any]:
    """Hand in what is left of the config's steps; returns the jobs. Raises TactError.

    All are in the queue, or none is. With ``dry_run=true`` only the scripts are printed.
    """
    site = config.site
    if site.scheduler != "slurm":
        there = ", ".join(name for name in compose.options("site") if name != "local")
        raise TactError(
            f"site={site.name} has no Slurm: give site=NAME; there are: {there}. A file of your "
            "own goes into conf/site/ or a folder of hydra.searchpath"
        )
    limits.check_time(site)
    limits.check_budget(config)
    checkpoints = place(config.checkpoints)
    if config.dry_run:
        return _printed(config, checkpoints)
    found = code.revision(dirty=dirty)
    limits.check(config)
    if config.parent:
        RunFolder.existing(config.parent.partition("@")[0], checkpoints=checkpoints)
    run = RunFolder.open(config.run, checkpoints=checkpoints)
    with run.lock():
        _check_free(run)
        run.keep_config(
            compose.to_yaml(config), ignore=rules.harmless(config), stored=compose.normal
        )
        run.write(run.read())
        steps = left(config, run)
        chain = Chain(site.name, now(), found)
        copy = code.keep(record.folder(run), found)
        _hand_in(config, run, chain, steps, copy)
    if not config.json:
        lines = [f"{job.id}: {job.name}" for job in chain.jobs]
        console.print("\n".join(lines) or f"{run.name}: all its steps are done")
    return {"run": run.name, "jobs": {job.name: job.id for job in chain.jobs}}


def left(config: Config, run: RunFolder) -> list[tuple[int, str]]:
    """Number and name of the steps that are not done; a report that is there is kept by its job."""
    manifest = run.read()
    if manifest.finished:
        return []
    done = {s.stage for s in manifest.stages if s.state in (DONE, INHERITED)}
    steps = enumerate(config.stages or config.steps, start=1)
    return [(number, step) for number, step in steps if step not in done]


def live(run: RunFolder) -> list[Job]:
    """The run's jobs that wait or run."""
    chain = record.read(run)
    if chain is None:
        return []
    queue = client.queue()
    return [job for job in chain.jobs if job.id in queue]


def cancel(run: RunFolder, *, quiet: bool = False) -> dict[str, Any]:
    """End the run's jobs; what is saved stays."""
    jobs = [job.id for job in live(run)]
    client.cancel(jobs)
    if not quiet:
        console.print(f"cancelled: {', '.join(jobs)}" if jobs else "nothing to cancel")
    return {"run": run.name, "cancelled": jobs}


def _hand_in(
    config: Config, run: RunFolder, chain: Chain, steps: Sequence[tuple[int, str]], copy: Path
) -> None:
    """The first job is held until all are in, so that a refused one leaves nothing behind."""
    try:
        for number, step in steps:
            name = f"{number}-{step}"
            path = record.folder(run) / f"{name}.sbatch"
            path.write_text(script.of_step(config, run, number, step, copy))
            path.with_suffix(".json").unlink(missing_ok=True)
            after = chain.jobs[-1].id if chain.jobs else None
            chain.jobs.append(Job(number, step, client.submit(path, after=after, held=not after)))
            record.write(run, chain)
        if chain.jobs:
            client.release(chain.jobs[0].id)
    except BaseException:
        client.cancel([job.id for job in chain.jobs])
        raise


def _printed(config: Config, checkpoints: Path) -> dict[str, Any]:
    run = RunFolder(checkpoints / config.run)
    copy, made = record.folder(run) / code.FOLDER, {}
    for number, step in left(config, run):
        made[f"{number}-{step}"] = script.of_step(config, run, number, step, copy)
    for before, (name, text) in zip([None, *made], made.items(), strict=False):
        if not config.json:
            console.print(f"# {name}{f', once {before} has ended well' if before else ''}")
            console.print(text, markup=False, soft_wrap=True)
    return {"run": run.name, "scripts": made, "dry_run": True}


def _check_free(run: RunFolder) -> None:
    if jobs := live(run):
        raise TactError(
            f"run={run.name} has jobs already ({', '.join(job.id for job in jobs)}): wait for "
            f"them, python -m slurm cancel run={run.name}, or choose another run="
        )
