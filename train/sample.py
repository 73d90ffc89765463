"""A stage that draws: answers of the model as it is, scored, and paired for a preference stage.

Nothing trains, so nothing is released: pairs stay in the run's ``private/``. With privacy.epsilon
each unit is drawn, scored and paired alone, so that its pairs are a function of its own rows, of
public data, and of weights that the ledger accounts for. Adding a person changes nobody's pairs.
"""

import math
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any

import torch
from datasets import Dataset
from rich.progress import track

from conf import compose, rules, target
from conf.schema import Config
from data.policy import Policy
from data.sets.terms import carried
from lineage import people
from lineage.errors import TactError
from lineage.run import RunFolder
from models import configured, state
from train import accounted, pair_files, processes, stopping
from train.clock import Clock
from train.drawing import Drawing, digest, parts_of
from train.pairing import Pair
from train.progress import console
from train.rows import encoded_rows, stage_rows
from train.units import check_bounded, units_of

CHECKED = 4  # units that are drawn and scored once more, alone


def sample(
    config: Config, name: str, run: RunFolder, splits: Mapping[str, Dataset], policy: Policy
) -> None:
    """Draw the pairs of stage ``name`` to the last. Raises TactError, Interrupted.

    A part is whole or not there: the same command goes on, and ends with the same pairs.
    """
    stage, private = config.stage[name], rules.is_private(config, config.stage[name])
    assert stage.sample is not None
    clock = Clock()
    started = [*run.finished_stages()]
    public = rules.is_public(config, stage)
    begin = partial(run.begin, name, trains=[], steps=0, public=public)
    folder = processes.by_first(partial(begin, terms=carried(config.data.source)))
    model = configured.finished(config, run, policy, stages=started).to(_device(config))
    rows = stage_rows(stage.rows, splits[stage.people], seed=config.seed, policy=policy)
    with clock.preparing():
        encoded = encoded_rows(config, name, run, rows, model.parts.encoder)
    subjects = set(encoded.subjects)
    note = partial(people.note, run, name, kind=people.STAGE, split=stage.people, people=subjects)
    processes.by_first(note)
    unit = config.privacy.unit if private else "subject"
    if private:
        check_bounded(config, stage, splits[stage.people], rows, policy)
    drawing = Drawing(
        model, stage.sample, rows, encoded, name=name, seed=config.seed, unit=unit,
        scorer=target.function(stage.sample.score, where=f"stage.{name}.sample.score"),
        most=stage.batch_size_rows, alone=private,
    )  # fmt: skip
    parts = parts_of([*units_of(encoded.subjects, unit).values()], least=stage.batch_size_rows)
    weights = [s.weights_sha256 for s in started]
    plan = {"stage": compose.told(stage), "seed": config.seed, "weights": weights,
            "rows": digest(encoded)}  # fmt: skip
    processes.by_first(lambda: pair_files.begin(run, name, plan=plan))
    shown = config.trainer.progress and processes.rank() == 0
    caught = processes.by_all(lambda: _draw(config, run, name, drawing, parts, clock, shown=shown))
    if number := max(caught):
        raise stopping.interrupted(number, "between two parts, those that are drawn are saved")

    def end() -> None:
        if private:
            _check_alone(run, name, drawing, parts)
        kept = sum(pair_files.told(pair_files.part(run, name, i)) for i in range(len(parts)))
        told = {"rows": len(encoded.rows), "pairs": kept}
        pair_files.end(run, name, parts=len(parts), told=told)
        state.write(run.weights(name), {}, note={"drawn_by": name, "of": str(weights[-1:])})
        run.end(name)
        if private:
            accounted.close(run, name)
        clock.keep(config, name, run, encoded, parts=math.ceil(len(parts) / processes.world()))
        if shown:  # how many pairs private people have is a figure of theirs
            said = "done" if private else f"{kept} pairs of {len(encoded.rows)} rows"
            console.print(f"{folder.name}: {said}")

    processes.by_first(end)


def _draw(
    config: Config,
    run: RunFolder,
    name: str,
    drawing: Drawing,
    parts: Sequence[Sequence[Sequence[int]]],
    clock: Clock,
    *,
    shown: bool,
) -> int:
    """Draw this process's share of what is missing; a signal that came meanwhile, or 0."""
    mine = range(processes.rank(), len(parts), processes.world())
    missing = [i for i in mine if not pair_files.part(run, name, i).exists()]
    threads = config.trainer.threads if drawing.device.type == "cpu" else 1
    torch.set_flush_denormal(True)
    answers = drawing.answers([parts[i] for i in missing], threads=threads)
    bar = track(
        zip(missing, answers, strict=True), f"drawing {name}", total=len(missing),
        console=console, transient=True, disable=not (shown and console.is_terminal),
    )  # fmt: skip
    with stopping.noted() as caught, closing(answers):
        for number, said in bar:
            found = drawing.pairs(parts[number], said)
            path = pair_files.part(run, name, number)
            pair_files.write(path, drawing.rows, found, drawing.features)
            clock.tick()
            if caught():
                break
        return caught()


def _check_alone(
    run: RunFolder, name: str, drawing: Drawing, parts: Sequence[Sequence[Sequence[int]]]
) -> None:
    """TactError unless some units have the same pairs when they are scored again, alone.

    A scorer that keeps a mean of what it has seen would give them others.
    """
    some = [(number, unit) for number, part in enumerate(parts) for unit in part][:CHECKED]
    for number, unit in reversed(some):
        (said,) = drawing.answers([[unit]], threads=1)
        again = _told(drawing.rows, drawing.pairs([unit], said))
        stored = pair_files.of_rows(
            pair_files.part(run, name, number), {drawing.rows[i]["row_id"] for i in unit}
        )
        if again != stored:
            raise TactError(
                f"stage.{name}.sample.score: a person's answers scored again have other scores, so "
                "it depends on what else it has seen; score each answer by itself, with constants "
                "(no mean, rank or scale over people)"
            )


def _told(rows: Sequence[Mapping[str, Any]], found: Sequence[Pair]) -> list[Any]:
    return [pair_files.key(rows[p.row]["row_id"], p.chosen, p.rejected) for p in found]


def _device(config: Config) -> torch.device:
    if config.trainer.accelerator == "cpu":
        return torch.device("cpu")
    return torch.device("cuda", processes.rank() % config.trainer.devices)
