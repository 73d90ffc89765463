"""Rows, batches and log-probabilities of the tiny families, and the VLM around each."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import tiny_families
import torch
from PIL import Image
from torch import Tensor

from data.attributes import FREE, SENSITIVE
from data.collate import Collator
from data.encode import EncodedRow, encode
from models import build, lora
from models.features import picture_features
from models.vlm import VLM
from train.terms import Step

FAMILIES = [
    "llava", "idefics3", "qwen2_5_vl",
    *[pytest.param(name, marks=pytest.mark.system) for name in
      ("gemma3", "internvl", "llava_onevision", "paligemma", "paligemma2", "qwen3_vl", "smolvlm")],
]  # fmt: skip
every_family = pytest.mark.parametrize("name", FAMILIES)
both_kinds = pytest.mark.parametrize("kind", ["open", "private"])
LORA = {"rank": 2, "alpha": 4, "dropout": 0.0, "targets": ["q_proj", "v_proj", "up_proj"]}
QUESTION = "what is in the picture ?"
CHOSEN = "a red coat , black hair ."
REJECTED = "at the park , the person ."


def family(
    name: str,
    kind: str,
    *,
    given: tuple[Any, Any] | None = None,
    adversaries: Sequence[str] = ("linear",),
) -> VLM:
    """The VLM of a tiny family, or around a model and processor that are given."""
    whole, processor = given or tiny_families.make(name)
    return build.vlm(
        whole,
        processor,
        interface=kind,
        bits=8,
        tokens=2,
        sensitive=SENSITIVE,
        free=FREE,
        readable=SENSITIVE,
        adversaries=adversaries,
        pairs="one_sequence",
        seed=0,
    ).eval()


def picture(seed: int, *, px: int) -> Image.Image:
    """Noise in a square of ``px``."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randint(0, 256, (px, px, 3), generator=generator, dtype=torch.uint8)
    return Image.fromarray(values.numpy())


def turn(role: str, words: Any) -> dict[str, Any]:
    return {"role": role, "content": words}


def columns(model: Any, *, seed: int = 0, pictures: int = 1, **own: Any) -> dict[str, Any]:
    """A row's columns: a system turn, a question with pictures, and what ``own`` says."""
    px = model.parts.encoder.picture_px or model.parts.encoder.picture_shape[-1]
    if not own:
        own = {"chosen": [turn("assistant", CHOSEN)], "rejected": [turn("assistant", REJECTED)]}
    return {
        "row_id": str(seed),
        "images": [picture(10 * seed + i, px=px) for i in range(pictures)],
        "prompt": [turn("system", "nothing shared ."), turn("user", QUESTION * seed)],
        **own,
    }


def row(model: Any, *, seed: int = 0, pictures: int = 1, **own: Any) -> EncodedRow:
    """The row of these ``columns`` as ids."""
    return encode(columns(model, seed=seed, pictures=pictures, **own), model.parts.encoder)


def rows(model: Any, *, count: int = 2) -> list[EncodedRow]:
    """Pairs of several lengths; the last has two pictures where the family takes several."""
    many = min(2, model.parts.encoder.max_pictures)
    return [row(model, seed=i + 1, pictures=many if i == count - 1 else 1) for i in range(count)]


def one_answer(pair: EncodedRow, number: int) -> EncodedRow:
    return replace(
        pair,
        answers=(pair.answers[number],),
        supervised=(pair.supervised[number],),
        emphasis=(pair.emphasis[number],),
    )


def logps(model: Any, encoded: Sequence[EncodedRow], *, cached: bool = False) -> Tensor:
    """Summed log-probabilities; ``cached``: features from a table of pictures, as stages do."""
    table = [picture for each in reversed(encoded) for picture in each.pictures]
    batch = Collator(model.parts.encoder, index=table.index, pixels=not cached)(encoded)
    step = Step(
        model=model,
        batch=batch,
        words=torch.zeros(0, 0),
        progress=0.0,
        cached_features=picture_features(model, table)[batch.pictures] if cached else None,
        train_tower=True,
    )
    return step.logps


def attach(model: Any) -> None:
    """An adapter that does something."""
    lora.attach(model.language_model, **LORA)  # type: ignore[arg-type]
    for parameter in lora.parameters(model.language_model):
        torch.nn.init.normal_(parameter, std=0.1)


def logits(model: Any, ids: list[int], pixels: Tensor) -> Tensor:
    """All of ours for one row: (T, V)."""
    both = torch.tensor([ids])
    with torch.no_grad():
        embeds = model.tokens(model.features(pixels)).embeds
        hidden = model.hidden(both, torch.zeros_like(both), embeds)
        result: Tensor = model.head(hidden[0])
    return result


def pictures_of(model: Any, *, count: int) -> list[Image.Image]:
    """Pictures of the size that the model takes as they are."""
    encoder = model.parts.encoder
    px = encoder.picture_px or encoder.picture_shape[-1]
    return [picture(i, px=px) for i in range(count)]


def question(model: Any, *, pictures: int = 1) -> str:
    """A question about pictures, as the text that the model reads."""
    blocks = [{"type": "image"}] * pictures + [{"type": "text", "text": QUESTION}]
    return str(model.parts.encoder.render([{"role": "user", "content": blocks}], prompt=True))


def own_inputs(model: Any, processor: Any, images: list[Image.Image]) -> dict[str, Any]:
    """What a family's own processor makes of the same question."""
    if model.parts.family == "paligemma":  # its processor writes <bos> and the line's end itself
        own = processor(text=f"<image>{QUESTION}", images=images, return_tensors="pt")
        own.pop("labels")
    else:
        text = [question(model, pictures=len(images))]
        own = processor(text=text, images=[images], return_tensors="pt", add_special_tokens=False)
    return dict(own)
