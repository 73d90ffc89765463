"""Exact per-row gradients of single layers, from a layer's input and its output's gradient.

A rule is (layer, x, g) → {parameter's name in the layer: gradient of each row, (R, *shape)}. Rows
are the first dimension of ``x`` and ``g``; in all of these layers a row's output depends on that
row alone. Opacus' rules serve where they are exact as they stand; a layer without a rule is
refused by name, never passed over.

R rows, T positions, I and O sizes of a vector, V words of size D.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from torch import Tensor, nn
from torch.func import functional_call, vjp, vmap
from torch.utils import _pytree as tree

Rule = Callable[[Any, Tensor, Any], dict[str, Tensor]]


def rule(layer: nn.Module) -> Rule | None:
    """The rule of ``layer``, or None where there is none.

    A layer that is none of torch's, as one of a family's with parameters of its own, is
    differentiated row by row; what it holds further down has its own rules. That is exact where
    it takes its rows one by one, which ``rows_apart`` tells.
    """
    rules: dict[type, Rule] = {**_opacus(), nn.Linear: linear, nn.Embedding: embedding}
    if found := rules.get(type(layer)):
        return found
    if type(layer).__module__.startswith("torch.nn") or type(layer).forward is nn.Module.forward:
        return None
    return by_row


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


def by_row(layer: nn.Module, x: Tensor, g: Any) -> dict[str, Tensor]:
    """A vector-Jacobian product for each row, of the layer's own parameters."""

    def one(row: Tensor, out: Any) -> dict[str, Tensor]:
        return _together(layer, row[None], tree.tree_map(lambda each: each[None], out))

    found: dict[str, Tensor] = vmap(one)(x, g)
    return found


def rows_apart(layer: nn.Module, x: Tensor, g: Any, found: dict[str, Tensor]) -> bool:
    """Whether the gradients ``found`` by row add up to that of all rows together."""
    return not any(  # of what is not finite nothing is said
        float((whole - found[name].sum(0)).norm()) > 1e-3 * float(found[name].norm()) + 1e-9
        for name, whole in _together(layer, x, g).items()
    )


def _together(layer: nn.Module, x: Tensor, g: Any) -> dict[str, Tensor]:
    """Gradient of the layer's own parameters, over all rows, in float32."""
    weights = {name: p.detach().float() for name, p in layer.named_parameters()}
    own = {name: weights.pop(name) for name, _ in layer.named_parameters(recurse=False)}
    pull = vjp(lambda some: functional_call(layer, {**weights, **some}, (x,)), own)[1]
    gradient: dict[str, Tensor] = pull(g)[0]
    return gradient


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
        nn.Conv3d: named(compute_conv_grad_sample),
        nn.LayerNorm: named(compute_layer_norm_grad_sample),
        nn.RMSNorm: named(compute_rms_norm_grad_sample),
    }
