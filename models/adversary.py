"""Training adversaries: they learn an attribute from what a model shows, and the model unlearns.

Gradient reversal (Ganin and Lempitsky 2015, "Unsupervised domain adaptation by
backpropagation", eq. 18) lets one backward pass train both: the adversary descends its
cross-entropy, what lies before the reversal ascends it. No figure of privacy rests on these:
the report fits fresh attackers.

B pictures or rows, N positions, D features.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from models.heads import AttributeHeads

KINDS = ("linear", "mlp", "attention")


class AttentionAdversary(nn.Module):
    """One learnt query an attribute attends over the positions, then a small classifier."""

    def __init__(
        self, shape: tuple[int, int], classes: Mapping[str, Sequence[str]], *, width: int = 64
    ) -> None:
        super().__init__()
        positions, size = shape
        self.names = tuple(classes)
        self.place = nn.Parameter(torch.randn(positions, size) * 0.1)
        self.key = nn.Linear(size, width)
        self.value = nn.Linear(size, width)
        self.query = nn.Parameter(torch.randn(len(classes), width) * 0.1)
        self.heads = nn.ModuleDict(
            {
                name: nn.Sequential(nn.GELU(), nn.Linear(width, len(values)))
                for name, values in classes.items()
            }
        )

    def forward(self, values: Tensor) -> dict[str, Tensor]:
        """``values`` (B, N, D) → logits of each attribute (B, C)."""
        placed = values + self.place
        scores = self.query @ self.key(placed).transpose(1, 2)  # (B, A, N)
        mixed = torch.softmax(scores, dim=-1) @ self.value(placed)  # (B, A, width)
        return {name: self.heads[name](mixed[:, i]) for i, name in enumerate(self.names)}


class Adversaries(nn.Module):
    """Several adversaries of different kinds on the same input; their losses are averaged."""

    def __init__(
        self,
        kinds: Sequence[str],
        shape: tuple[int, int],
        classes: Mapping[str, Sequence[str]],
    ) -> None:
        super().__init__()
        self.members = nn.ModuleDict({kind: build(kind, shape, classes) for kind in kinds})

    def forward(self, values: Tensor) -> dict[str, dict[str, Tensor]]:
        """``values`` (B, N, D) → for each kind, the logits of each attribute (B, C)."""
        return {kind: member(values) for kind, member in self.members.items()}


def build(kind: str, shape: tuple[int, int], classes: Mapping[str, Sequence[str]]) -> nn.Module:
    """The adversary of that kind on inputs of ``shape`` (N, D); ValueError on an unknown kind."""
    if kind == "linear":
        return AttributeHeads(shape, classes)
    if kind == "mlp":
        return AttributeHeads(shape, classes, width=64)
    if kind == "attention":
        return AttentionAdversary(shape, classes)
    raise ValueError(f"unknown adversary {kind!r}; known: {', '.join(KINDS)}")
