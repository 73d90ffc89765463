"""On every family a unit's gradient is that of its rows alone, whatever stands beside it."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from family_rows import CHOSEN, REJECTED, attach, both_kinds, every_family, family, row, turn
from torch import Tensor

from data.collate import Collator
from data.encode import EncodedRow
from models.adversary import KINDS
from privacy.clipping import PerUnit
from train import terms

OWNER = [0, 1, 0]  # the first and last row are of one person
NORM = 0.7
Loss = Callable[[Any, Sequence[EncodedRow]], tuple[Tensor, Tensor]]
CHECKPOINTS = pytest.mark.parametrize("again", [None, True, False], ids=["no", "reentrant", "not"])


def pairs(model: Any) -> list[EncodedRow]:
    """Three pairs, the first of two pictures where the family takes several."""
    many = min(2, model.parts.encoder.max_pictures)
    return [row(model, seed=s, pictures=many if s == 1 else 1) for s in (1, 2, 3)]


def told(model: Any) -> list[EncodedRow]:
    """The same with labels, one attribute shared."""
    some = {"gender": "man", "age": "senior", "hair": "red", "glasses": "no"}
    return [
        row(model, seed=s, pictures=p, attributes=some, shared={"age": "senior"},
            chosen=[turn("assistant", CHOSEN)], rejected=[turn("assistant", REJECTED)])
        for s, p in ((1, min(2, model.parts.encoder.max_pictures)), (2, 1), (3, 1))
    ]  # fmt: skip


def loss(model: Any, encoded: Sequence[EncodedRow]) -> tuple[Tensor, Tensor]:
    """A preference loss summed over the rows, and the row of each picture."""
    table = [picture for each in encoded for picture in each.pictures]
    batch = Collator(model.parts.encoder, index=table.index)(encoded)
    step = terms.Step(model=model, batch=batch, words=torch.zeros(0, 0), progress=0.0)
    chosen, rejected = step.logps.chunk(2)
    return -torch.nn.functional.logsigmoid(0.3 * (chosen - rejected)).sum(), batch.picture_row


def every_loss(model: Any, encoded: Sequence[EncodedRow]) -> tuple[Tensor, Tensor]:
    """The preference loss, those of reader and facts, and the adversaries'."""
    table = [picture for each in encoded for picture in each.pictures]
    batch = Collator(model.parts.encoder, index=table.index)(encoded)
    step = terms.Step(
        model=model, batch=batch, words=torch.zeros(0, 0), progress=0.5, train_tower=True
    )
    values = [
        terms.language(step), terms.facts(step), terms.reader(step),
        terms.adversarial_tokens(step), terms.adversarial_answers(step),
    ]  # fmt: skip
    return torch.stack(values).sum(), batch.picture_row


def slow(
    model: Any, encoded: Sequence[EncodedRow], trained: dict[str, Any], loss: Loss = loss
) -> dict[str, Tensor]:
    total = {n: torch.zeros_like(p) for n, p in trained.items()}
    for unit in sorted(set(OWNER)):
        own = [r for r, owner in zip(encoded, OWNER, strict=True) if owner == unit]
        value = sum((loss(model, [r])[0] for r in own), start=torch.zeros(()))
        grads = torch.autograd.grad(value, list(trained.values()), materialize_grads=True)
        size = float(torch.sqrt(sum((g.square().sum() for g in grads), start=torch.zeros(()))))
        for name, gradient in zip(trained, grads, strict=True):
            total[name] += gradient * min(1.0, NORM / size)
    return total


def fast(
    model: Any,
    encoded: Sequence[EncodedRow],
    owner: Sequence[int],
    trained: dict[str, Any],
    loss: Loss = loss,
) -> dict[str, Tensor]:
    engine = PerUnit(model, trained)
    number = {unit: i for i, unit in enumerate(dict.fromkeys(owner))}
    owners = torch.tensor([number[unit] for unit in owner])
    value, picture_row = loss(model, encoded)
    doubled = model.pairs == "two_rows"
    engine.begin(len(number), owners, pictures=owners[picture_row], doubled=doubled)
    value.backward()
    sums = engine.clip(NORM).sums
    engine.close()
    return sums


def assert_equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    size = torch.sqrt(sum((v.square().sum() for v in expected.values()), start=torch.zeros(())))
    for name, value in expected.items():
        assert (found[name] - value).norm() <= 1e-6 * size, name
    assert size > 0.1


@every_family
@CHECKPOINTS
def test_clipped_sum_on_the_adapter(name: str, again: bool | None) -> None:
    model = family(name, "private")
    attach(model)
    trained = model.train_only(["lora"])
    encoded = pairs(model)
    expected = slow(model, encoded, trained)
    if again is not None:
        model.language_model.train()
        model.language_model.gradient_checkpointing_enable({"use_reentrant": again})  # type: ignore[operator]
    assert_equal(fast(model, encoded, OWNER, trained), expected)


@every_family
def test_clipped_sum_on_an_open_interface_and_in_two_rows(name: str) -> None:
    model = family(name, "open")
    attach(model)
    trained = model.train_only(["lora", "interface"])
    encoded = pairs(model)
    expected = slow(model, encoded, trained)
    assert_equal(fast(model, encoded, OWNER, trained), expected)
    apart = [fast(model, [encoded[0], encoded[2]], [0, 0], trained),
             fast(model, [encoded[1]], [1], trained)]  # fmt: skip
    assert_equal({n: apart[0][n] + apart[1][n] for n in trained}, expected)
    model.pairs = "two_rows"
    assert_equal(fast(model, encoded, OWNER, trained), slow(model, encoded, trained))


@every_family
@both_kinds
def test_clipped_sum_of_all_that_trains_beside_the_tower(name: str, kind: str) -> None:
    model = family(name, kind, adversaries=KINDS)
    attach(model)
    parts = ["lora", "interface", "reader", "facts", "token_adversary", "answer_adversary"]
    trained = model.train_only(parts)
    encoded = told(model)
    expected = slow(model, encoded, trained, every_loss)
    assert_equal(fast(model, encoded, OWNER, trained, every_loss), expected)
    apart = [fast(model, [encoded[0], encoded[2]], [0, 0], trained, every_loss),
             fast(model, [encoded[1]], [1], trained, every_loss)]  # fmt: skip
    assert_equal({n: apart[0][n] + apart[1][n] for n in trained}, expected)
