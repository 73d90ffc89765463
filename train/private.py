"""A stage with differential privacy: the same terms, clipped by unit, noised once a step.

The released weights of all private stages together are (ε, δ)-DP with respect to adding or removing
one unit, for the ε of ``ledger.json``. What is computed of private rows on the way (losses, norms,
how many were drawn) stays in the run's ``private/``.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from data.collate import Batch, Collator
from data.encoded import EncodedSet
from lineage.errors import TactError
from models import state
from privacy import mechanism, sampling
from privacy.accounting import Event
from privacy.clipping import PerUnit
from privacy.keys import Key
from privacy.ledger import Ledger
from privacy.records import Records
from train import processes
from train.precision import is_half
from train.stage import Stage

MOST_ATTEMPTS = 3
TRAINED_BY = 20  # steps by which each tensor must have had a gradient
CLOSE, CLOSE_HALF = 1e-4, 5e-2  # of the norm of a unit's gradient; in bf16


@dataclass(frozen=True)
class Mechanism:
    """What a private stage needs beside its terms."""

    event: Event
    units: dict[int, list[int]]  # unit → its rows
    expected_units: float
    rows_per_unit: int
    physical_rows: int
    key: Key
    ledger: Ledger
    records: Records
    metrics: Path  # in private/


@dataclass(frozen=True)
class Seen:
    """What one process's share of a step told: private, for the first process alone to note."""

    loss: float
    norms: list[float]
    moved: set[str]


