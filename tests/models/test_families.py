"""Every family: our forward is its own, pairs are two rows, private leaves as bits, all trains."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from conf.compose import load
from data.collate import Batch, Collator
from data.encode import EncodedRow, encode
from export import halves
from lineage.errors import TactError
from models import attention, build, families, lora
from models.generate import greedy
from train.stage import Stage
from train.terms import Step

Make = Callable[..., Any]
FAMILIES = [
    "llava", "idefics3", "qwen2_5_vl",
    *[pytest.param(name, marks=pytest.mark.system) for name in
      ("gemma3", "internvl", "llava_onevision", "paligemma", "paligemma2", "qwen3_vl", "smolvlm")],
]  # fmt: skip
every_family = pytest.mark.parametrize("name", FAMILIES)
both_kinds = pytest.mark.parametrize("kind", ["open", "private"])
LORA = {"rank": 2, "alpha": 4, "dropout": 0.0, "targets": ["q_proj", "v_proj", "up_proj"]}
CHOSEN = "a red coat , black hair ."
REJECTED = "at the park , the person ."


def picture(seed: int, *, px: int) -> Image.Image:
    """Noise in a square of ``px``."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randint(0, 256, (px, px, 3), generator=generator, dtype=torch.uint8)
    return Image.fromarray(values.numpy())


def turn(role: str, words: str) -> dict[str, Any]:
    return {"role": role, "content": words}


def row(model: Any, *, seed: int = 0, pictures: int = 1, **columns: Any) -> EncodedRow:
    """A row as ids: a system turn, a question with pictures, and what ``columns`` say."""
    px = model.parts.encoder.picture_px or model.parts.encoder.picture_shape[-1]
    prompt = [turn("system", "nothing shared ."), turn("user", "what is in the picture ?" * seed)]
    if not columns:
        columns = {
            "chosen": [turn("assistant", CHOSEN)],
            "rejected": [turn("assistant", REJECTED)],
        }
    images = [picture(10 * seed + i, px=px) for i in range(pictures)]
    return encode(
        {"row_id": str(seed), "images": images, "prompt": prompt, **columns}, model.parts.encoder
    )


def rows(model: Any, *, count: int = 2) -> list[EncodedRow]:
    """Pairs of several lengths; the last has two pictures where the family takes several."""
    many = min(2, model.parts.encoder.max_pictures)
    return [row(model, seed=i + 1, pictures=many if i == count - 1 else 1) for i in range(count)]


def collate(model: Any, encoded: list[EncodedRow]) -> Batch:
    return Collator(model.parts.encoder, index=lambda _: 0)(encoded)


def one_answer(pair: EncodedRow, number: int) -> EncodedRow:
    return replace(
        pair,
        answers=(pair.answers[number],),
        supervised=(pair.supervised[number],),
        emphasis=(pair.emphasis[number],),
    )


def logps(model: Any, encoded: list[EncodedRow]) -> Tensor:
    step = Step(
        model=model,
        batch=collate(model, encoded),
        words=torch.zeros(0, 0),
        progress=0.0,
        train_tower=True,
    )
    return step.logps


def attach(model: Any) -> None:
    """An adapter that does something."""
    lora.attach(model.language_model, **LORA)  # type: ignore[arg-type]
    for parameter in lora.parameters(model.language_model):
        torch.nn.init.normal_(parameter, std=0.1)


def logits(model: Any, ids: list[int], pixels: Tensor) -> Tensor:
    """All of ours for one row: (T, V)."""
    both = torch.tensor([ids])
    with torch.no_grad():
        embeds = model.tokens(model.features(pixels)).embeds
        hidden = model.hidden(both, torch.zeros_like(both), embeds)
        result: Tensor = model.head(hidden[0])
    return result


@every_family
def test_our_forward_is_the_familys_own(family: Make, name: str) -> None:
    model = family(name, "open")
    encoder, processor = model.parts.encoder, model.parts.processor
    px = encoder.picture_px or encoder.picture_shape[-1]
    images = [picture(i, px=px) for i in range(min(2, encoder.max_pictures))]
    blocks = [{"type": "image"}] * len(images) + [{"type": "text", "text": "what is it ?"}]
    given = [{"role": "user", "content": blocks}]
    text = encoder.render(given, prompt=True)
    if model.parts.family == "paligemma":  # its processor writes <bos> and the line's end itself
        own = processor(text="<image>what is it ?", images=images, return_tensors="pt")
        own.pop("labels")
    else:
        own = processor(text=[text], images=[images], return_tensors="pt", add_special_tokens=False)
    assert encoder.encode([text])[0] == own["input_ids"][0].tolist()
    pixels = encoder.pixels(images)
    assert torch.equal(pixels.flatten(), own["pixel_values"].flatten())
    with torch.no_grad():
        expected = model.parts.whole(**own).logits[0]
    found = logits(model, own["input_ids"][0].tolist(), pixels)
    assert expected.std() > 0.1
    assert torch.allclose(found, expected, atol=1e-5)


@every_family
@both_kinds
def test_one_sequence_is_two_rows(family: Make, name: str, kind: str) -> None:
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
def test_the_rejected_answer_never_sees_the_chosen(family: Make, name: str, kind: str) -> None:
    model = family(name, kind)
    pair = row(model, seed=1)
    changed = pair.answers[0][::-1]
    with torch.no_grad():
        before = logps(model, [pair])
        after = logps(model, [replace(pair, answers=(changed, pair.answers[1]))])
    assert before[0] != after[0]
    assert before[1] == after[1]  # to the last bit


@every_family
@both_kinds
def test_a_row_in_a_batch_is_the_row_alone(family: Make, name: str, kind: str) -> None:
    model = family(name, kind)
    mixed = rows(model, count=3)
    with torch.no_grad():
        alone = torch.stack([logps(model, [each]) for each in mixed], dim=1).flatten()
        assert torch.allclose(logps(model, mixed), alone, atol=1e-5)


