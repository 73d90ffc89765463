"""Per-unit gradients of one backward pass, clipped and summed.

U units, R rows of a layer's input. A unit is whom the guarantee is about (a person, or a row); its
rows' gradients are summed before its norm is taken, so a person with four pictures, a preference
pair or a picture in eight crops counts once.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lineage.errors import TactError
from privacy import rules
from privacy.recorder import observe

BY_PICTURE = ("tower", "interface", "reader", "facts", "token_adversary")  # parts of a VLM


@dataclass(frozen=True)
class Clipped:
    """Sum over the units of their gradients, each scaled to a norm of at most ``max_grad_norm``."""

    sums: dict[str, Tensor]  # parameter → its shape, float32
    norms: Tensor  # (U,) before clipping: private, as is all that is made of it without noise


class PerUnit:
    """Records per-unit gradients of ``model``'s parameters ``names`` (all that train by default).

    Raises TactError where a trainable parameter belongs to a layer without an exact rule, or to
    two layers. Use: ``begin``, any number of backward passes of a loss that is *summed* over rows,
    ``clip``. Gradients of the observed parameters never reach ``.grad``.
    """

    def __init__(self, model: nn.Module, names: Collection[str] | None = None) -> None:
        self.weights: dict[str, nn.Parameter] = {
            n: p
            for n, p in model.named_parameters(remove_duplicate=False)
            if (p.requires_grad if names is None else n in names)
        }
        self.layers = dict(_observed(model, self.weights))
        self._undo = [observe(layer, name, self) for name, layer in self.layers.items()]
        self.units = 0

    def close(self) -> None:
        """Give the layers back as they were."""
        while self._undo:
            self._undo.pop()()

    def begin(
        self, units: int, rows: Tensor, *, pictures: Tensor | None = None, doubled: bool = False
    ) -> None:
        """A new physical batch of ``units``; ``rows`` (B,) and ``pictures`` (P,): whose each is.

        ``doubled``: the language model gets pairs as two rows each, all first ones before the rest.
        """
        self.units = units
        self._rows, self._pictures, self._doubled = rows, pictures, doubled
        self._sums: dict[str, Tensor] = {}
        self._late: dict[str, tuple[Tensor, Tensor]] = {}

    def record(self, layer: str, x: Tensor, g: Tensor) -> None:
        """One use of a layer; called in the backward pass."""
        owner, kind = self._owner(layer, len(x)), self.layers[layer]
        g = g.float()
        x = x if x.dtype in (torch.int32, torch.int64) else x.float()
        if type(kind) is nn.Linear and layer not in self._sums and layer not in self._late:
            width = int(torch.bincount(owner, minlength=1).max()) if len(owner) else 1
            together = rules.by_position(x).shape[1] * width
            if kind.bias is None and rules.ghost_is_cheaper(kind, together):
                self._late[layer] = (self._by_unit(x, owner, width), self._by_unit(g, owner, width))
                return
        self._settle(layer)
        self._add(layer, self._folded(rules.rule(kind)(kind, x, g), owner))  # type: ignore[misc]

    def clip(self, max_grad_norm: float) -> Clipped:
        """Sum of the units' gradients, each clipped to ``max_grad_norm`` over all parameters.

        c_u = min(1, C / ‖g_u‖) (Abadi et al. 2016, "Deep learning with differential privacy",
        algorithm 1). A unit whose gradient is not finite adds nothing: to stop there, or to pass it
        on, would tell of that unit alone.
        """
        norms = self._squared_norms().sqrt()
        finite = torch.isfinite(norms)
        if not bool(finite.all()):
            self._drop(~finite)
        factor = torch.where(finite, (max_grad_norm / norms.clamp(min=1e-12)).clamp(max=1.0), 0.0)
        sums = {n: torch.zeros_like(p, dtype=torch.float32) for n, p in self.weights.items()}
        for name, each in self._sums.items():
            sums[name] = torch.tensordot(factor, each, dims=1)
        for layer, (x, g) in self._late.items():
            sums[_named(layer, "weight")] = rules.weighted_sum(x, g, factor)
        return Clipped(sums, norms)

    def gradients(self, unit: int) -> dict[str, Tensor]:
        """One unit's gradient before clipping: for the check against a slow backward."""
        for layer in list(self._late):
            self._settle(layer)
        return {name: each[unit] for name, each in self._sums.items()}

    def _owner(self, layer: str, count: int) -> Tensor:
        """The unit of each row of a layer's input, (count,). TactError where rows are mixed."""
        if layer.startswith(BY_PICTURE) and self._pictures is not None:
            pieces, rest = divmod(count, max(1, len(self._pictures)))
            if pieces and not rest:  # its crops or patches follow each other
                return self._pictures.repeat_interleave(pieces)
        elif count == len(self._rows):
            return self._rows
        elif self._doubled and count == 2 * len(self._rows):
            return self._rows.repeat(2)
        raise TactError(
            f"{layer}: its input has {count} rows, the batch {len(self._rows)}: it mixes rows, or "
            "packs them in a way that is not known; it can't be trained with DP"
        )

    def _squared_norms(self) -> Tensor:
        total = torch.zeros(self.units)
        for each in self._sums.values():
            total = total + each.flatten(1).square().sum(1)
        for x, g in self._late.values():
            total = total + rules.squared_norm(x, g)
        return total

    def _drop(self, units: Tensor) -> None:
        for each in self._sums.values():
            each[units] = 0.0
        for both in self._late.values():
            for each in both:
                each[units] = 0.0

    def _settle(self, layer: str) -> None:
        """A layer that is used again needs its gradients, not norms that don't add up."""
        if layer in self._late:
            x, g = self._late.pop(layer)
            self._add(layer, {"weight": g.transpose(1, 2) @ x})

    def _add(self, layer: str, found: Mapping[str, Tensor]) -> None:
        for own, each in found.items():
            name = _named(layer, own)
            if name in self.weights:
                self._sums[name] = self._sums[name] + each if name in self._sums else each

    def _folded(self, found: Mapping[str, Tensor], owner: Tensor) -> dict[str, Tensor]:
        return {
            name: torch.zeros(self.units, *each.shape[1:]).index_add_(0, owner, each)
            for name, each in found.items()
        }

    def _by_unit(self, values: Tensor, owner: Tensor, width: int) -> Tensor:
        """(R, …, D) → (U, width·T, D): a unit's rows one after the other, the rest zero."""
        rows = rules.by_position(values)  # (R, T, D)
        place = torch.zeros_like(owner)
        for unit in torch.unique(owner).tolist():
            own = owner == unit
            place[own] = torch.arange(int(own.sum()))
        made = rows.new_zeros(self.units, width, *rows.shape[1:])
        made[owner, place] = rows
        return made.flatten(1, 2)


def _named(layer: str, parameter: str) -> str:
    return f"{layer}.{parameter}" if layer else parameter


def _observed(model: nn.Module, weights: Mapping[str, nn.Parameter]) -> list[tuple[str, nn.Module]]:
    """The layers that own the trainable parameters. Raises TactError."""
    found, covered = [], set()
    for name, layer in model.named_modules():
        own = [_named(name, n) for n, _ in layer.named_parameters(recurse=False)]
        own = [n for n in own if n in weights]
        if not own:
            continue
        if rules.rule(layer) is None:
            raise TactError(
                f"{own[0]} trains, and {type(layer).__name__} has no exact per-unit rule: take it "
                "out of the stage's train, or privacy.epsilon=null"
            )
        found.append((name, layer))
        covered |= set(own)
    held = [id(weights[name]) for name in covered]
    if len(held) != len(set(held)):
        raise TactError("two layers share a parameter that trains: DP needs it to be of one alone")
    if missing := sorted(set(weights) - covered):
        raise TactError(f"{missing[0]} trains and no layer that is called owns it")
    return found
