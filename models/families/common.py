"""What several families share."""

from typing import Any

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
