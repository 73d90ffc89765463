"""Exact per-row gradients of single layers, from a layer's input and its output's gradient.

A rule is (layer, x, g) → {parameter's name in the layer: gradient of each row, (R, *shape)}. Rows
are the first dimension of ``x`` and ``g``; in all of these layers a row's output depends on that
row alone. Opacus' rules serve where they are exact as they stand; a layer without a rule is
refused by name, never passed over.
"""

from collections.abc import Callable
from copy import copy
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vjp, vmap

Rule = Callable[[Any, Tensor, Tensor], dict[str, Tensor]]


def rule(layer: nn.Module) -> Rule | None:
    """The rule of ``layer``, or None where there is none."""
    for kind, found in _opacus().items():
        if type(layer) is kind:
            return found
    if type(layer) is nn.Linear:
        return linear
    if type(layer) is nn.Embedding:
        return embedding
    return by_row if type(layer).__name__.endswith("RMSNorm") else None


def linear(layer: nn.Linear, x: Tensor, g: Tensor) -> dict[str, Tensor]:
    """x (R, …, I), g (R, …, O) → weight (R, O, I), bias (R, O)."""
    inputs, outputs = by_position(x), by_position(g)
    found = {"weight": outputs.transpose(1, 2) @ inputs}
    if layer.bias is not None:
        found["bias"] = outputs.sum(1)
    return found


def embedding(layer: nn.Embedding, x: Tensor, g: Tensor) -> dict[str, Tensor]:
    """Ids x (R, …), g (R, …, D) → weight (R, V, D); the padding's row learns nothing.

    ValueError where the layer rescales by frequency in the batch: that mixes rows.
    """
    if layer.scale_grad_by_freq:
        raise ValueError("scale_grad_by_freq mixes rows: set it to False")
    if layer.padding_idx is not None:
        g = g.masked_fill((x == layer.padding_idx).unsqueeze(-1), 0.0)  # Opacus counts it
    from opacus.grad_sample.embedding import compute_embedding_grad_sample

    return {"weight": compute_embedding_grad_sample(layer, [x], g)[layer.weight]}


def by_row(layer: nn.Module, x: Tensor, g: Tensor) -> dict[str, Tensor]:
    """Any layer that takes its rows one by one: a vector-Jacobian product for each."""
    weights = {name: p.detach() for name, p in layer.named_parameters()}
    plain = copy(layer)
    plain.__dict__.pop("forward", None)  # an observed layer's would be observed again

    def of(row: Tensor, out: Tensor) -> Any:
        pull = vjp(lambda w: functional_call(plain, w, (row.unsqueeze(0),)), weights)[1]
        return pull(out.unsqueeze(0))[0]

    found: dict[str, Tensor] = vmap(of)(x, g)
    return found


def by_position(values: Tensor) -> Tensor:
    """(R, …, D) → (R, T, D), T = 1 where a row is one vector."""
    rows, size = values.shape[0], values.shape[-1]
    return values.reshape(rows, -1, size) if rows else values.new_zeros(0, 1, size)


@cache
def _opacus() -> dict[type[nn.Module], Rule]:
    from opacus.grad_sample.conv import compute_conv_grad_sample
    from opacus.grad_sample.layer_norm import compute_layer_norm_grad_sample
    from opacus.grad_sample.rms_norm import compute_rms_norm_grad_sample

    def named(theirs: Callable[..., dict[nn.Parameter, Tensor]]) -> Rule:
        def of(layer: nn.Module, x: Tensor, g: Tensor) -> dict[str, Tensor]:
            found = theirs(layer, [x], g)
            return {name: found[p] for name, p in layer.named_parameters() if p in found}

        return of

    return {
        nn.Conv2d: named(compute_conv_grad_sample),
        nn.LayerNorm: named(compute_layer_norm_grad_sample),
        nn.RMSNorm: named(compute_rms_norm_grad_sample),
    }


def ghost_is_cheaper(layer: nn.Module, positions: int) -> bool:
    """Whether a norm by T x T products costs less memory than the gradient itself.

    2·T² against O·I numbers a unit (Bu et al. 2022, "Scalable and efficient training of large
    convolutional networks with differential privacy", the mixed rule of section 4).
    """
    return type(layer) is nn.Linear and 2 * positions**2 < layer.weight.numel()


def squared_norm(x: Tensor, g: Tensor) -> Tensor:
    """‖Σ_t g_t x_tᵀ‖² of each row without forming it, (U,); x (U, T, I), g (U, T, O)."""
    products: Tensor = (g @ g.transpose(1, 2)) * (x @ x.transpose(1, 2))
    return products.sum((1, 2)).clamp(min=0.0)


def weighted_sum(x: Tensor, g: Tensor, weight: Tensor) -> Tensor:
    """Σ_u weight_u Σ_t g_t x_tᵀ, (O, I)."""
    scaled = (g * weight[:, None, None]).flatten(0, 1)
    result: Tensor = torch.matmul(scaled.T, x.flatten(0, 1))
    return result
