"""Keys, sampling and noise: what is drawn, that none is used twice, and that it is Gaussian."""

import stat
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from lineage.errors import TactError
from models.state import digest
from privacy import keys, sampling
from privacy.mechanism import release

ZERO = {"a": torch.zeros(40, 50), "b": torch.zeros(1000)}


def noise(key: keys.Key, step: int, attempt: int = 0) -> dict[str, torch.Tensor]:
    made = key.stream("noise", "prefer", step, attempt)
    return release(ZERO, noise_multiplier=2.0, max_grad_norm=0.5, expected_units=4.0, stream=made)


def test_noise_is_gaussian_of_the_stated_size_on_each_tensor(tmp_path: Path) -> None:
    key = keys.open_key(tmp_path)
    for name in ZERO:
        drawn = torch.cat([noise(key, step)[name].flatten() for step in range(4)]).numpy()
        assert stats.kstest(drawn, "norm", args=(0.0, 2.0 * 0.5 / 4.0)).pvalue > 1e-4


def test_steps_attempts_and_runs_share_no_noise(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    one, other = keys.open_key(tmp_path), keys.open_key(tmp_path / "other")
    drawn = [noise(one, 0), noise(one, 1), noise(one, 0, attempt=1), noise(other, 0)]
    for i, first in enumerate(drawn):
        for second in drawn[i + 1 :]:
            pair = np.corrcoef(first["b"].numpy(), second["b"].numpy())[0, 1]
            assert abs(pair) < 0.15
            assert (first["b"] == second["b"]).float().mean() < 0.01
    again = keys.open_key(tmp_path)
    assert torch.equal(noise(again, 1)["a"], drawn[1]["a"])


def test_the_mean_is_over_the_expected_batch() -> None:
    stream = keys.open_key(Path("."), fixed="x").stream("noise", "s", 0, 0)
    made = release({"a": torch.full((3,), 8.0)}, noise_multiplier=1e-9, max_grad_norm=1.0,
                   expected_units=4.0, stream=stream)  # fmt: skip
    assert torch.allclose(made["a"], torch.full((3,), 2.0))
    with pytest.raises(ValueError, match="above 0"):
        release(ZERO, noise_multiplier=0.0, max_grad_norm=1.0, expected_units=4.0, stream=stream)


def test_the_key_is_the_owners_alone_and_is_forgotten(tmp_path: Path) -> None:
    key = keys.open_key(tmp_path)
    path = tmp_path / keys.NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes().hex() not in repr(key) and not key.known
    assert keys.open_key(tmp_path, fixed="for tests").known
    path.write_bytes(b"short")
    with pytest.raises(TactError, match="not whole"):
        keys.open_key(tmp_path)
    keys.forget(tmp_path)
    assert not path.exists()


def test_sampling_is_poisson_over_units() -> None:
    key = keys.open_key(Path("."), fixed="x")
    counts = [len(sampling.draw(500, rate=0.04, stream=key.stream("units", "s", i, 0)))
              for i in range(400)]  # fmt: skip
    binomial = stats.binom(500, 0.04)
    assert abs(np.mean(counts) - 20) < 4 * binomial.std() / 20
    assert abs(np.var(counts) / binomial.var() - 1) < 0.3  # a fixed size has none
    assert sampling.draw(500, rate=0.0, stream=key.stream("units", "s", 0, 0)) == []


def test_rows_are_capped_and_a_unit_is_never_cut() -> None:
    stream = keys.open_key(Path("."), fixed="x").stream("rows", "s", 0, 0)
    rows = {0: [10, 11, 12, 13], 1: [14], 2: [], 3: [15, 16, 17]}
    chosen = sampling.rows_of([0, 1, 2, 3], rows, most=2, stream=stream)
    assert [len(own) for own in chosen.values()] == [2, 1, 0, 2]
    assert all(set(own) <= set(rows[unit]) for unit, own in chosen.items())
    for size in (1, 3, 8):
        batches = sampling.physical(chosen, rows=size)
        assert sorted(u for b in batches for u in b) == [0, 1, 3]
        assert all(len(b) == 1 or sum(map(len, b.values())) <= size for b in batches)
    assert sampling.physical({}, rows=4) == []


def test_a_digest_tells_sums_apart() -> None:
    other = {**ZERO, "b": ZERO["b"] + 1e-8}
    assert digest(ZERO) == digest(dict(reversed(ZERO.items()))) != digest(other)
