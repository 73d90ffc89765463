"""Every family: exports give the same logits, what should train trains and nothing else."""

from pathlib import Path
from typing import Any

import pytest
import torch
from family_rows import (
    LORA,
    attach,
    both_kinds,
    every_family,
    family,
    logits,
    logps,
    picture,
    row,
    rows,
)  # fmt: skip

from conf.compose import load
from export import halves
from lineage.errors import TactError
from models import build, lora
from train.stage import Stage


@every_family
def test_private_halves_give_the_same_logits(healthcare: Any, name: str, tmp_path: Path) -> None:
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
def test_an_open_export_is_the_merged_model(name: str, tmp_path: Path) -> None:
    model = family(name, "open")
    attach(model)
    pair = row(model, seed=1)
    pixels = model.parts.encoder.pixels(list(pair.pictures))
    lora.merge(model.language_model)
    expected = logits(model, pair.prompt, pixels)
    halves.write_open(model, tmp_path)
    loaded, processor = build.whole_model(
        id=str(tmp_path), revision=None, make=None, dtype="float32",
        attention=model.language_model.config._attn_implementation,
    )  # fmt: skip
    assert type(loaded) is type(model.parts.whole)
    again = family(name, "open", given=(loaded, processor))
    assert row(again, seed=1).prompt == pair.prompt
    assert torch.equal(again.parts.encoder.pixels(list(pair.pictures)), pixels)
    assert torch.allclose(logits(again, pair.prompt, pixels), expected, atol=1e-5)
    state = loaded.state_dict()
    assert all(torch.equal(state[k], v) for k, v in model.parts.whole.state_dict().items())


@every_family
@both_kinds
@pytest.mark.parametrize("trained", [("tower", "interface", "language_model"), ("lora",)])
def test_all_that_trains_moves_and_nothing_else(
    name: str, kind: str, trained: tuple[str, ...]
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


def test_pictures_in_crops_are_not_mirrored() -> None:
    config = load(["experiment=demo"]).stage["align"]
    config.train, config.flip = ["tower"], True
    with pytest.raises(TactError, match="flip=false"):
        Stage(family("idefics3", "open"), config, terms={}, words=torch.zeros(0, 0))
    Stage(family("llava", "open"), config, terms={}, words=torch.zeros(0, 0))