@every_family
@both_kinds
def test_greedy_answers_are_those_of_whole_forwards(family: Make, name: str, kind: str) -> None:
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


@every_family
def test_private_halves_give_the_same_logits(
    family: Make, healthcare: Any, name: str, tmp_path: Path
) -> None:
    from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

    model = family(name, "private")
    encoder = model.parts.encoder
    model.reader = type(model.reader)(model.parts.feature_shape, healthcare.readable)
    first = halves.write_server(model, tmp_path / "server")
    halves.write_device(model, tmp_path / "device", first_word=first, policy=healthcare)
    device = AutoModel.from_pretrained(tmp_path / "device", trust_remote_code=True).eval()
    server = AutoModelForCausalLM.from_pretrained(tmp_path / "server").eval()
    words = AutoTokenizer.from_pretrained(tmp_path / "server")
    pixels = encoder.pixels([picture(i, px=encoder.picture_px or 28) for i in range(4)])
    sent = device.encode(pixels)
    assert sent.dtype == torch.int64 and sent.shape == (4, 2)  # 2 words of 4 bits, nothing else
    assert torch.equal(model.interface.codes(model.features(pixels)), (sent - first) % 16)
    assert type(server.base_model).__name__ != type(model.parts.whole.base_model).__name__
    for number, said in enumerate(device.words(pixels)):
        blocks = [{"type": "image"}, {"type": "text", "text": "what is it ?"}]
        ids = encoder.encode([encoder.render([{"role": "user", "content": blocks}], prompt=True)])
        turns = [{"role": "user", "content": [{"type": "text", "text": f"{said}what is it ?"}]}]
        given = words.apply_chat_template(
            turns, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        with torch.no_grad():
            found = server(**given).logits[0]
        expected = logits(model, ids[0], pixels[number : number + 1])
        assert torch.allclose(found[:, : expected.shape[1]], expected, atol=1e-5)


@every_family
def test_an_open_export_is_the_merged_model(family: Make, name: str, tmp_path: Path) -> None:
    model = family(name, "open")
    attach(model)
    pair = row(model, seed=1)
    pixels = model.parts.encoder.pixels(list(pair.pictures))
    expected = logits(model, pair.prompt, pixels)
    lora.merge(model.language_model)
    halves.write_open(model, tmp_path)
    loaded, processor = build.whole_model(
        id=str(tmp_path), revision=None, make=None, dtype="float32",
        attention=model.language_model.config._attn_implementation,
    )  # fmt: skip
    assert type(loaded) is type(model.parts.whole)
    again = family(name, "open", given=(loaded, processor))
    assert row(again, seed=1).prompt == pair.prompt
    assert torch.equal(again.parts.encoder.pixels(list(pair.pictures)), pixels)
    assert torch.allclose(logits(again, pair.prompt, pixels), expected, atol=1e-4)
    state = loaded.state_dict()
    assert all(torch.equal(state[k], v) for k, v in model.parts.whole.state_dict().items())


@every_family
@both_kinds
@pytest.mark.parametrize("trained", [("tower", "interface", "language_model"), ("lora",)])
def test_all_that_trains_moves_and_nothing_else(
    family: Make, name: str, kind: str, trained: tuple[str, ...]
) -> None:
    model = family(name, kind)
    if "lora" in trained:
        lora.attach(model.language_model, **LORA)  # type: ignore[arg-type]
        hit = [n for n, m in model.named_modules() if isinstance(m, lora.LoraLayer)]
        assert hit and all(n.startswith("language_model.") for n in hit)
    ours = model.train_only(trained)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    optimizer = torch.optim.AdamW(ours.values(), lr=1e-3)
    pairs = rows(model)
    for _ in range(2):
        optimizer.zero_grad()
        (-logps(model, pairs).mean()).backward()
        assert [n for n, p in ours.items() if p.grad is None] == []
        optimizer.step()
    moved = {n for n, p in model.named_parameters() if not torch.equal(before[n], p)}
    assert moved == set(ours)


def test_a_family_without_a_file_is_refused_with_the_list() -> None:
    with pytest.raises(ValueError, match="'kosmos-2' has no file.*gemma3, idefics3, internvl"):
        families.find("kosmos-2")


def test_a_hybrid_language_model_uses_two_rows(family: Make) -> None:
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


def test_pictures_that_a_family_cannot_take_are_refused(tiny_families: Any) -> None:
    whole, processor = tiny_families.make("qwen2_5_vl")
    processor.image_processor.size["shortest_edge"] = 57**2
    with pytest.raises(ValueError, match="no square of a multiple of 28 px"):
        families.find("qwen2_5_vl").parts(whole, processor)
    whole, processor = tiny_families.make("gemma3")
    processor.image_processor.do_pan_and_scan = True
    with pytest.raises(ValueError, match="do_pan_and_scan"):
        families.find("gemma3").parts(whole, processor)


def test_a_processor_without_a_chat_template_is_refused(tiny_families: Any) -> None:
    whole, processor = tiny_families.make("llava")
    processor.chat_template = processor.tokenizer.chat_template = None
    with pytest.raises(ValueError, match="no chat template"):
        families.find("llava").parts(whole, processor)


def test_pictures_in_crops_are_not_mirrored(family: Make) -> None:
    config = load(["experiment=demo"]).stage["align"]
    config.train, config.flip = ["tower"], True
    with pytest.raises(TactError, match="flip=false"):
        Stage(family("idefics3", "open"), config, terms={}, words=torch.zeros(0, 0))
    Stage(family("llava", "open"), config, terms={}, words=torch.zeros(0, 0))
