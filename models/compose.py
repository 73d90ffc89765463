"""A LLaVA from parts: a new small tower, and a causal language model by folder or id."""

from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlavaConfig,
    LlavaForConditionalGeneration,
)

from lineage.errors import TactError
from models.tiny import processor, tower_config

IMAGE = "<image>"
IMAGE_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% if m['content'] is string %}{{ m['content'] }}"
    "{% else %}{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<image>{% else %}{{ c['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def llava(
    *,
    language: str,
    size_px: int = 96,
    patch_px: int = 24,
    tower_width: int = 128,
    tower_layers: int = 4,
    seed: int = 0,
) -> tuple[Any, Any]:
    """The model and its processor; the language model keeps its weights, the tower is new.

    The tokenizer must speak ChatML (``<|im_start|>``). TactError where ``language`` can't be read.
    """
    try:
        words = AutoTokenizer.from_pretrained(language)
        decoder = AutoModelForCausalLM.from_pretrained(language, dtype=torch.float32)
    except (OSError, ValueError) as error:
        raise TactError(
            f"model.parts.language={language}: it can't be loaded "
            f"({str(error).splitlines()[0]}); give a folder with config.json, weights and tokenizer"
        ) from error
    words.add_special_tokens({"extra_special_tokens": [IMAGE]}, replace_extra_special_tokens=False)
    decoder.resize_token_embeddings(max(len(words), decoder.config.vocab_size))
    words.chat_template = IMAGE_TEMPLATE
    config = LlavaConfig(
        vision_config=tower_config(
            size_px=size_px, patch_px=patch_px, width=tower_width, layers=tower_layers
        ),
        text_config=decoder.config,
        image_token_index=words.convert_tokens_to_ids(IMAGE),
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        tie_word_embeddings=decoder.config.tie_word_embeddings,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlavaForConditionalGeneration(config)
    model.model.language_model.load_state_dict(decoder.model.state_dict())
    model.lm_head.load_state_dict(decoder.lm_head.state_dict())
    return model, processor(words, size_px=size_px, patch_px=patch_px)
