"""``python -m slurm plan``: what a config would take, before anything is submitted or trained.

Nothing of a model is loaded and no data is prepared: rows are made of a sample of the source, which
the answer states.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, TypeVar

from datasets import Dataset
from rich.console import Console
from rich.table import Table

from conf import rules, target
from conf.schema import Config, StageConfig
from data import prepared
from data.encode import EncodedRow, RowError, encode
from data.policy import Policy, policy
from lineage.errors import TactError
from models.vlm import VLM
from privacy import layers
from privacy.parents import foreseen
from privacy.plan import by_stage, calibrated
from slurm import client
from slurm.submit import check_site
from train.footprint import Footprint, empty_model, footprint

SAMPLE_PEOPLE, SAMPLE_ROWS = 24, 128
T = TypeVar("T")
console = Console(highlight=False)


def planned(config: Config) -> dict[str, Any]:
    """Steps, ε and memory by stage, bad rows in a sample, the site's partition, what is refused.

    Raises TactError where not even a sample of the source can be read.
    """
    rule, sample = policy(config.policy), _sample(config)
    model = lru_cache(partial(empty_model, config, rule))
    refused: list[str] = []
    spent = _or_refused(refused, lambda: _epsilon(config)) or {}
    stages = []
    for name in rules.stage_names(config):
        made = _or_refused(refused, partial(_stage, config, name, sample, rule, model))
        if made is not None:
            stages.append({**made, **spent.get(name, {})})
    site = None
    if config.site.scheduler == "slurm":
        site = _or_refused(refused, lambda: _site(config))
    people = len(set(sample["subject_id"]))
    found = {
        "stages": stages, "site": site, "refused": list(dict.fromkeys(refused)),
        "sample": f"rows of {people} people of the source, at most {SAMPLE_ROWS} a stage",
    }  # fmt: skip
    if not config.json:
        _show(found)
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
    private = config.privacy.epsilon is not None and not rules.is_public(config, stage)
    model = empty(adapter="lora" in stage.train)
    rows, bad = _rows(config, stage, sample, rule, model.parts.encoder)
    if private:
        layers.check(model, without=("tower",) if "tower" not in stage.train else ())
    each = len(sample) / len(set(sample["subject_id"]))
    pictures = round(config.data.people.get(stage.people, 0) * each)
    taken = footprint(config, name, model, rows, pictures=max(1, pictures))
    return {
        "stage": name, "steps": stage.steps,
        "rows": config.privacy.expected_batch_units if private else stage.batch_size_rows,
        "private": private, "rejects": bad, "longest_tokens": max(len(row) for row in rows),
        "memory": {**vars(taken), "peak": taken.peak},
    }  # fmt: skip


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


def _epsilon(config: Config) -> dict[str, dict[str, Any]]:
    if config.privacy.epsilon is None:
        return {}
    return {
        row["stage"]: {k: row[k] for k in ("noise_multiplier", "epsilon_alone", "epsilon_so_far")}
        for row in by_stage(calibrated(foreseen(config)))
        if row["run"] is None
    }


def _site(config: Config) -> dict[str, Any]:
    """The partition that jobs would go to, and those that allow as long a job."""
    check_site(config.site)
    wanted = client.minutes(config.site.time)
    found = {name: each for name, each in client.partitions().items() if name and each.up}
    fit = [name for name, each in found.items() if client.minutes(each.time) >= wanted]
    return {"partition": config.site.partition, "time": config.site.time, "fit": sorted(fit)}


def _or_refused(refused: list[str], ask: Callable[[], T]) -> T | None:
    try:
        return ask()
    except TactError as error:
        refused.append(str(error))
        return None


def _show(found: dict[str, Any]) -> None:
    parts = tuple(Footprint.__dataclass_fields__)
    names = ("steps", "rows", "MiB", *parts, "ε", "bad rows")
    table = Table(title="by stage: rows a step, memory of a process at its fullest", box=None)
    table.add_column("stage", no_wrap=True)
    for each in names:
        table.add_column(each, justify="right")
    for each in found["stages"]:
        memory, spent = each["memory"], each.get("epsilon_so_far")
        free = "∞" if each["private"] else ""
        table.add_row(
            each["stage"], str(each["steps"]), f"{each['rows']:g}", f"{memory['peak'] / 2**20:.0f}",
            *(f"{memory[part] / 2**20:.0f}" for part in parts),
            free if spent is None else f"{spent:.3g}", f"{each['rejects']:.1%}",
        )  # fmt: skip
    console.print(table)
    console.print(f"from {found['sample']}; time and disk are not foreseen yet")
    if found["site"]:
        fit = ", ".join(found["site"]["fit"]) or "none"
        console.print(f"partitions that allow {found['site']['time']}: {fit}")
    for each in found["refused"]:
        console.print(f"refused: {each}")
