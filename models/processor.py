"""A tokenizer and an image processor without the rest of a processor that also takes videos.

Such a processor can't be made without torchvision (and more), which Tact does not use.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lineage import files

WHOLE = "processor_config.json"


@dataclass(frozen=True)
class PictureProcessor:
    """What of a processor pictures and text need; ``whole`` is its config, handed through."""

    tokenizer: Any
    image_processor: Any
    chat_template: str | None
    whole: dict[str, Any]

    def save_pretrained(self, folder: Path) -> None:
        """The files that transformers reads a processor from."""
        self.tokenizer.chat_template = self.chat_template
        self.tokenizer.save_pretrained(folder)
        self.image_processor.save_pretrained(folder)
        if self.whole:
            files.write_json(Path(folder) / WHOLE, self.whole)


def picture_processor(id: str, *, revision: str | None) -> PictureProcessor:
    """The tokenizer and image processor of a Hub id or folder; raises OSError, ValueError."""
    from transformers import AutoImageProcessor, AutoTokenizer, ProcessorMixin

    tokenizer = AutoTokenizer.from_pretrained(id, revision=revision)
    whole, _ = ProcessorMixin.get_processor_dict(id, revision=revision)
    template = whole.pop("chat_template", None)
    return PictureProcessor(
        tokenizer=tokenizer,
        image_processor=AutoImageProcessor.from_pretrained(id, revision=revision),
        chat_template=template or tokenizer.chat_template,
        whole=whole,
    )
