"""Areas under ROC curves, their intervals over people, and what chance would give.

n rows, C classes, R resamples. An area of several classes is the mean over the classes of one
against the rest.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.measure import LEVEL

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
RESAMPLES = 200
PERMUTATIONS = 999


def auc(labels: Ints, guess: Floats) -> float:
    """Macro one-vs-rest area of ``guess`` (n, C); nan where the labels are of one class."""
    return float(_areas(labels, guess, np.ones((1, len(labels))))[0])


def auc_interval(
    labels: Ints, guess: Floats, people: Sequence[str], *, seed: int = 0
) -> tuple[float, float, float]:
    """The area and its interval by bootstrap over people, resampled whole."""
    _, who = np.unique(np.asarray(people), return_inverse=True)
    count = int(who.max()) + 1
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    areas = _areas(labels, guess, drawn[:, who].astype(float))
    low, high = np.nanquantile(areas, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return auc(labels, guess), float(low), float(high)


def auc_p_value(labels: Ints, guess: Floats, units: Sequence[str], *, seed: int = 0) -> float:
    """``p_value`` of the area; rows of one unit (a person, or a picture) have one label."""
    _, first, who = np.unique(np.asarray(units), return_index=True, return_inverse=True)
    return p_value(labels[first], lambda own: auc(own[who], guess), seed=seed)


def p_value(
    labels: NDArray[Any], statistic: Callable[[NDArray[Any]], float], *, seed: int = 0
) -> float:
    """Share of permutations of ``labels`` whose statistic is at least as large (plus one).

    Under the null hypothesis that what is judged knows nothing of the units' labels, these may be
    exchanged. Phipson and Smyth (2010, "Permutation p-values should never be zero"), equation 2.
    """
    rng = np.random.default_rng(seed)
    seen = statistic(labels) - 1e-12
    at_least = sum(statistic(rng.permutation(labels)) >= seen for _ in range(PERMUTATIONS))
    return (1 + at_least) / (1 + PERMUTATIONS)


def _areas(labels: Ints, guess: Floats, weights: Floats) -> Floats:
    """Weighted macro areas, (R,), rows weighted by ``weights`` (R, n)."""
    each = [_area(labels == c, guess[:, c], weights) for c in range(guess.shape[1])
            if 0 < int((labels == c).sum()) < len(labels)]  # fmt: skip
    if not each:
        return np.full(len(weights), np.nan)
    with np.errstate(invalid="ignore"):
        result: Floats = np.nanmean(np.stack(each), axis=0)
    return result


def _area(hit: NDArray[np.bool_], score: Floats, weights: Floats) -> Floats:
    """Weighted area of one class; equal scores count half."""
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(score[order]) > 0])
    w = weights[:, order]
    inside = hit[order]
    positive = np.add.reduceat(w * inside, starts, axis=1)  # (R, groups of equal score)
    negative = np.add.reduceat(w * ~inside, starts, axis=1)
    below = np.cumsum(negative, axis=1) - negative / 2
    total = positive.sum(1) * negative.sum(1)
    return np.asarray((positive * below).sum(1) / np.where(total > 0, total, np.nan))
