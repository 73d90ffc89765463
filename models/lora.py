"""LoRA on the language model alone, by peft (Hu et al. 2021, "LoRA", eq. 3).

A stage that trains LoRA starts a fresh adapter; the one before is merged into the weights
first, so that "adapter off" is the model that the stage started from: its reference.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import nn

ADAPTER = "default"


def attach(
    language_model: nn.Module, *, rank: int, alpha: int, dropout: float, targets: list[str]
) -> None:
    """Put a fresh adapter into ``language_model`` in place; ValueError if nothing is hit."""
    config = LoraConfig(
        r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=targets, bias="none"
    )
    inject_adapter_in_model(config, language_model, adapter_name=ADAPTER)
    if not layers(language_model):
        raise ValueError(f"model.lora.targets={targets} hits no layer of the language model")


def layers(module: nn.Module) -> list[Any]:
    """The LoRA layers in ``module``, in order."""
    return [child for child in module.modules() if isinstance(child, LoraLayer)]


def parameters(module: nn.Module) -> list[nn.Parameter]:
    """The adapter's own parameters (A and B of each layer)."""
    return [p for name, p in module.named_parameters() if is_adapter(name)]


def is_adapter(name: str) -> bool:
    """Whether a parameter of that name belongs to an adapter."""
    return ".lora_A." in name or ".lora_B." in name


@contextmanager
def off(module: nn.Module) -> Iterator[None]:
    """Within, ``module`` computes what it did before the adapter was attached."""
    adapted = layers(module)
    if not adapted:
        raise ValueError("no adapter to switch off: the stage does not train lora")
    for layer in adapted:
        layer._disable_adapters = True
    try:
        yield
    finally:
        for layer in adapted:
            layer._disable_adapters = False


def merge(module: nn.Module) -> None:
    """Add the adapter into the weights and take it out, in place: W ← W + (α/r)·B·A."""
    for name, child in list(module.named_modules()):
        if isinstance(child, LoraLayer):
            child.merge()  # type: ignore[operator]
            parent = module.get_submodule(name.rpartition(".")[0])
            setattr(parent, name.rpartition(".")[2], child.get_base_layer())
    if hasattr(module, "peft_config"):
        del module.peft_config
