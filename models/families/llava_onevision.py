"""LLaVA-OneVision: a tower on a whole picture and on its crops, with an end to each line.

Each picture is first resized to a square of the tower's own side, which has one crop beside the
whole picture: give an exported model's processor such squares too.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers.image_processing_utils import select_best_resolution

from models.families import common
from models.families.support import Support
from models.parts import Parts
from models.processor import picture_processor
from models.reading import Reading

SUPPORT = Support(
    "LLaVA-OneVision",
    takes=("crops",),
    note="one vision feature layer",
)

processor = picture_processor


class Packed(nn.Module):
    """The projector, and the model's own packing of crops: (P, C · n, D) → (P, K, H)."""

    def __init__(self, model: Any, *, crops: int, px: int) -> None:
        super().__init__()
        self.projector, self.newline = model.multi_modal_projector, model.image_newline
        self.crops, self.px, self._pack = crops, px, model.pack_image_features
        self._ratio = model.config.vision_aspect_ratio

    def forward(self, features: Tensor) -> Tensor:
        each = self.projector(features).unflatten(1, (self.crops, -1))  # (P, C, n, H)
        sizes = torch.full((len(each), 2), self.px)
        packed, _ = self._pack(
            list(each), sizes, image_newline=self.newline, vision_aspect_ratio=self._ratio
        )
        return torch.stack(packed)


def parts(whole: Any, processor: Any) -> Parts:
    """The parts of a ``LlavaOnevisionForConditionalGeneration``."""
    config, vision = whole.config, whole.config.vision_config
    tower = common.tower(whole)
    px = vision.image_size
    height, width = select_best_resolution((px, px), config.image_grid_pinpoints)
    crops = 1 + (height // px) * (width // px)
    positions = (px // vision.patch_size) ** 2
    packed = Packed(whole.model, crops=crops, px=px)
    with torch.no_grad():
        blank = torch.zeros(1, positions * crops, vision.hidden_size, dtype=whole.dtype)
        count = packed(blank).shape[1]
    return common.parts(
        whole,
        processor,
        tower=tower,
        projector=packed,
        encoder=common.encoder(
            whole,
            processor,
            tokens_per_picture=count,
            picture_shape=(crops, 3, px, px),
            picture_px=px,
        ),
        feature_shape=(positions * crops, vision.hidden_size),
        reading=Reading(config.image_token_id),
    )
