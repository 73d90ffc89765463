"""Preference losses by hand arithmetic."""

import math

import pytest
import torch

from losses import preference

GAP = torch.tensor([2.0, -1.0])


def test_gap_is_the_difference_of_log_ratios() -> None:
    parts = [torch.tensor([v]) for v in (-1.0, -4.0, -2.0, -3.0)]
    assert preference.logp_gap(*parts).item() == pytest.approx((-1 + 2) - (-4 + 3))


def test_sigmoid_with_offset_by_hand() -> None:
    loss = preference.sigmoid(GAP, beta=0.5, margin=torch.tensor([1.0, 0.0]))
    expected = [math.log(1 + math.exp(-(0.5 * 2 - 1))), math.log(1 + math.exp(0.5))]
    assert loss.tolist() == pytest.approx(expected)


def test_ipo_and_hinge_by_hand() -> None:
    assert preference.ipo(GAP, beta=0.5).tolist() == pytest.approx([1.0, 4.0])
    assert preference.hinge(GAP, beta=0.5).tolist() == pytest.approx([0.0, 1.5])


def test_robust_is_unbiased_under_flips() -> None:
    flip, beta = 0.3, 0.7
    seen = (1 - flip) * preference.robust(GAP, beta=beta, flip=flip)
    seen = seen + flip * preference.robust(-GAP, beta=beta, flip=flip)
    assert torch.allclose(seen, preference.sigmoid(GAP, beta=beta))
    with pytest.raises(ValueError, match="flip"):
        preference.robust(GAP, beta=beta, flip=0.5)


def test_reward_penalises_leakage() -> None:
    r = preference.reward(torch.tensor([1.0]), torch.tensor([0.5]), penalty=2.0)
    assert r.item() == 0.0
