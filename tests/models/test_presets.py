"""Presets of published models, without weights: sizes, LoRA, a step on shapes alone."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import family_rows
import pytest
from published_models import MODELS

from conf.compose import load, options
from conf.schema import Config, ModelConfig
from models import licence, lora, origin
from models.vlm import VLM
from train import footprint

OWN = ("composed", "pretrained", "tiny")
PRESETS = [name for name in options("model") if name not in OWN]


def preset(name: str, *words: str) -> Config:
    """The config of a preset whose weights are not there."""
    config = load(["experiment=demo", f"model={name}", "run=x", *words])
    parts = {"_target_": "published_models.made", "name": name}
    config.model = replace(config.model, id=None, revision=None, parts=parts)
    return config


def empty(config: Config, policy: Any) -> VLM:
    return footprint.empty_model(config, policy, adapter=True)


def test_each_preset_names_a_published_model_its_commit_and_its_licence() -> None:
    assert set(PRESETS) == set(MODELS)
    for name in PRESETS:
        found = load([f"model={name}", "run=x"], check=False).model
        assert found.id and "/" in found.id and origin.unpinned(found) is None
        said = licence.carried(found)
        assert said is not None and said["link"].startswith("https://") and said["allows"]
        assert f"{found.id}: licence {said['name']}: {said['allows']}" in str(licence.told(found))
        assert found.attention == ("eager" if name == "paligemma2_3b" else "sdpa")


def test_a_model_whose_licence_is_not_stated_is_told() -> None:
    words = ["model=pretrained", "model.id=mine/own", "run=x"]
    own = load(words, check=False).model
    assert "mine/own: its licence is not stated" in str(licence.told(own))
    made = ModelConfig(parts={"_target_": "mine.made"})
    assert "mine.made: its licence is not stated" in str(licence.told(made))
    named = load([*words, "model.licence.name=mit"], check=False).model
    assert licence.told(named) == "mine/own: licence mit. (as published; check its page)"
    assert licence.told(load(["model=tiny", "run=x"], check=False).model) is None


@pytest.mark.parametrize("name", PRESETS)
def test_lora_hits_seven_layers_of_each_block_and_rows_have_room(
    name: str, healthcare: Any
) -> None:
    config, said = preset(name), MODELS[name]
    model = empty(config, healthcare)
    assert len(lora.layers(model.language_model)) == 7 * said.layers
    assert len(lora.layers(model)) == 7 * said.layers
    count = sum(p.numel() for n, p in model.parts.whole.named_parameters() if "lora" not in n)
    assert count / 1e9 == pytest.approx(said.billions, rel=0.03)
    assert model.parts.encoder.tokens_per_picture == said.tokens
    assert config.data.max_length_tokens >= said.tokens + 512


@pytest.mark.system
@pytest.mark.parametrize(
    "words", [[], ["model.interface={kind: private, bits: 64, tokens: 8}"]], ids=["open", "private"]
)
@pytest.mark.parametrize("name", PRESETS)
def test_a_preference_step_works_on_shapes_alone(
    name: str, words: Sequence[str], healthcare: Any
) -> None:
    config = preset(name, "stage.prefer.batch_size_rows=4", *words)
    model = empty(config, healthcare)
    some = {"gender": "man", "age": "senior", "hair": "red", "glasses": "no"}
    pair = {"chosen": [family_rows.turn("assistant", family_rows.CHOSEN)],
            "rejected": [family_rows.turn("assistant", family_rows.REJECTED)]}  # fmt: skip
    rows = [family_rows.row(model, seed=s, attributes=some, shared={}, **pair) for s in (1, 2)]
    taken = footprint.footprint(config, "prefer", model, rows, pictures=2)
    assert taken.peak > taken.weights > MODELS[name].billions * 2e9 * 0.97
