"""A stage's rows: made or read, checked, and served in a resumable order.

The order is a function of (seed, step) alone, so a run that goes on from step s draws what it
would have drawn without the break.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import torch
from datasets import Dataset
from torch.utils.data import DataLoader, Sampler

from conf import target
from conf.schema import Config, StageConfig
from data.collate import Collator
from data.consent import check
from data.encode import Encoder
from data.encoded import EncodedSet
from data.policy import Policy
from data.prepared import cache_folder
from data.preparing import encoded_set
from lineage.errors import TactError
from lineage.run import RunFolder
from train import processes


def stage_rows(
    settings: Mapping[str, Any], pictures: Dataset, *, seed: int, policy: Policy
) -> Dataset:
    """The rows that a stage's ``rows`` makes of a split's pictures.

    DataError where a row states an attribute that the policy prohibits.
    """
    make = target.function(settings, where="stage.rows")
    rows: Dataset = make(pictures, seed=seed, policy=policy)
    if "shared" in rows.column_names and policy.prohibited:
        for shared in rows["shared"]:
            check(shared or {}, policy)
    return rows


def encoded_rows(
    config: Config, name: str, run: RunFolder, rows: Dataset, encoder: Encoder
) -> EncodedSet:
    """Stage ``name``'s rows as ids; of several processes the first prepares them for all.

    Raises DataError as ``encoded_set`` does.
    """
    prepare = partial(
        encoded_set,
        rows,
        encoder,
        max_length=config.data.max_length_tokens,
        max_rejects=config.data.max_rejects,
        rejects=run.private / f"rejects-{name}.jsonl",
        cache=cache_folder(config),
    )
    return processes.first_before_others(prepare)


def steps_of(stage: StageConfig, rows: int) -> int:
    """The stage's optimiser steps: as given, or as many as its epochs take with so many ``rows``.

    Rows of an epoch that fill no batch wait for the next one, which is in another order.
    """
    if stage.epochs is None:
        return stage.steps
    return max(1, round(stage.epochs * (rows // min(stage.batch_size_rows, rows))))


class StepSampler(Sampler[list[int]]):
    """Batches of row numbers, one a step, each epoch another permutation, from ``start`` on.

    A step's rows are the same for any number of processes (``world``): each takes every world-th
    of them, in ``parts`` that follow each other. TactError where that leaves unequal shares.
    """

    def __init__(
        self,
        rows: int,
        *,
        batch: int,
        steps: int,
        seed: int,
        start: int = 0,
        rank: int = 0,
        world: int = 1,
        parts: int = 1,
    ) -> None:
        self.rows, self.batch, self.steps = rows, min(batch, rows), steps
        self.seed, self.start = seed, start
        self.rank, self.world, self.parts = rank, world, parts
        if self.batch % (world * parts):
            raise TactError(
                f"a step of {self.batch} rows (the stage has {rows}) does not divide by {world} "
                f"processes x trainer.accumulate={parts}: change stage.NAME.batch_size_rows"
            )

    def __len__(self) -> int:
        return self.steps * self.parts

    def __iter__(self) -> Iterator[list[int]]:
        per_epoch = self.rows // self.batch
        epoch, order = -1, torch.empty(0)
        for step in range(self.start, self.steps):
            if step // per_epoch != epoch:
                epoch = step // per_epoch
                generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
                order = torch.randperm(self.rows, generator=generator)
            at = (step % per_epoch) * self.batch
            own = order[at : at + self.batch][self.rank :: self.world]
            yield from own.view(self.parts, -1).tolist()


def loader(
    encoded: EncodedSet,
    encoder: Encoder,
    *,
    batch: int,
    steps: int,
    seed: int,
    start: int,
    pixels: bool,
    parts: int = 1,
) -> DataLoader[Any]:
    """This process's share of ``encoded`` from step ``start`` on, in ``parts`` a step."""
    collator = Collator(encoder, index=encoded.index, pixels=pixels)
    sampler = StepSampler(
        len(encoded.rows),
        batch=batch,
        steps=steps,
        seed=seed,
        start=start,
        rank=processes.rank(),
        world=processes.world(),
        parts=parts,
    )
    rows: Any = encoded.rows
    own = torch.Generator()  # its draw per iterator must not move the stage's random state
    return DataLoader(rows, batch_sampler=sampler, collate_fn=collator, generator=own)
