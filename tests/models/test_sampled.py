"""Drawn answers: from the model's own distribution, each a function of its own seed alone."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from models import generate
from models.generate import drawn, greedy, sampled


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each answer counts as ended: a model that has learnt nothing rarely ends one."""
    whole = generate._said

    def closed(model: Any, *given: Any, **options: Any) -> list[list[int]]:
        eos = model.parts.encoder.tokenizer.eos_token_id
        return [[*row, eos] for row in whole(model, *given, **options)]

    monkeypatch.setattr(generate, "_said", closed)


def test_words_are_drawn_by_their_chances() -> None:
    logits = torch.tensor([0.0, 1.0, -torch.inf, 2.0]).expand(40_000, 4)
    found = drawn(logits, torch.rand(40_000, generator=torch.Generator().manual_seed(0)))
    share = torch.bincount(found, minlength=4) / 40_000
    assert torch.allclose(share, torch.softmax(logits[0], -1), atol=0.01) and share[2] == 0
    assert drawn(logits[:2], torch.tensor([0.0, 1.0 - 1e-16])).tolist() == [0, 3]


@pytest.mark.usefixtures("ended")
def test_an_answer_is_decided_by_its_own_seed_prompt_and_picture(
    tiny: Callable[..., Any], healthcare: Any, pictures: Any
) -> None:
    model = tiny("private", policy=healthcare).eval()
    prompts, features = _asked(model, pictures)
    seeds = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]

    def said(which: list[int], seeds: list[list[int]]) -> list[list[str | None]]:
        return sampled(model, [prompts[i] for i in which], features[which], seeds=seeds,
                       temperature=1.0, max_new_tokens=6)  # fmt: skip

    every = said([0, 1, 2], seeds)
    assert every == said([0, 1, 2], seeds)
    assert [said([i], [seeds[i]])[0] for i in range(3)] == every
    texts = [text for own in every for text in own]
    assert len(set(texts)) == 9  # other seeds, other answers


@pytest.mark.usefixtures("ended")
def test_at_no_temperature_it_is_the_most_likely_answer(
    tiny: Callable[..., Any], healthcare: Any, pictures: Any
) -> None:
    model = tiny("private", policy=healthcare).eval()
    prompts, features = _asked(model, pictures)
    best = greedy(model, prompts, features, max_new_tokens=5)
    cold = sampled(model, prompts, features, seeds=[[1, 2]] * 3, temperature=1e-6,
                   max_new_tokens=5)  # fmt: skip
    assert cold == [[text, text] for text in best]


def test_an_answer_that_has_not_ended_is_none(
    tiny: Callable[..., Any], healthcare: Any, pictures: Any
) -> None:
    model = tiny("private", policy=healthcare).eval()
    prompts, features = _asked(model, pictures)
    found = sampled(model, prompts, features, seeds=[[1]] * 3, temperature=1e-6, max_new_tokens=2)
    assert found == [[None]] * 3


def _asked(model: Any, pictures: Any) -> tuple[list[list[int]], Tensor]:
    from models.features import picture_features

    encoder = model.parts.encoder
    asked = ("how old am i?", "what colour is my top?", "please, suggest a book.")
    turns = [[{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": q}]}]
             for q in asked]  # fmt: skip
    prompts = encoder.encode([encoder.render(t, prompt=True) for t in turns])
    return prompts, picture_features(model, [pictures[i]["image"] for i in (0, 1, 2)])
