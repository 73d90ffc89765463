"""Supervised log-probabilities, chunked and not, against the plain way."""

import torch
from torch import nn
from torch.nn import functional as F

from losses import language as lm
from losses.leakage import unlikelihood


def made(positions: int = 11) -> tuple[nn.Linear, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    head = nn.Linear(8, 20, bias=False)
    return head, torch.randn(positions, 8, requires_grad=True), torch.randint(20, (positions,))


def test_chunks_give_the_values_and_gradients_of_one_pass() -> None:
    words = (torch.rand(3, 20) < 0.3).float()
    results = []
    for chunk in (100, 4):
        head, hidden, targets = made()
        logps, mass = lm.supervised(head, hidden, targets, words=words, chunk=chunk)
        (logps.sum() + mass.square().sum()).backward()
        results.append((logps, mass, hidden.grad, head.weight.grad))
    for one, other in zip(*results, strict=True):
        assert one is not None and other is not None
        assert torch.allclose(one, other, atol=1e-6)


def test_logps_are_those_of_cross_entropy() -> None:
    head, hidden, targets = made()
    logps, _ = lm.supervised(head, hidden, targets)
    assert torch.allclose(-logps, F.cross_entropy(head(hidden), targets, reduction="none"))


def test_a_rows_loss_does_not_depend_on_another_rows_length() -> None:
    owner = torch.tensor([0, 0, 1, 1, 1, 1])
    logps = -torch.arange(1.0, 7.0)
    both = lm.language(logps, owner, 2)
    assert torch.allclose(both, torch.tensor([1.5, 4.5]))
    alone = lm.language(logps[:2], owner[:2], 1)
    assert both[0] == alone[0]


def test_weights_count_within_a_row_only() -> None:
    logps = torch.tensor([-1.0, -3.0, -2.0])
    loss = lm.language(logps, torch.tensor([0, 0, 1]), 2, weight=torch.tensor([1.0, 3.0, 5.0]))
    assert torch.allclose(loss, torch.tensor([2.5, 2.0]))


def test_unlikelihood_counts_unshared_attributes_only() -> None:
    mass = torch.tensor([[0.5, 0.9], [0.0, 0.2]])
    unshared = torch.tensor([[True, False], [True, False]])
    loss = unlikelihood(mass, unshared, torch.tensor([0, 0]), 1)
    assert torch.allclose(loss, torch.tensor([torch.log(torch.tensor(2.0)) / 2]))
