"""Answers to prompts with pictures, many at a time: the most likely ones, or drawn ones.

B prompts, k answers of each, T positions, P pictures, V words.
"""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from torch import Tensor
from transformers import DynamicCache

from models import attention
from models.vlm import VLM

X = TypeVar("X")
R = TypeVar("R")
Choose = Callable[[Tensor, Tensor, int], Tensor]  # logits (R, V), rows (R,), step → token (R,)


@torch.no_grad()
def greedy(
    model: VLM, prompts: Sequence[Sequence[int]], features: Tensor, *, max_new_tokens: int
) -> list[str]:
    """The most likely answer to each prompt, token by token, up to the end or the limit.

    ``prompts`` are ids with image tokens in them; ``features`` (P, N, D) their pictures in order.
    """
    tokenizer = model.parts.encoder.tokenizer
    said = _said(
        model, prompts, features, lambda logits, *_: logits.argmax(-1), most=max_new_tokens
    )
    return [_text(tokenizer, row) for row in said]


@torch.no_grad()
def sampled(
    model: VLM,
    prompts: Sequence[Sequence[int]],
    features: Tensor,
    *,
    seeds: Sequence[Sequence[int]],
    temperature: float,
    max_new_tokens: int,
) -> list[list[str | None]]:
    """Answers drawn word by word from softmax(logits / ``temperature``): k to each prompt.

    ``seeds`` gives each prompt k numbers of 64 bits; an answer is a function of its own, its prompt
    and its pictures. An answer that has not ended at ``max_new_tokens`` is None.
    """
    each = len(seeds[0])
    draws = torch.stack([_uniforms(s, max_new_tokens) for own in seeds for s in own])  # (Bk, most)

    def choose(logits: Tensor, rows: Tensor, step: int) -> Tensor:
        return drawn(logits / temperature, draws[rows.cpu(), step].to(logits.device))

    said = _said(model, prompts, features, choose, most=max_new_tokens, each=each)
    tokenizer = model.parts.encoder.tokenizer
    ended = [_text(tokenizer, row) if tokenizer.eos_token_id in row else None for row in said]
    return [ended[at : at + each] for at in range(0, len(ended), each)]


def drawn(logits: Tensor, uniform: Tensor) -> Tensor:
    """One word a row from softmax(``logits``) (R, V), at ``uniform`` (R,) in [0, 1) → (R,).

    By the inverse of the cumulative distribution, in float64: a word of no chance is never drawn.
    """
    up_to = torch.softmax(logits.double(), -1).cumsum(-1)
    wanted = uniform.double() * up_to[:, -1]
    last = logits.shape[-1] - 1  # where the product was rounded up to the whole
    return torch.searchsorted(up_to, wanted[:, None], right=True)[:, 0].clamp(max=last)


def side_by_side(
    work: Callable[[X], R], batches: Sequence[X], *, threads: int | None = None
) -> Generator[R, None, None]:
    """What ``work`` makes of each batch, in order; batches side by side: one leaves cores idle.

    On ``threads`` of the processor's cores, as many as torch has by default. Whoever stops asking
    waits for those that have begun.
    """
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(
        threads or before, initializer=torch.set_flush_denormal, initargs=(True,)
    )
    torch.set_num_threads(1)
    try:
        yield from pool.map(work, batches)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        torch.set_num_threads(before)


def _said(
    model: VLM,
    prompts: Sequence[Sequence[int]],
    features: Tensor,
    choose: Choose,
    *,
    most: int,
    each: int = 1,
) -> list[list[int]]:
    """The tokens of ``each`` answers to every prompt, prompts read once."""
    encoder, device = model.parts.encoder, features.device
    longest = max(len(p) for p in prompts)
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
    place = given["position_ids"][..., -1:].reshape(-1, len(prompts), 1)[0]  # (B, 1)
    states = model.language_model(**given, past_key_values=cache, use_cache=True).last_hidden_state
    last = states[:, -1]
    if each > 1:
        cache.batch_repeat_interleave(each)
        last, place, mask = (x.repeat_interleave(each, 0) for x in (last, place, mask))
    said: list[list[int]] = [[] for _ in range(len(prompts) * each)]
    going = torch.arange(len(said), device=device)  # rows that go on; others leave the batch
    for step in range(most):
        token = choose(model.head(last), going, step)
        for row, value in zip(going.tolist(), token.tolist(), strict=True):
            said[row].append(value)
        stay = token != encoder.tokenizer.eos_token_id
        if not bool(stay.any()) or step == most - 1:
            break
        if int(stay.sum()) < 0.75 * len(stay):
            kept = stay.nonzero()[:, 0]
            cache.batch_select_indices(kept)
            going, token, place, mask = going[kept], token[kept], place[kept], mask[kept]
        place = place + 1
        mask = torch.cat([mask, mask.new_ones(len(going), 1)], dim=1)
        embeds = model.language_model.get_input_embeddings()(token)[:, None]  # type: ignore[operator]
        out = model.language_model(
            inputs_embeds=embeds, attention_mask=mask, position_ids=place,
            past_key_values=cache, use_cache=True,
        )  # fmt: skip
        last = out.last_hidden_state[:, -1]
    return said


def _uniforms(seed: int, count: int) -> Tensor:
    return torch.rand(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _text(tokenizer: Any, ids: list[int]) -> str:
    if tokenizer.eos_token_id in ids:  # a row may run on until its batch is thinned
        ids = ids[: ids.index(tokenizer.eos_token_id)]
    return str(tokenizer.decode(ids, skip_special_tokens=True)).strip()
