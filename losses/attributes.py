"""Cross-entropy of attribute heads, per row, and gradient reversal for adversaries.

B rows, C classes, A attributes. A label of -1 is unknown and counts nothing.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def cross_entropy(
    logits: Mapping[str, Tensor], labels: Mapping[str, Tensor], *, mask: Tensor | None = None
) -> Tensor:
    """Mean over a row's known attributes of the cross-entropy, (B,).

    ``mask`` (B, A) in the order of ``logits`` leaves out what must not be read of a row.
    """
    losses, counts = [], []
    for i, (name, value) in enumerate(logits.items()):
        label = labels[name]
        known = label >= 0 if mask is None else (label >= 0) & mask[:, i]
        loss = F.cross_entropy(value.float(), label.clamp(min=0), reduction="none")
        losses.append(loss * known)
        counts.append(known)
    total = torch.stack(counts).sum(0).clamp(min=1)
    summed: Tensor = torch.stack(losses).sum(0)
    return summed / total


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * grads[0], None


def reverse(values: Tensor, strength: float) -> Tensor:
    """Identity forward, gradient times -strength backward (Ganin and Lempitsky 2015, eq. 18)."""
    result: Tensor = _Reverse.apply(values, strength)  # type: ignore[no-untyped-call]
    return result


def ramp(step: int, steps: int) -> float:
    """2/(1 + e^(-10 p)) - 1 at p = step/steps: the adversary's schedule (ibid., section 3.1)."""
    progress = torch.tensor(min(1.0, step / max(1, steps)))
    return float(2.0 / (1.0 + torch.exp(-10.0 * progress)) - 1.0)
