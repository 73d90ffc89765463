"""Writing a model out: whole (``open``), or a server half and a device half (``private``)."""

import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, GenerationConfig

from data.policy import Policy
from export.saving import save
from export.tact_device import TactDevice, TactDeviceConfig
from models.interface import SHARPNESS, VALUE_WIDTH, Codes, words
from models.vlm import VLM

DEVICE_FILE = Path(__file__).with_name("tact_device.py")


def write_open(model: VLM, folder: Path, *, dtype: str = "float32") -> None:
    """One merged image-text model with its processor, for ``AutoModelForImageTextToText``.

    ``model`` is rounded to ``dtype``, a name of torch's.
    """
    whole = model.parts.whole.to(getattr(torch, dtype))
    save(whole, folder)
    model.parts.processor.save_pretrained(folder)


def write_server(model: VLM, folder: Path, *, dtype: str = "float32") -> int:
    """The language model with the codes in its vocabulary; returns the first code's id.

    It has no part that sees a pixel. Its weights are rounded to ``dtype``, a name of torch's.
    """
    codes = model.interface
    assert isinstance(codes, Codes)
    tokenizer = _copy(model.parts.encoder.tokenizer)
    named = words(codes.tokens, codes.token_bits)
    first = len(tokenizer)
    tokenizer.add_tokens(named, special_tokens=False)
    language = _causal(model, size=max(len(tokenizer), _rows(model)))
    embeddings = language.get_input_embeddings()
    with torch.no_grad():
        table = codes.word_embeddings().flatten(0, 1)  # (K * 2^m, H)
        table = table / getattr(embeddings, "embed_scale", 1.0)  # Gemma multiplies what it looks up
        embeddings.weight[first : first + len(named)] = table
        language.get_output_embeddings().weight[first : first + len(named)] = 0.0
    language.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        suppress_tokens=list(range(first, first + len(named))),
        do_sample=False,
    )
    save(language.to(getattr(torch, dtype)), folder)
    tokenizer.chat_template = model.parts.encoder.chat_template
    tokenizer.save_pretrained(folder)
    return first


def _causal(model: VLM, *, size: int) -> Any:
    causal = model.parts.causal
    config = type(causal).from_dict(causal.to_dict())
    config.tie_word_embeddings = False
    language = AutoModelForCausalLM.from_config(config)
    weights = {k: v.clone() for k, v in model.language_model.state_dict().items()}
    language.base_model.load_state_dict(weights)
    language.lm_head.load_state_dict({"weight": model.head.weight.detach().clone()})  # type: ignore
    language.resize_token_embeddings(size, mean_resizing=False)
    return language.eval()


def _rows(model: VLM) -> int:
    weight: Any = model.head.weight
    return int(weight.shape[0])


def _copy(tokenizer: Any) -> Any:
    import copy

    return copy.deepcopy(tokenizer)


def write_device(model: VLM, folder: Path, *, first_word: int, policy: Policy) -> None:
    """Tower, codes and reader, with the one file of code that loads them.

    They stay float32: rounded weights would send other codes than those that were attacked.
    """
    codes, tower = model.interface, model.parts.tower
    assert isinstance(codes, Codes)
    config = TactDeviceConfig(
        vision_config=tower.vision_config.to_dict(),
        tower=tower.settings(),
        picture_shape=model.parts.encoder.picture_shape,
        positions=model.parts.feature_shape[0],
        feature_size=model.parts.feature_shape[1],
        bits=codes.bits,
        tokens=codes.tokens,
        queries=len(codes.query),
        value_width=VALUE_WIDTH,
        sharpness=SHARPNESS,
        first_word_id=first_word,
        classes={k: list(v) for k, v in policy.readable.items()},
        auto_map={
            "AutoConfig": "tact_device.TactDeviceConfig",
            "AutoModel": "tact_device.TactDevice",
        },
        architectures=["TactDevice"],
    )
    device = TactDevice(config)
    device.tower.load_state_dict(tower.weights())
    state = codes.state_dict()
    own = {k: v for k, v in state.items() if not k.startswith("words.")}
    own |= {f"reader.{k}": v for k, v in model.reader.heads.state_dict().items()}
    missing, unexpected = device.load_state_dict(own, strict=False)
    left = [name for name in missing if not name.startswith("tower.")]
    if left or unexpected:
        raise RuntimeError(f"device half: missing {left}, left over {unexpected}")
    save(device, folder)
    shutil.copyfile(DEVICE_FILE, folder / DEVICE_FILE.name)
    model.parts.encoder.image_processor.save_pretrained(folder)
