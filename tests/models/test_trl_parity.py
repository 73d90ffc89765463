"""Losses, gradients and steps are those of TRL's trainers, and of two rows a pair without TRL.

Float32, LoRA on, the reference is the same weights with the adapter off. TRL's language loss is
the mean over a batch's tokens, ours the mean over rows of each row's mean: rows here have equally
many supervised tokens, where both are the same number.
"""

from pathlib import Path
from typing import Any

import peers
import pytest
import tiny_families
import torch
from family_rows import CHOSEN, REJECTED, turn
from peft import get_peft_model
from pytorch_lightning import Trainer
from torch import Tensor
from torch.nn import functional as F

from data.collate import Collator
from data.encode import EncodedRow
from train.rows import StepSampler, loader
from train.stage import Stage

PARITY = 1e-5
three = pytest.mark.parametrize("name", list(tiny_families.NORMAL))
others = pytest.mark.parametrize("name", list(tiny_families.OTHERS))
SHORT, LONG = "black hair .", f"{CHOSEN} {REJECTED}"
ANSWERS = ("chosen", "rejected")


def pairs() -> list[dict[str, Any]]:
    """Four pairs, three of them of answers that differ in length."""
    answers = [(CHOSEN, SHORT), (LONG, REJECTED), (SHORT, LONG), (REJECTED, CHOSEN)]
    return [{k: said(words) for k, words in zip(ANSWERS, both, strict=True)} for both in answers]


def said(words: str) -> list[dict[str, Any]]:
    return [turn("assistant", words)]


def value(module: Stage, encoded: Any) -> Tensor:
    """The mean of the stage's only term over all rows, with its gradient left at the adapter."""
    collator = Collator(module.model.parts.encoder, index=encoded.index)
    (term,) = module.values(collator(encoded.rows)).values()
    mean = term.mean()
    mean.backward()
    return mean.detach()


def same_ids(rows: list[EncodedRow], batch: Any, *, learnt: Tensor) -> None:
    """TRL's batch, all first answers before all second ones, holds the rows' ids."""
    answers = [(row, row.answers[k]) for k in range(len(rows[0].answers)) for row in rows]
    assert len(batch["input_ids"]) == len(answers)
    for i, (row, answer) in enumerate(answers):
        real = batch["attention_mask"][i].bool()
        assert batch["input_ids"][i][real].tolist() == row.prompt + answer
        assert learnt[i][real].tolist() == [False] * len(row.prompt) + [True] * len(answer)
        assert not learnt[i][~real].any()


def assert_equal(module: Stage, encoded: Any, peer: Any, *, loss: Tensor) -> None:
    """The term's mean and the adapter's gradient are the peer's, after its own backward pass."""
    loss.backward()
    assert float(value(module, encoded)) == pytest.approx(float(loss), abs=PARITY)
    found, expected = peers.gradients(module.model), peers.gradients(peer)
    assert expected.norm() > 1.0
    assert (found - expected).norm() <= PARITY * expected.norm()


@three
def test_preference_loss_and_gradients_equal_trls(name: str, tmp_path: Path) -> None:
    stage = peers.ours(name, peers.PREFER)
    rows = peers.dataset(stage.model, pairs()[:2])
    trl = peers.trainer("dpo", name, rows, tmp_path, stage=stage)
    batch = next(iter(trl.get_train_dataloader()))
    encoded = peers.encoded(stage.model, rows, tmp_path)
    same_ids(encoded.rows, batch, learnt=batch["completion_mask"].bool())
    assert_equal(stage, encoded, trl.model, loss=trl.compute_loss(trl.model, batch))


@three
def test_language_loss_and_gradients_equal_trls(name: str, tmp_path: Path) -> None:
    stage = peers.ours(name, peers.LANGUAGE)
    rows = peers.dataset(stage.model, [{"completion": said(a)} for a in (CHOSEN, REJECTED)])
    trl = peers.trainer("sft", name, rows, tmp_path, stage=stage)
    batch = next(iter(trl.get_train_dataloader()))
    encoded = peers.encoded(stage.model, rows, tmp_path)
    same_ids(encoded.rows, batch, learnt=batch["labels"] != -100)
    assert len({len(row.answers[0]) for row in encoded.rows}) == 1
    assert_equal(stage, encoded, trl.model, loss=trl.compute_loss(trl.model, batch))


