"""PaliGemma 1 and 2: SigLIP, one linear layer, Gemma that reads a whole prompt both ways.

A prompt is the pictures, ``<bos>``, the words and a line's end (Beyer et al. 2024, "PaliGemma",
section 3.1); where a processor has no chat template (the published ones have none) that is it.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from models.attention import PROMPT, Blocks
from models.families import common
from models.families.support import Support
from models.parts import Parts
from models.reading import Reading
from models.towers import PictureTower

SUPPORT = Support(
    "PaliGemma 1 and 2", both_ways="prompt", note="PaliGemma 2: `model.attention=eager`"
)

TEMPLATE = (
    "{% for m in messages %}{% if m['content'] is not string %}{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<image>{% endif %}{% endfor %}{% endif %}{% endfor %}"
    "{{ bos_token }}"
    "{% for m in messages %}{% if m['content'] is string %}{{ m['content'] }}"
    "{% else %}{% for c in m['content'] %}{% if c['type'] == 'text' %}{{ c['text'] }}{% endif %}"
    "{% endfor %}{% endif %}"
    "{% if m['role'] == 'assistant' %}{{ eos_token }}{% else %}{{ '\\n' }}{% endif %}"
    "{% endfor %}"
)


class PrefixReading(Reading):
    """The prompt is one block that sees itself both ways, past any window; places begin at 1."""

    def positions(self, input_ids: Tensor, segments: Tensor) -> Tensor:
        return super().positions(input_ids, segments) + 1

    def blocks(self, input_ids: Tensor, segments: Tensor) -> Blocks | None:
        return Blocks(torch.where(segments == PROMPT, 0, -1), windowed=False)


class CappedHead(nn.Module):
    """``lm_head`` with Gemma 2's soft cap on its logits."""

    def __init__(self, linear: nn.Module, *, cap: float) -> None:
        super().__init__()
        self.linear, self.cap = linear, cap

    @property
    def weight(self) -> Any:
        """(V, H)."""
        return self.linear.weight

    def forward(self, hidden: Tensor) -> Tensor:
        """States (…, H) → logits (…, V) in ±cap."""
        logits: Tensor = torch.tanh(self.linear(hidden) / self.cap) * self.cap
        return logits


def parts(whole: Any, processor: Any) -> Parts:
    """The parts of a ``PaliGemmaForConditionalGeneration``."""
    config, vision = whole.config, whole.config.vision_config
    tower = PictureTower(whole.model.vision_tower, layer=None)
    positions = (vision.image_size // vision.patch_size) ** 2
    cap = getattr(config.text_config, "final_logit_softcapping", None)
    causal = copy.deepcopy(config.text_config)
    causal.use_bidirectional_attention = False  # the private server reads words, causally
    return common.parts(
        whole,
        processor,
        tower=tower,
        projector=whole.model.multi_modal_projector,
        head=CappedHead(whole.lm_head, cap=cap) if cap else whole.lm_head,
        encoder=common.encoder(
            whole,
            processor,
            chat_template=_template(processor),
            tokens_per_picture=positions,
            picture_shape=(3, vision.image_size, vision.image_size),
        ),
        feature_shape=(positions, vision.hidden_size),
        reading=PrefixReading(config.image_token_id),
        causal=causal,
    )


def _template(processor: Any) -> str:
    return str(processor.chat_template or processor.tokenizer.chat_template or TEMPLATE)
