"""From the rows of a layer's input to units.

U units, R rows, T positions, W rows of a unit at most.
"""

from functools import cached_property

import torch
from torch import Tensor


class Fold:
    """Whose each of R rows is: ``owner`` (R,), numbers below ``units``."""

    def __init__(self, owner: Tensor, units: int) -> None:
        self.owner, self.units = owner, units

    @cached_property
    def single(self) -> bool:
        """Whether row i is all that unit i has."""
        own = torch.arange(self.units, device=self.owner.device)
        return len(self.owner) == self.units and torch.equal(self.owner, own)

    @cached_property
    def counts(self) -> Tensor:
        """Rows of each unit, (U,)."""
        return torch.bincount(self.owner, minlength=self.units)

    @cached_property
    def width(self) -> int:
        """W, at least 1."""
        return max(1, int(self.counts.max())) if self.units else 1

    @cached_property
    def place(self) -> Tensor:
        """Which of its unit's rows each is, (R,)."""
        order = self.owner.argsort(stable=True)
        begins = self.counts.cumsum(0) - self.counts
        place = torch.empty_like(self.owner)
        place[order] = torch.arange(len(order), device=order.device) - begins[self.owner[order]]
        return place

    def summed(self, each: Tensor) -> Tensor:
        """(R, …) → (U, …), a unit's rows added up."""
        if self.single:
            return each
        return each.new_zeros(self.units, *each.shape[1:]).index_add_(0, self.owner, each)

    def in_line(self, each: Tensor) -> Tensor:
        """(R, T, D) → (U, W·T, D): a unit's rows one after the other, the rest zero."""
        if self.single:
            return each
        made = each.new_zeros(self.units, self.width, *each.shape[1:])
        made[self.owner, self.place] = each
        return made.flatten(1, 2)
