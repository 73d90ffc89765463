"""Gemma 3: SigLIP averaged to 256 tokens, a language model whose layers mostly see a window.

A picture's tokens see each other both ways, within the window. Crops of long pictures ("pan and
scan") are refused.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from models.attention import PAD, Blocks
from models.families import common
from models.families.support import Support
from models.parts import Parts
from models.reading import Reading
from models.towers import PictureTower

SUPPORT = Support(
    "Gemma 3",
    pictures=common.MANY,
    both_ways="pictures",
    note="no pan and scan",
)


class PictureBlocks(Reading):
    """Each picture is a block."""

    def blocks(self, input_ids: Tensor, segments: Tensor) -> Blocks | None:
        inside = (input_ids == self.image_token_id) & (segments != PAD)
        begins = inside & ~F.pad(inside, (1, 0))[:, :-1]
        return Blocks(torch.where(inside, begins.cumsum(1), -1), windowed=True)


def parts(whole: Any, processor: Any) -> Parts:
    """The parts of a ``Gemma3ForConditionalGeneration``; ValueError on pan and scan."""
    config, vision = whole.config, whole.config.vision_config
    if getattr(processor.image_processor, "do_pan_and_scan", False):
        raise ValueError("image processor: do_pan_and_scan is not supported; set it to false")
    if getattr(config.text_config, "final_logit_softcapping", None):
        raise ValueError("text_config.final_logit_softcapping: Gemma 3 has none; set it to null")
    tower = PictureTower(whole.model.vision_tower, layer=None)
    token = common.image_token(whole, processor)
    begin, end = processor.tokenizer.convert_ids_to_tokens(
        [config.boi_token_index, config.eoi_token_index]
    )
    count = config.mm_tokens_per_image
    return common.parts(
        whole,
        processor,
        tower=tower,
        projector=whole.model.multi_modal_projector,
        encoder=common.encoder(
            whole,
            processor,
            tokens_per_picture=count,
            picture_shape=(3, vision.image_size, vision.image_size),
            written=begin,
            placed=f"\n\n{begin}{token * count}{end}\n\n",
            max_pictures=common.MANY,
        ),
        feature_shape=((vision.image_size // vision.patch_size) ** 2, vision.hidden_size),
        reading=PictureBlocks(config.image_token_id),
    )
