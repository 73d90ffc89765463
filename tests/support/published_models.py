"""The presets' models as their pages describe them: published sizes, a tiny tokenizer, no weights.

What differs between families is the tiny families'; here are the sizes alone.
"""

from dataclasses import dataclass, field
from typing import Any

import tiny_families

SO400M = {"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27,
          "num_attention_heads": 16, "patch_size": 14}  # fmt: skip
SIGLIP_BASE = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
               "num_attention_heads": 12, "patch_size": 16, "image_size": 512}  # fmt: skip
QWEN_TOWER = {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16,
              "patch_size": 14, "window_size": 112,
              "fullatt_block_indexes": [7, 15, 23, 31]}  # fmt: skip
QWEN_PIXELS = {"size": {"shortest_edge": 56**2, "longest_edge": 3584**2}}
SMOL_CROPS = {"size": {"longest_edge": 2048}, "max_image_size": {"longest_edge": 512},
              "do_image_splitting": True}  # fmt: skip


def mrope(*section: int) -> dict[str, Any]:
    return {"rope_type": "default", "rope_theta": 1e6, "mrope_section": list(section)}


def text(hidden: int, wide: int, layers: int, heads: int, kv: int, words: int) -> dict[str, Any]:
    """A language model's sizes."""
    return {"hidden_size": hidden, "intermediate_size": wide, "num_hidden_layers": layers,
            "num_attention_heads": heads, "num_key_value_heads": kv, "vocab_size": words,
            "head_dim": hidden // heads}  # fmt: skip


@dataclass(frozen=True)
class Published:
    """One model: what its config and image processor say, and what its page says of its size."""

    family: str
    billions: float
    tokens: int  # a picture, with the preset's picture_px
    layers: int
    vision: dict[str, Any]
    text: dict[str, Any]
    top: dict[str, Any] = field(default_factory=dict)
    prepare: dict[str, Any] = field(default_factory=dict)


MODELS = {
    "paligemma2_3b": Published(
        "paligemma2", 3.03, 256, 26, {**SO400M, "image_size": 224},
        {**text(2304, 9216, 26, 8, 4, 257216), "head_dim": 256, "query_pre_attn_scalar": 256,
         "sliding_window": 4096},
        {"projection_dim": 2304, "hidden_size": 2304, "vocab_size": 257216},
        {"size": {"height": 224, "width": 224}, "image_seq_length": 256},
    ),
    "qwen2_5_vl_3b": Published(
        "qwen2_5_vl", 3.75, 256, 36, {**QWEN_TOWER, "out_hidden_size": 2048},
        {**text(2048, 11008, 36, 16, 2, 151936), "rope_parameters": mrope(16, 24, 24)},
        {"tie_word_embeddings": True}, QWEN_PIXELS,
    ),
    "qwen2_5_vl_7b": Published(
        "qwen2_5_vl", 8.29, 256, 28, {**QWEN_TOWER, "out_hidden_size": 3584},
        {**text(3584, 18944, 28, 28, 4, 152064), "rope_parameters": mrope(16, 24, 24)},
        {"tie_word_embeddings": False}, QWEN_PIXELS,
    ),
    "qwen3_vl_4b": Published(
        "qwen3_vl", 4.44, 196, 36,
        {"depth": 24, "hidden_size": 1024, "intermediate_size": 4096, "num_heads": 16,
         "patch_size": 16, "out_hidden_size": 2560, "num_position_embeddings": 2304,
         "deepstack_visual_indexes": [5, 11, 17]},
        {**text(2560, 9728, 36, 32, 8, 151936), "head_dim": 128,
         "rope_parameters": {**mrope(24, 20, 20), "mrope_interleaved": True}},
        {"tie_word_embeddings": True},
        {"size": {"shortest_edge": 256**2, "longest_edge": 4096**2}, "patch_size": 16},
    ),
    "smolvlm_256m": Published(
        "idefics3", 0.256, 64, 30, SIGLIP_BASE, text(576, 1536, 30, 9, 3, 49280),
        {"scale_factor": 4}, SMOL_CROPS,
    ),
    "smolvlm_500m": Published(
        "idefics3", 0.507, 64, 32, SIGLIP_BASE, text(960, 2560, 32, 15, 5, 49280),
        {"scale_factor": 4}, SMOL_CROPS,
    ),
    "smolvlm_2b": Published(
        "idefics3", 2.25, 81, 24, {**SO400M, "image_size": 384},
        text(2048, 8192, 24, 32, 32, 49155), {"scale_factor": 3},
        {"size": {"longest_edge": 1536}, "max_image_size": {"longest_edge": 384},
         "do_image_splitting": True},
    ),
    "llava_1_5_7b": Published(
        "llava", 7.06, 576, 32,
        {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
         "num_attention_heads": 16, "patch_size": 14, "image_size": 336, "projection_dim": 768},
        text(4096, 11008, 32, 32, 32, 32064), {},
        {"size": {"shortest_edge": 336}, "crop_size": {"height": 336, "width": 336}},
    ),
    "gemma3_4b": Published(
        "gemma3", 4.3, 256, 34, {**SO400M, "image_size": 896},
        {**text(2560, 10240, 34, 8, 4, 262208), "head_dim": 256, "query_pre_attn_scalar": 256,
         "sliding_window": 1024},
        {"mm_tokens_per_image": 256}, {"size": {"height": 896, "width": 896}},
    ),
}  # fmt: skip


def made(name: str) -> tuple[Any, Any]:
    """The model of that preset, and a processor of its pictures: for torch's meta device."""
    said = MODELS[name]
    whole, processor = tiny_families.MAKERS[said.family]()
    values = {**whole.config.to_dict(), **said.top}
    values["vision_config"].update(said.vision)
    values["text_config"].update(said.text)
    values["text_config"].pop("layer_types", None)  # made anew of the number of layers
    for key, value in said.prepare.items():
        setattr(processor.image_processor, key, value)
    return type(whole)(type(whole.config)(**values)), processor
