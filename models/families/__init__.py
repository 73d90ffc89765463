"""What differs between VLM families, one small file each, found by ``config.model_type``."""

import importlib
from typing import Any, Protocol

from models.parts import Parts

FILES = {"llava": "models.families.llava"}


class Family(Protocol):
    """What a family's module gives."""

    def parts(self, whole: Any, processor: Any) -> Parts:
        """The parts of an image-text model of this family."""
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
