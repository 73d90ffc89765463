"""Fresh attackers on what leaves the device, beside a floor, a strength control and curves.

The *floor* is the same attackers given only the true free facts: tokens that tell the facts tell
that much. The *strength control* is the same attackers on the frozen tower's features: one that
stays below the best there is too weak to say anything of the tokens.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from data.attributes import FREE, SENSITIVE
from evaluation import attack, sides
from evaluation.attackers import Attacker, Read, attackers
from evaluation.measure import Measure, rate
from evaluation.pictures import Pictures
from evaluation.scores import Floats, Ints, auc_interval
from evaluation.sides import OF_A_PERSON, Side
from lineage.errors import TactError
from models.interface import Codes
from models.vlm import VLM

WEAK = 0.02  # below the best attacker on the tower's features
SHARES = (8, 4, 2)  # one in so many of the attacker's people, for the curve


def measures(
    model: VLM,
    own: Pictures,
    test: Pictures,
    *,
    stage: str,
    seed: int,
    strength: bool = True,
    curves: bool = True,
) -> list[Measure]:
    """All measures of the interface; TactError where people are few, on both sides, or bare."""
    read, read_test = tokens(model, own.features), tokens(model, test.features)
    fit, asked = own.side(read), test.side(read_test)
    sides.check(fit, asked, what="the interface")
    classes = sides.attackable(fit, asked, list(SENSITIVE))
    if not classes:
        raise TactError(
            "the attack on the interface: no sensitive attribute is labelled on both sides in two "
            f"classes or more ({', '.join(SENSITIVE)}): label data.people's pictures, or "
            "report.interface=false"
        )
    common: Any = {"stage": stage, "seed": seed}
    tried = attackers(list(read.views))
    done = attack.attack(tried, fit, asked, classes=classes, seed=seed)
    made = attack.measures(done, asked, suite="interface", name="attacker_auc", **common)
    made += _floor(fit, asked, classes, **common)
    made += _facts(fit, asked, tried, **common)
    if "bits" in read_test.views:
        made.append(_entropy(asked, **common))
    if strength:
        made = _strength(own, test, classes, made, **common)
    if curves:
        made += _over_people(tried, fit, asked, classes, done, **common)
        made += _over_pictures(done, asked, **common)
    return made


@torch.no_grad()
def tokens(model: VLM, features: torch.Tensor) -> Read:
    """What leaves the device of each picture: bits and one-hot words, or the projected tokens."""
    values = torch.cat([model.tokens(part).values for part in features.split(256)])
    numbers = np.asarray(values.double().numpy())  # (P, K, w)
    flat = numbers.reshape(len(numbers), -1)
    if not isinstance(model.interface, Codes):
        return Read({"numbers": flat, "tokens": numbers})
    views = {"bits": flat, "tokens": numbers}
    if model.interface.token_bits <= 8:
        codes = torch.cat([model.interface.codes(part) for part in features.split(256)]).numpy()
        words = np.eye(2**model.interface.token_bits)[codes]
        views["one-hot"] = words.reshape(len(words), -1)
    return Read(views)


def _floor(
    fit: Side, asked: Side, classes: dict[str, int], *, stage: str, seed: int
) -> list[Measure]:
    """The attackers given only the true free facts."""
    own, theirs = (s.reading(sides.facts(s.labels)) for s in (fit, asked))
    done = attack.attack(attackers(("numbers",)), own, theirs, classes=classes, seed=seed)
    return attack.measures(
        done, asked, suite="interface", name="attacker_floor", stage=stage, seed=seed, each=False
    )


def _facts(
    fit: Side, asked: Side, tried: Sequence[Attacker], *, stage: str, seed: int
) -> list[Measure]:
    """Accuracy of the free facts, read by the MLP from the tokens alone."""
    classes = sides.attackable(fit, asked, list(FREE))
    reader = [a for a in tried if a.name.startswith("MLP")]
    done = attack.attack(reader, fit, asked, classes=classes, seed=seed)
    made = []
    for name in classes:
        known = asked.known(name)
        hits = done.best(name)[known].argmax(1) == asked.labels[name][known]
        people = np.asarray(asked.people)[known].tolist()
        value, low, high, n = rate(list(hits), people)
        made.append(
            Measure("interface", "fact_accuracy", name, value, low, high, n, "person",
                    attacker=done.chosen[name], chosen_on=attack.CHOSEN_ON, stage=stage, seed=seed)
        )  # fmt: skip
    return made


def _strength(
    own: Pictures, test: Pictures, classes: dict[str, int], made: list[Measure], *, stage: str,
    seed: int,
) -> list[Measure]:  # fmt: skip
    """The control's measures, and ``made`` with attackers that are too weak marked."""
    reads = [Read({"numbers": f.flatten(1).double().numpy(), "tokens": f.double().numpy()})
             for f in (own.features, test.features)]  # fmt: skip
    fit, asked = own.side(reads[0]), test.side(reads[1])
    tried = attackers(("numbers",))
    done = attack.attack(tried, fit, asked, classes=classes, seed=seed)
    control = attack.measures(
        done, asked, suite="strength", name="attacker_auc", stage=stage, seed=seed
    )
    best = {a: max(m.value for m in control if m.group == a) for a in classes}
    weak = {(m.group, kind(m.attacker)) for m in control if m.value < best[m.group] - WEAK}
    marked = [
        m.noting("too weak on the tower's features")
        if m.name == "attacker_auc" and (m.group, kind(m.attacker)) in weak
        else m
        for m in [*made, *control]
    ]
    return marked