@three
def test_four_steps_stay_with_trls(name: str, tmp_path: Path) -> None:
    stage = peers.ours(name, peers.PREFER)
    rows = peers.dataset(stage.model, pairs())
    begun = {n: p.detach().clone() for n, p in peers.adapter(stage.model).items()}
    drawn = StepSampler(len(rows), batch=2, steps=4, seed=0)
    order = [number for step in drawn for number in step]
    trl = peers.trainer("dpo", name, rows.select(order), tmp_path, stage=stage)
    trl.train()
    fit(stage, peers.encoded(stage.model, rows, tmp_path))
    expected = peers.adapter(trl.model)
    for n, parameter in peers.adapter(stage.model).items():
        assert (expected[n] - begun[n]).abs().max() > 1e-2
        assert torch.allclose(parameter, expected[n], rtol=0, atol=1e-4)


def fit(stage: Stage, encoded: Any) -> None:
    """The stage's own steps, as a run makes them."""
    config = stage.config
    batches = loader(
        encoded, stage.model.parts.encoder, batch=config.batch_size_rows, steps=config.steps,
        seed=0, start=0, pixels=True,
    )  # fmt: skip
    Trainer(
        accelerator="cpu", devices=1, max_steps=config.steps, max_epochs=1, logger=False,
        gradient_clip_val=config.gradient_clip_norm, enable_checkpointing=False,
        enable_model_summary=False, enable_progress_bar=False,
    ).fit(stage, batches)  # fmt: skip


@pytest.mark.system
@others
def test_preference_loss_and_gradients_equal_two_plain_rows(name: str, tmp_path: Path) -> None:
    stage = peers.ours(name, peers.PREFER)
    rows = peers.dataset(stage.model, pairs()[:2])
    encoded = peers.encoded(stage.model, rows, tmp_path)
    whole, processor = tiny_families.make(name)
    plain = get_peft_model(whole, peers.lora_config())
    peers.copy(stage.model, plain)
    losses = []
    for row, own in zip(rows, encoded.rows, strict=True):
        chosen, rejected = (full_row(processor, row, row[k][0]["content"]) for k in ANSWERS)
        for (given, count), answer in zip((chosen, rejected), own.answers, strict=True):
            assert given["input_ids"][0].tolist() == own.prompt + answer and count == len(answer)
        gap = log_ratio(plain, *chosen) - log_ratio(plain, *rejected)
        losses.append(-F.logsigmoid(peers.BETA * gap))
    assert_equal(stage, encoded, plain, loss=torch.stack(losses).mean())


def full_row(processor: Any, row: Any, answer: str) -> tuple[Any, int]:
    """What the family's own processor makes of one answer's row, and the answer's length."""
    system, user = (message["content"] for message in row["prompt"])
    made = {"images": [row["images"]], "return_tensors": "pt"}
    if processor.chat_template is None:  # PaliGemma writes <bos>, the line's end and <eos> itself
        images = "<image>" * len(row["images"])
        given = processor(text=[f"{images}{system}\n{user}"], suffix=[answer], **made)
        return given, int((given.pop("labels") != -100).sum())
    blocks = [{"type": "image"}] * len(row["images"]) + [{"type": "text", "text": user}]
    turns = [turn("system", system), turn("user", blocks)]
    text = processor.apply_chat_template(turns, add_generation_prompt=True)
    whole = processor.apply_chat_template([*turns, turn("assistant", answer)])
    given = processor(text=[text], add_special_tokens=False, **made)
    rest = processor.tokenizer(whole[len(text) :], add_special_tokens=False)["input_ids"]
    added = {"input_ids": rest, "attention_mask": [1] * len(rest)}
    for column in {"input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids"} & {*given}:
        more = torch.tensor([added.get(column, [0] * len(rest))])
        given[column] = torch.cat([given[column], more], dim=1)
    return given, len(rest)


def log_ratio(model: Any, given: Any, count: int) -> Tensor:
    """log π - log π_ref of a row's last ``count`` tokens, the reference without the adapter."""

    def logps() -> Tensor:
        log_probs = model(**given, use_cache=False).logits[0, -count - 1 : -1].log_softmax(-1)
        return log_probs.gather(1, given["input_ids"][0, -count:, None]).sum()

    with torch.no_grad(), model.disable_adapter():
        reference = logps()
    return logps() - reference
