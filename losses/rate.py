"""What a picture's bits cost beyond what is needed: an upper bound on their entropy.

R = -Σ_j [b_j log₂ p_j + (1 - b_j) log₂(1 - p_j)], p_j the share of rows whose bit j is set: the
rate term of Ballé et al. (2017, "End-to-end optimized image compression", eq. 10) with a prior of
independent bits. Its mean over the rows is Σ_j H(p_j), which is at least the entropy of the words.
P pictures.
"""

from torch import Tensor

LEAST = 0.01  # a bit that is nearly constant costs nearly nothing, and its gradient stays bounded


def rate(bits: Tensor, share: Tensor | None = None) -> Tensor:
    """Bits that each picture's code costs, (P,), from its bits in [0, 1], (P, M).

    ``share`` (M,) of pictures whose bit is set, by default those of the batch, carries no gradient.
    It mixes rows: not for DP.
    """
    share = (bits.mean(0) if share is None else share).detach().clamp(LEAST, 1 - LEAST)
    cost: Tensor = -(bits * share.log2() + (1 - bits) * (1 - share).log2())
    return cost.sum(1)
