"""What of a picture reaches the language model: nothing but codes (``private``).

A picture's features are pooled by attention, mapped to ``bits`` numbers and each rounded to
one of two levels: finite scalar quantisation (Mentzer et al. 2023, "Finite scalar
quantization: VQ-VAE made simple", section 3.1) with two levels, that is the look-up-free
quantisation of Yu et al. (2023, "Language model beats diffusion", section 3.1). The rounding
passes the gradient of its input straight through (Bengio et al. 2013).

The ``bits`` are K tokens of m bits each. A token is a word: token k with value v is the entry
``<pic{k}_{v}>`` of the language model's extended vocabulary. In training its embedding is a
linear map of its m bits, so that words share what they have in common; ``word_embeddings``
gives the table that an export writes into the vocabulary.

**Guarantee.** A picture leaves as K words of m bits: whatever an attacker does with them, they
hold at most ``bits`` bits about anything. It says nothing of several pictures of one person
together (each gives its own bits), and nothing of which facts those bits hold.

P pictures, N positions, D features, K tokens, m bits a token, H the language model's width.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

VALUE_WIDTH = 64
MIN_QUERIES = 8  # places that bits may be read from
SHARPNESS = 4.0  # attention starts close to one position, not to the mean of all


class PictureTokens(NamedTuple):
    """What the language model gets of P pictures, and what an adversary on it may read."""

    values: Tensor  # (P, K, w): ±½ bits (private) or projected features (open)
    embeds: Tensor  # (P, K, H)


class Codes(nn.Module):
    """The private interface: features (P, N, D) → K words of m bits a picture."""

    def __init__(self, shape: tuple[int, int], *, bits: int, tokens: int, hidden_size: int) -> None:
        super().__init__()
        if bits % tokens:
            raise ValueError(f"bits={bits} does not divide into tokens={tokens}")
        positions, size = shape
        self.bits, self.tokens, self.token_bits = bits, tokens, bits // tokens
        queries = max(MIN_QUERIES, -(-bits // 16))
        self.query = nn.Parameter(torch.randn(queries, size) * 0.1)
        self.place = nn.Parameter(torch.randn(positions, size) * 0.1)
        self.key = nn.Linear(size, size)
        self.value = nn.Linear(size, VALUE_WIDTH)
        self.out = nn.Linear(queries * VALUE_WIDTH, bits)
        self.words = nn.ModuleList(nn.Linear(self.token_bits, hidden_size) for _ in range(tokens))
        self.scale = size**-0.5 * SHARPNESS

    @property
    def width(self) -> int:
        """Size of a token as adversaries see it: its bits."""
        return self.token_bits

    def logits(self, features: Tensor) -> Tensor:
        """Features (P, N, D) → a number for each bit, (P, bits), whose sign is the bit."""
        features = F.layer_norm(features, features.shape[-1:]) + self.place
        scores = self.query @ self.key(features).transpose(1, 2) * self.scale  # (P, Q, N)
        pooled = torch.softmax(scores, dim=-1) @ self.value(features)  # (P, Q, VALUE_WIDTH)
        logits: Tensor = self.out(F.gelu(pooled).flatten(1))
        return logits

    def bits_of(self, features: Tensor) -> Tensor:
        """Straight-through bits at ±½, (P, K, m)."""
        soft = torch.tanh(self.logits(features)) * 0.5
        hard = torch.where(soft >= 0, 0.5, -0.5)
        straight = soft + (hard - soft).detach()
        return straight.reshape(len(straight), self.tokens, self.token_bits)

    def forward(self, features: Tensor) -> PictureTokens:
        """Features (P, N, D) → bits (P, K, m) and their embeddings (P, K, H)."""
        values = self.bits_of(features)
        embeds = torch.stack([word(values[:, k]) for k, word in enumerate(self.words)], dim=1)
        return PictureTokens(values=values, embeds=embeds)

    @torch.no_grad()
    def codes(self, features: Tensor) -> Tensor:
        """Features (P, N, D) → the words' numbers (P, K), each in [0, 2^m): what is sent."""
        raised = (self.bits_of(features) > 0).long()
        return (raised * powers(self.token_bits, raised.device)).sum(-1)

    @torch.no_grad()
    def word_embeddings(self) -> Tensor:
        """The table of all words, (K, 2^m, H): row v of token k embeds ``<pic{k}_{v}>``."""
        values = torch.arange(2**self.token_bits, device=self.place.device)
        raised = (values[:, None] // powers(self.token_bits, values.device)) % 2  # (2^m, m)
        return torch.stack([word(raised.to(self.place.dtype) - 0.5) for word in self.words])


def powers(bits: int, device: torch.device) -> Tensor:
    """1, 2, 4, … (m,)."""
    return 2 ** torch.arange(bits, device=device)


def word(token: int, value: int) -> str:
    """The vocabulary entry of a code: ``<pic0_5>``."""
    return f"<pic{token}_{value}>"


def words(tokens: int, token_bits: int) -> list[str]:
    """All K · 2^m entries, in the order of ``word_embeddings`` flattened."""
    return [word(k, v) for k in range(tokens) for v in range(2**token_bits)]
