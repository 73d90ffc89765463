"""Qwen2.5-VL: a tower that mostly attends in windows, four patches made one token."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import Qwen2Config
from transformers.vision_utils import get_vision_window_index

from models.families import common, qwen_vl
from models.families.support import Support
from models.parts import Parts
from models.processor import picture_processor
from models.towers import PatchTower

SUPPORT = Support("Qwen2.5-VL", pictures=common.MANY, takes=("patches",), grid=True)

processor = picture_processor
limit = qwen_vl.limit


class Merger(nn.Module):
    """The tower's merger, and its tokens in reading order: (P, N, D) → (P, N / 4, H)."""

    def __init__(self, visual: Any, *, grid: tuple[int, int]) -> None:
        super().__init__()
        self.merger = visual.merger
        with torch.device("cpu"):  # an index is a value: on meta there is none
            windowed, _ = get_vision_window_index(
                torch.tensor([[1, *grid]]),
                spatial_merge_size=visual.spatial_merge_size,
                window_size=visual.window_size,
                patch_size=visual.patch_size,
                kwargs={},
            )
        self.register_buffer("order", windowed.argsort(), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        merged = self.merger(features.flatten(0, 1)).unflatten(0, (len(features), -1))
        tokens: Tensor = merged[:, self.order]
        return tokens


def parts(whole: Any, processor: Any) -> Parts:
    """The parts of a ``Qwen2_5_VLForConditionalGeneration``."""
    config, visual = whole.config, whole.model.visual
    encoder = qwen_vl.encoder(whole, processor)
    side = encoder.picture_px // config.vision_config.patch_size  # type: ignore[operator]
    tower = PatchTower(visual, grid=(side, side), mergers=("merger",))
    return common.parts(
        whole,
        processor,
        tower=tower,
        projector=Merger(visual, grid=(side, side)),
        encoder=encoder,
        feature_shape=(side**2, config.vision_config.hidden_size),
        reading=qwen_vl.GridReading(
            config.image_token_id, side=side // config.vision_config.spatial_merge_size
        ),
        causal=qwen_vl.causal(config.text_config, Qwen2Config),
    )
