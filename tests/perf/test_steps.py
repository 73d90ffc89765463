"""What is compared does the same thing: Opacus' engines and ours give one clipped sum."""

import pytest
import torch

from perf import steps
from perf.steps import KINDS, TRAINED, Size, build

SMALL = Size(width=32, layers=2, vocabulary=50, rows=4, positions=6, rank=2)


@pytest.mark.parametrize("trained", TRAINED)
def test_opacus_engines_and_ours_give_one_clipped_sum(
    trained: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "MAX_GRAD_NORM", 0.02)
    found = {}
    for kind in KINDS:
        step = build(kind, trained, SMALL)
        step.run()
        found[kind] = torch.cat([p.grad.flatten() for p in step.trained.values()])  # type: ignore[union-attr]
    size = found["ours"].norm()
    for kind in ("hooks", "ghost"):
        assert (found[kind] - found["ours"]).norm() <= 1e-4 * size  # they add 1e-6 to a norm
    assert (found["plain"] - found["ours"]).norm() > 1e-2 * size  # some were clipped
