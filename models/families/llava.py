"""LLaVA: a tower, a two-layer projector, a causal language model (Liu et al. 2023)."""

from typing import Any

from models.encoder import PictureEncoder
from models.families import common
from models.parts import Parts
from models.reading import Reading
from models.towers import PictureTower


def parts(whole: Any, processor: Any) -> Parts:
    """The parts of a ``LlavaForConditionalGeneration``; ValueError on several feature layers."""
    config, vision = whole.config, whole.config.vision_config
    strategy = config.vision_feature_select_strategy
    tower = PictureTower(
        whole.model.vision_tower,
        layer=common.one_layer(config.vision_feature_layer),
        strategy=strategy,
    )
    positions = (vision.image_size // vision.patch_size) ** 2
    if strategy == "full" and vision.model_type == "clip_vision_model":
        positions += 1  # the class token
    encoder = PictureEncoder(
        tokenizer=processor.tokenizer,
        image_processor=processor.image_processor,
        chat_template=common.template(processor),
        image_token=common.image_token(whole, processor),
        tokens_per_picture=positions,
        picture_shape=(3, vision.image_size, vision.image_size),
    )
    return Parts(
        tower=tower,
        projector=whole.model.multi_modal_projector,
        language_model=whole.model.language_model,
        head=whole.lm_head,
        encoder=encoder,
        feature_shape=(positions, vision.hidden_size),
        hidden_size=config.text_config.hidden_size,
        family="llava",
        reading=Reading(config.image_token_id),
        whole=whole,
        processor=processor,
        causal=config.text_config,
        unused=tower.unused(),
    )
