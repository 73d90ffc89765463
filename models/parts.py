"""The parts that a VLM is put together from, whatever they came from."""

from dataclasses import dataclass
from typing import Any

from torch import nn

from models.encoder import PictureEncoder


@dataclass(frozen=True)
class Parts:
    """A vision tower, a projector (open only) and a causal language model, with their encoder.

    ``whole`` is the image-text class that the parts belong to (open), for ``save_pretrained``.
    ``feature_shape`` is (N, D) of the tower's features.
    """

    tower: nn.Module  # pixels (P, 3, h, w) → features (P, N, D)
    projector: nn.Module | None
    language_model: nn.Module  # decoder: inputs_embeds → last_hidden_state
    head: nn.Module  # lm_head: (…, H) → (…, V)
    encoder: PictureEncoder
    feature_shape: tuple[int, int]
    hidden_size: int
    family: str
    whole: Any | None = None
    processor: Any | None = None  # the whole's own processor (open)
    unused: tuple[str, ...] = ()  # parts of names of parameters that no forward pass reads
