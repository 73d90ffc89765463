"""``python -m train experiment=… run=… [key=value …]``: run an experiment's steps."""

import sys

from lineage.door import run_door

HELP = """
python -m train experiment=NAME run=RUN [key=value …]

Runs the steps of an experiment; the same command again goes on where it stopped.

  python -m train experiment=demo run=demo          all stages, reports and export
  python -m train experiment=demo run=x dry_run=true  check the config, do nothing
  python -m train experiment=demo run=y stages=[prefer] parent=demo@instruct
  python -m train experiment=demo run=z stage.prefer.steps=20 seed=1
  python -m train --multirun experiment=demo 'run=s-${{seed}}' seed=0,1   Hydra's own, one by one

Config groups: {groups}
Experiments: {experiments}
Your own config files: hydra.searchpath=[file:///FOLDER]; json=true prints a JSON object.
"""


def main(words: list[str]) -> dict[str, object]:
    """Compose, check and run; raises TactError or ConfigError."""
    if "--multirun" in words:
        from train.multirun import multirun

        return multirun(words)
    from conf.compose import load

    config = load(words)
    from train.run import execute

    return execute(config)


def _help() -> str:
    from conf.compose import ROOT, options

    others = ("__pycache__", "claim")  # claims are evaluation's own files
    folders = sorted(p.name for p in ROOT.iterdir() if p.is_dir() and p.name not in others)
    return HELP.format(groups=", ".join(folders), experiments=", ".join(options("experiment")))


if __name__ == "__main__":
    sys.exit(run_door(main, _help()))
