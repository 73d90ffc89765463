"""Attackers on text: do answers to what was not shared tell it all the same?

They read the kind of question and the answer, are fitted on other people's answers, and stand
beside one that is given the true free facts in place of the answer.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from torch import Tensor, nn

from data.attributes import SENSITIVE
from data.dialogues.phrasings import PERSONAL
from evaluation import attack, sides
from evaluation.attackers import Attacker, Guess, Heads, Labels, Read, attackers, separate, trained
from evaluation.behaviour import Answered
from evaluation.evidence import named_p_value
from evaluation.measure import Measure
from evaluation.scores import Ints, auc_p_value
from evaluation.sides import Side

LONGEST = 32  # words that the encoder reads
WIDTH = 64


def measures(
    own: Sequence[Answered], test: Sequence[Answered], *, stage: str, seed: int
) -> list[Measure]:
    """Text attackers and floors by attribute; both sides' answers to what was not shared.

    TactError where people are too few or on both sides.
    """
    sides.check(side(own), side(test), what="answers")
    made: list[Measure] = []
    for attribute in SENSITIVE:
        made += _attribute(own, test, attribute, stage=stage, seed=seed)
    return made


def _attribute(
    own: Sequence[Answered], test: Sequence[Answered], attribute: str, *, stage: str, seed: int
) -> list[Measure]:
    asked = [s for s in test if s.row["asks"] == attribute]
    fit, tried = side([s for s in own if s.row["asks"] == attribute]), side(asked)
    if not asked or not (classes := sides.attackable(fit, tried, [attribute])):
        return []
    done = attack.attack(ATTACKERS, fit, tried, classes=classes, seed=seed)
    common: Any = {"suite": "text", "stage": stage, "seed": seed}
    made = attack.measures(done, tried, name="text_attacker_auc", **common)
    units = sides.units([s.row for s in asked], attribute)
    p = auc_p_value(tried.labels[attribute], done.best(attribute), units)
    named = named_p_value(asked, attribute)
    note = f"p = {p:.3f} (text), {named:.3f} (classes named): permutation of people"
    made[-1] = made[-1].noting(note)
    reads = [s.reading(_facts_and_kind(s)) for s in (fit, tried)]
    floor = attack.attack(attackers(("numbers",)), reads[0], reads[1], classes=classes, seed=seed)
    return made + attack.measures(floor, tried, name="attacker_floor", each=False, **common)


def side(said: Sequence[Answered]) -> Side:
    """Answers as an attacker reads them: the kind of question, then the answer."""
    texts = np.array([f"kind-{s.row['kind']} {s.answer.lower()}" for s in said], dtype=object)
    kinds = np.array([list(PERSONAL).index(s.row["kind"]) for s in said], dtype=np.int64)
    read = Read({"text": texts, "kind": kinds})
    rows = [s.row for s in said]
    return Side([row["subject_id"] for row in rows], sides.labels(rows), read)


def _facts_and_kind(own: Side) -> Read:
    facts = sides.facts(own.labels)
    kinds = np.eye(len(PERSONAL))[own.read.views["kind"]]
    numbers = np.concatenate([facts.views["numbers"], kinds], axis=1)
    return Read({"numbers": numbers, "tokens": facts.views["tokens"]})


def _ngrams(x: Any, y: Ints, seed: int) -> Any:
    """Logistic regression on weighted runs of one to three words."""
    del x, y
    return make_pipeline(
        TfidfVectorizer(ngram_range=(1, 3), token_pattern=r"\S+", sublinear_tf=True),
        LogisticRegression(C=3.0, max_iter=300, random_state=seed),
    )


class Encoder(nn.Module):
    """Word ids (n, LONGEST), 0 where there is none → (n, 2 · WIDTH) by a two-way GRU."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, WIDTH, padding_idx=0)
        self.gru = nn.GRU(WIDTH, WIDTH, batch_first=True, bidirectional=True)

    def forward(self, ids: Tensor) -> Tensor:
        states, _ = self.gru(self.embed(ids))
        mask = (ids > 0)[..., None]
        pooled: Tensor = states.masked_fill(~mask, -1e4).amax(1)
        return pooled


def _encoder(
    own: Read, labels: Labels, held: Read, held_labels: Labels, classes: Mapping[str, int],
    seed: int,
) -> Callable[[Read], Guess]:  # fmt: skip
    """A small recurrent encoder over the words that the attacker's own answers have."""
    known = {word: i + 2 for i, word in enumerate(sorted(
        {word for text in own.views["text"] for word in text.split()}))}  # fmt: skip

    def ids(read: Read) -> Tensor:
        made = torch.zeros(len(read.views["text"]), LONGEST, dtype=torch.long)
        for i, text in enumerate(read.views["text"]):
            words = [known.get(word, 1) for word in text.split()[:LONGEST]]
            made[i, : len(words)] = torch.tensor(words)
        return made

    def make() -> nn.Module:
        return Heads(Encoder(len(known) + 2), 2 * WIDTH, classes)

    return trained(make, ids, own, labels, held, held_labels, seed=seed)


ATTACKERS = [
    Attacker("n-grams", "text", separate(_ngrams, "text")),
    Attacker("recurrent encoder", "text", _encoder),
]
