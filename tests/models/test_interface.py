"""The private interface: bits, words and the table that an export writes."""

import pytest
import torch

from models.interface import Codes, words


def codes(bits: int = 12, tokens: int = 3) -> Codes:
    torch.manual_seed(0)
    return Codes((5, 8), bits=bits, tokens=tokens, hidden_size=6)


def test_bits_are_two_valued_and_as_many_as_stated() -> None:
    values = codes()(torch.randn(7, 5, 8)).values
    assert values.shape == (7, 3, 4)
    assert set(values.unique().tolist()) <= {-0.5, 0.5}


def test_a_words_embedding_in_training_is_its_row_of_the_exported_table() -> None:
    interface = codes()
    features = torch.randn(20, 5, 8)
    numbers, table = interface.codes(features), interface.word_embeddings()
    looked_up = torch.stack([table[k][numbers[:, k]] for k in range(3)], dim=1)
    assert torch.allclose(interface(features).embeds, looked_up, atol=1e-6)
    assert len(words(3, 4)) == table.shape[0] * table.shape[1]


def test_the_gradient_passes_straight_through_the_rounding() -> None:
    features = torch.randn(4, 5, 8, requires_grad=True)
    codes()(features).embeds.square().sum().backward()
    assert features.grad is not None and features.grad.abs().sum() > 0


def test_bits_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="divide"):
        codes(bits=13)
