"""What several families share."""

from typing import Any

from torch import nn

from models.encoder import PictureEncoder
from models.parts import Parts
from models.towers import PatchTower, PictureTower

MANY = 8  # pictures a row of a family made for several; its length bounds them too


def template(processor: Any) -> str:
    """The processor's chat template; ValueError where it has none."""
    found = processor.chat_template or processor.tokenizer.chat_template
    if not found:
        raise ValueError(
            "the model's processor has no chat template: give one in its folder "
            "(chat_template.jinja) or take an instruction-tuned model"
        )
    return str(found)


def image_token(whole: Any, processor: Any) -> str:
    """The token that stands once for each position of a picture, as text."""
    return str(processor.tokenizer.convert_ids_to_tokens(whole.config.image_token_id))


def one_layer(layer: Any) -> int:
    """``vision_feature_layer`` if it is one layer; ValueError if several."""
    if not isinstance(layer, int):
        raise ValueError(f"vision_feature_layer={layer}: only one layer is supported")
    return layer


def side(config: Any, name: str) -> int:
    """A size in a vision config that is one number or an equal pair; ValueError else."""
    value = getattr(config, name)
    both = (value, value) if isinstance(value, int) else tuple(value)
    if both[0] != both[1]:
        raise ValueError(f"vision_config.{name}={value}: only squares are supported")
    return int(both[0])


def tower(whole: Any) -> PictureTower:
    """The tower of a config that names one feature layer and a strategy; ValueError on several."""
    return PictureTower(
        whole.model.vision_tower,
        layer=one_layer(whole.config.vision_feature_layer),
        strategy=whole.config.vision_feature_select_strategy,
    )


def encoder(
    whole: Any, processor: Any, *, chat_template: str | None = None, **own: Any
) -> PictureEncoder:
    """The encoder of the processor's tokenizer and image processor; ``own`` is the family's.

    ValueError where there is no chat template.
    """
    return PictureEncoder(
        tokenizer=processor.tokenizer,
        image_processor=processor.image_processor,
        chat_template=chat_template or template(processor),
        image_token=image_token(whole, processor),
        **own,
    )


def parts(
    whole: Any,
    processor: Any,
    *,
    tower: PictureTower | PatchTower,
    language_model: nn.Module | None = None,
    **own: Any,
) -> Parts:
    """The parts where most families have them; ``own`` is the family's, and goes before these."""
    config = whole.config
    usual = {
        "head": whole.lm_head,
        "hidden_size": config.text_config.hidden_size,
        "family": config.model_type,
        "causal": config.text_config,
    }
    return Parts(
        tower=tower,
        language_model=whole.model.language_model if language_model is None else language_model,
        whole=whole,
        processor=processor,
        unused=tower.unused(),
        **{**usual, **own},
    )
