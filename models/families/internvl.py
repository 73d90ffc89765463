"""InternVL: InternViT, two by two positions made one token, a language model of any kind.

Each picture is first resized to one square tile; with a square of that side the family's own
processor makes one tile too.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor, nn

from models.families import common
from models.families.support import Support
from models.parts import Parts
from models.processor import picture_processor
from models.reading import Reading
from models.towers import PictureTower

SUPPORT = Support("InternVL", pictures=common.MANY)

processor = picture_processor


class Shuffled(nn.Module):
    """The projector on neighbours put together: (P, N, D) → (P, N · ratio², H)."""

    def __init__(self, projector: nn.Module, *, shuffle: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.projector, self.shuffle = projector, shuffle

    def forward(self, features: Tensor) -> Tensor:
        side = int(features.shape[1] ** 0.5)
        together = self.shuffle(features.unflatten(1, (side, side)))
        tokens: Tensor = self.projector(together.flatten(1, 2))
        return tokens


def parts(whole: Any, processor: Any) -> Parts:
    """The parts of an ``InternVLForConditionalGeneration``; ValueError on other than squares."""
    config, vision, words = whole.config, whole.config.vision_config, processor.tokenizer
    layer = common.one_layer(config.vision_feature_layer)
    tower = PictureTower(
        whole.model.vision_tower,
        layer=None if layer == -1 else layer,
        strategy=config.vision_feature_select_strategy,
    )
    px, ratio = common.side(vision, "image_size"), config.downsample_ratio
    positions = (px // common.side(vision, "patch_size")) ** 2
    count, token = int(positions * ratio**2), common.image_token(whole, processor)
    begin = getattr(words, "start_image_token", "<img>")
    end = getattr(words, "end_image_token", "</img>")
    return common.parts(
        whole,
        processor,
        tower=tower,
        projector=Shuffled(
            whole.model.multi_modal_projector,
            shuffle=partial(type(whole.model).pixel_shuffle, None, scale_factor=ratio),
        ),
        encoder=common.encoder(
            whole,
            processor,
            tokens_per_picture=count,
            picture_shape=(3, px, px),
            picture_px=px,
            placed=f"{begin}{token * count}{end}",
            max_pictures=common.MANY,
        ),
        feature_shape=(positions, vision.hidden_size),
        reading=Reading(config.image_token_id),
    )
