"""Masks and positions of rows ``[prompt | answer]`` and ``[prompt | chosen | rejected]``.

Segments (B, T) say what a position is: -1 padding, 0 prompt, 1 first answer, 2 second answer.
B rows, T positions.
"""

import torch
from torch import Tensor

PAD, PROMPT, FIRST, SECOND = -1, 0, 1, 2


def pair_mask(segments: Tensor, dtype: torch.dtype) -> Tensor:
    """Additive float mask (B, 1, T, T): causal, and the second answer never sees the first.

    Float, since a boolean 4-D mask is silently wrong in eager attention. A padded position sees
    itself, so that no softmax is over nothing.
    """
    length = segments.shape[1]
    query, key = segments[:, :, None], segments[:, None, :]
    order = torch.arange(length, device=segments.device)
    seen = (order[:, None] >= order[None, :]) & (key >= PROMPT)
    seen = seen & ((key == PROMPT) | (key == query))
    seen = seen | torch.eye(length, dtype=torch.bool, device=segments.device)
    mask = torch.zeros(seen.shape, dtype=dtype, device=segments.device)
    return mask.masked_fill_(~seen, torch.finfo(dtype).min).unsqueeze(1)


def positions(segments: Tensor) -> Tensor:
    """Position ids (B, T): both answers continue the prompt; padding stands at 0."""
    first = (segments == FIRST).sum(1, keepdim=True)
    order = torch.arange(segments.shape[1], device=segments.device).expand_as(segments)
    order = torch.where(segments == SECOND, order - first, order)
    return torch.where(segments == PAD, torch.zeros_like(order), order)


def has_pairs(segments: Tensor) -> bool:
    """Whether any row holds a second answer, and so needs the 4-D mask."""
    return bool((segments == SECOND).any())
