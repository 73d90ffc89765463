"""A large layer's gradients that are never formed by unit: their norms first, their sum later.

R rows, T positions, I and O sizes of the layer's input and output, U units.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from privacy.folding import Fold


@dataclass(frozen=True)
class Late:
    """One use of a linear layer; unit u's gradient is the sum of g_t x_tᵀ over its rows."""

    x: Tensor  # (R, T, I)
    g: Tensor  # (R, T, O)
    fold: Fold
    squared_norms: Tensor  # (U,)

    def by_unit(self) -> Tensor:
        """What was to be avoided, (U, O, I)."""
        return self.fold.in_line(self.g).transpose(1, 2) @ self.fold.in_line(self.x)

    def weighted(self, factor: Tensor) -> Tensor:
        """Σ_u factor_u of the units' gradients, (O, I), by ``factor`` (U,)."""
        scaled = self.g * factor[self.fold.owner, None, None]
        return scaled.flatten(0, 1).T @ self.x.flatten(0, 1)

    def without(self, units: Tensor) -> "Late":
        """The same, nothing of the ``units`` (U,) that are true."""
        gone = units[self.fold.owner, None, None]
        return replace(self, x=self.x.masked_fill(gone, 0.0), g=self.g.masked_fill(gone, 0.0))


def is_cheaper(layer: nn.Linear, positions: int) -> bool:
    """Whether a norm by T x T products costs less memory than the gradient itself.

    2·T² against O·I numbers a unit (Bu et al. 2022, "Scalable and efficient training of large
    convolutional networks with differential privacy", the mixed rule of section 4).
    """
    return 2 * positions**2 < layer.weight.numel()


class Products:
    """x xᵀ by unit, (U, T, T), kept for the layers that read the same x, as q, k and v do."""

    def __init__(self) -> None:
        self._of: Tensor | None = None

    def late(self, x: Tensor, g: Tensor, fold: Fold) -> Late:
        """‖Σ_t g_t x_tᵀ‖² = Σ_st (g gᵀ)_st (x xᵀ)_st without forming the gradient."""
        if self._of is None or (self._of.data_ptr(), self._of.shape) != (x.data_ptr(), x.shape):
            lined = fold.in_line(x)
            self._of, self._kept = x, lined @ lined.transpose(1, 2)
        lined = fold.in_line(g)
        norms = torch.linalg.vecdot(self._kept, lined @ lined.transpose(1, 2)).sum(1)
        return Late(x, g, fold, norms.clamp(min=0.0))
