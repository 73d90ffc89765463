"""Attribute cross-entropy and gradient reversal."""

import torch
from torch.nn import functional as F

from losses import attributes


def test_unknown_labels_count_nothing() -> None:
    torch.manual_seed(0)
    logits = {"a": torch.randn(3, 2), "b": torch.randn(3, 4)}
    labels = {"a": torch.tensor([0, -1, -1]), "b": torch.tensor([3, 1, -1])}
    loss = attributes.cross_entropy(logits, labels)
    a, b = (F.cross_entropy(logits[k], labels[k].clamp(min=0), reduction="none") for k in "ab")
    assert torch.allclose(loss, torch.stack([(a[0] + b[0]) / 2, b[1], torch.tensor(0.0)]))


def test_a_mask_leaves_attributes_out() -> None:
    logits = {"a": torch.randn(1, 2), "b": torch.randn(1, 2)}
    labels = {"a": torch.tensor([0]), "b": torch.tensor([1])}
    loss = attributes.cross_entropy(logits, labels, mask=torch.tensor([[False, True]]))
    assert torch.allclose(loss, F.cross_entropy(logits["b"], labels["b"], reduction="none"))


def test_reversal_turns_the_gradient_and_keeps_the_value() -> None:
    values = torch.randn(4, requires_grad=True)
    reversed_ = attributes.reverse(values, 0.3)
    assert torch.equal(reversed_, values)
    reversed_.sum().backward()
    assert values.grad is not None
    assert torch.allclose(values.grad, torch.full((4,), -0.3))


def test_the_ramp_goes_from_nothing_to_all() -> None:
    assert attributes.ramp(0, 100) == 0.0
    assert 0.99 < attributes.ramp(100, 100) <= 1.0
