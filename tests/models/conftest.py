"""The tiny families, loaded by file: the tests are no packages."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FILE = Path(__file__).with_name("tiny_families.py")


@pytest.fixture(scope="session")
def tiny_families() -> Any:
    """The module ``tiny_families.py``."""
    spec = importlib.util.spec_from_file_location("tiny_families", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def family(tiny_families: Any) -> Callable[..., Any]:
    """Makes the VLM of a tiny family, fresh at each call."""
    from data.attributes import FREE, SENSITIVE
    from models import build

    def make(name: str, kind: str, *, given: tuple[Any, Any] | None = None) -> Any:
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
            adversaries=("linear",),
            pairs="one_sequence",
            seed=0,
        ).eval()

    return make
