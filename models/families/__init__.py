"""What differs between VLM families, one small file each, found by ``config.model_type``.

A family's module has ``parts``, ``SUPPORT`` and, where the whole processor can't be made here,
``processor``.
"""

import importlib
from typing import Any, Protocol

from models.families.support import Support
from models.parts import Parts

FILES = {
    "gemma3": "models.families.gemma3",
    "idefics3": "models.families.idefics3",
    "internvl": "models.families.internvl",
    "llava": "models.families.llava",
    "llava_onevision": "models.families.llava_onevision",
    "paligemma": "models.families.paligemma",
    "qwen2_5_vl": "models.families.qwen2_5_vl",
    "qwen3_vl": "models.families.qwen3_vl",
    "smolvlm": "models.families.idefics3",
}


class Family(Protocol):
    """What a family's module gives."""

    SUPPORT: Support

    def parts(self, whole: Any, processor: Any) -> Parts:
        """The parts of an image-text model of this family; ValueError on what it can't have."""
        ...


def find(model_type: str) -> Family:
    """The family's module; ValueError that names the families there are."""
    if model_type not in FILES:
        known = ", ".join(sorted(FILES))
        raise ValueError(
            f"model family {model_type!r} has no file under models/families; there are: {known}"
        )
    module: Any = importlib.import_module(FILES[model_type])
    return module  # type: ignore[no-any-return]


def limit(model_type: str, processor: Any, picture_px: int) -> None:
    """Bound the side of the pictures that ``processor`` makes; ValueError where it has one size."""
    bound = getattr(find(model_type), "limit", None)
    if bound is None:
        raise ValueError(f"pictures of family {model_type!r} have one size: leave it out")
    bound(processor.image_processor, picture_px)


def processor(model_type: str, id: str, *, revision: str | None) -> Any:
    """The processor of a model of that family, by Hub id or folder; raises OSError, ValueError."""
    load = getattr(find(model_type), "processor", None)
    if load is not None:
        return load(id, revision=revision)
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(id, revision=revision)
