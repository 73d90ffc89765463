"""``python -m slurm submit|status|logs|cancel``: an experiment's steps as jobs on Slurm."""

import sys
from typing import Any

from lineage.door import options, run_door, verb_and_words

HELP = """
python -m slurm submit experiment=NAME run=RUN site=SITE [dirty=true] [key=value …]
python -m slurm status|logs|cancel run=RUN [checkpoints=FOLDER] [follow=true] [json=true]

  python -m slurm submit experiment=demo run=first site=slurm dry_run=true  print the scripts
  python -m slurm submit experiment=demo run=first site=slurm   one job a step, each after the last
  python -m slurm status run=first                how far each is, and why one failed
  python -m slurm logs run=first follow=true      what they print, until the last has ended
  python -m slurm cancel run=first                end them; the same submit goes on from there

A job that Slurm preempts, or that nears its time limit, saves at a step's end and is requeued.
Sites: {sites}; a checkout with changes is submitted with dirty=true only.
"""
VERBS = ("status", "submit", "logs", "cancel", "job")


def main(words: list[str]) -> Any:
    """Submit, show, follow or cancel; raises TactError or ConfigError."""
    verb, words = verb_and_words(words, VERBS)
    if verb == "submit":
        return _submit(words)
    given = options(words, ("run", "checkpoints", "json", "follow", "step"))
    from lineage.errors import TactError
    from lineage.place import place
    from lineage.run import RunFolder

    if "run" not in given:
        raise TactError("give run=RUN")
    folder = place(given.get("checkpoints", "checkpoints"))
    run = RunFolder.existing(given["run"], checkpoints=folder)
    if verb == "job":
        from slurm.job import run_step

        return run_step(run, int(given["step"]))
    from slurm import status, submit

    quiet = given.get("json") == "true"
    if verb == "cancel":
        return submit.cancel(run, quiet=quiet)
    if verb == "logs":
        return status.logs(run, follow=given.get("follow") == "true")
    return status.status(run, quiet=quiet)


def _submit(words: list[str]) -> Any:
    from conf.compose import load
    from slurm.submit import submit

    own = [word for word in words if word.startswith("dirty=")]
    config = load([word for word in words if word not in own])
    return submit(config, dirty="dirty=true" in own)


def _help() -> str:
    from conf.compose import options as there

    return HELP.format(sites=", ".join(name for name in there("site") if name != "local"))


if __name__ == "__main__":
    sys.exit(run_door(main, _help()))
