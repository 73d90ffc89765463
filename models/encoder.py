"""Text and pictures to what a model takes: chat template, image tokens, pixels.

The collator gets one of these and knows no model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class PictureEncoder:
    """A tokenizer, an image processor and how many tokens a picture takes.

    ``tokens_per_picture`` is the projector's number of positions (open) or K (private).
    """

    tokenizer: Any
    image_processor: Any
    chat_template: str
    image_token: str
    tokens_per_picture: int
    max_pictures: int = 1

    @property
    def image_token_id(self) -> int:
        """The id that stands once for each token of a picture."""
        return int(self.tokenizer.convert_tokens_to_ids(self.image_token))

    @property
    def pad_token_id(self) -> int:
        """The id that fills rows up on the right."""
        return int(self.tokenizer.pad_token_id)

    def render(self, messages: Sequence[dict[str, Any]], *, prompt: bool = False) -> str:
        """The chat template's text of ``messages``; with ``prompt`` the answer's opening too."""
        text = self.tokenizer.apply_chat_template(
            list(messages),
            chat_template=self.chat_template,
            tokenize=False,
            add_generation_prompt=prompt,
        )
        return str(text)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text; an image token becomes ``tokens_per_picture`` of them."""
        wide = [t.replace(self.image_token, self.image_token * self.tokens_per_picture)
                for t in texts]  # fmt: skip
        return [list(ids) for ids in self.tokenizer(wide, add_special_tokens=False)["input_ids"]]

    def pixels(self, images: Sequence[Any]) -> Tensor:
        """PIL pictures → (P, 3, height, width) float32."""
        prepared = self.image_processor(images=list(images), return_tensors="pt")
        pixel_values: Tensor = prepared["pixel_values"]
        return pixel_values.to(torch.float32)
