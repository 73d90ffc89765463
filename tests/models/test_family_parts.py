"""Every family: what its parts are made of."""

import pytest
import torch
from family_rows import both_kinds, every_family, family, logps, rows

from conf.compose import load
from lineage.errors import TactError
from train.stage import Stage


@every_family
@both_kinds
def test_an_answer_trains_all_that_a_forward_reads(name: str, kind: str) -> None:
    model = family(name, kind)
    parts = ("tower", "interface", "language_model")
    read = model.train_only(parts)
    model.requires_grad_(True)
    logps(model, rows(model)).sum().backward()
    trained = {n for n, p in model.named_parameters() if p.grad is not None}
    assert trained == set(read)


def test_pictures_in_crops_are_not_mirrored() -> None:
    config = load(["experiment=demo"]).stage["align"]
    config.train, config.flip = ["tower"], True
    with pytest.raises(TactError, match="flip=false"):
        Stage(family("idefics3", "open"), config, terms={}, words=torch.zeros(0, 0))
    Stage(family("llava", "open"), config, terms={}, words=torch.zeros(0, 0))
