"""Two sides of an attack: whose pictures or answers an attacker has, and whose it is tried on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from data.attributes import CLASSES, FREE
from evaluation.attackers import Bools, Read
from evaluation.scores import Ints
from lineage.errors import TactError

FEWEST = 20  # people on either side
OF_A_PERSON = ("gender", "age", "skin")  # sensitive ones that all pictures of a person share
HELD_BACK = 5  # one in so many of the attacker's people chooses the attacker


@dataclass(frozen=True)
class Side:
    """n rows of people: ``people`` (n,) their names, ``labels`` attribute → (n,), -1 unknown."""

    people: Sequence[str]
    labels: Mapping[str, Ints]
    read: Read

    def where(self, which: Bools) -> "Side":
        """Some of the rows."""
        at = np.flatnonzero(which).tolist()
        return Side(
            [self.people[i] for i in at],
            {name: values[at] for name, values in self.labels.items()},
            self.read.rows(np.asarray(at, dtype=np.int64)),
        )

    def known(self, attribute: str) -> Bools:
        """Which rows are labelled with the attribute."""
        return np.asarray(self.labels[attribute] >= 0)

    def count_knowing(self, attribute: str) -> int:
        """How many people are labelled with it."""
        return len(set(np.asarray(self.people)[self.known(attribute)]))

    def reading(self, read: Read) -> "Side":
        """The same people, seen otherwise."""
        return replace(self, read=read)

    @property
    def count(self) -> int:
        """How many people."""
        return len(set(self.people))


def labels(rows: Sequence[Mapping[str, Any]]) -> dict[str, Ints]:
    """Class index of every attribute of every row, -1 where it is unknown."""
    return {
        name: np.array([_index(known, row["attributes"].get(name)) for row in rows], dtype=np.int64)
        for name, known in CLASSES.items()
    }


def units(rows: Sequence[Mapping[str, Any]], attribute: str) -> list[str]:
    """Whose label each row has: its person's, or its picture's."""
    key = "subject_id" if attribute in OF_A_PERSON else "picture_id"
    return [row[key] for row in rows]


def facts(own: Mapping[str, Ints]) -> Read:
    """The true free facts as an attacker reads them: one-hot, a token a fact."""
    widest = max(len(FREE[name]) for name in FREE)
    tokens = np.stack([np.eye(widest + 1)[own[name]][:, :widest] for name in FREE], axis=1)
    return Read({"numbers": tokens.reshape(len(tokens), -1), "tokens": tokens})


def parted(attack: Side, *, seed: int) -> tuple[Side, Side]:
    """The attacker's people, parted into those it is fitted on and those who choose."""
    names = sorted(set(attack.people))
    order = np.random.default_rng([seed, 23]).permutation(len(names))
    held = {names[i] for i in order[: max(1, len(names) // HELD_BACK)]}
    back = np.array([who in held for who in attack.people])
    return attack.where(~back), attack.where(back)


def check(attack: Side, test: Side, *, what: str) -> None:
    """TactError where people are too few, or where one is on both sides."""
    for name, side in (("attack", attack), ("test", test)):
        if side.count < FEWEST:
            raise TactError(
                f"the attack on {what} needs {FEWEST} people on either side; the {name} side has "
                f"{side.count}. Give more in data.people, or leave the attack out "
                "(report.interface=false, report.text=false)"
            )
    both = set(attack.people) & set(test.people)
    if both:
        raise TactError(
            f"the attack on {what}: {len(both)} people, {sorted(both)[0]} first, are the "
            "attacker's and the test's too: part the splits by subject_id"
        )


def attackable(attack: Side, test: Side, attributes: Sequence[str]) -> dict[str, int]:
    """Attributes that both sides are labelled with in at least two classes → number of classes."""
    found = {}
    for name in attributes:
        if all(
            side.count_knowing(name) >= FEWEST
            and len(set(side.labels[name][side.known(name)].tolist())) > 1
            for side in (attack, test)
        ):
            found[name] = len(CLASSES[name])
    return found


def _index(known: Sequence[str], value: str | None) -> int:
    return -1 if value is None else known.index(value)
