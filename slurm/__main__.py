"""``python -m slurm …``: an experiment's steps, or a sweep's points, as jobs on Slurm."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from lineage.door import options, run_door, verb_and_words

HELP = """
python -m slurm plan experiment=NAME [site=SITE] [probe=true] [key=value …]
python -m slurm submit experiment=NAME run=RUN site=SITE [dirty=true] [key=value …]
python -m slurm sweep experiment=NAME sweep=SWEEP site=SITE [limit=4] [points=FILE] [dirty=true]
    key=1,2,4 [key=value …]
python -m slurm status|logs|cancel run=RUN [checkpoints=FOLDER] [follow=true] [json=true]
python -m slurm status|resume|cancel|collect sweep=SWEEP [x=COLUMN] [y=COLUMN] [json=true]

  python -m slurm plan experiment=demo            steps, memory and epsilon by stage; nothing runs
  python -m slurm plan experiment=demo probe=true    a few steps of each are run, for their time
  python -m slurm submit experiment=demo run=first site=slurm dry_run=true  print the scripts
  python -m slurm submit experiment=demo run=first site=slurm   one job a step, each after the last
  python -m slurm status run=first                how far each is, and why one failed
  python -m slurm logs run=first follow=true      what they print, until the last has ended
  python -m slurm cancel run=first                end them; the same submit goes on from there
  python -m slurm sweep experiment=demo sweep=seeds site=slurm seed=0,1,2   one run a point
  python -m slurm collect sweep=seeds             one table and one picture of its points

A job that Slurm preempts, or that nears its time limit, saves at a step's end and is requeued.
Sites: {sites}, and local for a sweep on this machine's cores, which runs until it ends. A checkout
with changes is submitted with dirty=true only.
"""
VERBS = ("status", "plan", "submit", "sweep", "logs", "cancel", "resume", "collect", "job", "point")
OPTIONS = ("run", "sweep", "checkpoints", "json", "follow", "step", "number", "x", "y")
OF_RUNS = ("status", "logs", "cancel", "job")
OF_SWEEPS = ("status", "resume", "cancel", "collect", "point")


def main(words: list[str]) -> Any:
    """Plan, submit, sweep, show, follow, cancel or collect; raises TactError or ConfigError."""
    verb, words = verb_and_words(words, VERBS)
    if verb == "plan":
        return _plan(words)
    if verb == "submit":
        return _submit(words)
    if verb == "sweep":
        return _sweep(words)
    given = options(words, OPTIONS)
    from lineage.errors import TactError
    from lineage.place import place

    folder = place(given.get("checkpoints", "checkpoints"))
    if "sweep" in given and verb in OF_SWEEPS:
        from slurm.sweep import Sweep

        return _of_sweep(verb, Sweep.existing(given["sweep"], folder), given)
    if "run" in given and verb in OF_RUNS:
        from lineage.run import RunFolder

        return _of_run(verb, RunFolder.existing(given["run"], checkpoints=folder), given)
    raise TactError(f"{verb}: give {'run=RUN' if verb in OF_RUNS else 'sweep=SWEEP'}")


def _of_run(verb: str, run: Any, given: dict[str, str]) -> Any:
    from slurm import status, submit

    quiet = given.get("json") == "true"
    match verb:
        case "job":
            from slurm.job import run_step

            return run_step(run, int(given["step"]))
        case "cancel":
            return submit.cancel(run, quiet=quiet)
        case "logs":
            return status.logs(run, follow=given.get("follow") == "true")
        case _:
            return status.status(run, quiet=quiet)


def _of_sweep(verb: str, found: Any, given: dict[str, str]) -> Any:
    from slurm import sweep

    match verb:
        case "point":
            from slurm.point import run_point

            return run_point(found, int(given["number"]) if "number" in given else None)
        case "collect":
            from slurm.collect import collect

            made = collect(found, x=given.get("x"), y=given.get("y"))
        case "resume":
            made = sweep.resume(found)
        case "cancel":
            made = sweep.cancel(found)
        case _:
            made = sweep.summary(found)
    return _said(made, quiet=given.get("json") == "true")


def _plan(words: list[str]) -> Any:
    own = [word for word in words if word in ("probe=true", "probe=false")]
    probed = "probe=true" in own
    named = any(word.startswith("run=") for word in words)
    rest = [word for word in words if word not in own]
    with nullcontext() if probed else _uncollected():
        from conf.compose import load
        from slurm.plan import planned

        return planned(load([*rest, *([] if named else ["run=plan"])]), probed=probed)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without Python's search for cycles, a tenth of the seconds of what only lives for seconds."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _submit(words: list[str]) -> Any:
    from conf.compose import load
    from slurm.submit import submit

    own = [word for word in words if word.startswith("dirty=")]
    config = load([word for word in words if word not in own])
    return submit(config, dirty="dirty=true" in own)


def _sweep(words: list[str]) -> Any:
    """Read the sweep's own words out of the config's."""
    from pathlib import Path

    from lineage.errors import TactError
    from lineage.place import place
    from slurm import manifest, sweep

    named = ("sweep", "limit", "points", "dirty", "checkpoints", "json")
    own = options([w for w in words if w.partition("=")[0] in named], named)
    rest = [w for w in words if w.partition("=")[0] not in named]
    limit = own.get("limit", "4")
    if "sweep" not in own or not limit.isdigit() or not int(limit):
        raise TactError("give sweep=SWEEP, and limit= as a number of points that run at once")
    listed = Path(own["points"]).expanduser() if "points" in own else None
    made = manifest.made(own["sweep"], rest, limit=int(limit), listed=listed)
    folder = place(own.get("checkpoints", "checkpoints"))
    done = sweep.begin(made, checkpoints=folder, dirty=own.get("dirty") == "true")
    return _said(done, quiet=own.get("json") == "true")


def _said(made: dict[str, Any], *, quiet: bool) -> dict[str, Any]:
    """Print what was done, key by key, unless it is printed as JSON."""
    if not quiet:
        for name, value in made.items():
            print(f"{name.replace('_', ' ')}: {value}")
    return made


def _help() -> str:
    from conf.compose import options as there

    return HELP.format(sites=", ".join(name for name in there("site") if name != "local"))


if __name__ == "__main__":
    sys.exit(run_door(main, _help()))
