"""LoRA on the language model alone, by peft (Hu et al. 2021, "LoRA", eq. 3).

A stage that trains LoRA starts a fresh adapter; the one before is merged into the weights
first, so that "adapter off" is the model that the stage started from: its reference.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import nn

from lineage.errors import TactError

ADAPTER = "default"


def attach(
    language_model: nn.Module,
    *,
    rank: int,
    alpha: int,
    dropout: float,
    targets: list[str],
    freeze_a: bool = False,
) -> None:
    """Put a fresh adapter into ``language_model`` in place; TactError where that can't be.

    With ``freeze_a`` only B is to train, beside an A with orthonormal rows (Sun et al. 2024,
    "Improving LoRA in Privacy-preserving Federated Learning", section 4): under DP, noise on both
    is multiplied.
    """
    check(language_model, targets)
    config = LoraConfig(
        r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=targets, bias="none"
    )
    try:
        inject_adapter_in_model(config, language_model, adapter_name=ADAPTER)
    except ValueError as error:
        reason = str(error).splitlines()[0]
        raise TactError(
            f"model.lora.targets={targets}: no adapter can be put in: {reason}"
        ) from error
    if freeze_a:
        for layer in layers(language_model):
            layer.freezes_a = True
        for parameter in frozen(language_model):
            nn.init.orthogonal_(parameter)


def check(
    language_model: nn.Module, targets: Sequence[str], *, whole: nn.Module | None = None
) -> None:
    """TactError on no target, and on the first that matches no layer of ``language_model``.

    peft takes a list of which only some match, and trains less than was asked for in silence. The
    message names the layer of ``whole`` that a target matches instead, as one of the vision tower.
    """
    own = _linear(language_model)
    known = ", ".join(dict.fromkeys(name.rpartition(".")[2] for name in own))
    if not targets:
        raise TactError(f"model.lora.targets is empty; choose from: {known}")
    others = {n: m for n, m in _linear(whole).items() if m not in own.values()} if whole else {}
    for target in targets:
        if not _hit(own, target):
            instead = _hit(others, target)
            raise TactError(
                f"model.lora.targets: {target!r} matches no layer of the language model"
                f"{f' but {instead[0]}' if instead else ''}. LoRA trains the language model alone; "
                f"choose from: {known}"
            )


def _hit(named: Iterable[str], target: str) -> list[str]:
    """The names that ``target`` is, or is the dotted end of, as peft reads it."""
    return [name for name in named if f".{name}".endswith(f".{target}")]


def _linear(module: nn.Module) -> dict[str, nn.Module]:
    return {n: child for n, child in module.named_modules() if isinstance(child, nn.Linear)}


def layers(module: nn.Module) -> list[Any]:
    """The LoRA layers in ``module``, in order."""
    return [child for child in module.modules() if isinstance(child, LoraLayer)]


def parameters(module: nn.Module) -> list[nn.Parameter]:
    """The adapter's own parameters (A and B of each layer)."""
    return [p for name, p in module.named_parameters() if is_adapter(name)]


def frozen(module: nn.Module) -> list[nn.Parameter]:
    """The A of each adapter that was attached with ``freeze_a``: kept with it, never trained."""
    held = [layer for layer in layers(module) if getattr(layer, "freezes_a", False)]
    return [p for layer in held for p in layer.lora_A.parameters()]


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
