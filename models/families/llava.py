"""LLaVA: a tower, a two-layer projector, a causal language model (Liu et al. 2023)."""

from typing import Any

from torch import Tensor, nn

from models.encoder import PictureEncoder
from models.parts import Parts


class Features(nn.Module):
    """The tower, read at the layer that the projector was made for: pixels → (P, N, D)."""

    def __init__(self, tower: nn.Module, *, layer: int, strategy: str) -> None:
        super().__init__()
        self.tower, self.layer, self.strategy = tower, layer, strategy

    def forward(self, pixel_values: Tensor) -> Tensor:
        out = self.tower(pixel_values=pixel_values, output_hidden_states=True)
        features: Tensor = out.hidden_states[self.layer]
        return features[:, 1:] if self.strategy == "default" else features


def parts(whole: Any, processor: Any) -> Parts:
    """The parts of a ``LlavaForConditionalGeneration``; ValueError on several feature layers."""
    config = whole.config
    if not isinstance(config.vision_feature_layer, int):
        raise ValueError(
            f"vision_feature_layer={config.vision_feature_layer}: only one layer is supported"
        )
    vision = config.vision_config
    positions = (vision.image_size // vision.patch_size) ** 2
    encoder = PictureEncoder(
        tokenizer=processor.tokenizer,
        image_processor=processor.image_processor,
        chat_template=_template(processor),
        image_token=processor.image_token,
        tokens_per_picture=positions,
    )
    return Parts(
        tower=Features(
            whole.model.vision_tower,
            layer=config.vision_feature_layer,
            strategy=config.vision_feature_select_strategy,
        ),
        projector=whole.model.multi_modal_projector,
        language_model=whole.model.language_model,
        head=whole.lm_head,
        encoder=encoder,
        feature_shape=(positions, vision.hidden_size),
        hidden_size=config.text_config.hidden_size,
        family="llava",
        whole=whole,
        processor=processor,
        unused=("post_layernorm", "vision_model.head"),
    )


def _template(processor: Any) -> str:
    template = processor.chat_template or processor.tokenizer.chat_template
    if not template:
        raise ValueError(
            "the model's processor has no chat template: give one in its folder "
            "(chat_template.jinja) or take an instruction-tuned model"
        )
    return str(template)
