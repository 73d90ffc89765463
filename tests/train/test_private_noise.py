"""The noise that real stages release: Gaussian, of its size, and never the same twice."""

from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from conf.compose import load
from privacy import mechanism
from privacy.ledger import Ledger
from train.run import execute

Words = Callable[..., list[str]]
Noise = dict[str, np.ndarray[Any, Any]]
STEPS = 2
DP = [
    "privacy.epsilon=8", "privacy.units=30", "privacy.expected_batch_units=6",
    "privacy.delta=1e-3", "privacy.max_grad_norm=0.5",
    "+stage.instruct.rows.rows_per_subject=1", "stage.instruct.gradient_clip_norm=0",
    "+stage.prefer.rows.rows_per_subject=1", "stage.prefer.gradient_clip_norm=0",
    f"stage.instruct.steps={STEPS}", f"stage.prefer.steps={STEPS}", "stage.base_language.steps=2",
    "stage.prefer.references=cached",  # each depends on its own row and an accounted model
]  # fmt: skip


@pytest.fixture
def released(monkeypatch: pytest.MonkeyPatch) -> list[Noise]:
    """Of each release: (released - sum / expected) over σC / expected, by parameter."""
    found, real = [], mechanism.release

    def release(sums: Any, **how: Any) -> Any:
        given = {name: value.clone() for name, value in sums.items()}
        made = real(sums, **how)
        size = how["noise_multiplier"] * how["max_grad_norm"] / how["expected_units"]
        assert (how["max_grad_norm"], how["expected_units"]) == (0.5, 6.0)
        expected = how["expected_units"]
        found.append({n: ((made[n] - v / expected) / size).numpy() for n, v in given.items()})
        return made

    monkeypatch.setattr(mechanism, "release", release)
    return found


def test_released_noise_is_gaussian_and_used_once(
    short: Words, tmp_path: Path, pictures: Any, released: list[Noise]
) -> None:
    words = short(*DP)
    execute(load([*words, "run=one", "steps=[base_language,instruct,prefer]"]))
    execute(load([*words, "run=two", "steps=[instruct]", "parent=one@base_language"]))
    assert len(released) == 3 * STEPS
    assert Ledger.read(tmp_path / "one").content["charged"] == {"instruct": STEPS, "prefer": STEPS}
    _is_gaussian(released)
    _share_nothing([np.concatenate([v.ravel() for v in noise.values()]) for noise in released])


def _is_gaussian(released: list[Noise]) -> None:
    """Each tensor over all steps, and each step over all tensors, against N(0, 1)."""
    over_steps = [np.concatenate([n[name].ravel() for n in released]) for name in released[0]]
    over_tensors = [np.concatenate([v.ravel() for v in noise.values()]) for noise in released]
    each = [*over_steps, *over_tensors]
    found = [stats.kstest(drawn[:20_000], "norm").pvalue for drawn in each]
    assert min(found) > 1e-4 / len(each)
    assert all(abs(drawn.std() - 1) < 6 / np.sqrt(2 * len(drawn)) for drawn in each)


def _share_nothing(draws: list[np.ndarray[Any, Any]]) -> None:
    """No two releases of steps, stages or runs have a value in one place, or go together."""
    count = len(draws[0])
    for one, other in combinations(draws, 2):
        assert abs(np.corrcoef(one, other)[0, 1]) < 6 / np.sqrt(count)
        assert np.mean(np.abs(one - other) < 1e-6) < 1e-3
