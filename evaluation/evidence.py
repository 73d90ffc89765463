"""Whether answers give an attribute away at all: a test, not a rate.

Answers that name a class are right by chance in a model that knows nothing. The null hypothesis
is that answers are independent of the attribute; people's labels may then be exchanged.
"""

from collections.abc import Sequence

import numpy as np

from data import lexicon
from evaluation import sides
from evaluation.behaviour import Answered
from evaluation.scores import p_value


def named_p_value(said: Sequence[Answered], attribute: str, *, seed: int = 0) -> float:
    """How likely so many right classes are named by an answer that knows nothing.

    One-sided, by permutation of people's labels (of pictures' where a picture decides); 1 where no
    answer names exactly one class.
    """
    who = sides.units([s.row for s in said], attribute)
    named = [(unit, next(iter(c))) for unit, s in zip(who, said, strict=True)
             if len(c := lexicon.classes_said(s.answer, attribute)) == 1]  # fmt: skip
    if not named:
        return 1.0
    own = {unit: s.row["attributes"][attribute] for unit, s in zip(who, said, strict=True)}
    place = {unit: i for i, unit in enumerate(own)}
    rows = np.array([place[unit] for unit, _ in named])
    stated = np.array([value for _, value in named])
    labels = np.array(list(own.values()))
    return p_value(labels, lambda values: float((values[rows] == stated).sum()), seed=seed)
