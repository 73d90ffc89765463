"""Unlikelihood of words that give away what a user did not share.

Welleck et al. (2019, "Neural text generation with unlikelihood training", eq. 4), with a group
of words an attribute in place of single tokens. N positions, G attributes, B rows.
"""

import torch
from torch import Tensor

from losses.language import mean_by


def unlikelihood(mass: Tensor, unshared: Tensor, owner: Tensor, count: int) -> Tensor:
    """Mean over a row's positions of -log(1 - p), summed over its unshared attributes, (count,).

    ``mass`` (N, G): probability of each attribute's words; ``unshared`` (N, G): whether the
    position's row kept that attribute to itself; ``owner`` (N,): the position's row.
    """
    penalty = -torch.log1p(-mass.clamp(max=0.999)) * unshared.to(mass.dtype)
    return mean_by(penalty.sum(1), owner, count)
