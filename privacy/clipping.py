"""Per-unit gradients of one backward pass, clipped and summed.

U units, R rows of a layer's input. A unit is whom the guarantee is about (a person, or a row); its
rows' gradients are summed before its norm is taken, so a person with four pictures, a preference
pair or a picture in eight crops counts once.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as tree

from lineage.errors import TactError
from privacy import rules
from privacy.folding import Fold
from privacy.late import Late, Products, is_cheaper
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
        self.paused = False
        self._apart: set[str] = set()  # layers that were seen to take rows one by one
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
        self._folds: dict[tuple[bool, int], Fold] = {}
        self._sums: dict[str, Tensor] = {}
        self._late: dict[str, Late] = {}
        self._products = Products()
        for parameter in self.weights.values():
            parameter.grad = None

    def record(self, layer: str, x: Tensor, g: Any) -> None:
        """One use of a layer; called in the backward pass."""
        fold, kind = self._fold(layer, len(x)), self.layers[layer]
        if not len(x):
            return
        x, g = tree.tree_map(_single, (x, g))
        if type(kind) is nn.Linear:
            self._linear(layer, kind, rules.by_position(x), rules.by_position(g), fold)
        else:
            found = self._by_row(layer, kind, x, g)
            self._add(layer, {name: fold.summed(each) for name, each in found.items()})

    @torch.no_grad()
    def clip(self, max_grad_norm: float) -> Clipped:
        """Sum of the units' gradients, each clipped to ``max_grad_norm`` over all parameters.

        c_u = min(1, C / ‖g_u‖) (Abadi et al. 2016, "Deep learning with differential privacy",
        algorithm 1). A unit whose gradient is not finite adds nothing: to stop there, or to pass it
        on, would tell of that unit alone. TactError where a parameter was used past its layer.
        """
        if past := [n for n, p in self.weights.items() if p.grad is not None]:
            raise TactError(f"{past[0]} is used outside of its layer: it can't be trained with DP")
        norms = self._squared_norms().sqrt()
        finite = torch.isfinite(norms)
        if not bool(finite.all()):
            self._drop(~finite)
        factor = torch.where(finite, (max_grad_norm / norms.clamp(min=1e-12)).clamp(max=1.0), 0.0)
        return Clipped(self._weighted(factor), norms)

    @torch.no_grad()
    def gradients(self, unit: int) -> dict[str, Tensor]:
        """One unit's gradient before clipping: for the check against a slow backward."""
        one = torch.zeros(self.units, device=self._rows.device)
        one[unit] = 1.0
        return self._weighted(one)

    def _weighted(self, factor: Tensor) -> dict[str, Tensor]:
        """Σ_u factor_u g_u of each parameter."""
        sums = {n: torch.tensordot(factor, each, dims=1) for n, each in self._sums.items()}
        sums |= {n: late.weighted(factor) for n, late in self._late.items()}
        return {
            n: sums[n] if n in sums else torch.zeros_like(p, dtype=torch.float32)
            for n, p in self.weights.items()
        }

    def _fold(self, layer: str, count: int) -> Fold:
        """From the rows of a layer's input to units. TactError where rows are mixed."""
        by_picture = layer.startswith(BY_PICTURE) and self._pictures is not None
        key = by_picture, count
        if key not in self._folds:
            owner = self._by_picture(count) if by_picture else self._by_row_of_batch(count)
            if owner is None:
                raise TactError(
                    f"{layer}: its input has {count} rows, the batch {len(self._rows)}: it mixes "
                    "rows, or packs them in a way that is not known; it can't be trained with DP"
                )
            self._folds[key] = Fold(owner, self.units)
        return self._folds[key]

    def _by_picture(self, count: int) -> Tensor | None:
        assert self._pictures is not None
        pieces, rest = divmod(count, max(1, len(self._pictures)))
        if rest or not pieces:
            return None
        return self._pictures.repeat_interleave(pieces)  # its crops or patches follow each other

    def _by_row_of_batch(self, count: int) -> Tensor | None:
        if count == len(self._rows):
            return self._rows
        return self._rows.repeat(2) if self._doubled and count == 2 * len(self._rows) else None

    def _by_row(self, layer: str, kind: nn.Module, x: Tensor, g: Any) -> dict[str, Tensor]:
        rule = rules.rule(kind)
        assert rule is not None
        self.paused = True
        found = rule(kind, x, g)
        if rule is rules.by_row and layer not in self._apart:
            if not rules.rows_apart(kind, x, g, found):
                raise TactError(
                    f"{layer}: {type(kind).__name__} mixes rows, so no row has a gradient of its "
                    "own; it can't be trained with DP"
                )
            self._apart.add(layer)
        self.paused = False
        return found

    def _linear(self, layer: str, kind: nn.Linear, x: Tensor, g: Tensor, fold: Fold) -> None:
        """Gradients by unit, or norms alone where that is cheaper and the layer is used once."""
        weight = _named(layer, "weight")
        if weight in self._late:
            self._add(layer, {"weight": self._late.pop(weight).by_unit()})
        if (
            weight in self.weights
            and weight not in self._sums
            and is_cheaper(kind, x.shape[1] * fold.width)
        ):
            self._late[weight] = self._products.late(x, g, fold)
            self._add(layer, {"bias": fold.summed(g.sum(1))})
        else:
            self._add(layer, rules.linear(kind, fold.in_line(x), fold.in_line(g)))

    def _squared_norms(self) -> Tensor:
        total = torch.zeros(self.units, device=self._rows.device)
        for each in self._sums.values():
            total = total + torch.linalg.vector_norm(each.flatten(1), dim=1).square()
        for late in self._late.values():
            total = total + late.squared_norms
        return total

    def _drop(self, units: Tensor) -> None:
        for each in self._sums.values():
            each[units] = 0.0
        self._late = {name: late.without(units) for name, late in self._late.items()}

    def _add(self, layer: str, found: Mapping[str, Tensor]) -> None:
        for own, each in found.items():
            name = _named(layer, own)
            if name in self.weights:
                self._sums[name] = self._sums[name] + each if name in self._sums else each


def _single(each: Tensor) -> Tensor:
    """float32, unless it is numbers of words."""
    return each.float() if each.is_floating_point() else each


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
    owners: dict[int, str] = {}
    for name in sorted(covered):
        if (other := owners.setdefault(id(weights[name]), name)) != name:
            raise TactError(
                f"{other} and {name} are one parameter: DP needs it to be of one layer alone; take "
                "it out of the stage's train, or untie them"
            )
    if missing := sorted(set(weights) - covered):
        raise TactError(f"{missing[0]} trains and no layer that is called owns it")
    return found
