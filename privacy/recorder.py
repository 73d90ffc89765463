"""Layers that hand each row's input and output gradient to a recorder instead of to ``.grad``.

The layer's forward is as before, on parameters that autograd takes for constants; its output is
passed through a function whose backward tells the recorder. So one backward pass serves all units
("book-keeping", Bu et al. 2023, "Differentially private optimization on large model at small
cost", section 3), no gradient of a parameter is made beside it, and activation checkpointing of
both kinds works as it does for any function.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils import _pytree as tree


class Recorder(Protocol):
    """Who is told of each use of a layer."""

    paused: bool  # within, layers are as they were

    def record(self, layer: str, x: Tensor, g: Any) -> None:
        """Input (R, …) of one use of ``layer``, and its output's gradient, as the output is."""
        ...


def observe(layer: nn.Module, name: str, recorder: Recorder) -> Callable[[], None]:
    """Have ``layer`` report to ``recorder``; the function that is returned undoes it."""
    forward = layer.forward

    def observed(x: Tensor) -> Any:
        if recorder.paused or not torch.is_grad_enabled():
            return forward(x)
        weights = [p for p in layer.parameters(recurse=False) if p.requires_grad]
        with _constant(layer):
            outputs, kind = tree.tree_flatten(forward(x))

        def tell(x: Tensor, grads: tuple[Tensor, ...]) -> None:
            recorder.record(name, x, tree.tree_unflatten(grads, kind))

        told = _Told.apply(tell, x, len(outputs), *outputs, *weights)  # type: ignore[no-untyped-call]
        return tree.tree_unflatten(told, kind)

    layer.forward = observed

    def undo() -> None:
        del layer.forward  # the class's own is found again

    return undo


@contextmanager
def _constant(layer: nn.Module) -> Iterator[None]:
    """Within, the layer's own parameters need no gradient; its children's do."""
    own: dict[str, Any] = layer._parameters
    kept = dict(own)
    own.update({n: p.detach() for n, p in kept.items() if p is not None})
    try:
        yield
    finally:
        own.update(kept)


class _Told(torch.autograd.Function):
    """Outputs as they are; weights are given so that there is a backward pass at all."""

    @staticmethod
    def forward(
        ctx: Any, tell: Callable[..., None], x: Tensor, outputs: int, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.save_for_backward(x)
        ctx.tell, ctx.weights = tell, len(tensors) - outputs
        return tuple(out.view_as(out) for out in tensors[:outputs])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        (x,) = ctx.saved_tensors
        ctx.tell(x.detach(), grads)
        return (None, None, None, *grads, *[None] * ctx.weights)
