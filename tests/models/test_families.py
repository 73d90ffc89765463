"""Every family: our forward is its own, a pair is two rows, a row is itself in any batch."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_families
import torch
from datasets import Dataset
from family_rows import (
    CHOSEN,
    REJECTED,
    attach,
    both_kinds,
    every_family,
    family,
    logits,
    logps,
    one_answer,
    own_inputs,
    picture,
    pictures_of,
    question,
    row,
    rows,
    turn,
)  # fmt: skip

from data.encode import encode
from data.errors import DataError
from data.preparing import encoded_set
from lineage.errors import TactError
from models import attention, build, families
from models.families import common
from models.generate import greedy

ONE_PICTURE = ("llava", "llava_onevision", "paligemma", "paligemma2")


@every_family
def test_our_forward_is_the_familys_own(name: str) -> None:
    model = family(name, "open")
    encoder = model.parts.encoder
    images = pictures_of(model, count=min(2, encoder.max_pictures))
    own = own_inputs(model, model.parts.processor, images)
    [ids] = encoder.encode([question(model, pictures=len(images))])
    assert ids == own["input_ids"][0].tolist()
    pixels = encoder.pixels(images)
    assert torch.equal(pixels.flatten(), own["pixel_values"].flatten())
    with torch.no_grad():
        expected = model.parts.whole(**own).logits[0]
    found = logits(model, ids, pixels)
    assert expected.std() > 0.1
    assert torch.allclose(found, expected, atol=1e-5)


@every_family
@both_kinds
def test_one_sequence_is_two_rows(name: str, kind: str) -> None:
    model = family(name, kind)
    attach(model)
    trained = list(model.train_only(["lora", "interface"]).values())
    pairs = rows(model)
    together = logps(model, pairs)
    apart = torch.cat([logps(model, [one_answer(p, n) for p in pairs]) for n in (0, 1)])
    model.pairs = "two_rows"
    doubled = logps(model, pairs)
    weight = torch.linspace(-1, 1, len(together))
    expected = torch.autograd.grad((apart * weight).sum(), trained)
    for found in (together, doubled):
        assert torch.allclose(found, apart, atol=1e-5, rtol=1e-5)
        for a, b in zip(
            torch.autograd.grad((found * weight).sum(), trained), expected, strict=True
        ):
            assert (a - b).norm() <= 1e-5 * (b.norm() + 1)


@every_family
@both_kinds
@pytest.mark.parametrize("attention", ["the family's", "eager"])
def test_the_rejected_answer_never_sees_the_chosen(name: str, kind: str, attention: str) -> None:
    whole, processor = tiny_families.make(name)
    if attention == "eager":
        whole.set_attn_implementation("eager")
    model = family(name, kind, given=(whole, processor))
    pair = row(model, seed=1)
    changed = pair.answers[0][::-1]
    with torch.no_grad():
        before = logps(model, [pair])
        after = logps(model, [replace(pair, answers=(changed, pair.answers[1]))])
    assert before[0] != after[0]
    assert before[1] == after[1]  # to the last bit


@every_family
@both_kinds
def test_a_row_in_a_batch_is_the_row_alone(name: str, kind: str) -> None:
    model = family(name, kind)
    many = model.parts.encoder.max_pictures
    assert many == (1 if name in ONE_PICTURE else common.MANY)
    pictures = [min(2, many), 1, min(2, many)]  # rows after one with several, and filled up
    mixed = [row(model, seed=s, pictures=p) for s, p in zip((1, 20, 2), pictures, strict=True)]
    assert max(mixed, key=len) is mixed[1]
    with torch.no_grad():
        alone = torch.stack([logps(model, [each]) for each in mixed], dim=1).flatten()
        for cached in (False, True):
            assert torch.allclose(logps(model, mixed, cached=cached), alone, atol=1e-5)


@every_family
@both_kinds
def test_greedy_answers_are_those_of_whole_forwards(name: str, kind: str) -> None:
    model = family(name, kind)
    encoder = model.parts.encoder
    prompts = [one_answer(pair, 0) for pair in rows(model)]
    pixels = [encoder.pixels(list(p.pictures)) for p in prompts]
    features = torch.cat([model.features(p) for p in pixels])
    said = greedy(model, [p.prompt for p in prompts], features, max_new_tokens=4)
    for prompt, own, found in zip(prompts, pixels, said, strict=True):
        ids = list(prompt.prompt)
        embeds = model.tokens(model.features(own)).embeds
        for _ in range(4):
            whole = torch.tensor([ids])
            segments = torch.zeros_like(whole)
            segments[:, len(prompt.prompt) :] = attention.FIRST
            with torch.no_grad():
                hidden = model.hidden(whole, segments, embeds)
                ids.append(int(model.head(hidden[0, -1]).argmax()))
        answer = encoder.tokenizer.decode(ids[len(prompt.prompt) :], skip_special_tokens=True)
        assert found == answer.strip()


def test_a_family_without_a_file_is_refused_with_the_list() -> None:
    with pytest.raises(ValueError, match="'kosmos-2' has no file.*gemma3, idefics3, internvl"):
        families.find("kosmos-2")


def test_a_hybrid_language_model_uses_two_rows() -> None:
    model = family("hybrid", "open")
    pairs = rows(model)
    with pytest.raises(ValueError, match="'lfm2' has layers of kind conv.*model.pairs=two_rows"):
        logps(model, pairs)
    model.pairs = "two_rows"
    with torch.no_grad():
        apart = torch.cat([logps(model, [one_answer(p, n) for p in pairs]) for n in (0, 1)])
        assert torch.allclose(logps(model, pairs), apart, atol=1e-5)


def test_a_recurrent_language_model_is_refused_by_name() -> None:
    from transformers import MambaConfig, MambaModel

    model = MambaModel(MambaConfig(hidden_size=8, num_hidden_layers=1, vocab_size=16))
    with pytest.raises(ValueError, match="'mamba' has layers of kind recurrent"):
        attention.one_sequence(model)


def test_pictures_that_a_family_cannot_take_are_refused() -> None:
    whole, processor = tiny_families.make("qwen2_5_vl")
    processor.image_processor.size["shortest_edge"] = 112**2 + 1
    with pytest.raises(ValueError, match="no square of a multiple of 28 px"):
        families.find("qwen2_5_vl").parts(whole, processor)
    whole, processor = tiny_families.make("gemma3")
    processor.image_processor.do_pan_and_scan = True
    with pytest.raises(ValueError, match="do_pan_and_scan"):
        families.find("gemma3").parts(whole, processor)


@pytest.mark.parametrize("name", ["idefics3", "qwen2_5_vl"])
def test_a_row_that_is_too_long_is_a_named_reject_and_no_picture_is_cut(
    name: str, tmp_path: Path
) -> None:
    encoder = family(name, "open").parts.encoder
    encoder.tokenizer.model_max_length = 8  # a tokenizer's own limit cuts nothing either
    px = encoder.picture_px or 28
    words = {"chosen": CHOSEN, "rejected": REJECTED}
    given = [
        {
            "row_id": f"r{count}",
            "images": [picture(i, px=px) for i in range(count)],
            "prompt": [turn("user", "what is in the picture ?")],
            **{key: [turn("assistant", said)] for key, said in words.items()},
        }
        for count in (1, 2, 3)
    ]
    whole = [encode(each, encoder) for each in given]
    one, two, three = (len(each) for each in whole)
    assert three - two == two - one >= encoder.tokens_per_picture  # crops and all
    options = {"max_rejects": 0.5, "rejects": tmp_path / "rejects", "cache": tmp_path}
    rows = Dataset.from_list(given)
    kept = encoded_set(rows, encoder, max_length=three - 1, **options).rows  # type: ignore[arg-type]
    assert [each.row_id for each in kept] == ["r1", "r2"]
    for count, found in enumerate(kept, start=1):
        assert found.prompt == whole[count - 1].prompt and len(found) == len(whole[count - 1])
        assert found.prompt.count(encoder.image_token_id) == count * encoder.tokens_per_picture
    named = json.loads((tmp_path / "rejects").read_text())
    assert named["row_id"] == "r3" and f"{three} tokens" in named["reason"]
    said = f"2 of 3 rows are bad .2 x longer than data.max_length_tokens={two - 1}"
    with pytest.raises(DataError, match=said):
        encoded_set(rows, encoder, max_length=two - 1, **options)  # type: ignore[arg-type]


def test_a_model_without_sdpa_names_the_way_out(tmp_path: Path) -> None:
    whole, processor = tiny_families.make("paligemma2")
    whole.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    options: dict[str, Any] = {"revision": None, "make": None, "dtype": "float32"}
    with pytest.raises(TactError, match="Gemma2Model.*Set model.attention=eager"):
        build.whole_model(id=str(tmp_path), attention="sdpa", **options)


def test_a_processor_without_a_chat_template_is_refused() -> None:
    whole, processor = tiny_families.make("llava")
    processor.chat_template = processor.tokenizer.chat_template = None
    with pytest.raises(TactError, match=r"no chat template: give one.*chat_template\.jinja"):
        family("llava", "open", given=(whole, processor))
