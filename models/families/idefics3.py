"""Idefics3 and SmolVLM: SigLIP on a picture's crops, neighbouring positions made one token.

Where the image processor splits pictures, each is first resized to a square, so that all have
the same crops: give an exported model's processor square pictures too.
"""

import math
from typing import Any

from torch import Tensor, nn

from models.families import common
from models.families.support import Support
from models.parts import Parts
from models.processor import picture_processor
from models.reading import Reading
from models.towers import PictureTower

SUPPORT = Support("Idefics3, SmolVLM", pictures=common.MANY, takes=("crops", "whole"))

FAKE, GLOBAL = "<fake_token_around_image>", "<global-img>"

processor = picture_processor  # SmolVLM's own takes videos


class Connector(nn.Module):
    """The connector on each crop: features (P, C · n, D) → tokens (P, C · k, H)."""

    def __init__(self, connector: nn.Module, *, crops: int) -> None:
        super().__init__()
        self.connector, self.crops = connector, crops

    def forward(self, features: Tensor) -> Tensor:
        pictures = len(features)
        each = features.unflatten(1, (self.crops, -1)).flatten(0, 1)  # (P · C, n, D)
        tokens: Tensor = self.connector(each).unflatten(0, (pictures, self.crops))
        return tokens.flatten(1, 2)


def parts(whole: Any, processor: Any) -> Parts:
    """The parts of an image-text model of either family."""
    config, vision = whole.config, whole.config.vision_config
    tower = PictureTower(whole.model.vision_model, layer=None)
    prepare = processor.image_processor
    side = _crops_a_side(prepare)
    crops = side**2 + 1 if side else 1
    positions = (vision.image_size // vision.patch_size) ** 2
    tokens = positions // config.scale_factor**2
    token = common.image_token(whole, processor)
    crop_px = prepare.max_image_size["longest_edge"]
    return common.parts(
        whole,
        processor,
        tower=tower,
        projector=Connector(whole.model.connector, crops=crops),
        language_model=whole.model.text_model,
        encoder=common.encoder(
            whole,
            processor,
            tokens_per_picture=tokens * crops,
            picture_shape=(crops, 3, crop_px, crop_px) if side else (3, crop_px, crop_px),
            picture_px=crop_px * side if side else None,
            placed=_placed(token * tokens, side),
            max_pictures=common.MANY,
        ),
        feature_shape=(positions * crops, vision.hidden_size),
        reading=Reading(config.image_token_id),
    )


def limit(prepare: Any, picture_px: int) -> None:
    """Let a picture's longer side be ``picture_px`` at most; up to a crop's side, it is whole."""
    prepare.size = {"longest_edge": min(picture_px, prepare.size["longest_edge"])}


def _crops_a_side(prepare: Any) -> int:
    """Crops in a row of a square picture, the whole picture beside them; 0 without crops."""
    whole, crop = prepare.size["longest_edge"], prepare.max_image_size["longest_edge"]
    return math.ceil(whole / crop) if prepare.do_image_splitting and whole > crop else 0


def _placed(tokens: str, side: int) -> str:
    """What stands for a picture: its crops by row and column, then the whole of it."""
    rows = [
        "".join(f"{FAKE}<row_{row + 1}_col_{column + 1}>{tokens}" for column in range(side)) + "\n"
        for row in range(side)
    ]
    crops = "".join(rows) + "\n" if side else ""
    return f"{crops}{FAKE}{GLOBAL}{tokens}{FAKE}"
