"""Layers that hand each row's input and output gradient to a recorder instead of to ``.grad``.

The layer's forward is as before; its backward passes the gradient of its input on and gives that
of its parameters to nobody but the recorder. So one backward pass serves all units ("book-keeping",
Bu et al. 2023, "Differentially private optimization on large model at small cost", section 3), and
activation checkpointing of both kinds works as it does for any function.
"""

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn


class Recorder(Protocol):
    """Who is told of each use of a layer."""

    def record(self, layer: str, x: Tensor, g: Tensor) -> None:
        """Input (R, …) and gradient of the output (R, …) of one use of ``layer``."""
        ...


def observe(layer: nn.Module, name: str, recorder: Recorder) -> Callable[[], None]:
    """Have ``layer`` report to ``recorder``; the function that is returned undoes it."""
    forward = layer.forward
    weights = [p for p in layer.parameters() if p.requires_grad]

    def observed(x: Tensor) -> Any:
        return _Observed.apply(x, layer, forward, name, recorder, *weights)  # type: ignore[no-untyped-call]

    layer.forward = observed

    def undo() -> None:
        del layer.forward  # the class's own is found again

    return undo


class _Observed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        layer: nn.Module,
        run: Callable[[Tensor], Tensor],
        name: str,
        recorder: Recorder,
        *weights: Tensor,
    ) -> Tensor:
        ctx.save_for_backward(x)
        ctx.layer, ctx.run, ctx.name, ctx.recorder = layer, run, name, recorder
        return run(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        (x,) = ctx.saved_tensors
        g = grads[0]
        ctx.recorder.record(ctx.name, x, g)
        back = _input_gradient(ctx, x, g) if ctx.needs_input_grad[0] else None
        return (back, *[None] * (len(ctx.needs_input_grad) - 1))


def _input_gradient(ctx: Any, x: Tensor, g: Tensor) -> Tensor:
    if type(ctx.layer) is nn.Linear:
        result: Tensor = (g @ ctx.layer.weight.to(g.dtype)).to(x.dtype)
        return result
    with torch.enable_grad():
        again = x.detach().requires_grad_()
        out = ctx.run(again)
    (back,) = torch.autograd.grad(out, again, g)
    return back
