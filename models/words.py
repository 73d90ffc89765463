"""Words as ids of a vocabulary."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor


def word_mask(tokenizer: Any, groups: Mapping[str, Iterable[str]], size: int) -> Tensor:
    """Which of ``size`` ids begin a word of each group, (G, V) float; with and without a space."""
    mask = torch.zeros(len(groups), size)
    for row, words in enumerate(groups.values()):
        for word in words:
            for text in (word, f" {word}", word.capitalize(), f" {word.capitalize()}"):
                ids = tokenizer(text, add_special_tokens=False)["input_ids"]
                if len(ids) == 1:
                    mask[row, ids[0]] = 1.0
    return mask
