"""A stage's rows: made or read, encoded, checked, and served in a resumable order.

The order is a function of (seed, step) alone, so a run that goes on from step s draws what it
would have drawn without the break.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch.utils.data import DataLoader, Sampler

from conf import target
from data.collate import Collator, name_of, open_picture
from data.consent import check
from data.encode import EncodedRow, Encoder, RowError, encode
from data.errors import DataError
from data.pictures import undecoded
from data.policy import Policy
from lineage import files
from lineage.errors import TactError
from train import processes


@dataclass(frozen=True)
class EncodedSet:
    """Rows of a stage as ids, with the distinct pictures that they show."""

    rows: list[EncodedRow]
    pictures: list[Any]
    number: dict[str, int]  # picture's key → its place in ``pictures``
    rejected: int = 0  # rows that were bad

    def index(self, picture: Any) -> int:
        """Place of a picture among the distinct ones."""
        return self.number[key_of(picture)]


def encoded_set(
    rows: Dataset, encoder: Encoder, *, max_length: int, max_rejects: float, rejects: Path
) -> EncodedSet:
    """Encode all rows; bad ones are counted, named in ``rejects`` and bounded.

    Raises DataError where more than ``max_rejects`` (a share) of them are bad, or none is left.
    """
    rows = undecoded(rows)
    good: list[EncodedRow] = []
    bad: list[dict[str, str]] = []
    seen = SeenPictures(encoder)
    for row in rows:
        try:
            encoded = encode(row, encoder)
            if len(encoded) > max_length:
                raise RowError(
                    f"longer than data.max_length_tokens={max_length} (raise it; no row is cut): "
                    f"{len(encoded)} tokens, {encoder.tokens_per_picture} a picture"
                )
            seen.check(encoded.pictures)
            good.append(encoded)
        except RowError as error:
            bad.append({"row_id": str(row.get("row_id")), "reason": str(error)})
    if bad:
        files.write_text(rejects, "".join(json.dumps(b) + "\n" for b in bad), mode=0o600)
    if len(bad) > max_rejects * len(rows) or not good:
        raise DataError(_rejected(bad, len(rows), max_rejects, rejects))
    distinct: dict[str, Any] = {}
    for row_ in good:
        for picture in row_.pictures:
            distinct.setdefault(key_of(picture), picture)
    number = {key: place for place, key in enumerate(distinct)}
    return EncodedSet(good, list(distinct.values()), number, len(bad))


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


def key_of(picture: Any) -> str:
    """What tells two pictures apart without decoding them."""
    if isinstance(picture, dict) and picture.get("bytes") is not None:
        return f"bytes-{hash(picture['bytes'])}"
    return str(picture["path"] if isinstance(picture, dict) else picture)


class SeenPictures:
    """Pictures that can be opened and that the image processor takes, each looked at once."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self.readable: dict[str, str | None] = {}  # picture's key → why it can't be taken
        self.sizes: dict[tuple[int, int], str | None] = {}  # the same by size in pixels

    def check(self, pictures: Sequence[Any]) -> None:
        """RowError on the first that can't be taken."""
        for picture in pictures:
            key = key_of(picture)
            if key not in self.readable:
                self.readable[key] = self._why_not(picture)
            if reason := self.readable[key]:
                raise RowError(reason)

    def _why_not(self, picture: Any) -> str | None:
        try:
            opened = open_picture(picture)
        except DataError as error:
            return str(error)
        if opened.size not in self.sizes:
            self.sizes[opened.size] = self._refused(opened)
        if (refused := self.sizes[opened.size]) is None:
            return None
        width, height = opened.size
        return f"pictures of {width} x {height} px are refused ({refused}): {name_of(picture)}"

    def _refused(self, opened: Any) -> str | None:
        try:
            self.encoder.pixels([opened])
        except (ValueError, TypeError, RuntimeError, ArithmeticError, LookupError) as error:
            return (str(error) or type(error).__name__).splitlines()[0].replace(":", ";")
        return None


def _rejected(bad: Sequence[dict[str, str]], total: int, allowed: float, rejects: Path) -> str:
    reasons = Counter(b["reason"].split(":")[0] for b in bad).most_common(3)
    listed = "; ".join(f"{count} x {reason}" for reason, count in reasons)
    return (
        f"{len(bad)} of {total} rows are bad ({listed}); data.max_rejects allows "
        f"{allowed:.1%}. They are named in {rejects.name} of the run's private/ folder: "
        "mend them, or raise data.max_rejects"
    )


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
