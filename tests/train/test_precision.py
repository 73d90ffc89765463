"""Private stages in bf16, and with SGD."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning.plugins.precision import MixedPrecision, Precision
from safetensors.torch import load_file
from torch import Tensor

from conf.compose import ConfigError, load
from data.preparing import encoded_set
from lineage.run import RunFolder
from models import lora
from privacy import keys
from privacy.accounting import Event
from privacy.ledger import Ledger
from train.precision import WholeBf16
from train.private import Mechanism, PrivateStage
from train.rows import stage_rows
from train.run import execute
from train.terms import of_stage
from train.units import units_of

Words = Callable[..., list[str]]
DP = [
    "privacy.epsilon=8", "privacy.units=30", "privacy.expected_batch_units=6",
    "privacy.delta=1e-3", "privacy.physical_batch_rows=4", "steps=[base_language,instruct]",
    "+stage.instruct.rows.rows_per_subject=2", "stage.instruct.gradient_clip_norm=0",
    "stage.base_language.steps=3",
]  # fmt: skip
BOUND = 0.5


@pytest.fixture
def private(tiny: Any, healthcare: Any, pictures: Any, tmp_path: Path) -> PrivateStage:
    """A private stage on four people, two rows each, whose adapter has begun to move."""
    model = tiny("private", policy=healthcare)
    config = load(["experiment=demo"]).stage["instruct"]
    lora.attach(model.language_model, rank=4, alpha=8, dropout=0.0, targets=["q_proj", "up_proj"])
    for parameter in lora.parameters(model.language_model):
        torch.nn.init.normal_(parameter, std=0.05)
    settings = {**config.rows, "count": 8, "rows_per_subject": 2}
    rows = stage_rows(settings, pictures.select(range(8)), seed=0, policy=healthcare)
    encoded = encoded_set(rows, model.parts.encoder, max_length=512, max_rejects=0.0,
                          rejects=tmp_path / "rejects", cache=tmp_path)  # fmt: skip
    words = torch.zeros(4, model.language_model.get_input_embeddings().weight.shape[0])
    module = PrivateStage(model, config, terms=of_stage(config), words=words)
    made = Mechanism(
        event=Event("instruct", 0.5, 1.0, BOUND, 1), units=units_of(encoded.subjects, "subject"),
        expected_units=2.0, rows_per_unit=2, physical_rows=4, metrics=tmp_path / "metrics",
        key=keys.open_key(tmp_path, fixed="x"), ledger=None, records=None,  # type: ignore[arg-type]
    )  # fmt: skip
    module.prepare(made, encoded)
    return module


def alone(module: PrivateStage, unit: int) -> dict[str, Tensor]:
    """A unit's clipped gradient by a backward of it alone."""
    module.engine.close()
    batch, _ = module._batch({unit: module.mechanism.units[unit]})
    weights = list(module.trainable.values())
    grads = torch.autograd.grad(module._total(batch), weights, allow_unused=True)
    plain = {n: torch.zeros_like(p, dtype=torch.float32) if g is None else g.float()
             for (n, p), g in zip(module.trainable.items(), grads, strict=True)}  # fmt: skip
    factor = min(1.0, BOUND / size(plain))
    return {n: g * factor for n, g in plain.items()}


def size(tensors: dict[str, Tensor]) -> float:
    return float(torch.cat([t.double().flatten() for t in tensors.values()]).norm())


def added(module: PrivateStage, units: dict[int, list[int]]) -> dict[str, Tensor]:
    total = {n: torch.zeros(p.shape, dtype=torch.float32) for n, p in module.trainable.items()}
    module._add(units, total)
    return total


@pytest.mark.parametrize("precision", [WholeBf16(), MixedPrecision("bf16-mixed", "cpu")])
def test_clipped_sum_in_bf16_is_that_of_single_backwards(
    private: PrivateStage, precision: Precision
) -> None:
    precision.convert_module(private)
    units = private.mechanism.units
    with precision.forward_context():
        total = added(private, units)
        single = [added(private, {unit: rows}) for unit, rows in units.items()]
        slow = [alone(private, unit) for unit in units]
    assert len(units) == 4 and all(value.dtype == torch.float32 for value in total.values())
    for each in single:  # all are clipped, to the bound of float32
        assert BOUND * (1 - 1e-5) <= size(each) <= BOUND * (1 + 1e-5)
    expected = {n: torch.stack([each[n] for each in slow]).sum(0) for n in total}
    apart = size({n: total[n] - expected[n] for n in total}) / size(expected)
    assert 0 < apart < 0.02


def test_a_step_of_sgd_takes_off_the_release(
    short: Words, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, released = {}, {}
    release = PrivateStage._release

    def seen(self: PrivateStage, step: int) -> dict[str, Tensor]:
        before.update({n: p.detach().clone() for n, p in self.trainable.items()})
        released.update(release(self, step))
        return dict(released)

    monkeypatch.setattr(PrivateStage, "_release", seen)
    monkeypatch.setattr("train.private.PrivateStage._check_moved", lambda *_: None)  # one step
    words = short(*DP, "run=sgd", "stage.instruct.optimizer=sgd", "stage.instruct.steps=1",
                  "stage.instruct.learning_rate=0.5", "stage.instruct.warmup_steps=0",
                  "stage.instruct.weight_decay=0", "stage.base_language.optimizer=sgd",
                  "stage.base_language.momentum=0.9")  # fmt: skip
    execute(load(words))
    after = load_file(RunFolder.existing("sgd", checkpoints=tmp_path).weights("instruct"))
    assert after and size(released) > 0
    for name, value in after.items():
        assert torch.allclose(value, before[name] - 0.5 * released[name], atol=1e-7)


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("stage.instruct.optimizer=adam", "choose adamw or sgd"),
        ("trainer.precision=16-true", "choose 32-true, bf16-mixed, bf16-true"),
    ],
)
def test_what_it_does_not_know_is_refused(short: Words, word: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load(short("run=x", word))


@pytest.mark.system
@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true"])
def test_a_run_goes_through_in_bf16(short: Words, tmp_path: Path, precision: str) -> None:
    words = short(*DP, "run=half", f"trainer.precision={precision}", "stage.instruct.steps=4",
                  "steps=[base_tower,align,base_language,instruct,prefer]",
                  "+stage.prefer.rows.rows_per_subject=2", "stage.prefer.gradient_clip_norm=0",
                  "stage.prefer.steps=4", "stage.base_tower.steps=3",
                  "stage.align.steps=3")  # fmt: skip
    execute(load(words))
    run = RunFolder.existing("half", checkpoints=tmp_path)
    assert Ledger.read(run.path).content["charged"] == {"instruct": 4, "prefer": 4}
    for state in run.finished_stages():
        assert all(bool(t.isfinite().all()) for t in load_file(run.weights(state.stage)).values())