def kind(attacker: str | None) -> str:
    """The kind of classifier, whatever it reads."""
    return (attacker or "").split(",")[0]


def _entropy(asked: Side, *, stage: str, seed: int) -> Measure:
    """Sum of the bits' entropies: at least the codes' own; its interval over people."""
    codes = asked.read.views["bits"] > 0
    value = _bit_entropy(codes)
    names, who = np.unique(np.asarray(asked.people), return_inverse=True)
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(100):
        weight = rng.multinomial(len(names), np.full(len(names), 1 / len(names)))[who]
        drawn.append(_bit_entropy(np.repeat(codes, weight, axis=0)))
    low, high = np.quantile(drawn, [0.025, 0.975])
    note = "in bits, summed over the bits: an upper bound of the codes' joint entropy"
    return Measure("codes", "code_entropy", "", value, float(low), float(high), len(names),
                   "person", stage=stage, seed=seed, note=note)  # fmt: skip


def _bit_entropy(codes: np.ndarray[Any, np.dtype[np.bool_]]) -> float:
    p = codes.mean(0).clip(1e-12, 1 - 1e-12)
    return float(-(p * np.log2(p) + (1 - p) * np.log2(1 - p)).sum())


def _over_people(
    tried: Sequence[Attacker],
    fit: Side,
    asked: Side,
    classes: dict[str, int],
    whole: attack.Attacked,
    *,
    stage: str,
    seed: int,
) -> list[Measure]:
    """The MLP's area as the attacker has more people."""
    mlp = [next(a for a in tried if a.name.startswith("MLP"))]
    names = np.random.default_rng([seed, 29]).permutation(sorted(set(fit.people)))
    points = []
    for share in SHARES:
        some = set(names[: max(sides.FEWEST, len(names) // share)])
        part = fit.where(np.array([who in some for who in fit.people]))
        points.append((part.count, attack.attack(mlp, part, asked, classes=classes, seed=seed)))
    points.append((fit.count, whole))
    made = []
    for count, done in points:
        for name in classes:
            value, low, high = attack.area(done, name, asked, attacker=mlp[0].name)
            made.append(Measure("curve", "attacker_auc", f"{name}/people={count}", value, low,
                                high, asked.count_knowing(name), "person",
                                attacker=mlp[0].name, stage=stage, seed=seed))  # fmt: skip
    return made


def _over_pictures(done: attack.Attacked, asked: Side, *, stage: str, seed: int) -> list[Measure]:
    """The chosen attacker's area when it holds 1, 2, … pictures of one person together."""
    names, who = np.unique(np.asarray(asked.people), return_inverse=True)
    rank = _rank(who)
    made = []
    for held in range(1, int(rank.max()) + 2):
        for name in (a for a in done.chosen if a in OF_A_PERSON):
            some = (rank < held) & (asked.labels[name] >= 0)
            guess, label = _together(done.best(name)[some], asked.labels[name][some], who[some])
            value, low, high = auc_interval(label, guess, [str(i) for i in range(len(label))])
            made.append(Measure("curve", "attacker_auc", f"{name}/pictures={held}", value, low,
                                high, len(label), "person", attacker=done.chosen[name],
                                chosen_on=attack.CHOSEN_ON, stage=stage, seed=seed))  # fmt: skip
    return made


def _together(guess: Floats, labels: Ints, who: Ints) -> tuple[Floats, Ints]:
    """Log-probabilities summed over each person's pictures, and the person's label."""
    people, where = np.unique(who, return_inverse=True)
    total = np.zeros((len(people), guess.shape[1]))
    np.add.at(total, where, np.log(guess.clip(1e-6)))
    label = np.zeros(len(people), dtype=np.int64)
    label[where] = labels
    return total, label


def _rank(who: Ints) -> Ints:
    """The how-manieth of its person each row is, from 0."""
    seen: dict[int, int] = {}
    ranks = []
    for person in who.tolist():
        ranks.append(seen.get(person, 0))
        seen[person] = ranks[-1] + 1
    return np.array(ranks, dtype=np.int64)
