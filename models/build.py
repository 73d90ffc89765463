"""From a config to a model: pretrained by id, or from parts; then the interface and heads."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from lineage.errors import TactError
from models import families, pretrained
from models.interface import Codes
from models.parts import Parts
from models.reading import Reading
from models.vlm import VLM, OpenInterface

Classes = Mapping[str, Sequence[str]]


def whole_model(
    *,
    id: str | None,
    revision: str | None,
    make: Callable[[], tuple[Any, Any]] | None,
    dtype: str,
    attention: str,
    picture_px: int | None = None,
) -> tuple[Any, Any]:
    """The image-text model and its processor, by Hub id or folder, or by calling ``make``.

    ``picture_px`` bounds a picture's side where the family takes any size.
    """
    if id is None:
        if make is None:
            raise TactError("model: give model.id or model.parts")
        model, processor = make()
        try:
            model.set_attn_implementation(attention)
        except ValueError as error:
            raise pretrained.refusal(error, key="model.parts", name=type(model).__name__) from error
        _limit(model.config.model_type, processor, picture_px)
        return model.to(getattr(torch, dtype)), processor
    from transformers import AutoConfig, AutoModelForImageTextToText

    try:
        model_type = AutoConfig.from_pretrained(id, revision=revision).model_type
        processor = families.processor(model_type, id, revision=revision)
    except pretrained.FAILURES as error:
        raise pretrained.refusal(error, key="model.id", name=id, revision=revision) from error
    _limit(model_type, processor, picture_px)
    model = pretrained.load(
        AutoModelForImageTextToText,
        id,
        key="model.id",
        revision=revision,
        dtype=getattr(torch, dtype),
        attn_implementation=attention,
    )
    return model, processor


def _limit(model_type: str, processor: Any, picture_px: int | None) -> None:
    if picture_px is None:
        return
    try:
        families.limit(model_type, processor, picture_px)
    except ValueError as error:
        raise TactError(f"model.picture_px={picture_px}: {error}") from error


def vlm(
    whole: Any,
    processor: Any,
    *,
    interface: str,
    bits: int,
    tokens: int,
    sensitive: Classes,
    free: Classes,
    readable: Classes,
    adversaries: Sequence[str],
    pairs: str,
    seed: int,
) -> VLM:
    """The VLM around ``whole``; what is new (codes, heads) is drawn from ``seed``."""
    try:
        parts = families.find(whole.config.model_type).parts(whole, processor)
    except ValueError as error:
        raise TactError(f"model: {error}") from error
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made, parts = _interface(parts, kind=interface, bits=bits, tokens=tokens)
        model = VLM(
            parts,
            interface=made,
            sensitive=sensitive,
            free=free,
            readable=readable,
            adversaries=adversaries,
            pairs=pairs,
        )
    return model


def _interface(
    parts: Parts, *, kind: str, bits: int, tokens: int
) -> tuple[Codes | OpenInterface, Parts]:
    if kind == "open":
        if parts.projector is None:
            raise TactError("model.interface.kind=open: this model has no projector")
        count = parts.encoder.tokens_per_picture
        width = parts.hidden_size * (1 + parts.deep)
        return OpenInterface(parts.projector, tokens=count, width=width), parts
    codes = Codes(parts.feature_shape, bits=bits, tokens=tokens, hidden_size=parts.hidden_size)
    encoder = parts.encoder.of_words(tokens)
    reading = Reading(encoder.image_token_id)
    return codes, replace(parts, encoder=encoder, reading=reading, projector=None)
