"""The text of a job: ``job.sbatch.jinja`` filled with a site, a command and where things lie."""

import os
import shlex
import sys
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from conf import rules
from conf.schema import Config, SiteConfig
from lineage.place import CHECKOUT, ELSEWHERE
from lineage.run import RunFolder
from slurm import record


def text(
    site: SiteConfig,
    *,
    name: str,
    log: Path,
    code: Path,
    words: list[str],
    array: str | None = None,
    nodes: int = 1,
    tasks: int = 1,
) -> str:
    """The script that runs ``python -m slurm <words>`` from the copy ``code``.

    ``array`` gives the tasks of an array; ``{task}`` in ``log`` then is a task's number. On several
    ``nodes`` the words run as so many ``tasks`` on each, which meet at the first.
    """
    template = files("slurm").joinpath("job.sbatch.jinja").read_text(encoding="utf-8")
    made = Environment(
        undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True, autoescape=False
    ).from_string(template)
    python = site.python or sys.executable
    command = shlex.join([python, "-m", "slurm", *words])
    return made.render(
        options=_options(site, name=name, log=log, array=array, nodes=nodes, tasks=tasks),
        several=nodes > 1,
        modules=[shlex.quote(module) for module in site.modules],
        environment={k: shlex.quote(v) for k, v in environment(site, code).items()},
        command=site.wrap.replace("{command}", command),
    )


def of_step(config: Config, run: RunFolder, number: int, step: str, code: Path) -> str:
    """The script of one step of a run; a stage takes all of the run's nodes."""
    spread = config.trainer.nodes > 1 and step not in rules.OTHER_STEPS
    return text(
        config.site,
        nodes=config.trainer.nodes if spread else 1,
        tasks=config.trainer.devices if spread else 1,
        name=f"{run.name}.{number}-{step}",
        log=record.folder(run) / f"{number}-{step}.log",
        code=code,
        words=["job", f"run={run.name}", f"checkpoints={run.path.parent}", f"step={number}"],
    )


def _options(
    site: SiteConfig, *, name: str, log: Path, array: str | None, nodes: int, tasks: int
) -> list[str]:
    wanted = {
        "job-name": name,
        "partition": site.partition,
        "account": site.account,
        "time": site.time,
        "nodes": str(nodes) if nodes > 1 else None,
        "ntasks-per-node" if nodes > 1 else "ntasks": str(tasks),
        "cpus-per-task": str(site.cpus),
        "mem": site.memory,
        "gres": f"gpu:{site.gpus}" if site.gpus else None,
        "array": array,
        "output": '"' + str(log).replace("%", "%%").replace("{task}", "%4a") + '"',
        "open-mode": "append",
        "signal": f"B:USR1@{site.signal_s}",
    }
    given = [f"--{key}={value}" for key, value in wanted.items() if value is not None]
    return [*given, "--requeue", *site.options]


def environment(site: SiteConfig, code: Path) -> Mapping[str, str]:
    """The copy comes first, then the user's own packages; never the folder of the command."""
    path = [str(code), *filter(None, [os.environ.get("PYTHONPATH")]), str(Path.cwd())]
    return {
        "PYTHONPATH": os.pathsep.join(path),
        "PYTHONSAFEPATH": "1",
        ELSEWHERE: os.environ.get(ELSEWHERE, str(CHECKOUT)),
        **site.environment,
    }
