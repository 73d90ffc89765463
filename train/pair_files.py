"""Pairs of a stage that samples: TRL's preference rows in the run's ``private/`` (mode 600).

``private/pairs-<stage>/`` holds a part for some people each, an Arrow file that is whole or not
there, and ``whole.json`` once all are. They are never exported; a child takes its parent's.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, Features, concatenate_datasets

from data import table_files
from data.dialogues.features import SCORES, TURNS
from data.errors import DataError
from data.pictures import undecoded
from lineage import files
from lineage.errors import TactError
from lineage.forget import PAIRS
from lineage.run import RunFolder
from train.pairing import Pair, Scored

PLAN, WHOLE = "plan.json", "whole.json"
ANSWERS = ("messages", "completion", "chosen", "rejected", "chosen_scores", "rejected_scores")


def folder(run: RunFolder, stage: str) -> Path:
    """Where the stage's parts lie."""
    return run.private / f"{PAIRS}{stage}"


def part(run: RunFolder, stage: str, number: int) -> Path:
    """Where a part lies; it is there only when whole."""
    return folder(run, stage) / f"part-{number:05d}.arrow"


def begin(run: RunFolder, stage: str, *, plan: Mapping[str, Any]) -> None:
    """Go on with the parts that are there, or drop them where they are of another ``plan``."""
    where = folder(run, stage)
    where.mkdir(mode=0o700, exist_ok=True)
    if (where / PLAN).exists() and files.read_json(where / PLAN) == plan:
        return
    for old in where.iterdir():
        old.unlink()
    files.write_json(where / PLAN, plan, mode=0o600)


def write(
    path: Path, rows: Sequence[Mapping[str, Any]], found: Sequence[Pair], features: Features
) -> None:
    """The pairs ``found`` of ``rows`` (as ``listed``, each with its prompt) as a part.

    ``features`` are those of the rows' table.
    """
    made = []
    for pair in found:
        row = {k: v for k, v in rows[pair.row].items() if k not in ANSWERS}
        row.update(
            chosen=[{"role": "assistant", "content": pair.chosen.text}],
            rejected=[{"role": "assistant", "content": pair.rejected.text}],
            chosen_scores=pair.chosen.scores,
            rejected_scores=pair.rejected.scores,
        )
        made.append(row)
    kinds = _features(features)
    table_files.write(path, [{name: row[name] for name in kinds} for row in made], kinds)


def _features(features: Features) -> Features:
    """Those of a part: the row's own, its prompt, and what was said."""
    own = {name: kind for name, kind in features.items() if name not in ANSWERS}
    own.setdefault("prompt", features.get("messages"))
    pair = dict.fromkeys(("chosen", "rejected"), TURNS)
    return Features({**own, **pair, "chosen_scores": SCORES, "rejected_scores": SCORES})


def end(run: RunFolder, stage: str, *, parts: int, told: Mapping[str, int]) -> None:
    """Note that all parts are there, and for the owner what they hold."""
    files.write_json(folder(run, stage) / WHOLE, {"parts": parts, **told}, mode=0o600)


def of_rows(path: Path, row_ids: Collection[str]) -> list[tuple[Any, ...]]:
    """The pairs that a part has of these rows, as ``key`` tells them."""
    return [
        (row["row_id"], row["chosen"][0]["content"], row["rejected"][0]["content"],
         *row["chosen_scores"].values(), *row["rejected_scores"].values())
        for row in undecoded(_part(path)) if row["row_id"] in row_ids
    ]  # fmt: skip


def key(row_id: str, chosen: Scored, rejected: Scored) -> tuple[Any, ...]:
    """A pair as a part holds it: scores are of 32 bits there."""
    both = (*chosen.scores.values(), *rejected.scores.values())
    return (row_id, chosen.text, rejected.text, *(float(np.float32(x)) for x in both))


def _part(path: Path) -> Dataset:
    """A part in memory: of one that is mapped from disk, ``datasets`` keeps copies beside it."""
    return Dataset.from_file(str(path), in_memory=True)


def told(path: Path) -> int:
    """How many pairs a part holds."""
    return len(_part(path))


def read(run: RunFolder, stage: str, *, people: Collection[str]) -> Dataset:
    """All pairs of the stage, of ``people`` alone.

    TactError where the stage is not done or a part is gone; DataError where it kept no pair, or one
    is of somebody else.
    """
    done = stage in [state.stage for state in run.finished_stages()]
    where = folder(run, stage)
    if not done or not (where / WHOLE).exists():
        raise TactError(
            f"rows_from={stage}: run={run.name} has no pairs of that stage; put it before this one "
            f"in steps, or start from a run that has them (parent=RUN@{stage})"
        )
    there = [part(run, stage, i) for i in range(files.read_json(where / WHOLE)["parts"])]
    if gone := [path.name for path in there if not path.exists()]:
        raise TactError(
            f"rows_from={stage}: {len(gone)} parts of run={run.name} are gone, {gone[0]} first; "
            "restore them, or sample again under another run="
        )
    rows = concatenate_datasets([_part(path) for path in there])
    if not len(rows):
        raise DataError(
            f"rows_from={stage}: of no row two answers were far enough apart; lower "
            f"stage.{stage}.sample.min_gap or min_reward, or raise answers or temperature"
        )
    if set(rows["subject_id"]) - set(people):
        raise DataError(
            f"rows_from={stage}: pairs of people who are not in this stage's split; sample again "
            "under another run="
        )
    return undecoded(rows)


def inherit(run: RunFolder, parent: RunFolder, stages: Collection[str]) -> None:
    """Take over the pairs of the parent's ``stages``, those that sampled."""
    for stage in stages:
        theirs = folder(parent, stage)
        for path in sorted(theirs.glob("*")) if (theirs / WHOLE).exists() else ():
            own = folder(run, stage)
            own.mkdir(mode=0o700, exist_ok=True)
            files.link_or_copy(path, own / path.name, mode=0o600)
