"""Adversaries reach what trains; steps that can't run say why."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from conf.compose import load
from data.collate import Collator
from data.encode import encode
from data.pictures import undecoded
from lineage.run import RunFolder
from models import lora
from train.optimizer import warmup_cosine
from train.rows import stage_rows
from train.stage import Stage
from train.terms import Step, of_stage, rate

Words = Callable[..., list[str]]


@pytest.mark.parametrize(
    ("stage", "loss", "part"),
    [
        ("align", "adversarial_tokens", "interface"),
        ("instruct", "adversarial_answers", "lora"),
        ("prefer", "adversarial_answers", "lora"),
    ],
)
@pytest.mark.parametrize("kind", ["private", "open"])
def test_the_adversarys_gradient_reaches_what_trains(
    tiny: Any, healthcare: Any, pictures: Any, stage: str, loss: str, part: str, kind: str
) -> None:
    model = tiny(kind, policy=healthcare)
    config = load(["experiment=demo"]).stage[stage]
    if "lora" in config.train:
        lora.attach(model.language_model, rank=4, alpha=8, dropout=0.0, targets=["q_proj"])
        for parameter in lora.parameters(model.language_model):
            torch.nn.init.normal_(parameter, std=0.05)
    config.losses[loss]["ramp"] = False
    rows = stage_rows({**config.rows, "count": 4}, pictures, seed=0, policy=healthcare)
    module = Stage(model, config, terms=of_stage(config), words=torch.zeros(4, 10))
    encoder = model.parts.encoder
    encoded = [encode(row, encoder) for row in undecoded(rows)]
    batch = Collator(encoder, index=lambda _: 0)(encoded)
    value = module.terms[loss](module.step_of(batch)).sum()
    ours = [p for n, p in module.trainable.items() if (part == "lora") == lora.is_adapter(n)
            and (part == "lora" or n.startswith(part))]  # fmt: skip
    grads = torch.autograd.grad(value, ours, allow_unused=True)
    assert sum(float(g.abs().sum()) for g in grads if g is not None) > 0


@pytest.mark.parametrize(("kind", "progress"), [("private", 0.2), ("private", 0.9), ("open", 0.9)])
def test_the_rate_of_codes_is_paid_late_and_by_codes_alone(
    tiny: Any, healthcare: Any, pictures: Any, kind: str, progress: float
) -> None:
    model = tiny(kind, policy=healthcare)
    config = load(["experiment=demo"]).stage["align"]
    rows = stage_rows({**config.rows, "count": 6}, pictures, seed=0, policy=healthcare)
    encoded = [encode(row, model.parts.encoder) for row in undecoded(rows)]
    batch = Collator(model.parts.encoder, index=lambda _: 0)(encoded)
    step = Step(model=model, batch=batch, words=torch.zeros(0, 0), progress=progress)
    if kind == "open":
        with pytest.raises(ValueError, match="open tokens have no bits"):
            rate(step)
        return
    weight = model.interface.out.weight
    (gradient,) = torch.autograd.grad(rate(step).sum(), weight)
    assert bool(gradient.abs().sum() > 0) == (progress > 0.3)


def test_the_learning_rate_rises_and_falls() -> None:
    curve = [warmup_cosine(s, warmup=10, steps=100) for s in range(101)]
    assert curve[0] == pytest.approx(0.1) and max(curve) <= 1.0
    assert curve[100] == pytest.approx(0.05)


def failed(words: list[str], room: str = "train") -> str:
    done = subprocess.run(
        [sys.executable, "-m", room, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_stage_without_its_beginning_says_what_is_missing(short: Words, pictures: Any) -> None:
    assert "parent=RUN" in failed(short("run=alone", "stages=[prefer]"))


def test_a_missing_parent_and_an_unfinished_stage_are_named(
    short: Words, pictures: Any, tmp_path: Path
) -> None:
    assert "no such run" in failed(short("run=child", "parent=nobody", "stages=[prefer]"))
    half = RunFolder.open("half", checkpoints=tmp_path)
    half.begin("instruct", trains=["lora"], steps=3)
    said = failed(short("run=child2", "parent=half@instruct", "stages=[prefer]"))
    assert "not finished" in said


def test_a_parent_of_another_model_is_refused(
    short: Words, finished: Callable[[str], Path]
) -> None:
    folder = finished("private").parent
    words = short("run=other", f"checkpoints={folder}", "stages=[prefer]")
    said = failed([*words, "parent=private@instruct", "model.interface.bits=32"])
    assert "another model" in said
    said = failed([*words, "run=third", "parent=private"])
    assert "parent=RUN@STAGE" in said


def test_another_config_on_resume_is_refused_with_the_difference(
    short: Words, finished: Callable[[str], Path]
) -> None:
    folder = finished("private").parent
    words = short("run=private", f"checkpoints={folder}", "stage.prefer.learning_rate=0.5")
    said = failed(words)
    assert "learning_rate" in said and "0.5" in said


def test_a_run_in_use_is_left_alone(short: Words, tmp_path: Path) -> None:
    with RunFolder.open("busy", checkpoints=tmp_path).lock():
        assert "in use by process" in failed(short("run=busy"))


def test_a_model_that_cannot_be_reached_is_named(short: Words, pictures: Any) -> None:
    said = failed(
        short("run=far", "model=pretrained", "model.id=nobody/nothing", "stages=[prefer]")
    )
    assert "model.id=nobody/nothing" in said and "folder" in said


def test_a_finished_run_has_nothing_left_to_do(
    short: Words, finished: Callable[[str], Path]
) -> None:
    folder = finished("private")
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("model.safetensors")}
    words = short("run=private", f"checkpoints={folder.parent}", "stages=[prefer]")
    subprocess.run([sys.executable, "-m", "train", *words], check=True)
    assert before == {p: p.stat().st_mtime_ns for p in folder.rglob("model.safetensors")}
