"""Tiny models of every family from config, with processors: small, but with all that differs.

Weights are drawn wide, so that a position, a mask or a picture that is wrong shows in the logits.
"""

from collections.abc import Callable
from typing import Any

import torch
import transformers as hf
from tiny_words import (
    MROPE,
    PATCH,
    PX,
    QWEN,
    TEXT,
    VISION,
    qwen_images,
    siglip,
    text,
    tokenizer,
    without_video,
)  # fmt: skip
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import (
    LlavaOnevisionImageProcessorPil,
)
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil


def llava() -> tuple[Any, Any]:
    """CLIP read one layer before its last, the class token left out."""
    words = tokenizer({"image_token": "<image>"}, picture="<image>")
    config = hf.LlavaConfig(
        vision_config=hf.CLIPVisionConfig(image_size=PX, patch_size=PATCH, **VISION),
        text_config=hf.LlamaConfig(**text(words)),
        image_token_index=words.image_token_id,
        vision_feature_select_strategy="default",
        vision_feature_layer=-2,
    )
    prepare = hf.CLIPImageProcessorPil(
        size={"shortest_edge": PX}, crop_size={"height": PX, "width": PX}
    )
    processor = hf.LlavaProcessor(
        image_processor=prepare,
        tokenizer=words,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=words.chat_template,
    )
    return hf.LlavaForConditionalGeneration(config), processor


