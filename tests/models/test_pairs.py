"""One sequence a pair: equal to two rows, and no answer sees the other."""

from typing import Any

import pytest
import torch

from data.collate import Batch, Collator
from data.dialogues.pairs import preference_rows
from data.encode import EncodedRow, encode
from data.pictures import undecoded
from models import lora
from train.terms import Step

LORA = {"rank": 4, "alpha": 8, "dropout": 0.0, "targets": ["q_proj", "v_proj", "up_proj"]}


def rows_of(pictures: Any, policy: Any, model: Any, count: int = 4) -> list[EncodedRow]:
    rows = undecoded(preference_rows(pictures, count=count, seed=3, policy=policy))
    return [encode(row, model.parts.encoder) for row in rows]


def collate(model: Any, rows: list[EncodedRow]) -> Batch:
    return Collator(model.parts.encoder, index=lambda _: 0)(rows)


def single(row: EncodedRow, number: int) -> EncodedRow:
    from dataclasses import replace

    return replace(
        row,
        answers=(row.answers[number],),
        supervised=(row.supervised[number],),
        emphasis=(row.emphasis[number],),
    )


def step_of(model: Any, batch: Batch) -> Step:
    return Step(model=model, batch=batch, words=torch.zeros(0, 0), progress=0.0)


@pytest.mark.parametrize("kind", ["private", "open"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_logps_and_gradients_equal_two_rows(
    tiny: Any, healthcare: Any, pictures: Any, kind: str, attention: str
) -> None:
    options = {"model.attention": attention}
    model = tiny(kind, policy=healthcare, **options)
    lora.attach(model.language_model, **LORA)
    for parameter in lora.parameters(model.language_model):
        torch.nn.init.normal_(parameter, std=0.05)
    rows = rows_of(pictures, healthcare, model)
    trained = list(model.train_only(["lora"]).values())
    together = step_of(model, collate(model, rows)).logps
    apart = torch.cat(
        [step_of(model, collate(model, [single(r, n) for r in rows])).logps for n in (0, 1)]
    )
    assert torch.allclose(together, apart, atol=1e-5, rtol=1e-5)
    weight = torch.linspace(-1, 1, len(together))
    one = torch.autograd.grad((together * weight).sum(), trained)
    two = torch.autograd.grad((apart * weight).sum(), trained)
    for a, b in zip(one, two, strict=True):
        assert (a - b).norm() <= 1e-5 * (b.norm() + 1e-6)


@pytest.mark.parametrize("changed", [0, 1])
def test_an_answer_never_sees_the_other(
    tiny: Any, healthcare: Any, pictures: Any, changed: int
) -> None:
    from dataclasses import replace

    model = tiny(policy=healthcare)
    row = rows_of(pictures, healthcare, model, count=1)[0]
    answers = list(row.answers)
    answers[changed] = [(i + 7) % 300 + 20 for i in answers[changed]]
    other = replace(row, answers=tuple(answers))
    with torch.no_grad():
        before = step_of(model, collate(model, [row])).logps
        after = step_of(model, collate(model, [other])).logps
    assert before[changed] != after[changed]
    assert before[1 - changed] == after[1 - changed]  # to the last bit


def test_adapter_off_is_the_model_before_the_adapter(
    tiny: Any, healthcare: Any, pictures: Any
) -> None:
    model = tiny(policy=healthcare)
    batch = collate(model, rows_of(pictures, healthcare, model))
    with torch.no_grad():
        before = step_of(model, batch).logps
        lora.attach(model.language_model, **LORA)
        for parameter in lora.parameters(model.language_model):
            torch.nn.init.normal_(parameter, std=0.05)
        assert not torch.allclose(step_of(model, batch).logps, before)
        assert torch.equal(step_of(model, batch).references, before)
        adapted = step_of(model, batch).logps
        lora.merge(model.language_model)
        assert torch.allclose(step_of(model, batch).logps, adapted, atol=1e-4)
