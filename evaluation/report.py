"""The report of a run after one of its stages: measures and examples, as JSON and as a page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset

from conf import compose
from conf.schema import Config
from data.collate import open_picture
from data.encode import prompt_text
from data.pictures import listed
from data.policy import Policy, policy
from data.prepared import prepared
from evaluation import behaviour, interface, page
from evaluation.measure import Measure
from lineage import files
from lineage.errors import TactError
from lineage.run import RunFolder
from models import configured
from models.features import picture_features
from models.generate import greedy
from models.vlm import VLM


class Answerer:
    """Answers prompts with one model, pictures encoded once."""

    def __init__(self, model: VLM, pictures: Dataset, config: Config) -> None:
        self.model, self.config = model, config
        rows = listed(pictures)
        self.number = {row["picture_id"]: i for i, row in enumerate(rows)}
        self.features = picture_features(model, [row["image"] for row in rows])

    def __call__(self, rows: Sequence[dict[str, Any]]) -> list[str]:
        """The answer to each row's prompt; rows of like length go together."""
        encoder = self.model.parts.encoder
        prompts = encoder.encode([prompt_text(row, encoder) for row in rows])
        order = sorted(range(len(rows)), key=lambda i: len(prompts[i]))
        said = [""] * len(rows)
        size = self.config.report.batch_size_rows
        for at in range(0, len(order), size):
            some = order[at : at + size]
            features = self.features[[self.number[rows[i]["picture_id"]] for i in some]]
            answers = greedy(
                self.model,
                [prompts[i] for i in some],
                features,
                max_new_tokens=self.config.report.max_new_tokens,
            )
            for i, answer in zip(some, answers, strict=True):
                said[i] = answer
        return said


def report(run: RunFolder, *, cache: str | None = None) -> dict[str, Any]:
    """Measure the run as it now stands; writes ``report/<n>-<stage>/``. Raises TactError."""
    config = compose.from_yaml(run.path / "config.yaml")
    if cache:
        config.cache = cache
    torch.set_num_threads(config.trainer.threads)
    torch.set_flush_denormal(True)
    stages = run.finished_stages()
    if not stages:
        raise TactError(f"run={run.name}: no stage of it is finished; train it first")
    stage = stages[-1]
    rule = policy(config.policy)
    model = configured.finished(config, run, rule)
    splits = prepared(config)
    found, examples, folder = _measured(config, model, splits, rule, run, stage.stage)
    content = {
        "version": 1,
        "run": run.name,
        "stage": stage.stage,
        "weights_sha256": [s.weights_sha256 for s in stages],
        "interface": {"kind": config.model.interface.kind, "bits": config.model.interface.bits},
        "policy": rule.name,
        "measures": [m.record() for m in found],
        "examples": examples,
    }
    files.write_json(folder / "report.json", content)
    files.write_text(folder / "report.html", page.html(content, folder))
    return content


def _measured(
    config: Config,
    model: VLM,
    splits: dict[str, Dataset],
    rule: Policy,
    run: RunFolder,
    stage: str,
) -> tuple[list[Measure], list[dict[str, Any]], Path]:
    number = len(list((run.path / "report").glob("*"))) + 1
    there = list((run.path / "report").glob(f"*-{stage}"))
    folder = there[0] if there else run.path / "report" / f"{number}-{stage}"
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    test = splits.get(config.report.split)
    if test is None:
        raise TactError(
            f"report.split={config.report.split}: no such split; there are {list(splits)}"
        )
    answerer = Answerer(model, test, config)
    found: list[Measure] = []
    examples: list[dict[str, Any]] = []
    if config.report.behaviour:
        said = behaviour.answered(
            test, answerer, seed=config.seed, policy=rule, people=config.report.people
        )
        found += behaviour.measures(said, stage=stage, seed=config.seed)
        examples = _examples(said, folder, count=config.report.examples)
    attack = splits.get(config.report.attack_split)
    if config.report.interface and attack is not None:
        theirs = picture_features(model, [row["image"] for row in listed(attack)])
        found += interface.measures(
            model, (attack, theirs), (test, answerer.features), stage=stage, seed=config.seed
        )
    return found, examples, folder


def _examples(
    said: Sequence[behaviour.Answered], folder: Path, *, count: int
) -> list[dict[str, Any]]:
    """Answers of every condition in turn, with their pictures copied into the report."""
    pools: dict[str, list[behaviour.Answered]] = {}
    for one in said:
        if one.row["phrasing"] == "held_out":
            condition = "insisting" if one.insisting else one.row["condition"]
            pools.setdefault(condition, []).append(one)
    spread = [pool[:: max(1, len(pool) // count)] for pool in pools.values()]
    turns = [one for some in zip(*spread, strict=False) for one in some]
    made = []
    for chosen in turns[:count]:
        row = chosen.row
        name = f"pictures/{row['picture_id'].replace('/', '_')}.png"
        open_picture(row["images"][0]).resize((160, 160)).save(folder / name)
        made.append(
            {
                "picture": name,
                "condition": "insisting" if chosen.insisting else row["condition"],
                "turns": [*row["prompt"], {"role": "assistant", "content": chosen.answer}],
            }
        )
    return made