def llava_onevision() -> tuple[Any, Any]:
    """SigLIP on a picture and its crop, lines ended."""
    words = tokenizer({"image_token": "<image>", "video_token": "<video>"}, picture="<image>")
    grid = [[PX, PX], [PX, 2 * PX], [2 * PX, PX]]
    config = hf.LlavaOnevisionConfig(
        vision_config=siglip(),
        text_config=hf.Qwen2Config(**text(words)),
        image_token_index=words.image_token_id,
        video_token_index=words.video_token_id,
        image_grid_pinpoints=grid,
    )
    processor = without_video(hf.LlavaOnevisionProcessor)(
        image_processor=LlavaOnevisionImageProcessorPil(
            size={"height": PX, "width": PX}, image_grid_pinpoints=grid
        ),
        tokenizer=words,
        num_image_tokens=(PX // PATCH) ** 2,
        vision_feature_select_strategy="full",
        chat_template=words.chat_template,
    )
    return hf.LlavaOnevisionForConditionalGeneration(config), processor


def paligemma(kind: type[Any] = hf.GemmaConfig, **more: Any) -> tuple[Any, Any]:
    """A whole prompt is read both ways; the published processors have no chat template."""
    words = tokenizer({"image_token": "<image>"}, picture="<image>")
    words.chat_template = None
    prepare = hf.SiglipImageProcessorPil(size={"height": PX, "width": PX})
    prepare.image_seq_length = (PX // PATCH) ** 2
    processor = hf.PaliGemmaProcessor(image_processor=prepare, tokenizer=words)  # adds tokens
    size = TEXT["hidden_size"]
    config = hf.PaliGemmaConfig(
        vision_config=siglip(),
        text_config=kind(**text(words, head_dim=8, **more)),
        image_token_index=words.image_token_id,
        projection_dim=size,
        hidden_size=size,
        vocab_size=len(words),
    )
    return hf.PaliGemmaForConditionalGeneration(config), processor


def paligemma2() -> tuple[Any, Any]:
    """Gemma 2 with a window shorter than the prompt, and its soft caps."""
    return paligemma(hf.Gemma2Config, sliding_window=6, query_pre_attn_scalar=8)


def gemma3() -> tuple[Any, Any]:
    """One layer with a window shorter than the prompt, one that sees all; four tokens a picture."""
    named = {
        "image_token": "<image_soft_token>", "boi_token": "<start_of_image>",
        "eoi_token": "<end_of_image>",
    }  # fmt: skip
    words = tokenizer(named, picture="<start_of_image>")
    config = hf.Gemma3Config(
        vision_config=siglip(patch_size=PATCH // 2),
        text_config=hf.Gemma3TextConfig(
            **text(words, head_dim=8, query_pre_attn_scalar=8, sliding_window=6),
            layer_types=["sliding_attention", "full_attention"],
        ),
        mm_tokens_per_image=4,
        boi_token_index=words.boi_token_id,
        eoi_token_index=words.eoi_token_id,
        image_token_index=words.image_token_id,
    )
    processor = hf.Gemma3Processor(
        image_processor=Gemma3ImageProcessorPil(size={"height": PX, "width": PX}),
        tokenizer=words,
        image_seq_length=4,
        chat_template=words.chat_template,
    )
    return hf.Gemma3ForConditionalGeneration(config), processor


def idefics3(*, split: bool = True, smol: bool = False) -> tuple[Any, Any]:
    """Four crops and the whole picture; without ``split`` the whole picture alone."""
    places = tuple(f"<row_{i}_col_{j}>" for i in range(1, 7) for j in range(1, 7))
    special = ("<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>")
    words = tokenizer({}, more=(*special, *places), picture="<image>")
    configs = (hf.SmolVLMConfig, hf.SmolVLMForConditionalGeneration, SmolVLMImageProcessorPil)
    if not smol:
        configs = (
            hf.Idefics3Config,
            hf.Idefics3ForConditionalGeneration,
            Idefics3ImageProcessorPil,
        )
    config = configs[0](
        vision_config={"image_size": PX, "patch_size": PATCH // 2, **VISION},
        text_config=hf.LlamaConfig(**text(words)),
        image_token_id=words.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        tie_word_embeddings=False,
    )
    prepare = configs[2](
        size={"longest_edge": 2 * PX if split else PX},
        max_image_size={"longest_edge": PX},
        do_image_splitting=split,
    )
    processor = hf.Idefics3Processor(  # SmolVLM's own needs a package to speak of videos
        image_processor=prepare,
        tokenizer=words,
        image_seq_len=4,
        chat_template=words.chat_template,
    )
    return configs[1](config), processor


def smolvlm() -> tuple[Any, Any]:
    """SmolVLM without crops."""
    return idefics3(split=False, smol=True)


def qwen2_5_vl() -> tuple[Any, Any]:
    """Eight by eight patches a picture, four by four tokens, in four windows."""
    words = tokenizer(QWEN, picture="<|vision_start|><|image_pad|><|vision_end|>")
    vision = {
        "depth": 2, "hidden_size": 16, "intermediate_size": 32, "num_heads": 2, "patch_size": 14,
        "window_size": 56, "fullatt_block_indexes": [1], "out_hidden_size": TEXT["hidden_size"],
    }  # fmt: skip
    config = hf.Qwen2_5_VLConfig(
        vision_config=vision,
        text_config=text(words, rope_parameters=MROPE),
        **{f"{k}_id": words.convert_tokens_to_ids(v) for k, v in QWEN.items()},
    )
    processor = without_video(hf.Qwen2_5_VLProcessor)(
        image_processor=qwen_images(), tokenizer=words, chat_template=words.chat_template
    )
    return hf.Qwen2_5_VLForConditionalGeneration(config), processor


def qwen3_vl() -> tuple[Any, Any]:
    """The same picture, entering the language model's first layer too."""
    words = tokenizer(QWEN, picture="<|vision_start|><|image_pad|><|vision_end|>")
    vision = {
        "depth": 2, "hidden_size": 16, "intermediate_size": 32, "num_heads": 2, "patch_size": 14,
        "out_hidden_size": TEXT["hidden_size"], "num_position_embeddings": 16,
        "deepstack_visual_indexes": [0],
    }  # fmt: skip
    rope = {**MROPE, "mrope_interleaved": True}
    config = hf.Qwen3VLConfig(
        vision_config=vision,
        text_config=text(words, head_dim=8, rope_parameters=rope),
        **{f"{k}_id": words.convert_tokens_to_ids(v) for k, v in QWEN.items()},
    )
    processor = without_video(hf.Qwen3VLProcessor)(
        image_processor=qwen_images(), tokenizer=words, chat_template=words.chat_template
    )
    return hf.Qwen3VLForConditionalGeneration(config), processor


def internvl() -> tuple[Any, Any]:
    """Four by four positions, shuffled to four tokens; a window in the second layer."""
    named = {
        "start_image_token": "<img>", "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>", "video_token": "<video>",
    }  # fmt: skip
    words = tokenizer(named, picture="<IMG_CONTEXT>\n")
    language = hf.Qwen2Config(
        **text(words), use_sliding_window=True, sliding_window=6, max_window_layers=1
    )
    config = hf.InternVLConfig(
        vision_config={"image_size": [PX, PX], "patch_size": [PATCH // 2] * 2, **VISION},
        text_config=language,
        image_token_id=words.context_image_token_id,
        image_seq_length=4,
    )
    processor = without_video(hf.InternVLProcessor)(
        image_processor=GotOcr2ImageProcessorPil(
            size={"height": PX, "width": PX}, crop_to_patches=False
        ),
        tokenizer=words,
        image_seq_length=4,
        chat_template=words.chat_template,
    )
    return hf.InternVLForConditionalGeneration(config), processor


def hybrid() -> tuple[Any, Any]:
    """A LLaVA whose language model has a convolution layer: it carries a state."""
    words = tokenizer({"image_token": "<image>"}, picture="<image>")
    whole, processor = llava()
    language = hf.Lfm2Config(**text(words), layer_types=["conv", "full_attention"])
    config = hf.LlavaConfig(
        vision_config=whole.config.vision_config,
        text_config=language,
        image_token_index=words.image_token_id,
        vision_feature_select_strategy="default",
        vision_feature_layer=-2,
    )
    return hf.LlavaForConditionalGeneration(config), processor


NORMAL = {"llava": llava, "idefics3": idefics3, "qwen2_5_vl": qwen2_5_vl}
OTHERS = {
    "gemma3": gemma3, "internvl": internvl, "llava_onevision": llava_onevision,
    "paligemma": paligemma, "paligemma2": paligemma2, "qwen3_vl": qwen3_vl, "smolvlm": smolvlm,
}  # fmt: skip
MAKERS: dict[str, Callable[[], tuple[Any, Any]]] = {**NORMAL, **OTHERS, "hybrid": hybrid}


def make(name: str) -> tuple[Any, Any]:
    """The model and processor of that name, weights drawn wide from a fixed seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        whole, processor = MAKERS[name]()
        with torch.no_grad():
            for parameter in whole.parameters():
                if parameter.ndim > 1:
                    parameter.normal_(std=0.2)
                else:
                    parameter.add_(torch.randn_like(parameter) * 0.1)
    return whole.eval(), processor
