"""LoRA's targets: each is a layer of the language model, or the run ends before it trains."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from family_rows import family

from conf.compose import load
from lineage.errors import TactError
from models import lora
from train.run import execute


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        (["q_proj", "qproj"], "'qproj' matches no layer of the language model. LoRA"),
        (["fc1"], r"'fc1' matches no layer .* but model\.vision_tower\..*\.mlp\.fc1\."),
        (["vision_tower.encoder.layers.0.self_attn.q_proj"], r"but model\.vision_tower\."),
        (["linear_1"], r"but model\.multi_modal_projector\.linear_1\."),
        (["input_layernorm"], "'input_layernorm' matches no layer"),
        ([], "model.lora.targets is empty"),
    ],
)
def test_a_target_that_is_no_layer_of_the_language_model(targets: list[str], said: str) -> None:
    model = family("llava", "open")
    with pytest.raises(TactError, match=f"{said}.*choose from: q_proj, k_proj"):
        lora.check(model.language_model, targets, whole=model.parts.whole)
    with pytest.raises(TactError, match="choose from: q_proj"):
        lora.attach(model.language_model, rank=2, alpha=4, dropout=0.0, targets=targets)
    assert not lora.layers(model.language_model)


def test_a_later_stages_target_ends_the_run_before_the_first_trains(
    short: Callable[..., list[str]], pictures: Any, tmp_path: Path
) -> None:
    words = short("run=far", "steps=[base_tower,instruct]", "model.lora.targets=[query]")
    with pytest.raises(TactError, match="'query' matches no layer"):
        execute(load(words))
    assert not list(tmp_path.rglob("model.safetensors"))


def test_b_alone_trains_beside_a_frozen_a() -> None:
    model = family("llava", "open")
    lora.attach(
        model.language_model, rank=2, alpha=4, dropout=0.0, targets=["q_proj"], freeze_a=True
    )
    model.train_only(["facts"])
    trains = model.train_only(["lora"])
    assert trains and all(".lora_B." in name for name in trains)
    kept = dict(model.named_parts()["lora_frozen"])
    assert len(kept) == len(trains) and all(".lora_A." in name for name in kept)
    for a in kept.values():
        torch.testing.assert_close(a @ a.T, torch.eye(2))
        assert not a.requires_grad
