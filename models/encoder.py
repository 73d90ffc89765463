"""Text and pictures to what a model takes: chat template, image tokens, pixels.

The collator gets one of these and knows no model.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tokenizers
import torch
import transformers
from PIL.Image import Resampling
from torch import Tensor


@dataclass(frozen=True)
class PictureEncoder:
    """A tokenizer, an image processor and how many tokens a picture takes.

    ``tokens_per_picture`` is the projector's number of positions (open) or K (private).
    ``written`` is what the chat template writes for a picture and ``placed`` what stands there
    instead, image tokens and all; by default the image token, and as many as a picture takes.
    """

    tokenizer: Any
    image_processor: Any
    chat_template: str
    image_token: str
    tokens_per_picture: int
    picture_shape: tuple[int, ...]  # of one picture's pixels, crops and all
    picture_px: int | None = None  # side of the square that a picture is first resized to
    written: str | None = None
    placed: str | None = None
    max_pictures: int = 1
    as_words: bool = False  # a picture is text (private), not a content block

    @property
    def image_token_id(self) -> int:
        """The id that stands once for each token of a picture."""
        return int(self.tokenizer.convert_tokens_to_ids(self.image_token))

    @property
    def pad_token_id(self) -> int:
        """The id that fills rows up on the right."""
        return int(self.tokenizer.pad_token_id)

    @property
    def flippable(self) -> bool:
        """Whether mirroring the last axis mirrors a picture: not with crops or patches."""
        return len(self.picture_shape) == 3

    def of_words(self, tokens: int) -> "PictureEncoder":
        """The encoder of the private interface: a picture is ``tokens`` words of text."""
        return replace(self, tokens_per_picture=tokens, written=None, placed=None, as_words=True)

    def render(self, messages: Sequence[dict[str, Any]], *, prompt: bool = False) -> str:
        """The chat template's text of ``messages``; with ``prompt`` the answer's opening too."""
        if self.as_words:
            messages = [{**m, "content": self._worded(m["content"])} for m in messages]
        text = self.tokenizer.apply_chat_template(
            list(messages),
            chat_template=self.chat_template,
            tokenize=False,
            add_generation_prompt=prompt,
        )
        return str(text)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text; an image token becomes ``tokens_per_picture`` of them."""
        written = self.written or self.image_token
        placed = self.placed or self.image_token * self.tokens_per_picture
        wide = [t.replace(written, placed) for t in texts]
        return [list(ids) for ids in self.tokenizer(wide, add_special_tokens=False)["input_ids"]]

    def pixels(self, images: Sequence[Any]) -> Tensor:
        """PIL pictures → (P, *picture_shape) float32; ValueError if they come out otherwise."""
        if self.picture_px is not None:
            square = (self.picture_px, self.picture_px)
            images = [image.resize(square, Resampling.BICUBIC) for image in images]
        prepared = self.image_processor(images=list(images), return_tensors="pt")
        pixel_values: Tensor = prepared["pixel_values"]
        shape = (len(images), *self.picture_shape)
        if pixel_values.numel() != math.prod(shape):
            raise ValueError(
                f"the image processor made {tuple(pixel_values.shape)} of {len(images)} pictures, "
                f"the model takes {self.picture_shape} of each: give the processor that belongs "
                "to the model"
            )
        return pixel_values.reshape(shape).to(torch.float32)

    def preprocessing(self) -> bytes:
        """What a cache knows the making of pixels by: the image processor and its settings."""
        return f"{self.image_processor!r}\t{self.picture_px}\t{self.picture_shape}".encode()

    def wording(self) -> bytes:
        """What a cache knows the making of ids by: tokenizer, template, a picture's tokens."""
        self.tokenizer([""])  # leaves no padding or truncation of other calls in what it writes
        digest = hashlib.sha256()
        with TemporaryDirectory() as folder:
            self.tokenizer.save_pretrained(folder)
            for path in sorted(Path(folder).rglob("*")):
                digest.update(path.name.encode() + path.read_bytes() if path.is_file() else b"")
        written = (
            self.chat_template, self.image_token, self.tokens_per_picture, self.written,
            self.placed, self.max_pictures, self.as_words,
            transformers.__version__, tokenizers.__version__,
        )  # fmt: skip
        return digest.digest() + repr(written).encode() + Path(__file__).read_bytes()

    def _worded(self, content: Any) -> Any:
        """Content whose picture blocks are text, in one block with the text around them."""
        if isinstance(content, str):
            return content
        texts = [self.image_token if b["type"] == "image" else b["text"] for b in content]
        return [{"type": "text", "text": "".join(texts)}]
