"""Areas, their intervals and p-values, against scikit-learn and against what is known."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from evaluation.scores import _areas, auc, auc_interval, auc_p_value


@pytest.mark.parametrize("levels", [3, 1000])
def test_areas_are_scikit_learns_ties_included(levels: int) -> None:
    rng = np.random.default_rng(levels)
    labels = rng.integers(3, size=400)
    guess = rng.integers(levels, size=(400, 3)) / levels + 0.3 * np.eye(3)[labels]
    expected = np.mean([roc_auc_score(labels == c, guess[:, c]) for c in range(3)])
    assert auc(labels, guess) == pytest.approx(expected, abs=1e-12)


def test_a_weighted_area_is_that_of_repeated_rows() -> None:
    rng = np.random.default_rng(0)
    labels, guess = rng.integers(2, size=60), rng.integers(5, size=(60, 2)).astype(float)
    weights = rng.integers(4, size=60)
    weighted = _areas(labels, guess, weights[None].astype(float))[0]
    assert weighted == pytest.approx(auc(labels.repeat(weights), guess.repeat(weights, axis=0)))


def test_the_interval_covers_and_widens_where_people_repeat() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(60):
        labels = rng.integers(2, size=200)
        score = labels + rng.normal(size=200) * 1.5
        _, low, high = auc_interval(labels, np.stack([-score, score], 1),
                                    [str(i) for i in range(200)], seed=trial)  # fmt: skip
        covered += low < 0.681 < high  # Phi(1 / (1.5 * sqrt(2))) = .6813
    assert 52 <= covered <= 60
    labels, score = labels.repeat(4), score.repeat(4)
    own = [str(i // 4) for i in range(800)]
    _, low, high = auc_interval(labels, np.stack([-score, score], 1), own)
    _, narrow_low, narrow_high = auc_interval(
        labels, np.stack([-score, score], 1), [str(i) for i in range(800)]
    )
    assert high - low > 1.6 * (narrow_high - narrow_low)


def test_p_values_are_uniform_without_a_signal_and_small_with_one() -> None:
    rng = np.random.default_rng(0)
    found = []
    for trial in range(100):
        own = rng.integers(2, size=40)
        labels, people = own.repeat(3), [str(i) for i in np.arange(40).repeat(3)]
        per_person = rng.normal(size=40).repeat(3)  # rows of a person go together
        guess = np.stack([-per_person, per_person], 1)
        found.append(auc_p_value(labels, guess, people, seed=trial) if trial < 40 else 0.5)
    found = found[:40]
    assert 0.3 < np.mean(found) < 0.7 and min(found) > 0.001
    told = np.stack([-labels, labels], 1) + 0.1 * rng.normal(size=(120, 2))
    assert auc_p_value(labels, told, people) == 0.001
