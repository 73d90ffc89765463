"""A fresh attacker on what leaves the device, and the facts that it still tells.

The attacker is a multi-layer perceptron on all tokens flattened (bits for ``private``), fitted
on people whom neither the model nor the test has. More attackers, floors and controls come with
the full report.
"""

from collections.abc import Sequence

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from data.attributes import CLASSES, FREE, SENSITIVE
from data.pictures import listed
from evaluation.measure import LEVEL, Measure, rate
from lineage.errors import TactError
from models.vlm import VLM

Floats = NDArray[np.float64]
ATTACKER = "MLP (128) on all tokens flattened"
FEWEST = 20  # people on either side
RESAMPLES = 200


def measures(
    model: VLM,
    attack: tuple[Dataset, torch.Tensor],
    test: tuple[Dataset, torch.Tensor],
    *,
    stage: str,
    seed: int,
) -> list[Measure]:
    """AUC of each sensitive attribute and accuracy of the facts, from the tokens alone.

    ``attack`` and ``test`` are pictures with their tower features (P, N, D). TactError where
    there are too few people for it.
    """
    x_fit, x_test = tokens(model, attack[1]), tokens(model, test[1])
    fit, asked = listed(attack[0]), listed(test[0])
    people = [row["subject_id"] for row in asked]
    for name, count in (
        ("attack", len({r["subject_id"] for r in fit})),
        ("test", len(set(people))),
    ):
        if count < FEWEST:
            raise TactError(
                f"the attack on the interface needs {FEWEST} people in data.people.{name}; "
                f"there are {count}. Give more, or report.interface=false"
            )
    made = []
    for name in (*SENSITIVE, *FREE):
        y_fit, y_test = _labels(fit, name), _labels(asked, name)
        guess = _attacked(x_fit, y_fit, x_test, classes=len(CLASSES[name]), seed=seed)
        common = {"n": len(set(people)), "unit": "person", "attacker": ATTACKER,
                  "stage": stage, "seed": seed}  # fmt: skip
        if name in FREE:
            hits = list(guess.argmax(1) == y_test)
            value, low, high, _ = rate(hits, people)
            made.append(Measure("interface", "fact_accuracy", name, value, low, high, **common))  # type: ignore
        else:
            value, low, high = _auc(y_test, guess, people)
            made.append(Measure("interface", "attacker_auc", name, value, low, high, **common))  # type: ignore
    return made


@torch.no_grad()
def tokens(model: VLM, features: torch.Tensor) -> Floats:
    """What leaves the device of each picture, flattened: bits, or projected features."""
    values = [model.tokens(part).values.flatten(1) for part in features.split(256)]
    return np.asarray(torch.cat(values).double().numpy())


def _attacked(
    x_fit: Floats, y_fit: NDArray[np.int64], x_test: Floats, *, classes: int, seed: int
) -> Floats:
    model = make_pipeline(
        StandardScaler(),
        MLPClassifier((128,), early_stopping=True, max_iter=60, alpha=1e-2, random_state=seed),
    )
    model.fit(x_fit, y_fit)
    guess = np.zeros((len(x_test), classes))
    guess[:, model.classes_] = model.predict_proba(x_test)
    return guess


def _labels(rows: Sequence[dict[str, dict[str, str]]], name: str) -> NDArray[np.int64]:
    return np.array([CLASSES[name].index(row["attributes"][name]) for row in rows])


def _auc(
    labels: NDArray[np.int64], guess: Floats, people: Sequence[str]
) -> tuple[float, float, float]:
    """Macro one-vs-rest AUC and its interval by bootstrap over people."""
    _, where = np.unique(np.asarray(people), return_inverse=True)
    rows_of = [np.flatnonzero(where == i) for i in range(where.max() + 1)]
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(RESAMPLES):
        rows = np.concatenate([rows_of[i] for i in rng.integers(len(rows_of), size=len(rows_of))])
        drawn.append(auc(labels[rows], guess[rows]))
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return auc(labels, guess), float(low), float(high)


def auc(labels: NDArray[np.int64], guess: Floats) -> float:
    """Area under the ROC curve, one class against the rest, mean over the classes there are."""
    each = [
        roc_auc_score(labels == c, guess[:, c])
        for c in range(guess.shape[1])
        if 0 < (labels == c).sum() < len(labels)
    ]
    return float(np.mean(each))
