"""One training step of one language model, plain and private: ours beside Opacus' two engines.

B rows of T positions, V words.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from conf.schema import LoraSettings
from models import lora
from privacy.clipping import PerUnit

TRAINED = ("lora", "linear")  # LoRA on all linear layers but the head; all linear layers
MAX_GRAD_NORM = 1.0


@dataclass(frozen=True)
class Size:
    """A Llama and its batch; as it stands, 31 million parameters."""

    width: int = 512
    layers: int = 8
    vocabulary: int = 5120
    rows: int = 16
    positions: int = 128
    rank: int = 16


@dataclass(frozen=True)
class Step:
    """``run`` is a whole step: forward, backward, the clipped sum if private, AdamW."""

    run: Callable[[], None]
    trained: dict[str, nn.Parameter]


def build(kind: str, trained: str, size: Size) -> Step:
    """The step of that kind on a fresh model; the weights and rows of all kinds are the same."""
    torch.manual_seed(0)
    model = _model(trained, size)
    ids = torch.randint(0, size.vocabulary, (size.rows, size.positions + 1))
    weights = {n: p for n, p in model.named_parameters() if p.requires_grad}
    optimizer = torch.optim.AdamW(weights.values(), lr=1e-5)
    made: Callable[..., Callable[[], None]] = KINDS[kind]
    return Step(made(model, ids, optimizer), weights)


def _model(trained: str, size: Size) -> nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.width,
        intermediate_size=size.width * 11 // 4,
        num_hidden_layers=size.layers,
        num_attention_heads=8,
        num_key_value_heads=8,
    )
    model: nn.Module = LlamaForCausalLM(config).train().requires_grad_(False)
    if trained == "lora":
        targets = LoraSettings().targets
        lora.attach(model, rank=size.rank, alpha=size.rank, dropout=0.0, targets=targets)
        for parameter in lora.parameters(model):
            nn.init.normal_(parameter, std=0.02)
    else:
        for layer in model.modules():
            if isinstance(layer, nn.Linear):
                layer.weight.requires_grad_(True)
    return model


def losses(model: nn.Module, ids: Tensor) -> Tensor:
    """Mean negative log-likelihood of each row's words, (B,); ids (B, T + 1)."""
    logits = model(input_ids=ids[:, :-1], use_cache=False).logits  # (B, T, V)
    each = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    return each.view(len(ids), -1).mean(1)


def _plain(model: nn.Module, ids: Tensor, optimizer: Any) -> Callable[[], None]:
    def run() -> None:
        optimizer.zero_grad()
        losses(model, ids).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return run


def _ours(model: nn.Module, ids: Tensor, optimizer: Any) -> Callable[[], None]:
    engine = PerUnit(model)
    rows = torch.arange(len(ids))

    def run() -> None:
        engine.begin(len(ids), rows)
        losses(model, ids).sum().backward()  # type: ignore[no-untyped-call]
        sums = engine.clip(MAX_GRAD_NORM).sums
        for name, parameter in engine.weights.items():
            parameter.grad = sums[name]
        optimizer.step()

    return run


def _hooks(model: nn.Module, ids: Tensor, optimizer: Any) -> Callable[[], None]:
    from opacus.grad_sample import GradSampleModule
    from opacus.optimizers import DPOptimizer

    module = GradSampleModule(model, loss_reduction="sum", strict=False)
    return _plain(module, ids, DPOptimizer(optimizer, **_settings(ids)))


def _ghost(model: nn.Module, ids: Tensor, optimizer: Any) -> Callable[[], None]:
    from opacus.grad_sample import GradSampleModuleFastGradientClipping
    from opacus.optimizers import DPOptimizerFastGradientClipping
    from opacus.utils.fast_gradient_clipping_utils import DPTensorFastGradientClipping

    module = GradSampleModuleFastGradientClipping(
        model, loss_reduction="sum", strict=False, max_grad_norm=MAX_GRAD_NORM
    )
    private = DPOptimizerFastGradientClipping(optimizer, **_settings(ids))

    def run() -> None:
        private.zero_grad()
        each = losses(module, ids)
        DPTensorFastGradientClipping(module, private, each, "sum").backward()
        private.step()

    return run


def _settings(ids: Tensor) -> dict[str, Any]:
    """Without noise, which is drawn once a logical step however many batches it has."""
    return {
        "noise_multiplier": 0.0, "max_grad_norm": MAX_GRAD_NORM,
        "expected_batch_size": len(ids), "loss_reduction": "sum",
    }  # fmt: skip


KINDS: dict[str, Callable[..., Callable[[], None]]] = {
    "plain": _plain, "ours": _ours, "hooks": _hooks, "ghost": _ghost,
}  # fmt: skip
