"""Answers drawn to rows and paired, some units at a time.

What a unit draws is decided by its own rows: by the run's seed, the stage, whose row it is, the
prompt, and how often it was asked before.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor

from conf.schema import SampleConfig
from data.encode import EncodedRow
from data.encoded import EncodedSet
from data.errors import DataError
from data.pictures import identity, key_of, listed
from models.features import picture_features
from models.generate import sampled, side_by_side
from models.vlm import VLM
from train import pairing
from train.pairing import Pair, Scored, Scorer

Unit = Sequence[int]  # its rows' places
Answers = dict[int, list[str | None]]  # row's place → what was drawn


class Drawing:
    """A stage's rows with the model that answers them and what scores its answers.

    ``most`` rows go through the model at once; with ``alone`` never those of two units: how a row
    is rounded depends on what else is in a batch. DataError where rows that are to keep their own
    pairs bring none.
    """

    def __init__(
        self,
        model: VLM,
        wanted: SampleConfig,
        rows: Dataset,
        encoded: EncodedSet,
        *,
        name: str,
        seed: int,
        unit: str,
        scorer: Scorer,
        most: int,
        alone: bool,
    ) -> None:
        if wanted.keep_own and not {"chosen", "rejected"} <= set(rows.column_names):
            raise DataError(
                f"stage.{name}.sample.keep_own=true: its rows bring no pairs (chosen, rejected); "
                "give such rows, or keep_own=false"
            )
        self.model, self.wanted, self.scorer = model, wanted, scorer
        self.encoded, self.features = list(encoded.rows), rows.features  # each is read often
        self.rows = _as_encoded(rows, self.encoded)
        self.name, self.seed, self.unit = name, seed, unit
        self.most, self.alone = most, alone
        self.device = next(model.parameters()).device

    def answers(
        self, parts: Sequence[Sequence[Unit]], *, threads: int
    ) -> Generator[Answers, None, None]:
        """What is drawn to the rows of each part, in order."""
        return side_by_side(self._answered, parts, threads=threads)

    def pairs(self, part: Sequence[Unit], said: Answers) -> list[Pair]:
        """The pairs of a part's units; each unit is scored by itself where it is drawn so."""
        found = []
        for units in self._groups(part):
            rows = [i for unit in units for i in unit]
            made = self._paired(rows, said)
            if self.wanted.keep_own:
                without = [i for i in rows if i not in made]
                made |= self._paired(without, {i: _brought(self.rows[i]) for i in without})
            for unit in units:
                own = [Pair(i, *made[i]) for i in unit if i in made]
                found += pairing.once(own, {i: self._asked(self.encoded[i]) for i in unit})
        return found

    def _paired(self, rows: Sequence[int], said: Answers) -> dict[int, tuple[Scored, Scored]]:
        """Best and worst of what was said to each of ``rows`` that they are far enough apart in."""
        scored = pairing.scored([self.rows[i] for i in rows], [said[i] for i in rows], self.scorer)
        found = {i: pairing.pair(own, self.wanted) for i, own in zip(rows, scored, strict=True)}
        return {i: pair for i, pair in found.items() if pair is not None}

    def _groups(self, part: Sequence[Unit]) -> list[Sequence[Unit]]:
        """Units that may go through the model and the scorer together."""
        return [[unit] for unit in part] if self.alone else [part]

    def _answered(self, part: Sequence[Unit]) -> Answers:
        found: Answers = {}
        for units in self._groups(part):
            rows = [i for unit in units for i in unit]
            seeds = dict(zip(rows, (s for u in units for s in self._seeds(u)), strict=True))
            rows.sort(key=lambda i: len(self.encoded[i].prompt))
            for at in range(0, len(rows), self.most):
                some = rows[at : at + self.most]
                said = sampled(
                    self.model,
                    [self.encoded[i].prompt for i in some],
                    self._pictures([self.encoded[i] for i in some]),
                    seeds=[seeds[i] for i in some],
                    temperature=self.wanted.temperature,
                    max_new_tokens=self.wanted.max_new_tokens,
                )
                found.update(zip(some, said, strict=True))
        return found

    def _pictures(self, rows: Sequence[EncodedRow]) -> Tensor:
        """The tower's features of the rows' pictures in order, each encoded once."""
        every = [(key_of(picture), picture) for row in rows for picture in row.pictures]
        distinct = dict(every)
        features = picture_features(self.model, [*distinct.values()])
        places = {key: i for i, key in enumerate(distinct)}
        return features[torch.tensor([places[key] for key, _ in every], device=features.device)]

    def _seeds(self, unit: Unit) -> Iterator[list[int]]:
        before: Counter[Any] = Counter()
        for row in (self.encoded[i] for i in unit):
            asked = self._asked(row)
            yield [self._seed(row, before[asked], k) for k in range(self.wanted.answers)]
            before[asked] += 1

    def _seed(self, row: EncodedRow, before: int, number: int) -> int:
        """63 bits. A row that is a unit is known by its picture: its name may be its place."""
        by_row = self.unit == "row"
        who = identity(row.pictures[0]).hex() if by_row else row.subject
        text = json.dumps([self.seed, self.name, who, row.prompt, before, number])
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1

    @staticmethod
    def _asked(row: EncodedRow) -> tuple[Any, ...]:
        """What tells a unit's rows apart: the pictures and the prompt."""
        return (*map(key_of, row.pictures), *row.prompt)


def parts_of(units: Sequence[Unit], *, least: int) -> list[list[Unit]]:
    """Whole units in their order, in parts of ``least`` rows or just over."""
    parts: list[list[Unit]] = []
    rows = least
    for unit in units:
        if rows >= least:
            parts.append([])
            rows = 0
        parts[-1].append(unit)
        rows += len(unit)
    return parts


def digest(encoded: EncodedSet) -> str:
    """Hash of all that is asked, and of whom."""
    found = hashlib.sha256()
    for row in encoded.rows:
        found.update(json.dumps([row.row_id, row.subject, row.prompt]).encode() + b"\n")
    return found.hexdigest()


def _as_encoded(rows: Dataset, encoded: Sequence[EncodedRow]) -> list[dict[str, Any]]:
    """The rows that were encoded, in that order, each with its prompt; pictures undecoded."""
    found = {str(row["row_id"]): row for row in listed(rows)}
    if len(found) < len(rows):
        raise DataError("stage.rows: two rows have one row_id; give each its own")
    return [{**found[row.row_id], "prompt": _prompt(found[row.row_id])} for row in encoded]


def _prompt(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The turns before the first answer."""
    if row.get("prompt"):
        return list(row["prompt"])
    roles = [turn["role"] for turn in row["messages"]]
    return list(row["messages"][: roles.index("assistant")])


def _brought(row: dict[str, Any]) -> list[str | None]:
    """The two answers that a row of pairs has."""
    return [row[side][0]["content"] for side in ("chosen", "rejected")]
