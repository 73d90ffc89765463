"""Clipped sums against a slow loop of single-unit backwards, on every layer rule."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils import _pytree as tree
from torch.utils.checkpoint import checkpoint
from transformers import Gemma3Config, Gemma3TextConfig, SiglipVisionConfig
from transformers.models.gemma.modeling_gemma import GemmaRMSNorm
from transformers.models.gemma3.modeling_gemma3 import Gemma3MultiModalProjector
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from lineage.errors import TactError
from models import adversary
from models.interface import Codes
from privacy.clipping import PerUnit

ROWS, TIME, SIZE = 6, 5, 8
OWNER = torch.tensor([0, 2, 1, 0, 2, 0])  # three units of three, one and two rows


class Words(nn.Module):
    """Ids → vectors; id 0 is padding."""

    def __init__(self, then: nn.Module) -> None:
        super().__init__()
        self.table, self.then = nn.Embedding(11, SIZE, padding_idx=0), then

    def forward(self, ids: Tensor) -> Tensor:
        return self.then(self.table(ids))


class Twice(nn.Module):
    """One layer used two times."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(torch.tanh(self.layer(x)))


class Both(nn.Module):
    """Two wide layers that read the same."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Linear(SIZE, 300, bias=False), nn.Linear(SIZE, 300)

    def forward(self, x: Tensor) -> Tensor:
        return self.one(x) * self.other(x)


class Bare(nn.Module):
    """A weight of its own, before and after a layer of its own."""

    def __init__(self, *, mixes: bool = False) -> None:
        super().__init__()
        self.own, self.layer, self.mixes = nn.Parameter(torch.ones(SIZE)), nn.Linear(8, 8), mixes

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = x - x.mean(0) if self.mixes else x
        y = self.layer(x * self.own)
        return {"first": y + self.own, "second": y * self.own}


def adversaries() -> nn.Module:
    classes = {"age": ("old", "young"), "hair": ("red", "black", "grey")}
    return adversary.Adversaries(adversary.KINDS, (TIME, SIZE), classes)


def gemma3() -> nn.Module:
    """Four positions, averaged to one, by a bare matrix."""
    vision = SiglipVisionConfig(hidden_size=SIZE, image_size=4, patch_size=2)
    text = Gemma3TextConfig(hidden_size=16)
    return Gemma3MultiModalProjector(
        Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=1)
    )


def numbers() -> Tensor:
    return torch.randn(ROWS, TIME, SIZE)


def ids() -> Tensor:
    return torch.randint(0, 11, (ROWS, TIME))


def pixels() -> Tensor:
    return torch.randn(ROWS, 3, 8, 8)


LAYERS: dict[str, tuple[Callable[[], nn.Module], Callable[[], Tensor]]] = {
    "linear": (lambda: nn.Linear(SIZE, 3), numbers),
    "ghost": (lambda: nn.Linear(SIZE, 300, bias=False), numbers),
    "ghost with bias": (lambda: nn.Linear(SIZE, 300), numbers),
    "ghosts of one input": (Both, numbers),
    "ghost twice": (lambda: Twice(nn.Linear(SIZE, SIZE, bias=False)), lambda: numbers()[:, :1]),
    "vectors": (lambda: nn.Linear(SIZE, 3), lambda: numbers()[:, 0]),
    "embedding": (lambda: Words(nn.Linear(SIZE, 3)), ids),
    "layer norm": (lambda: nn.LayerNorm(SIZE), numbers),
    "rms norm": (lambda: nn.RMSNorm(SIZE), numbers),
    "llama": (lambda: LlamaRMSNorm(SIZE), numbers),
    "gemma": (lambda: GemmaRMSNorm(SIZE), numbers),
    "bare": (Bare, numbers),
    "codes": (lambda: Codes((TIME, SIZE), bits=6, tokens=3, hidden_size=10), numbers),
    "adversaries": (adversaries, numbers),
    "gemma 3": (gemma3, lambda: numbers()[:, :4]),
    "films": (lambda: nn.Conv3d(3, 4, kernel_size=2, stride=2), lambda: torch.randn(6, 3, 2, 4, 4)),
    "patches": (lambda: nn.Conv2d(3, 4, kernel_size=4, stride=4), pixels),
    "deep": (
        lambda: nn.Sequential(nn.Linear(SIZE, 40, bias=False), nn.GELU(), LlamaRMSNorm(40),
                              nn.Linear(40, 2)),
        numbers,
    ),
}  # fmt: skip
every_layer = pytest.mark.parametrize("name", LAYERS)


def made(name: str) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(3)
    build, inputs = LAYERS[name]
    model = build()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5)
    return model, inputs()


def loss(model: nn.Module, x: Tensor, again: Any = None) -> Tensor:
    """A value a row, summed."""
    out = model(x) if again is None else checkpoint(model, x, use_reentrant=again)
    values = torch.cat([each.flatten(1) for each in tree.tree_leaves(out)], dim=1)
    return (values.sin() * torch.linspace(1, 2, values.shape[1])).sum()


def slow(model: nn.Module, x: Tensor, owner: Tensor, *, norm: float) -> tuple[list[Tensor], Tensor]:
    """Units one by one: the obvious way."""
    weights = [p for p in model.parameters() if p.requires_grad]
    total, norms = [torch.zeros_like(w) for w in weights], []
    for unit in range(int(owner.max()) + 1):
        grads = torch.autograd.grad(loss(model, x[owner == unit]), weights)
        size = torch.sqrt(sum(g.square().sum() for g in grads))  # type: ignore[arg-type]
        norms.append(size)
        total = [t + g * min(1.0, norm / float(size)) for t, g in zip(total, grads, strict=True)]
    return total, torch.stack(norms)


def fast(model: nn.Module, x: Tensor, owner: Tensor, *, norm: float, again: Any = None) -> Any:
    engine = PerUnit(model)
    engine.begin(int(owner.max()) + 1, owner)
    if again is True:
        x = x.requires_grad_()
    loss(model, x, again).backward()
    assert all(p.grad is None for p in model.parameters())
    clipped = engine.clip(norm)
    engine.close()
    assert not any(each.requires_grad for each in clipped.sums.values())
    return [clipped.sums[n] for n, _ in model.named_parameters()], clipped.norms


def assert_equal(found: list[Tensor], expected: list[Tensor]) -> None:
    size = torch.cat([each.flatten() for each in expected]).norm()
    for one, other in zip(found, expected, strict=True):
        assert (one - other).norm() <= 1e-6 * size
    assert size > 0.1


@every_layer
@pytest.mark.parametrize("norm", [0.5, 1e6])
def test_clipped_sum_is_that_of_single_backwards(name: str, norm: float) -> None:
    model, x = made(name)
    expected, norms = slow(model, x, OWNER, norm=norm)
    found, ours = fast(model, x, OWNER, norm=norm)
    assert_equal(found, expected)
    assert torch.allclose(ours, norms, rtol=1e-5)


@pytest.mark.parametrize("again", [True, False])
@pytest.mark.parametrize("name", ["deep", "codes", "ghost with bias"])
def test_activation_checkpointing_changes_nothing(name: str, again: bool) -> None:
    model, x = made(name)
    expected, _ = slow(model, x, OWNER, norm=0.5)
    found, _ = fast(model, x, OWNER, norm=0.5, again=again)
    assert_equal(found, expected)


@every_layer
def test_a_padding_of_units_and_their_order_change_nothing(name: str) -> None:
    """Physical batches: the sum over all is the sum of the sums."""
    model, x = made(name)
    whole, _ = fast(model, x, OWNER, norm=0.5)
    parts = [fast(model, x[OWNER == u], OWNER[OWNER == u] * 0, norm=0.5)[0] for u in range(3)]
    assert_equal([sum(p) for p in zip(*parts, strict=True)], whole)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["deep", "ghost"])
def test_a_unit_without_a_finite_gradient_adds_nothing(name: str) -> None:
    model, x = made(name)
    broken = x.clone()
    broken[OWNER == 1] = float("inf")
    found, norms = fast(model, broken, OWNER, norm=0.5)
    others = [fast(model, x[OWNER == u], OWNER[OWNER == u] * 0, norm=0.5)[0] for u in (0, 2)]
    assert not torch.isfinite(norms[1])
    assert_equal(found, [sum(p) for p in zip(*others, strict=True)])  # type: ignore[arg-type]


def test_the_layer_is_given_back() -> None:
    model, x = made("deep")
    before = model(x)
    engine = PerUnit(model)
    assert torch.equal(model(x), before)
    engine.close()
    model(x).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize(
    "layer",
    [
        nn.BatchNorm1d(4), nn.GroupNorm(2, 4), nn.MultiheadAttention(4, 2), nn.LSTM(4, 4),
        nn.PReLU(), nn.ParameterList([torch.zeros(2)]),
    ],
    ids=lambda layer: type(layer).__name__,
)  # fmt: skip
def test_a_layer_without_a_rule_is_refused_by_name(layer: nn.Module) -> None:
    with pytest.raises(TactError, match=f"{type(layer).__name__} has no exact per-unit rule"):
        PerUnit(nn.Sequential(nn.Linear(4, 4), layer))
    PerUnit(nn.Sequential(nn.Linear(4, 4), layer.requires_grad_(False))).close()


def test_tied_weights_are_refused() -> None:
    tied = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    tied[1].weight = tied[0].weight
    with pytest.raises(TactError, match="0.weight and 1.weight are one"):
        PerUnit(tied)


def test_a_layer_that_is_never_called_is_refused() -> None:
    model = nn.Linear(4, 4)
    model.extra = nn.Module()
    model.extra.weight = nn.Parameter(torch.zeros(2))
    with pytest.raises(TactError, match="extra.weight trains, and Module has no exact"):
        PerUnit(model)


def test_a_weight_that_is_read_past_its_layer_is_refused() -> None:
    model = nn.Linear(SIZE, 2)
    engine = PerUnit(model)
    engine.begin(3, OWNER)
    (model(numbers()).sum() + model.weight.sum()).backward()
    with pytest.raises(TactError, match="weight is used outside of its layer"):
        engine.clip(1.0)


def test_rows_that_are_mixed_are_refused() -> None:
    engine = PerUnit(model := nn.Linear(SIZE, 2))
    engine.begin(3, OWNER)
    with pytest.raises(TactError, match="mixes rows"):
        model(numbers().mean(0, keepdim=True)).sum().backward()
    with pytest.raises(TactError, match="Bare mixes rows"):
        fast(Bare(mixes=True), numbers(), OWNER, norm=1.0)


def test_a_tower_whose_positions_are_one_table_is_refused(tiny: Any, healthcare: Any) -> None:
    """Its rows are read once for all pictures, so what each picture adds can't be told."""
    model = tiny("private", policy=healthcare)
    engine = PerUnit(model, [n for n, _ in model.named_parameters() if n.startswith("tower.")])
    engine.begin(3, torch.arange(3), pictures=torch.arange(3))
    with pytest.raises(TactError, match="tower.*position_embedding.*mixes rows"):
        model.features(torch.zeros(3, 3, 96, 96)).sum().backward()
