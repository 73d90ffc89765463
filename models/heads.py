"""Heads that tell attributes from pictures: the reader, the facts, and what both are made of.

B pictures, N positions, D features, C classes.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class AttributeHeads(nn.Module):
    """One classifier an attribute on all positions, flattened; hidden layer by ``width``.

    All positions flattened, not pooled: pooled heads learn far slower on a small tower, and a
    pooled adversary misses what single positions tell.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        classes: Mapping[str, Sequence[str]],
        *,
        width: int = 0,
        normalise: bool = False,
    ) -> None:
        super().__init__()
        positions, size = shape
        self.normalise = normalise
        self.names = tuple(classes)
        inputs = positions * size
        self.heads = nn.ModuleDict(
            {name: _classifier(inputs, len(values), width) for name, values in classes.items()}
        )

    def forward(self, values: Tensor) -> dict[str, Tensor]:
        """``values`` (B, N, D) → logits of each attribute (B, C)."""
        if self.normalise:
            values = F.layer_norm(values, values.shape[-1:])
        flat = values.flatten(1)  # (B, N * D)
        return {name: self.heads[name](flat) for name in self.names}


def _classifier(inputs: int, classes: int, width: int) -> nn.Module:
    if not width:
        return nn.Linear(inputs, classes)
    return nn.Sequential(nn.Linear(inputs, width), nn.GELU(), nn.Linear(width, classes))


def probabilities(logits: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Softmax of each attribute's logits, (B, C)."""
    return {name: torch.softmax(value, dim=-1) for name, value in logits.items()}
