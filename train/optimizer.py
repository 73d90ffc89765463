"""A stage's optimiser and the curve of its learning rate."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from conf.schema import StageConfig


def made(config: StageConfig, trainable: Mapping[str, nn.Parameter]) -> torch.optim.Optimizer:
    """AdamW or SGD; adversaries have a learning rate of their own."""
    ours = [p for n, p in trainable.items() if not _is_adversary(n)]
    theirs = [p for n, p in trainable.items() if _is_adversary(n)]
    groups: list[dict[str, Any]] = [{"params": ours, "lr": config.learning_rate}]
    if theirs:
        groups.append({"params": theirs, "lr": config.adversary_learning_rate})
    if config.optimizer == "sgd":
        return torch.optim.SGD(
            groups, config.learning_rate, config.momentum, weight_decay=config.weight_decay
        )
    first, second = config.betas
    return torch.optim.AdamW(groups, weight_decay=config.weight_decay, betas=(first, second))


def _is_adversary(name: str) -> bool:
    return name.startswith(("token_adversary", "answer_adversary"))


def warmup_cosine(step: int, *, warmup: int, steps: int, floor: float = 0.05) -> float:
    """Factor of the learning rate: linear over ``warmup`` steps, cosine down to ``floor``."""
    rise = min(1.0, (step + 1) / max(1, warmup))
    fall = floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))
    return rise * fall
