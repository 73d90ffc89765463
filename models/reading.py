"""How a language model reads a row with pictures in it: what families add to plain causal text.

B rows, T positions, n picture tokens of all rows together, H the language model's width.
"""

from dataclasses import dataclass

from torch import Tensor

from models import attention
from models.attention import Blocks


@dataclass(frozen=True)
class Reading:
    """Plain causal text; a family overrides what differs.

    The private interface always reads so: its pictures are words of a causal language model.
    """

    image_token_id: int

    def positions(self, input_ids: Tensor, segments: Tensor) -> Tensor:
        """Position ids (B, T), or several rows of them (R, B, T)."""
        return attention.places(segments)

    def blocks(self, input_ids: Tensor, segments: Tensor) -> Blocks | None:
        """Positions that see each other both ways; None where all is causal."""
        return None

    def deeper(self, places: Tensor, embeds: Tensor) -> dict[str, object]:
        """Arguments of the language model made of what picture tokens hold past H.

        ``places`` (B, T) bool marks the picture tokens, ``embeds`` (n, L · H) belongs to them.
        """
        return {}
