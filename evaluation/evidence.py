"""Whether answers give an attribute away at all: a test, not a rate.

Answers that name a class are right by chance in a model that knows nothing. The null hypothesis
is that answers are independent of the attribute; people's labels may then be exchanged.
"""

from collections.abc import Sequence

import numpy as np

from data import lexicon
from evaluation.behaviour import Answered
from evaluation.scores import PERMUTATIONS


def named_p_value(said: Sequence[Answered], attribute: str, *, seed: int = 0) -> float:
    """How likely so many right classes are named by an answer that knows nothing.

    One-sided, by permutation of people's labels (of pictures' where a picture decides); 1 where no
    answer names exactly one class.
    """
    named = [(s, next(iter(c))) for s in said
             if len(c := lexicon.classes_said(s.answer, attribute)) == 1]  # fmt: skip
    if not named:
        return 1.0
    key = "picture_id" if attribute == "expression" else "subject_id"
    units = {s.row[key]: s.row["attributes"][attribute] for s in said}
    place = {name: i for i, name in enumerate(units)}
    labels = np.array(list(units.values()))
    rows = np.array([place[s.row[key]] for s, _ in named])
    stated = np.array([value for _, value in named])
    seen = int((labels[rows] == stated).sum())
    rng = np.random.default_rng(seed)
    at_least = 0
    for _ in range(PERMUTATIONS):
        at_least += int((rng.permutation(labels)[rows] == stated).sum()) >= seen
    return (1 + at_least) / (1 + PERMUTATIONS)
