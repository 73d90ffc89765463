"""``python -m slurm plan``: what a config would take, before anything is submitted or trained.

Nothing of a model is loaded and no data is prepared, unless it is told to probe: rows are made of a
sample of the source, which the answer states.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import lru_cache, partial
from multiprocessing import get_context
from typing import Any, TypeVar

from datasets import Dataset

from conf import devices, rules, target
from conf.schema import Config, StageConfig
from data import prepared
from data.encode import EncodedRow, RowError, encode
from data.policy import Policy, policy
from lineage.errors import TactError
from models import origin
from models.state import ADVERSARIES
from models.vlm import VLM
from privacy import layers
from slurm import disk, gpus, limits
from slurm.probe import probe
from slurm.shown import show
from slurm.spent import spent_by_stage
from train import footprint_drawn, pace, terms
from train.footprint import Footprint, empty_model, footprint
from train.pace import Pace
from train.rows import steps_of

SAMPLE_PEOPLE, SAMPLE_ROWS = 24, 128
T = TypeVar("T")


def planned(config: Config, *, probed: bool = False) -> dict[str, Any]:
    """Steps, ε, memory, time, bad rows by stage; disk; the partitions that fit; what is refused.

    ``probed`` trains a few steps of each stage first, for their time. Raises TactError where not
    even a sample of the source can be read.
    """
    refused: list[str] = []
    if probed:
        _or_refused(refused, lambda: probe(config))
    rule, sample = policy(config.policy), _sample(config)
    model = lru_cache(partial(empty_model, config, rule))
    with _epsilon(config) as epsilon:
        made = [
            _or_refused(refused, partial(_stage, config, name, sample, rule, model))
            for name in rules.stage_names(config)
        ]
        spent = _or_refused(refused, epsilon) or {}
    stages = [{**each, **spent.get(each["stage"], {})} for each in made if each is not None]
    room = disk.needed(config, {each["stage"]: each["bytes"] for each in stages}, sample)
    _or_refused(refused, lambda: disk.check(config, room))
    site = None
    if config.site.scheduler == "slurm":
        refused += limits.stuck(config)
        site = _or_refused(refused, lambda: limits.of_site(config, stages))
    people = len(set(sample["subject_id"]))
    found = {
        "stages": stages, "unpinned": origin.unpinned(config.model), "disk": room, "site": site,
        "refused": list(dict.fromkeys(refused)),
        "sample": f"rows of {people} people of the source, at most {SAMPLE_ROWS} a stage",
    }  # fmt: skip
    if not config.json:
        show(found)
    return found


def _sample(config: Config) -> Dataset:
    """Some people of the source, with all their pictures; a source that draws them draws few."""
    settings = dict(config.data.source)
    drawn = "people" in settings
    if drawn:
        settings["people"] = min(SAMPLE_PEOPLE, int(settings["people"]))
    table = target.function(settings, where="data.source")(cache=str(prepared.cache_folder(config)))
    if drawn:
        return table
    few = set(list(dict.fromkeys(table["subject_id"]))[:SAMPLE_PEOPLE])
    return table.select([i for i, who in enumerate(table["subject_id"]) if who in few])


def _stage(
    config: Config, name: str, sample: Dataset, rule: Policy, empty: Callable[..., VLM]
) -> dict[str, Any]:
    stage = config.stage[name]
    private = rules.is_private(config, stage)
    model = empty(adapter="lora" in stage.train)
    rows, bad = _rows(config, stage, sample, rule, model.parts.encoder)
    if private:
        layers.check(model, without=("tower",) if "tower" not in stage.train else ())
    each = len(sample) / len(set(sample["subject_id"]))
    pictures = round(config.data.people.get(stage.people, 0) * each)
    if stage.sample is None:
        size = partial(footprint, name=name, model=model, rows=rows, pictures=max(1, pictures))
    else:
        size = partial(footprint_drawn.footprint, name=name, model=model, rows=rows)
    taken = size(config)
    on_gpu = config.trainer.accelerator == "gpu" and config.trainer.strategy in devices.WHOLE
    before = pace.known(config, name)
    steps = _steps(stage, before)
    return {
        "stage": name, "steps": steps, "epochs": stage.epochs,
        "rows": config.privacy.expected_batch_units if private and stage.steps
        else stage.batch_size_rows,
        "private": private, "rejects": before.rejects if before else bad,
        "longest_tokens": max(len(row) for row in rows),
        "memory": {**vars(taken), "peak": taken.peak},
        "gpus": gpus.fitting(config, name, taken, size) if on_gpu and stage.sample is None
        else None,
        "time": _time(config, steps, before),
        "bytes": _bytes(model, stage, taken),
    }  # fmt: skip


def _steps(stage: StageConfig, before: Pace | None) -> int | None:
    """Of a stage with epochs those of the rows that it had; None where it had none yet."""
    if stage.epochs is not None and before is None:
        return None
    return steps_of(stage, round(before.rows * (1 - before.rejects)) if before else 0)


def _time(config: Config, steps: int | None, before: Pace | None) -> dict[str, Any] | None:
    """Seconds by the pace that such a stage has had, and as how many jobs."""
    if before is None or steps is None:
        return None
    machine = f"{before.machine['cpu']}, {before.machine['cores']} cores"
    jobs = limits.jobs(config.site, before, steps) if config.site.scheduler == "slurm" else 1
    return {"seconds": before.seconds(steps), "prepare_s": before.prepare_s, "run": before.run,
            "ended": before.ended, "machine": machine, "jobs": jobs}  # fmt: skip


def _bytes(model: VLM, stage: StageConfig, taken: Footprint) -> dict[str, int]:
    """What a stage leaves on disk, or needs there while it trains."""
    trained = model.train_only([*stage.train, *terms.adversaries(stage)])
    kept = [p.nbytes for name, p in trained.items() if not name.startswith(ADVERSARIES)]
    return {"kept": sum(kept), "trained": sum(p.nbytes for p in trained.values()),
            "optimizer": taken.optimizer, "model": taken.weights}  # fmt: skip


def _rows(
    config: Config, stage: StageConfig, sample: Dataset, rule: Policy, encoder: Any
) -> tuple[list[EncodedRow], float]:
    """Encoded rows of the sample, and the share of bad ones. TactError where none is good."""
    settings = dict(stage.rows)
    if "count" in settings:
        settings["count"] = SAMPLE_ROWS
    made = target.function(settings, where="stage.rows")(sample, seed=config.seed, policy=rule)
    good = []
    for row in made:
        try:
            encoded = encode(row, encoder)
        except RowError:
            continue
        if len(encoded) <= config.data.max_length_tokens:
            good.append(encoded)
    if not good:
        raise TactError(
            f"no row of the sample is within data.max_length_tokens="
            f"{config.data.max_length_tokens}: raise it; no row is cut"
        )
    return good, 1 - len(good) / len(made)


@contextmanager
def _epsilon(config: Config) -> Iterator[Callable[[], dict[str, dict[str, Any]]]]:
    """What each stage spends, computed by another core meanwhile; raises TactError when asked."""
    if config.privacy.epsilon is None:
        yield dict
        return
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as beside:
        yield beside.submit(spent_by_stage, config).result


def _or_refused(refused: list[str], ask: Callable[[], T]) -> T | None:
    try:
        return ask()
    except TactError as error:
        refused.append(str(error))
        return None
