"""Writing a model's files as transformers and peft do, and nothing else on the door's output.

To know its own wrappers transformers imports DeepSpeed where that is installed, which on a machine
without a GPU prints a line of its own to standard output, where ``json=true`` prints its object.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LOGGER, SAID = "DeepSpeed", "Setting accelerator to CPU"


def save(model: Any, folder: Path) -> None:
    """``model.save_pretrained(folder)`` as safetensors."""
    with _without_line():
        model.save_pretrained(folder, safe_serialization=True)


@contextmanager
def _without_line() -> Iterator[None]:
    """Within, DeepSpeed does not say that it found no GPU; all else that it says is let through."""

    def other(record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(SAID)

    logger = logging.getLogger(LOGGER)
    logger.addFilter(other)
    try:
        yield
    finally:
        logger.removeFilter(other)
