"""What Qwen2.5-VL and Qwen3-VL share: pictures of one size, and positions in three rows.

A tower that takes any size is given one here: each picture is first resized to the largest
square that its image processor allows (``size.longest_edge``, pixels a picture). Give an exported
model's processor such squares too.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from models.attention import PAD
from models.encoder import PictureEncoder
from models.families import common
from models.reading import Reading

OF_PICTURES = ("mrope_section", "mrope_interleaved", "type")


@dataclass(frozen=True)
class GridReading(Reading):
    """M-RoPE (Wang et al. 2024, "Qwen2-VL", section 2.1): rows of time, height and width.

    Text goes on by one in all three; a picture stands at one time, its tokens at their row and
    column, and what follows goes on from the longer side.
    """

    side: int  # tokens a side of a picture

    def positions(self, input_ids: Tensor, segments: Tensor) -> Tensor:
        """(3, B, T); padding stands at 0."""
        each = self.side**2
        place = super().positions(input_ids, segments)
        picture = (input_ids == self.image_token_id) & (segments != PAD)
        count = picture.cumsum(1)
        number = torch.where(picture, (count - 1) % each, 0)  # within its picture
        passed = torch.where(picture, count - 1, count) // each  # pictures before
        start = place - number - passed * (each - self.side)
        row, column = number // self.side, number % self.side
        rows = torch.stack([start, start + row, start + column])
        return torch.where(segments == PAD, 0, rows)


def encoder(whole: Any, processor: Any) -> PictureEncoder:
    """The encoder of pictures of one size; ValueError where the processor allows no square."""
    prepare, config = processor.image_processor, whole.config
    unit = prepare.patch_size * prepare.merge_size
    px = math.isqrt(prepare.size["longest_edge"]) // unit * unit
    if px**2 < prepare.size["shortest_edge"] or not px:
        raise ValueError(
            f"image processor: no square of a multiple of {unit} px has between "
            f"size.shortest_edge={prepare.size['shortest_edge']} and "
            f"size.longest_edge={prepare.size['longest_edge']} pixels; widen them"
        )
    patches = (px // prepare.patch_size) ** 2
    count, token = (px // unit) ** 2, common.image_token(whole, processor)
    begin, end = processor.tokenizer.convert_ids_to_tokens(
        [config.vision_start_token_id, config.vision_end_token_id]
    )
    depth = 3 * prepare.temporal_patch_size * prepare.patch_size**2
    return common.encoder(
        whole,
        processor,
        tokens_per_picture=count,
        picture_shape=(patches, depth),
        picture_px=px,
        written=f"{begin}{token}{end}",
        placed=f"{begin}{token * count}{end}",
        max_pictures=common.MANY,
    )


def limit(prepare: Any, picture_px: int) -> None:
    """Let the image processor make pictures of ``picture_px`` squared at most."""
    most = min(picture_px**2, prepare.size["longest_edge"])
    least = min(most, prepare.size["shortest_edge"])
    prepare.size = {"shortest_edge": least, "longest_edge": most}


def causal(text: Any, kind: type[Any]) -> Any:
    """The config of the plain causal class: the same weights, positions in one row."""
    values = text.to_dict()
    rope = {k: v for k, v in values.pop("rope_parameters").items() if k not in OF_PICTURES}
    values = {k: v for k, v in values.items() if k != "model_type"}
    return kind(**values, rope_parameters=rope)
