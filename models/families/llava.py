"""LLaVA: a tower, a two-layer projector, a causal language model (Liu et al. 2023)."""

from typing import Any

from models.families import common
from models.families.support import Support
from models.parts import Parts
from models.reading import Reading

SUPPORT = Support("LLaVA", note="one vision feature layer")


def parts(whole: Any, processor: Any) -> Parts:
    """The parts of a ``LlavaForConditionalGeneration``; ValueError on several feature layers."""
    config, vision = whole.config, whole.config.vision_config
    tower = common.tower(whole)
    positions = (vision.image_size // vision.patch_size) ** 2
    if tower.strategy == "full" and vision.model_type == "clip_vision_model":
        positions += 1  # the class token
    encoder = common.encoder(
        whole,
        processor,
        tokens_per_picture=positions,
        picture_shape=(3, vision.image_size, vision.image_size),
    )
    return common.parts(
        whole,
        processor,
        tower=tower,
        projector=whole.model.multi_modal_projector,
        encoder=encoder,
        feature_shape=(positions, vision.hidden_size),
        reading=Reading(config.image_token_id),
    )
