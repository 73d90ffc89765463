"""Log-probabilities at supervised positions, and the language loss made of them.

N supervised positions of all rows together, B rows, H hidden size, V vocabulary,
G groups of words (one an attribute).
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint


def supervised(
    head: Callable[[Tensor], Tensor],
    hidden: Tensor,
    targets: Tensor,
    *,
    words: Tensor | None = None,
    chunk: int = 4096,
) -> tuple[Tensor, Tensor]:
    """Log-probability of each target, and the probability mass of each group of words.

    ``hidden`` (N, H) are the states that predict ``targets`` (N,); ``words`` (G, V) marks each
    group's words. Returns ``logps`` (N,) and ``mass`` (N, G) (G = 0 without words). Only these N
    positions reach the head, ``chunk`` at a time; past one chunk the logits are computed again
    in the backward pass, so that at most ``chunk`` x V of them are held.
    """
    if words is None:
        words = hidden.new_zeros(0, 0)
    if len(targets) <= chunk:
        return _chunk(head, hidden, targets, words)
    parts = [
        checkpoint(_chunk, head, h, t, words, use_reentrant=False)
        for h, t in zip(hidden.split(chunk), targets.split(chunk), strict=True)
    ]
    return torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts])


def _chunk(
    head: Callable[[Tensor], Tensor], hidden: Tensor, targets: Tensor, words: Tensor
) -> tuple[Tensor, Tensor]:
    log_probs = F.log_softmax(head(hidden).float(), dim=-1)  # (N, V)
    logps = log_probs.gather(1, targets[:, None])[:, 0]
    if not len(words):
        return logps, logps.new_zeros(len(logps), 0)
    return logps, log_probs.exp() @ words.to(log_probs.dtype).T


def sum_by(values: Tensor, owner: Tensor, count: int) -> Tensor:
    """Sum ``values`` (N,) by ``owner`` (N,) into (count,)."""
    return values.new_zeros(count).index_add(0, owner, values)


def mean_by(values: Tensor, owner: Tensor, count: int, *, weight: Tensor | None = None) -> Tensor:
    """Weighted mean of ``values`` (N,) by ``owner`` into (count,); 0 where an owner has none."""
    weight = torch.ones_like(values) if weight is None else weight.to(values.dtype)
    total = sum_by(weight, owner, count)
    return sum_by(values * weight, owner, count) / total.clamp(min=1e-8)


def language(logps: Tensor, owner: Tensor, count: int, *, weight: Tensor | None = None) -> Tensor:
    """Negative log-likelihood a row, (count,): the weighted mean over the row's own positions.

    A row's value depends on no other row's length: the usual token mean over a batch does, which
    breaks per-unit clipping.
    """
    return mean_by(-logps, owner, count, weight=weight)
