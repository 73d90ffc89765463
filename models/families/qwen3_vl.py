"""Qwen3-VL: pictures also enter the language model's first layers ("deepstack").

A picture's token holds its embedding and what is added after each of the first layers, side by
side: all of it leaves the device where the interface is open, and an attacker may read it all.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Qwen3Config

from models.families import common, qwen_vl
from models.families.support import Support
from models.parts import Parts
from models.processor import picture_processor
from models.towers import PatchTower

SUPPORT = Support(
    "Qwen3-VL", pictures=common.MANY, takes=("patches",), grid=True,
    note="pictures enter deeper layers too",
)  # fmt: skip

MERGERS = ("merger", "deepstack_merger_list")

processor = picture_processor
limit = qwen_vl.limit


@dataclass(frozen=True)
class DeepReading(qwen_vl.GridReading):
    """Positions in three rows, and deepstack."""

    deep: int  # layers that a picture enters, past the embedding

    def deeper(self, places: Tensor, embeds: Tensor) -> dict[str, object]:
        layers = embeds.unflatten(1, (self.deep, -1)).unbind(1)
        return {"visual_pos_masks": places, "deepstack_visual_embeds": list(layers)}


class Mergers(nn.Module):
    """A merger for each state of the tower: (P, N, D · (1 + L)) → (P, N / 4, H · (1 + L))."""

    def __init__(self, visual: Any) -> None:
        super().__init__()
        self.mergers = nn.ModuleList([visual.merger, *visual.deepstack_merger_list])

    def forward(self, features: Tensor) -> Tensor:
        states = features.chunk(len(self.mergers), dim=-1)
        merged = [
            merger(state.flatten(0, 1).contiguous()).unflatten(0, (len(features), -1))
            for merger, state in zip(self.mergers, states, strict=True)
        ]
        return torch.cat(merged, dim=-1)


def parts(whole: Any, processor: Any) -> Parts:
    """The parts of a ``Qwen3VLForConditionalGeneration``."""
    config, vision, visual = whole.config, whole.config.vision_config, whole.model.visual
    encoder = qwen_vl.encoder(whole, processor)
    side = encoder.picture_px // vision.patch_size  # type: ignore[operator]
    layers = tuple(vision.deepstack_visual_indexes)
    return common.parts(
        whole,
        processor,
        tower=PatchTower(visual, grid=(side, side), mergers=MERGERS, layers=layers),
        projector=Mergers(visual),
        encoder=encoder,
        feature_shape=(side**2, vision.hidden_size * (1 + len(layers))),
        reading=DeepReading(
            config.image_token_id, side=side // vision.spatial_merge_size, deep=len(layers)
        ),
        causal=qwen_vl.causal(config.text_config, Qwen3Config),
        deep=len(layers),
    )
