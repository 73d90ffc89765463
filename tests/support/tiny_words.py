"""What the tiny families are made with: sizes, a tokenizer, processors without videos."""

from typing import Any

import transformers as hf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

PX, PATCH = 28, 14
VISION = {
    "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
}  # fmt: skip
TEXT = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2,
}  # fmt: skip
MROPE = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]}
QWEN = {
    "image_token": "<|image_pad|>", "video_token": "<|video_pad|>",
    "vision_start_token": "<|vision_start|>", "vision_end_token": "<|vision_end|>",
}  # fmt: skip
CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% if m['content'] is string %}{{ m['content'] }}{% else %}{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}PICTURE{% else %}{{ c['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WORDS = ["what is in the picture ? describe the person . a red coat , black hair , at the park ."]


def tokenizer(named: dict[str, str], *, more: tuple[str, ...] = (), picture: str) -> Any:
    """A byte-level tokenizer with these special tokens; ``picture`` is what its template writes."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    special = ["<pad>", "<eos>", "<bos>", "<|im_start|>", "<|im_end|>", *named.values(), *more]
    backend.train_from_iterator(
        WORDS,
        trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=special,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        eos_token="<eos>",
        bos_token="<bos>",
        extra_special_tokens=named or list(more),
        chat_template=CHAT.replace("PICTURE", picture),
    )


def without_video(kind: type[Any]) -> type[Any]:
    """A processor class that can be made without a video processor, which needs torchvision."""

    def attributes(cls: type[Any]) -> list[str]:
        return [a for a in kind.get_attributes() if a != "video_processor"]

    return type(
        kind.__name__,
        (kind,),
        {
            "get_attributes": classmethod(attributes),
            "__init__": kind.__init__,
            "__module__": kind.__module__,
        },
    )


def text(words: Any, **more: Any) -> dict[str, Any]:
    """Arguments of a language model's config."""
    ids = {f"{n}_token_id": getattr(words, f"{n}_token_id") for n in ("pad", "bos", "eos")}
    return {**TEXT, "vocab_size": len(words), **ids, **more}


def siglip(*, patch_size: int = PATCH) -> Any:
    """A SigLIP tower's config without its pooling head."""
    return hf.SiglipVisionConfig(
        image_size=PX, patch_size=patch_size, vision_use_head=False, **VISION
    )


def qwen_images() -> Any:
    """Qwen's image processor on pictures of up to 112 px square."""
    return Qwen2VLImageProcessorPil(size={"shortest_edge": 28**2, "longest_edge": 112**2})
