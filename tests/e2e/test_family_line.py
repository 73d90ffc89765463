"""Each family through all stages to an export: what trains moves, nothing else, and it loads."""

import copy
import os
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import family_line
import pytest
import tiny_families
import torch
from family_line import STAGES, Line, Watched, of_part
from family_rows import (
    QUESTION,
    every_family,
    family,
    logits,
    own_inputs,
    pictures_of,
    question,
    row,
)  # fmt: skip
from safetensors.torch import load_file

from conf import compose
from export.run import export
from lineage.files import sha256
from models import families, heads, lora, state
from models.vlm import VLM
from train.terms import adversaries

ROOT = Path(__file__).resolve().parents[2]


@every_family
def test_all_stages_to_an_open_export(
    cache: Path, pictures: Any, tmp_path: Path, name: str
) -> None:
    done = through_all_stages(name, "open", folder=tmp_path, cache=cache)
    the_export_gives_the_logits(done.model, done.run.path / "export" / "model", name=name)


@every_family
def test_all_stages_to_private_halves(
    cache: Path, pictures: Any, tmp_path: Path, name: str
) -> None:
    done = through_all_stages(name, "private", folder=tmp_path, cache=cache)
    the_device_half_sends_the_codes(done.model, done.run.path / "export")
    the_server_half_gives_the_logits(done.model, done.run.path / "export")


@pytest.mark.system
@pytest.mark.parametrize("kind", ["open", "private"])
def test_the_command_makes_the_same_weights(
    cache: Path, pictures: Any, tmp_path: Path, kind: str
) -> None:
    here = family_line.train("idefics3", kind, folder=tmp_path / "here", cache=cache).run
    export(here)
    there = tmp_path / "there"
    steps = (*STAGES, "export")
    words = family_line.words("idefics3", kind, folder=there, cache=cache, steps=steps)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-m", "train", *words], cwd=ROOT, env=environment, check=True)
    found = sorted(path.relative_to(here.path) for path in here.path.rglob("*.safetensors"))
    assert len(found) == len(STAGES) + {"open": 1, "private": 2}[kind]
    for path in found:
        assert sha256(here.path / path) == sha256(there / here.name / path), path


def through_all_stages(name: str, kind: str, *, folder: Path, cache: Path) -> Line:
    """Trained and exported, each of its stages looked at."""
    began = time.process_time()
    done = family_line.train(name, kind, folder=folder, cache=cache)
    export(done.run)
    assert time.process_time() - began < 60  # seconds of one thread, whoever else is at work
    each_stage_moves_what_it_trains(done)
    each_stage_goes_on_from_the_one_before(done)
    return done


def each_stage_moves_what_it_trains(done: Line) -> None:
    """All of it, and nothing else; that is what is stored."""
    config = compose.from_yaml(done.run.path / "config.yaml")
    for name, module in done.stages.items():
        now = dict(module.model.named_parameters())
        kept = said_to_train(module, config.stage[name].train)
        beside = said_to_train(module, adversaries(config.stage[name]))
        moved = {n for n, before in module.before.items() if not torch.equal(before, now[n])}
        assert moved == kept | beside, name
        stored = load_file(done.run.weights(name))
        assert set(stored) == kept
        assert all(torch.equal(tensor, now[n]) for n, tensor in stored.items())


def said_to_train(module: Watched, parts: list[str]) -> set[str]:
    """Names of these parts' parameters, less what no forward pass reads; no part is without."""
    unused = module.model.parts.unused
    read = [n for n in module.before if not any(word in n for word in unused)]
    found = {part: {n for n in read if of_part(n, part)} for part in parts}
    assert all(found.values())
    return set().union(*found.values())


def each_stage_goes_on_from_the_one_before(done: Line) -> None:
    """With its adapter merged; adversaries begin anew."""
    for earlier, later in pairwise(done.stages.values()):
        left = copy.deepcopy(earlier.model)
        lora.merge(left.language_model)
        met = {n.replace(".base_layer", ""): tensor for n, tensor in later.before.items()}
        for n, tensor in left.named_parameters():
            assert n.startswith(state.ADVERSARIES) or torch.equal(tensor, met[n]), n


def the_export_gives_the_logits(model: VLM, folder: Path, *, name: str) -> None:
    """Loaded by transformers alone; ours reads its processor's files as the model's own."""
    from transformers import AutoModelForImageTextToText

    loaded = AutoModelForImageTextToText.from_pretrained(folder).eval()
    assert type(loaded) is type(model.parts.whole)
    images = pictures_of(model, count=1)
    own = own_inputs(model, tiny_families.make(name)[1], images)
    with torch.no_grad():
        found = loaded(**own).logits[0]
    pixels = model.parts.encoder.pixels(images)
    expected = logits(model, own["input_ids"][0].tolist(), pixels)
    assert expected.std() > 0.1
    assert torch.allclose(found, expected, atol=1e-5)
    processor = families.processor(loaded.config.model_type, str(folder), revision=None)
    again = family(name, "open", given=(loaded, processor))
    assert row(again, seed=1).prompt == row(model, seed=1).prompt
    assert torch.equal(again.parts.encoder.pixels(images), pixels)


def the_device_half_sends_the_codes(model: VLM, folder: Path) -> None:
    """And reads what the model's reader reads."""
    images = pictures_of(model, count=4)
    features = model.features(model.parts.encoder.pixels(images))
    device, pixels = on_device(folder, images)
    sent = device.encode(pixels)
    assert sent.dtype == torch.int64 and sent.shape == (4, 2)  # 2 words of 4 bits, nothing else
    codes = model.interface.codes(features)  # type: ignore[union-attr, operator]
    assert torch.equal((sent - device.config.first_word_id) % 16, codes)
    for attribute, expected in heads.probabilities(model.reader(features)).items():
        read = [list(each[attribute].values()) for each in device.read(pixels)]
        assert torch.allclose(torch.tensor(read), expected, atol=1e-5)


def the_server_half_gives_the_logits(model: VLM, folder: Path) -> None:
    """A plain causal language model, given the words of the device half as text."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    server = AutoModelForCausalLM.from_pretrained(folder / "server").eval()
    tokenizer = AutoTokenizer.from_pretrained(folder / "server")
    assert type(server.base_model).__name__ != type(model.parts.whole.base_model).__name__
    encoder, images = model.parts.encoder, pictures_of(model, count=4)
    device, pixels = on_device(folder, images)
    [ids] = encoder.encode([question(model)])
    for image, words in zip(images, device.words(pixels), strict=True):
        given = tokenizer.apply_chat_template(
            [{"role": "user", "content": [{"type": "text", "text": words + QUESTION}]}],
            add_generation_prompt=True,
            return_tensors="pt",
            return_dict=True,
        )
        with torch.no_grad():
            found = server(**given).logits[0]
        expected = logits(model, ids, encoder.pixels([image]))
        assert torch.allclose(found[:, : expected.shape[1]], expected, atol=1e-5)


def on_device(folder: Path, images: list[Any]) -> tuple[Any, torch.Tensor]:
    """The device half, and the pictures as its own image processor prepares them."""
    from transformers import AutoImageProcessor, AutoModel

    device = AutoModel.from_pretrained(folder / "device", trust_remote_code=True).eval()
    prepare = AutoImageProcessor.from_pretrained(folder / "device")
    return device, prepare(images=images, return_tensors="pt")["pixel_values"]
