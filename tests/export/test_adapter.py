"""Adapters of several stages as one, and runs of which no adapter can be made."""

from pathlib import Path
from typing import Any

import pytest
import torch

from conf.compose import ConfigError, load
from export.adapter import _joined, base_of
from export.usage import usage
from lineage.errors import TactError
from lineage.run import Manifest, StageState

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


def began(*trained: tuple[str, ...], commit: str | None = None) -> Manifest:
    stages = [StageState("s", "done", list(parts), 1) for parts in trained]
    return Manifest(stages=stages, model={"model.id": {"commit": commit}} if commit else None)


def test_an_adapter_needs_a_base_that_others_have(tmp_path: Path) -> None:
    config = load([*HERE, "model.id=owner/model"])
    assert base_of(config, began(("lora", "interface", "reader"))).id == "owner/model"
    with pytest.raises(TactError, match="trained language_model, tower too.*form=merged"):
        base_of(config, began(("lora",), ("tower", "language_model")))
    own = load([*HERE, f"model.id={tmp_path}"])
    with pytest.raises(TactError, match="a folder of this machine.*base=OWNER/NAME"):
        base_of(own, began(("lora",)))
    own.export.base = "owner/same"
    named = base_of(own, began(("lora",)))
    assert named.id == "owner/same" and named.revision is None and not named.checked


def test_an_adapter_is_laid_over_the_commit_that_the_run_began_with() -> None:
    config = load([*HERE, "model.id=owner/model", "model.revision=v1"])
    told: dict[str, Any] = {"kind": "open", "picture_px": None, "template": True}
    for manifest, commit in ((began(("lora",), commit="c" * 40), "c" * 40), (began(), "v1")):
        base = base_of(config, manifest)
        assert base.checked and base.revision == commit
        assert f'from_pretrained("owner/model", revision="{commit}")' in usage(base=base, **told)
    config.export.base = "owner/same"
    assert 'from_pretrained("owner/same")' in usage(base=base_of(config, began()), **told)


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
