"""Greedy answers to prompts with pictures, many at a time.

B prompts, T positions, P pictures.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from models import attention
from models.vlm import VLM


@torch.no_grad()
def greedy(
    model: VLM, prompts: Sequence[Sequence[int]], features: Tensor, *, max_new_tokens: int
) -> list[str]:
    """The most likely answer to each prompt, token by token, up to the end or the limit.

    ``prompts`` are ids with image tokens in them; ``features`` (P, N, D) their pictures in order.
    """
    encoder = model.parts.encoder
    tokenizer = encoder.tokenizer
    longest, device = max(len(p) for p in prompts), features.device
    ids = torch.full((len(prompts), longest), encoder.pad_token_id, device=device)
    segments = torch.full((len(prompts), longest), attention.PAD, device=device)
    for i, prompt in enumerate(prompts):
        ids[i, longest - len(prompt) :] = torch.tensor(list(prompt))
        segments[i, longest - len(prompt) :] = attention.PROMPT
    given = model.inputs(ids, segments, model.tokens(features).embeds)
    mask = (segments != attention.PAD).long()
    if given["attention_mask"] is None:
        given["attention_mask"] = mask
    cache = DynamicCache()
    said: list[list[int]] = [[] for _ in prompts]
    place = given["position_ids"][..., -1:].reshape(-1, len(prompts), 1)[0]  # (B, 1)
    going = torch.arange(
        len(prompts), device=device
    )  # rows that have not ended; others leave the batch
    for _ in range(max_new_tokens):
        out = model.language_model(**given, past_key_values=cache, use_cache=True)
        token = model.head(out.last_hidden_state[:, -1]).argmax(-1)
        for row, value in zip(going.tolist(), token.tolist(), strict=True):
            said[row].append(value)
        stay = token != tokenizer.eos_token_id
        if not bool(stay.any()):
            break
        if int(stay.sum()) < 0.75 * len(stay):
            kept = stay.nonzero()[:, 0]
            cache.batch_select_indices(kept)
            going, token, place, mask = going[kept], token[kept], place[kept], mask[kept]
        place = place + 1
        mask = torch.cat([mask, mask.new_ones(len(going), 1)], dim=1)
        given = {
            "inputs_embeds": model.language_model.get_input_embeddings()(token)[:, None],  # type: ignore[operator]
            "attention_mask": mask,
            "position_ids": place,
        }
    return [_text(tokenizer, row) for row in said]


def _text(tokenizer: Any, ids: list[int]) -> str:
    if tokenizer.eos_token_id in ids:  # a row may run on until its batch is thinned
        ids = ids[: ids.index(tokenizer.eos_token_id)]
    return str(tokenizer.decode(ids, skip_special_tokens=True)).strip()
