"""The noise that real stages release: Gaussian, of its size, and never the same twice."""

from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from conf.compose import load
from lineage.run import RunFolder
from privacy import mechanism
from privacy.ledger import Ledger
from train.run import execute

Words = Callable[..., list[str]]
Noise = dict[str, np.ndarray[Any, Any]]
STEPS = 3
DP = [
    "privacy.epsilon=8", "privacy.units=30", "privacy.expected_batch_units=6",
    "privacy.delta=1e-3", "privacy.max_grad_norm=0.5",
    "+stage.instruct.rows.rows_per_subject=1", "stage.instruct.gradient_clip_norm=0",
    "+stage.prefer.rows.rows_per_subject=1", "stage.prefer.gradient_clip_norm=0",
    f"stage.instruct.steps={STEPS}", f"stage.prefer.steps={STEPS}", "stage.base_language.steps=2",
    "stage.prefer.references=cached",  # each depends on its own row and an accounted model
]  # fmt: skip


@pytest.fixture
def released(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, Noise]]:
    """Of each release: σC / expected, and (released - mean of the sum) by parameter."""
    found, real = [], mechanism.release

    def release(sums: Any, **how: Any) -> Any:
        given = {name: value.clone() for name, value in sums.items()}
        made = real(sums, **how)
        size = how["noise_multiplier"] * how["max_grad_norm"] / how["expected_units"]
        noise = {n: (made[n] - v / how["expected_units"]).numpy() for n, v in given.items()}
        found.append((size, noise))
        return made

    monkeypatch.setattr(mechanism, "release", release)
    return found


def test_released_noise_is_gaussian_and_used_once(
    short: Words, tmp_path: Path, pictures: Any, released: list[tuple[float, Noise]]
) -> None:
    words = short(*DP)
    execute(load([*words, "run=one", "steps=[base_language,instruct,prefer]"]))
    execute(load([*words, "run=two", "steps=[base_language,instruct,prefer]"]))
    assert len(released) == 4 * STEPS
    sigma = Ledger.read(tmp_path / "one").plan.noise_multiplier
    assert {round(size, 12) for size, _ in released} == {round(sigma * 0.5 / 6, 12)}
    _is_gaussian(released)
    _share_nothing([np.concatenate([v.ravel() for v in noise.values()]) for _, noise in released])
    run = RunFolder.existing("one", checkpoints=tmp_path)
    assert Ledger.read(run.path).content["charged"] == {"instruct": STEPS, "prefer": STEPS}


def _is_gaussian(released: list[tuple[float, Noise]]) -> None:
    """Each tensor over all steps, and each step over all tensors, against N(0, σC / expected)."""
    size = released[0][0]
    over_steps = {name: np.concatenate([noise[name].ravel() for _, noise in released])
                  for name in released[0][1]}  # fmt: skip
    over_tensors = [np.concatenate([v.ravel() for v in noise.values()]) for _, noise in released]
    each = [*over_steps.values(), *over_tensors]
    found = [stats.kstest(drawn[:20_000], "norm", args=(0.0, size)).pvalue for drawn in each]
    assert min(found) > 1e-4 / len(each)
    assert all(abs(drawn.std() / size - 1) < 6 / np.sqrt(2 * len(drawn)) for drawn in each)


def _share_nothing(draws: list[np.ndarray[Any, Any]]) -> None:
    """No two releases of steps, stages or runs have a value in one place, or go together."""
    count = len(draws[0])
    for one, other in combinations(draws, 2):
        assert abs(np.corrcoef(one, other)[0, 1]) < 6 / np.sqrt(count)
        assert np.mean(np.abs(one - other) < 1e-7) < 1e-3
