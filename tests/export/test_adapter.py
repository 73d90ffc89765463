"""Adapters of several stages as one, and runs of which no adapter can be made."""

from pathlib import Path

import pytest
import torch

from conf.compose import ConfigError, load
from export.adapter import _joined, base_of
from lineage.errors import TactError
from lineage.run import StageState

HERE = ["model=pretrained", "run=r"]


def test_two_adapters_are_one_of_the_ranks_sum() -> None:
    draw = torch.Generator().manual_seed(0)
    stages = [
        {
            "language_model.layers.0.up.lora_A.default.weight": torch.randn(r, 6, generator=draw),
            "language_model.layers.0.up.lora_B.default.weight": torch.randn(5, r, generator=draw),
            "reader.gender.weight": torch.zeros(2),
        }
        for r in (2, 2)
    ]
    [(layer, (a, b))] = _joined(stages).items()
    assert layer == "layers.0.up" and a.shape == (4, 6) and b.shape == (5, 4)
    pairs = [list(stage.values())[:2] for stage in stages]
    assert torch.allclose(b @ a, sum(two @ one for one, two in pairs), atol=1e-6)


def stage(*trains: str) -> StageState:
    return StageState("s", "done", list(trains), 1)


def test_an_adapter_needs_a_base_that_others_have(tmp_path: Path) -> None:
    config = load([*HERE, "model.id=owner/model"])
    assert base_of(config, [stage("lora", "interface", "reader")]) == "owner/model"
    with pytest.raises(TactError, match="trained language_model, tower too.*form=merged"):
        base_of(config, [stage("lora"), stage("tower", "language_model")])
    own = load([*HERE, f"model.id={tmp_path}"])
    with pytest.raises(TactError, match="a folder of this machine.*base=OWNER/NAME"):
        base_of(own, [stage("lora")])
    own.export.base = "owner/same"
    assert base_of(own, [stage("lora")]) == "owner/same"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["model.id=a/b", "export.form=both"], "choose merged or adapter"),
        (["model.id=a/b", "export.dtype=int8"], "choose float32 or bfloat16"),
        (["model.id=a/b", "export.form=adapter", "model.interface.kind=private"], "server half"),
    ],
)
def test_forms_that_cannot_be_are_refused_before_training(words: list[str], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load([*HERE, *words])
    with pytest.raises(ConfigError, match="nothing is adapted"):
        load(["experiment=demo", "run=r", "model.interface.kind=open", "export.form=adapter"])
