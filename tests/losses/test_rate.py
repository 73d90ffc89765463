"""The rate of codes by hand, and that it is an entropy."""

import pytest
import torch

from losses.rate import LEAST, rate


def test_a_fair_bit_costs_one_and_a_constant_one_next_to_nothing() -> None:
    bits = torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    constant = float(-torch.log2(torch.tensor(1 - LEAST)))
    assert rate(bits).tolist() == pytest.approx([1 + constant] * 4)


def test_its_mean_is_the_entropy_of_the_bits() -> None:
    bits = torch.tensor([[1.0], [0.0], [0.0], [0.0]])
    entropy = 0.25 * 2 + 0.75 * 0.41503749927884376
    assert rate(bits).mean().item() == pytest.approx(entropy)
    assert rate(bits)[0].item() == pytest.approx(2.0)  # the rare value is the dear one


def test_its_gradient_draws_a_bit_to_its_common_value() -> None:
    bits = torch.tensor([[0.9, 0.5], [0.8, 0.5], [0.1, 0.5]], requires_grad=True)
    rate(bits).sum().backward()
    assert bits.grad is not None
    assert (bits.grad[:, 0] < 0).all()  # mostly set: setting it is cheaper
    assert torch.equal(bits.grad[:, 1], torch.zeros(3))
