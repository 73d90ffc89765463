"""Half precision by Lightning's names, for batches that nobody changes in place."""

from typing import Any, Literal

import torch
from pytorch_lightning.plugins.precision import HalfPrecision

WHOLE: Literal["bf16-true"] = "bf16-true"


class WholeBf16(HalfPrecision):
    """``bf16-true``; a stage's step converts of its batch what it reads."""

    def __init__(self) -> None:
        super().__init__(WHOLE)

    def convert_input(self, data: Any) -> Any:
        """The batch as it is."""
        return data


def chosen(name: str) -> dict[str, Any]:
    """Arguments of a Trainer for ``trainer.precision``."""
    return {"plugins": [WholeBf16()]} if name == WHOLE else {"plugins": [], "precision": name}


def is_half(module: torch.nn.Module, device: torch.device) -> bool:
    """Whether ``module`` computes in less than float32, by its weights or by autocast."""
    if torch.is_autocast_enabled(device.type):
        return True
    return any(p.is_floating_point() and p.dtype != torch.float32 for p in module.parameters())
