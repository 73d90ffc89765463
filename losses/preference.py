"""Preference losses on pairs, per row, from summed log-probabilities.

With z = β·[(log π(y_w) - log π_ref(y_w)) - (log π(y_l) - log π_ref(y_l))] (the implicit reward
gap of Rafailov et al. 2023, "Direct preference optimization", eq. 7). B rows.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def logp_gap(chosen: Tensor, rejected: Tensor, ref_chosen: Tensor, ref_rejected: Tensor) -> Tensor:
    """The log-ratio gap (B,) between chosen and rejected, in nats."""
    return (chosen - ref_chosen) - (rejected - ref_rejected)


def sigmoid(gap: Tensor, *, beta: float, margin: Tensor | None = None) -> Tensor:
    """-log σ(β·gap - margin), (B,): DPO, with the offset of Amini et al. (2024, ODPO, eq. 7)."""
    return -F.logsigmoid(beta * gap - (0.0 if margin is None else margin))


def ipo(gap: Tensor, *, beta: float) -> Tensor:
    """(gap - 1/(2β))², (B,): Azar et al. (2023), eq. 17."""
    return (gap - 1.0 / (2.0 * beta)) ** 2


def hinge(gap: Tensor, *, beta: float) -> Tensor:
    """max(0, 1 - β·gap), (B,): SLiC (Zhao et al. 2023), eq. 1 with log-ratios."""
    return torch.relu(1.0 - beta * gap)


def robust(gap: Tensor, *, beta: float, flip: float) -> Tensor:
    """Unbiased where labels are flipped with probability ``flip``, (B,).

    Chowdhury et al. (2024, "Provably robust DPO"), eq. 9.

    ValueError unless 0 ≤ flip < ½.
    """
    if not 0.0 <= flip < 0.5:
        raise ValueError(f"flip={flip}: the share of flipped labels must lie in [0, 0.5)")
    kept, flipped = -F.logsigmoid(beta * gap), -F.logsigmoid(-beta * gap)
    return ((1 - flip) * kept - flip * flipped) / (1 - 2 * flip)


def reward(personalization: Tensor, leakage: Tensor, *, penalty: float) -> Tensor:
    """r = personalization - λ·leakage, each in [0, 1]; ``penalty`` is λ."""
    return personalization - penalty * leakage
