"""Bugs that DP training is known for, each planted and each caught by a test of this folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from planted import module

from privacy import keys, ledger, mechanism, records, sampling
from privacy.clipping import Clipped, PerUnit

HERE = Path(__file__).parent
Plant = Callable[[pytest.MonkeyPatch, "Tests"], None]
Check = Callable[["Tests", Path], None]


class Tests:
    """The test modules of this folder, loaded afresh so that a plant reaches their names."""

    def __init__(self) -> None:
        self.clipping = module(HERE / "test_clipping.py")
        self.mechanism = module(HERE / "test_mechanism.py")
        self.ledger = module(HERE / "test_ledger.py")


def no_noise(patch: pytest.MonkeyPatch, tests: Tests) -> None:
    patch.setattr(tests.mechanism, "release", lambda sums, expected_units, **_: {
        n: v / expected_units for n, v in sums.items()})  # fmt: skip


def small_noise(patch: pytest.MonkeyPatch, tests: Tests) -> None:
    """σ taken for the mean's and divided by the batch once more."""
    real = mechanism.release

    def release(sums: Any, **how: Any) -> Any:
        less = how["noise_multiplier"] / how["expected_units"]
        return real(sums, **{**how, "noise_multiplier": less})

    patch.setattr(tests.mechanism, "release", release)


def no_clipping(patch: pytest.MonkeyPatch, tests: Tests) -> None:
    real = PerUnit.clip
    patch.setattr(PerUnit, "clip", lambda self, _: real(self, 1e9))


def clip_each_row(patch: pytest.MonkeyPatch, tests: Tests) -> None:
    real = PerUnit.begin
    patch.setattr(PerUnit, "begin", lambda self, units, rows, **more: real(
        self, len(rows), torch.arange(len(rows)), **more))  # fmt: skip


def clip_each_layer(patch: pytest.MonkeyPatch, tests: Tests) -> None:
    real = PerUnit.clip

    def clip(self: PerUnit, bound: float) -> Clipped:
        kept, sums = dict(self._sums), {}
        for name, each in kept.items():
            self._sums = {name: each}
            sums[name] = real(self, bound).sums[name]
        self._sums = kept
        return Clipped({**real(self, bound).sums, **sums}, real(self, bound).norms)

    patch.setattr(PerUnit, "clip", clip)


def batch_as_denominator(patch: pytest.MonkeyPatch, tests: Tests) -> None:
    real = mechanism.release
    patch.setattr(tests.mechanism, "release", lambda sums, **how: real(
        sums, **{**how, "expected_units": 5.0}))  # fmt: skip


def fixed_size(patch: pytest.MonkeyPatch, tests: Tests) -> None:
    patch.setattr(sampling, "draw", lambda units, rate, stream: stream.choice(
        units, round(units * rate), replace=False).tolist())  # fmt: skip


def same_noise_each_step(patch: pytest.MonkeyPatch, tests: Tests) -> None:
    real = keys.Key.stream
    patch.setattr(keys.Key, "stream", lambda self, purpose, stage, step, attempt: real(
        self, purpose, stage, 0, 0))  # fmt: skip


def same_noise_each_run(patch: pytest.MonkeyPatch, tests: Tests) -> None:
    patch.setattr(keys.Key, "stream", lambda self, *words: np.random.default_rng(
        [7, int(words[2]), int(words[3])]))  # fmt: skip


def forgotten_records(patch: pytest.MonkeyPatch, tests: Tests) -> None:
    real = records.Records.__init__

    def begin(self: Any, private: Path, stage: str) -> None:
        (private / f"steps-{stage}.jsonl").unlink(missing_ok=True)
        real(self, private, stage)

    patch.setattr(records.Records, "__init__", begin)


def accountant_reset(patch: pytest.MonkeyPatch, tests: Tests) -> None:
    """A resume that begins the ledger anew."""
    real = ledger.Ledger.begin

    def begin(folder: Path, *plan: Any, **how: Any) -> ledger.Ledger:
        (folder / ledger.NAME).unlink(missing_ok=True)
        return real(folder, *plan, **how)

    patch.setattr(ledger.Ledger, "begin", begin)


def sums_are_clipped(tests: Tests, folder: Path) -> None:
    tests.clipping.test_clipped_sum_is_that_of_single_backwards("deep", 0.5)


def noise_has_its_size(tests: Tests, folder: Path) -> None:
    tests.mechanism.test_noise_is_gaussian_of_the_stated_size_on_each_tensor(folder)


def mean_is_over_the_expected(tests: Tests, folder: Path) -> None:
    tests.mechanism.test_the_mean_is_over_the_expected_batch()


def noise_is_used_once(tests: Tests, folder: Path) -> None:
    (folder / "used").mkdir()
    tests.mechanism.test_steps_attempts_and_runs_share_no_noise(folder / "used")


def sampling_is_poisson(tests: Tests, folder: Path) -> None:
    tests.mechanism.test_sampling_is_poisson_over_units()


def the_account_goes_on(tests: Tests, folder: Path) -> None:
    tests.ledger.test_a_resume_goes_on_with_the_account(folder)


def replays_are_charged(tests: Tests, folder: Path) -> None:
    first = records.Records(folder, "s")
    assert first.admit(0, 0, "a") and first.admit(1, 0, "b")
    again = records.Records(folder, "s")
    assert again.charged == 2
    assert again.admit(1, 0, "b")  # replayed and the same: free
    assert not again.admit(0, 0, "other")  # not the same: no noise for it
    assert again.admit(0, 1, "other") and again.charged == 3


BUGS: list[tuple[Plant, Check]] = [
    (no_noise, noise_has_its_size),
    (small_noise, noise_has_its_size),
    (no_clipping, sums_are_clipped),
    (clip_each_row, sums_are_clipped),
    (clip_each_layer, sums_are_clipped),
    (batch_as_denominator, mean_is_over_the_expected),
    (fixed_size, sampling_is_poisson),
    (same_noise_each_step, noise_is_used_once),
    (same_noise_each_run, noise_is_used_once),
    (forgotten_records, replays_are_charged),
    (accountant_reset, the_account_goes_on),
]


@pytest.mark.parametrize(("plant", "check"), BUGS, ids=[plant.__name__ for plant, _ in BUGS])
def test_the_bug_is_caught(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, plant: Plant, check: Check
) -> None:
    tests = Tests()
    plant(monkeypatch, tests)
    with pytest.raises(AssertionError):
        check(tests, tmp_path)


@pytest.mark.parametrize("check", sorted({check for _, check in BUGS}, key=lambda c: c.__name__))
def test_without_it_the_same_check_passes(tmp_path: Path, check: Check) -> None:
    check(Tests(), tmp_path)
