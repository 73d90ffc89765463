"""The parts that a VLM is put together from, whatever they came from."""

from dataclasses import dataclass
from typing import Any

from torch import nn

from models.encoder import PictureEncoder
from models.reading import Reading
from models.towers import PatchTower, PictureTower


@dataclass(frozen=True)
class Parts:
    """A vision tower, a projector (open only) and a causal language model, with their encoder.

    ``whole`` is the image-text class that the parts belong to (open), for ``save_pretrained``.
    ``feature_shape`` is (N, D) of the tower's features.
    """

    tower: PictureTower | PatchTower  # pixels → features (P, N, D)
    projector: nn.Module | None  # features (P, N, D) → tokens (P, K, H · (1 + deep))
    language_model: nn.Module  # decoder: inputs_embeds → last_hidden_state
    head: nn.Module  # lm_head: (…, H) → (…, V); its weight is (V, H)
    encoder: PictureEncoder
    feature_shape: tuple[int, int]
    hidden_size: int
    family: str
    reading: Reading
    whole: Any
    processor: Any  # the whole's own processor (open)
    causal: Any  # config of the family's causal language model class (private server)
    deep: int = 0  # how many times H a token holds for deeper layers
    unused: tuple[str, ...] = ()  # parts of names of parameters that no forward pass reads