class PrivateStage(Stage):
    """Steps that it draws itself: a batch of the loader is the step's number.

    Of several processes each clips its share of the drawn units; the first one adds up, charges,
    draws the noise and sends all of them the same release.
    """

    automatic_optimization = False

    def prepare(self, made: Mechanism, encoded: EncodedSet) -> None:
        """Take the mechanism and the rows. Raises TactError where a layer has no exact rule."""
        self.mechanism, self.rows = made, encoded.rows
        self.collator = Collator(
            self.model.parts.encoder, index=encoded.index, pixels=self.features is None
        )
        self.engine = PerUnit(self.model, self.trainable)
        self._moved: set[str] = set()
        self._checked = False

    def training_step(self, batch: Any, index: int) -> None:  # type: ignore[override]
        """Draw units, sum their clipped gradients, charge, add noise, step."""
        optimizer, schedule = self.optimizers(), self.lr_schedulers()
        step = self.global_step
        released = self._release(step)
        for name, parameter in self.trainable.items():
            parameter.grad = released[name].to(parameter.dtype)
        optimizer.step()  # type: ignore[union-attr]
        schedule.step()  # type: ignore[union-attr]
        if processes.rank() == 0:
            self._check_moved(step)

    def _release(self, step: int) -> dict[str, Tensor]:
        for attempt in range(MOST_ATTEMPTS):
            sums = self._sum(step, attempt)
            if processes.by_first(partial(self._admitted, step, attempt, sums)):
                released = self._noised(step, attempt, sums) if processes.rank() == 0 else sums
                processes.spread(released)
                return released
            # replayed, and not the same: other units and other noise
        raise TactError(
            f"step {step}: its sum was another one at each of {MOST_ATTEMPTS} replays; the kernels "
            "of this machine are not deterministic: begin the stage again under another run="
        )

    def _admitted(self, step: int, attempt: int, sums: Mapping[str, Tensor]) -> bool:
        """Whether noise may be drawn for that sum; charged if so."""
        made = self.mechanism
        if not made.records.admit(step, attempt, state.digest(sums).hex()):
            return False
        made.ledger.charge(made.event.stage, made.records.charged)
        return True

    def _noised(self, step: int, attempt: int, sums: Mapping[str, Tensor]) -> dict[str, Tensor]:
        made, event = self.mechanism, self.mechanism.event
        return mechanism.release(
            sums,
            noise_multiplier=event.noise_multiplier,
            max_grad_norm=event.max_grad_norm,
            expected_units=made.expected_units,
            stream=made.key.stream("noise", event.stage, step, attempt),
        )

    def _sum(self, step: int, attempt: int) -> dict[str, Tensor]:
        """The sum over the drawn units of their clipped gradients; whole on the first process."""
        chosen = self._drawn(step, attempt)
        own = sampling.share(chosen, rank=processes.rank(), world=processes.world())
        total = {
            n: torch.zeros_like(p, dtype=torch.float32, memory_format=torch.contiguous_format)
            for n, p in self.trainable.items()
        }
        seen = processes.by_all(partial(self._add, own, total))
        processes.add_up(total)
        self._moved |= set().union(*(each.moved for each in seen))
        if processes.rank() == 0:
            self._note(step, seen)
        return total

    def _drawn(self, step: int, attempt: int) -> dict[int, list[int]]:
        """The step's units and rows, the same on every process."""
        made = self.mechanism
        stream = made.key.stream("units", made.event.stage, step, attempt)
        drawn = sampling.draw(len(made.units), rate=made.event.sample_rate, stream=stream)
        return sampling.rows_of(drawn, made.units, most=made.rows_per_unit, stream=stream)

    def _add(self, own: Mapping[int, Sequence[int]], total: dict[str, Tensor]) -> Seen:
        """Add the clipped gradients of ``own`` units to ``total``."""
        losses, norms = 0.0, []
        for physical in sampling.physical(own, rows=self.mechanism.physical_rows):
            loss, found = self._clipped(physical)
            for name, value in found.sums.items():
                total[name] += value
            losses += loss
            norms += found.norms.tolist()
        return Seen(losses, norms, {n for n, value in total.items() if bool(value.any())})

    def _clipped(self, physical: Mapping[int, list[int]]) -> tuple[float, Any]:
        batch, owner = self._batch(physical)
        doubled = self.model.pairs == "two_rows"
        self.engine.begin(len(physical), owner, pictures=owner[batch.picture_row], doubled=doubled)
        loss = self._total(batch)
        with in_float32(self.device):
            loss.backward()  # type: ignore[no-untyped-call]
            found = self.engine.clip(self.mechanism.event.max_grad_norm)
        if not self._checked:
            self._checked = True
            self._compare(physical)
        return float(loss.detach()), found

    def _batch(self, physical: Mapping[int, list[int]]) -> tuple[Batch, Tensor]:
        rows = [row for own in physical.values() for row in own]
        owner = [i for i, own in enumerate(physical.values()) for _ in own]
        batch = self.collator(self.rows.__getitems__(rows)).to(self.device)
        return batch, torch.tensor(owner, device=self.device)

    def _total(self, batch: Batch) -> Tensor:
        """Sum over the rows of the weighted terms: units add up, no row's value has a count."""
        values = self.values(batch)
        return torch.stack([self.weights[k] * v.sum() for k, v in values.items()]).sum()

    def _compare(self, physical: Mapping[int, list[int]]) -> None:
        """One unit's gradient against a plain backward of it alone, once a process.

        TactError where they differ: then a layer or a loss mixes rows.
        """
        unit, rows = next(iter(physical.items()))
        with in_float32(self.device):
            ours = self.engine.gradients(0)
        self.engine.close()
        batch, _ = self._batch({unit: rows})
        names, weights = list(self.trainable), list(self.trainable.values())
        plain = torch.autograd.grad(self._total(batch), weights, allow_unused=True)
        self.engine = PerUnit(self.model, self.trainable)
        size = sum(float(g.float().square().sum()) for g in plain if g is not None) ** 0.5
        close = CLOSE_HALF if is_half(self, self.device) else CLOSE
        for name, expected in zip(names, plain, strict=True):
            found = ours.get(name)
            wanted = torch.zeros_like(self.trainable[name]) if expected is None else expected
            found = torch.zeros_like(wanted) if found is None else found
            if float((found - wanted.float()).norm()) > close * size + 1e-7:
                raise TactError(
                    f"{name}: a unit's gradient in a batch is not that of the unit alone; a layer "
                    "or a loss mixes rows. Train without it, or privacy.epsilon=null"
                )

    def _check_moved(self, step: int) -> None:
        last = self.config.steps - 1
        if step == min(TRAINED_BY, last) and (still := sorted(set(self.trainable) - self._moved)):
            raise TactError(
                f"{still[0]} and {len(still) - 1} more have had no gradient in {step + 1} steps: "
                "they would be noise alone. Take them out of the stage's train, or its losses"
            )

    def _note(self, step: int, seen: Sequence[Seen]) -> None:
        """Figures of private rows: for the owner alone."""
        every = torch.tensor([norm for each in seen for norm in each.norms])
        bound = self.mechanism.event.max_grad_norm
        units = len(every)
        line = {
            "step": step, "units": units, "loss": sum(s.loss for s in seen) / max(1, units),
            "clipped": float((every > bound).float().mean()) if units else 0.0,
            "norm_median": float(every.median()) if units else 0.0,
        }  # fmt: skip
        new = not self.mechanism.metrics.exists()
        with self.mechanism.metrics.open("a") as file:
            if new:
                self.mechanism.metrics.chmod(0o600)
            file.write(json.dumps(line) + "\n")


@contextmanager
def in_float32(device: torch.device) -> Iterator[None]:
    """Norms and sums in float32, whatever precision the stage computes its losses in.

    Recorded values are widened before they are multiplied; autocast would narrow them again.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.set_default_dtype(before)


class StepNumbers(Sampler[int]):
    """The loader's order: each step's number, from ``start`` on."""

    def __init__(self, *, start: int, steps: int) -> None:
        self.start, self.steps = start, steps

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[int]:
        yield from range(self.start, self.steps)


def step_numbers(*, start: int, steps: int) -> DataLoader[Any]:
    """A private stage's loader: numbers, since each step draws its own units."""
    everyone: Any = range(steps)
    order = StepNumbers(start=start, steps=steps)
    own = torch.Generator()  # its draw per iterator must not move the stage's random state
    return DataLoader(everyone, batch_size=None, sampler=order, generator=own)
