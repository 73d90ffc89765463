"""What a site's limits mean for a config's stages: which partitions fit, and what is refused."""

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from conf import rules
from conf.schema import Config, SiteConfig
from lineage.errors import TactError
from lineage.place import place
from lineage.run import RunFolder
from privacy.accounting import epsilon
from privacy.calibration import MOST_NOISE
from privacy.parents import foreseen
from privacy.plan import calibrated
from slurm import client, partitions, script
from train import pace
from train.pace import Pace

PROCESS_MIB = 700.0  # of Python and its libraries, beside the tensors


def check(config: Config) -> None:
    """TactError where the site can't take the config's jobs, or they would get nowhere there."""
    check_time(config.site)
    partitions.check(config.site)
    for why in stuck(config):
        raise TactError(why)


def check_time(site: SiteConfig) -> None:
    """TactError where a job is told to save as soon as it has begun."""
    if work_s(site) <= site.signal_s:
        raise TactError(
            f"site.time={site.time} leaves a job no time: it is told to save site.signal_s="
            f"{site.signal_s} seconds before; ask for more than twice that"
        )


def check_budget(config: Config) -> None:
    """TactError where no noise meets the config's budget; takes a fraction of a second."""
    if config.privacy.epsilon is None:
        return
    made = foreseen(config)
    most = [replace(event, noise_multiplier=MOST_NOISE) for event in made.events]
    if epsilon([*made.spent, *most], delta=made.delta) > made.epsilon:
        calibrated(made)  # says why


def stuck(config: Config) -> Iterator[str]:
    """Why jobs of a stage would never get on, by the pace that such a stage has had."""
    site, left = config.site, work_s(config.site)
    for name in rules.stage_names(config):
        found = pace.known(config, name)
        if found is None:
            continue
        seen = f"stage {name}, as in run {found.run}"
        if found.step_s > site.signal_s:
            yield (
                f"{seen}: one step takes {found.step_s:.0f} s, and a job is told to save "
                f"site.signal_s={site.signal_s} seconds before its end: raise site.signal_s"
            )
        elif found.around_s + found.step_s > left:
            yield (
                f"{seen}: {found.around_s + found.step_s:.0f} s are needed for its start and a "
                f"step, and site.time={site.time} leaves a job {left:.0f} s: raise site.time"
            )


def work_s(site: SiteConfig) -> float:
    """Seconds of a job until it is told to save; infinite where it has no limit."""
    return client.minutes(site.time) * 60 - site.signal_s


def jobs(site: SiteConfig, found: Pace, steps: int) -> int:
    """How many times a stage's job would be started, requeued as each time is over."""
    each = work_s(site) - found.around_s
    return max(1, math.ceil(found.steps_s(steps) / each)) if each > 0 else 0


def of_site(config: Config, stages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The partition that jobs go to, all that fit, and when the first would start.

    ``stages`` as the plan has them. Raises TactError where one would be refused.
    """
    least = needed_mib(config, stages)
    site = config.site
    if site.memory and 0 < partitions.mebibytes(site.memory) < least:
        raise TactError(
            f"site.memory={site.memory}: a process takes {least:.0f} MiB; ask for more, or lower "
            "the stages' batch_size_rows"
        )
    check_time(site)
    partitions.check(site, least_mib=least)
    return {
        "partition": site.partition, "time": site.time,
        "fit": partitions.fitting(site, least_mib=least), "start": _start(config),
    }  # fmt: skip


def needed_mib(config: Config, stages: Sequence[Mapping[str, Any]]) -> float:
    """What a job takes of its node's memory; on a GPU that isn't foreseen."""
    if config.trainer.accelerator != "cpu" or not stages:
        return 0.0
    return PROCESS_MIB + float(max(stage["memory"]["peak"] for stage in stages)) / 2**20


def _start(config: Config) -> str:
    """What Slurm says of the first job's script, which it is only asked about."""
    run = RunFolder(place(config.checkpoints) / config.run)
    number, step = 1, (config.stages or config.steps)[0]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "first.sbatch"
        path.write_text(script.of_step(config, run, number, step, run.path))
        return client.tried(path)
