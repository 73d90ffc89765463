"""Greedy answers to prompts with pictures, many at a time.

B prompts, T positions, P pictures.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import DynamicCache

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
    longest = max(len(p) for p in prompts)
    ids = torch.full((len(prompts), longest), encoder.pad_token_id)
    mask = torch.zeros(len(prompts), longest, dtype=torch.long)
    for i, prompt in enumerate(prompts):
        ids[i, longest - len(prompt) :] = torch.tensor(list(prompt))
        mask[i, longest - len(prompt) :] = 1
    inputs = model.embed(ids, model.tokens(features).embeds)
    places = (mask.cumsum(1) - 1).clamp(min=0)
    cache = DynamicCache()
    said: list[Tensor] = []
    ended = torch.zeros(len(prompts), dtype=torch.bool)
    for _ in range(max_new_tokens):
        out = model.language_model(
            inputs_embeds=inputs,
            attention_mask=mask,
            position_ids=places,
            past_key_values=cache,
            use_cache=True,
        )
        token = model.head(out.last_hidden_state[:, -1]).argmax(-1)
        token[ended] = encoder.pad_token_id
        said.append(token)
        ended |= token == tokenizer.eos_token_id
        if bool(ended.all()):
            break
        inputs = model.language_model.get_input_embeddings()(token)[:, None]  # type: ignore
        places = places[:, -1:] + 1
        mask = torch.cat([mask, mask.new_ones(len(prompts), 1)], dim=1)
    rows = torch.stack(said, dim=1).tolist()
    return [tokenizer.decode(row, skip_special_tokens=True).strip() for row in rows]
