"""Masks and places of rows ``[prompt | answer]`` and ``[prompt | chosen | rejected]``.

Segments (B, T) say what a position is: -1 padding, 0 prompt, 1 first answer, 2 second answer.
B rows, T positions.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

PAD, PROMPT, FIRST, SECOND = -1, 0, 1, 2
FULL, SLIDING = "full_attention", "sliding_attention"


@dataclass(frozen=True)
class Blocks:
    """Positions that see each other both ways, beside what is causal.

    ``ids`` (B, T) number the block of a position, -1 where it has none. With ``windowed`` a
    sliding window also cuts a block, else a block is seen past it.
    """

    ids: Tensor
    windowed: bool


def kinds(config: Any) -> dict[str, int | None]:
    """Kinds of attention layers of a language model → their window, None where they see all.

    ValueError that names the model where a layer carries a state from position to position
    (recurrent, convolution, linear attention): no mask keeps two answers apart in it.
    """
    layers = set(getattr(config, "layer_types", None) or ())
    window = getattr(config, "sliding_window", None)
    if unknown := layers - {FULL, SLIDING}:
        raise ValueError(_refusal(config.model_type, sorted(unknown)))
    if SLIDING in layers:
        return {FULL: None, SLIDING: int(config.sliding_window)}
    return {FULL: None if layers or window is None else int(window)}


def one_sequence(language_model: Any) -> None:
    """ValueError where ``language_model`` can't read a pair as one sequence, by its name."""
    if getattr(language_model, "_is_stateful", False):
        raise ValueError(_refusal(language_model.config.model_type, ["recurrent"]))
    kinds(language_model.config)


def _refusal(name: str, layers: list[str]) -> str:
    return (
        f"language model {name!r} has layers of kind {', '.join(layers)}: in one sequence a "
        "pair's second answer would read the first. Set model.pairs=two_rows"
    )


def mask(
    config: Any, segments: Tensor, dtype: torch.dtype, *, blocks: Blocks | None = None
) -> Tensor | dict[str, Tensor]:
    """Additive float mask (B, 1, T, T), or one for each kind of layer where some are sliding.

    Float, since a boolean 4-D mask is silently wrong in eager attention.
    """
    made = {
        kind: _additive(seen(segments, window=window, blocks=blocks), dtype)
        for kind, window in kinds(config).items()
    }
    return made if SLIDING in made else made[FULL]


def seen(segments: Tensor, *, window: int | None = None, blocks: Blocks | None = None) -> Tensor:
    """Which key (last) a query sees, (B, T, T): causal, and the second answer never the first.

    A window counts places in the position's own row, so that a pair's second answer sees as far
    back as in a row of its own. Every position sees itself, so that no softmax is over nothing.
    """
    length = segments.shape[1]
    query, key = segments[:, :, None], segments[:, None, :]
    order = torch.arange(length, device=segments.device)
    own = (key == PROMPT) | (key == query)
    result = (order[:, None] >= order[None, :]) & own
    near = torch.ones_like(result)
    if window is not None:
        place = places(segments)
        near = place[:, None, :] > place[:, :, None] - window
    if blocks is None:
        result = result & near
    else:
        ids = blocks.ids
        both = (ids[:, :, None] == ids[:, None, :]) & (ids[:, None, :] >= 0)
        result = (result | both) & near if blocks.windowed else (result & near) | both
    itself = torch.eye(length, dtype=torch.bool, device=segments.device)
    return (result & (key >= PROMPT)) | itself


def _additive(allowed: Tensor, dtype: torch.dtype) -> Tensor:
    made = torch.zeros(allowed.shape, dtype=dtype, device=allowed.device)
    return made.masked_fill_(~allowed, torch.finfo(dtype).min).unsqueeze(1)


def places(segments: Tensor) -> Tensor:
    """Place of each position in its own row (B, T): both answers continue the prompt.

    Padding, on either side, stands at 0.
    """
    real = segments != PAD
    order = real.cumsum(1) - 1
    first = (segments == FIRST).sum(1, keepdim=True)
    order = torch.where(segments == SECOND, order - first, order)
    return torch.where(real, order, torch.zeros_like(order))


def has_pairs(segments: Tensor) -> bool:
    """Whether any row holds a second answer, and so needs the 4-D mask."""
    return bool((segments == SECOND).any())


def causal_unaided(config: Any) -> bool:
    """Whether the language model is causal without a mask; Gemma's in PaliGemma isn't."""
    return not getattr(config, "use_bidirectional_attention", False)


def two_rows(input_ids: Tensor, segments: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Pairs as two rows each: ids (2B, T), segments (2B, T) and ``order`` (B, T).

    Rows 0…B-1 hold prompt and first answer, rows B…2B-1 prompt and second answer, moved up;
    ``order`` says which position of the pair stands at each place of the latter.
    """
    first = torch.where(segments == SECOND, PAD, segments)
    late = (segments == FIRST) | (segments == PAD)
    order = late.to(torch.int8).argsort(dim=1, stable=True)
    second = torch.where(segments == FIRST, PAD, segments).gather(1, order).clamp(max=FIRST)
    ids = torch.cat([input_ids, input_ids.gather(1, order)])
    return ids, torch.cat([first, second]), order
