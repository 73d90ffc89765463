"""A LLaVA from parts: a vision tower and a language model, each pretrained or new, new between.

A part is a folder or Hub id, or the config of a new one: ``{model_type: siglip_vision_model, …}``.
The projector is always new: the stage ``align`` trains it.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoModelForCausalLM,
    CLIPImageProcessorPil,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    SiglipImageProcessorPil,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from lineage.errors import TactError
from models import pretrained, wording

Part = str | Mapping[str, Any]
TOWERS = {"clip_vision_model": "default", "siglip_vision_model": "full"}  # → which features
WITH_TOWERS = ("clip", "siglip")  # a tower beside a text model
TOWER, LANGUAGE = "model.parts.tower", "model.parts.language"


def llava(
    *,
    tower: Part,
    language: Part,
    tokenizer: str | None = None,
    revisions: Mapping[str, str] | None = None,
    feature_layer: int = -1,
    seed: int = 0,
) -> tuple[Any, Any]:
    """The model and its processor; what is not pretrained is drawn from ``seed``.

    ``tokenizer`` is the language model's own where that is a folder or id. ``revisions``: part →
    commit of its Hub id. TactError where a part can't be read, is of the wrong kind, or lacks what
    it needs.
    """
    at = revisions or {}
    vision, seeing = _tower(tower, at.get("tower"))
    text, speaking, words = _language(language, tokenizer, at, seed=seed)
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=words.convert_tokens_to_ids(wording.IMAGE),
        vision_feature_layer=feature_layer,
        vision_feature_select_strategy=TOWERS[vision.model_type],
        tie_word_embeddings=text.tie_word_embeddings,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlavaForConditionalGeneration(config)
    if seeing is not None:
        model.model.vision_tower.load_state_dict(seeing.state_dict())
    if speaking is not None:
        model.model.language_model.load_state_dict(speaking.base_model.state_dict())
        model.lm_head.load_state_dict(speaking.get_output_embeddings().state_dict())
    return model, _processor(tower, vision, words, revision=at.get("tower"))


def _tower(given: Part, revision: str | None) -> tuple[Any, nn.Module | None]:
    """The tower's config, and the tower where it is pretrained."""
    config = _config(given, key=TOWER, revision=revision)
    if config.model_type not in (*TOWERS, *(WITH_TOWERS if isinstance(given, str) else ())):
        raise TactError(
            f"{TOWER}: {config.model_type!r} is no vision tower that LLaVA can be composed of; "
            f"there are: {', '.join((*TOWERS, *WITH_TOWERS))}"
        )
    if not isinstance(given, str):
        return config, None
    whole = pretrained.load(AutoModel, given, key=TOWER, revision=revision, dtype=torch.float32)
    tower = whole.vision_model if config.model_type in WITH_TOWERS else whole
    return tower.config, tower


def _language(
    given: Part, tokenizer: str | None, at: Mapping[str, str], *, seed: int
) -> tuple[Any, Any, Any]:
    """The language model's config, the model where it is pretrained, and its tokenizer.

    The vocabulary has room for the image token.
    """
    revision = at.get("language")
    config = _config(given, key=LANGUAGE, revision=revision)
    if config.model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise TactError(f"{LANGUAGE}: {config.model_type!r} is no causal language model")
    if tokenizer is not None:
        key = "model.parts.tokenizer"
        words = wording.tokenizer(tokenizer, key=key, revision=at.get("tokenizer"))
    elif isinstance(given, str):
        words = wording.tokenizer(given, key=LANGUAGE, revision=revision)
    else:
        raise TactError(f"{LANGUAGE}: a config has no tokenizer; name one by model.parts.tokenizer")
    if not isinstance(given, str):
        config.vocab_size = len(words)
        for name in ("pad", "bos", "eos"):
            setattr(config, f"{name}_token_id", getattr(words, f"{name}_token_id"))
        return config, None, words
    model = pretrained.load(
        AutoModelForCausalLM, given, key=LANGUAGE, revision=revision, dtype=torch.float32
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model.resize_token_embeddings(max(len(words), model.config.vocab_size))
    return model.config, model, words


def _config(given: Part, *, key: str, revision: str | None) -> Any:
    try:
        if isinstance(given, str):
            return AutoConfig.from_pretrained(given, revision=revision)
        return AutoConfig.for_model(**given)
    except (*pretrained.FAILURES, TypeError) as error:
        if isinstance(given, str):
            raise pretrained.refusal(error, key=key, name=given, revision=revision) from error
        reason = str(error).strip().splitlines()[0]
        raise TactError(
            f"{key}: {dict(given)} is no config ({reason}); say its model_type"
        ) from error


def _processor(tower: Part, vision: Any, words: Any, *, revision: str | None) -> LlavaProcessor:
    """The LLaVA processor; a new tower's pictures are squares of its own side."""
    square = {"height": vision.image_size, "width": vision.image_size}
    if isinstance(tower, str):
        try:
            prepare = AutoImageProcessor.from_pretrained(tower, revision=revision)
        except pretrained.FAILURES as error:
            raise pretrained.refusal(error, key=TOWER, name=tower, revision=revision) from error
    elif vision.model_type == "siglip_vision_model":
        prepare = SiglipImageProcessorPil(size=square)
    else:
        prepare = CLIPImageProcessorPil(size={"shortest_edge": vision.image_size}, crop_size=square)
    strategy = TOWERS[vision.model_type]
    return LlavaProcessor(
        image_processor=prepare,
        tokenizer=words,
        patch_size=vision.patch_size,
        vision_feature_select_strategy=strategy,
        num_additional_image_tokens=int(strategy == "default"),  # the class token, left out
        chat_template=words.chat_template,
    )
