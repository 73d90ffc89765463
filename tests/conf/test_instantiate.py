"""What config files name is there and can be made: trainers, loggers, policies, models, sources."""

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
from hydra.utils import get_class, instantiate

from conf import target
from conf.compose import load, options
from data.attributes import SENSITIVE
from data.policy import policy


@pytest.mark.parametrize("name", options("logger"))
def test_loggers(name: str, tmp_path: Path) -> None:
    for settings in load([f"logger={name}", "run=x"], check=False).logger.values():
        assert issubclass(get_class(settings["_target_"]), pl.loggers.Logger)
        if name == "default":
            assert instantiate(settings, save_dir=str(tmp_path)).save_dir == str(tmp_path)


@pytest.mark.parametrize("name", options("trainer"))
def test_the_rules_let_each_trainer_train_the_demo(name: str) -> None:
    assert load(["experiment=demo", f"trainer={name}", "run=x"]).trainer.devices


@pytest.mark.parametrize("name", ["cpu", pytest.param("gpu", marks=pytest.mark.gpu)])
def test_trainers(name: str) -> None:
    made = load([f"trainer={name}", "run=x"], check=False).trainer
    precision: Any = made.precision
    trainer = pl.Trainer(
        accelerator=made.accelerator,
        devices=made.devices,
        strategy=made.strategy,
        precision=precision,
        logger=False,
        enable_checkpointing=False,
    )
    assert trainer.num_devices == made.devices


@pytest.mark.parametrize("name", options("policy"))
def test_policies_speak_of_every_attribute(name: str) -> None:
    made = policy(load([f"policy={name}", "run=x"], check=False).policy)
    assert made.name == name and {*made.sensitive, *made.prohibited} == set(SENSITIVE)


@pytest.mark.parametrize("name", ["tiny", "composed"])
def test_models_from_parts(name: str) -> None:
    words = [f"model={name}", "run=x"]
    words += ["model.parts.language=x"] if name == "composed" else []
    parts = load(words, check=False).model.parts
    assert parts is not None
    make = target.function(parts, where="model.parts")
    if name == "tiny":
        model, processor = make()
        assert model.config.model_type == "llava" and processor.image_token == "<image>"


@pytest.mark.parametrize("name", options("data"))
def test_sources_are_functions_with_these_options(name: str) -> None:
    more = [] if name == "portraits" else ["data.source.path=x"]
    source = load([f"data={name}", "run=x", *more], check=False).data.source
    assert callable(target.function(source, where="data.source"))
