"""``model=tiny``: a LLaVA of 1.4 million parameters from config, with its own small tokenizer.

Standard classes throughout (SigLIP-like tower, Llama-like language model), so that whatever
loads, trains or serves PaliGemma-sized models does the same with this one.
"""

from collections.abc import Sequence
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    SiglipVisionConfig,
)
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from data.dialogues.corpus import all_texts
from lineage.errors import TactError

SPECIAL = ("<pad>", "<eos>", "<bos>", "<unk>", "<image>", "<|system|>", "<|user|>", "<|assistant|>")
CHAT = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>' }}"
    "{% if m['content'] is string %}{{ m['content'] }}"
    "{% else %}{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<image>{% else %}{{ c['text'] }}{% endif %}"
    "{% endfor %}{% endif %}"
    "{% if m['role'] == 'assistant' %}<eos>{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def tokenizer(texts: Sequence[str], *, vocabulary: int = 1024) -> PreTrainedTokenizerFast:
    """A byte-level BPE (no unknown word) in which each word of ``texts`` is one token."""
    backend = Tokenizer(models.BPE(unk_token=None))
    backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        eos_token="<eos>",
        bos_token="<bos>",
        unk_token="<unk>",
        extra_special_tokens={"image_token": "<image>"},
        padding_side="left",
        chat_template=CHAT,
    )


def llava(
    *,
    size_px: int = 96,
    patch_px: int = 24,
    tower_width: int = 128,
    tower_layers: int = 4,
    width: int = 128,
    layers: int = 4,
    seed: int = 0,
) -> tuple[Any, Any]:
    """The model and its processor, weights drawn from ``seed``; TactError on odd sizes."""
    if size_px % patch_px:
        raise TactError(f"model.parts: size_px={size_px} is no multiple of patch_px={patch_px}")
    words = tokenizer(all_texts())
    text = LlamaConfig(
        vocab_size=len(words),
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=1024,
        pad_token_id=words.pad_token_id,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        tie_word_embeddings=True,
        initializer_range=0.05,
    )
    vision = tower_config(
        size_px=size_px, patch_px=patch_px, width=tower_width, layers=tower_layers
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=words.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlavaForConditionalGeneration(config)
    return model, processor(words, size_px=size_px, patch_px=patch_px)


def tower_config(*, size_px: int, patch_px: int, width: int, layers: int) -> SiglipVisionConfig:
    """A small SigLIP-like tower without its pooling head."""
    return SiglipVisionConfig(
        image_size=size_px,
        patch_size=patch_px,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        vision_use_head=False,
    )


def processor(words: Any, *, size_px: int, patch_px: int) -> LlavaProcessor:
    """The LLaVA processor on a square of ``size_px``, by PIL (torchvision isn't needed)."""
    return LlavaProcessor(
        image_processor=SiglipImageProcessorPil(size={"height": size_px, "width": size_px}),
        tokenizer=words,
        patch_size=patch_px,
        vision_feature_select_strategy="full",
        chat_template=words.chat_template,
    )
