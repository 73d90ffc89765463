"""Attackers find what is there, find nothing where nothing is, and refuse a wrong set-up."""

from collections.abc import Callable

import numpy as np
import pytest

from data.attributes import CLASSES, SENSITIVE
from evaluation import attack, sides
from evaluation.attackers import Read, attackers
from evaluation.sides import Side
from lineage.errors import TactError

PEOPLE = 400
GENDER = {"gender": 2}


def side(start: int, *, told: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Side:
    """People from number ``start`` on, four tokens of four bits; ``told`` sets the bits."""
    rng = np.random.default_rng(start)
    labels = {name: rng.integers(len(c), size=PEOPLE) for name, c in CLASSES.items()}
    bits = rng.integers(2, size=(PEOPLE, 4, 4)) - 0.5
    bits = told(bits, rng) if told is nothing else gender(bits, labels["gender"], told)
    words = ((bits > 0) @ np.array([1, 2, 4, 8])).astype(int)
    read = Read({
        "bits": bits.reshape(PEOPLE, -1), "tokens": bits,
        "one-hot": np.eye(16)[words].reshape(PEOPLE, -1),
    })  # fmt: skip
    return Side([f"s{start + i}" for i in range(PEOPLE)], labels, read)


def nothing(bits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return bits


def alone(bits: np.ndarray, value: np.ndarray) -> np.ndarray:
    bits[:, 1, 2] = value - 0.5
    return bits


def together(bits: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Gender is whether two bits of one token are equal: no linear attacker reads it from bits."""
    bits[:, 2, 0] = np.where(value > 0, bits[:, 2, 3], -bits[:, 2, 3])
    return bits


def gender(bits: np.ndarray, value: np.ndarray, told: Callable) -> np.ndarray:  # type: ignore
    return told(bits, value)  # type: ignore[no-any-return]


def areas(own: Side, test: Side) -> dict[str, float]:
    done = attack.attack(attackers(list(own.read.views)), own, test, classes=GENDER, seed=0)
    found = {name: attack.area(done, "gender", test, attacker=name)[0] for name in done.guesses}
    return {**found, "best": attack.area(done, "gender", test)[0]}


def test_a_bit_that_tells_is_found_by_all() -> None:
    found = areas(side(0, told=alone), side(9000, told=alone))
    assert len(found) == 7 and min(found.values()) > 0.98, found


def test_two_bits_that_tell_together_escape_the_linear_attacker_alone() -> None:
    found = areas(side(0, told=together), side(9000, told=together))
    assert found["logistic regression, bits"] < 0.6
    assert found["logistic regression, one-hot"] > 0.98  # a word is its bits together
    assert found["MLP, bits"] > 0.95 and found["best"] > 0.98, found


def test_where_nothing_is_told_or_labels_are_shuffled_there_is_chance() -> None:
    found = areas(side(0, told=nothing), side(9000, told=nothing))
    assert all(0.4 < value < 0.6 for value in found.values()), found
    own = side(0, told=alone)
    shuffled = {**own.labels, "gender": np.random.default_rng(1).permutation(own.labels["gender"])}
    wrong = Side(own.people, shuffled, own.read)
    found = areas(wrong, side(9000, told=alone))
    assert abs(found["best"] - 0.5) < 0.5 - 1e-9
    test = side(9000, told=alone)
    mixed = {**test.labels, "gender": np.random.default_rng(2).permutation(test.labels["gender"])}
    found = areas(own, Side(test.people, mixed, test.read))
    assert all(0.4 < value < 0.6 for value in found.values()), found


def test_people_on_both_sides_and_too_few_people_are_refused() -> None:
    own = side(0, told=nothing)
    with pytest.raises(TactError, match="the attacker's and the test's too"):
        sides.check(own, side(PEOPLE - 1, told=nothing), what="the interface")
    small = own.where(np.arange(PEOPLE) < 40)  # some class of five may have a single row
    rare = {**small.labels, "skin": np.r_[4, np.arange(39) % 4]}
    small = Side(small.people, rare, small.read)
    done = attack.attack(attackers(["bits", "tokens"]), small, own, classes={"skin": 5}, seed=0)
    assert set(done.guesses) == {a.name for a in attackers(["bits", "tokens"])}
    few = own.where(np.arange(PEOPLE) < 12)
    with pytest.raises(TactError, match="needs 20 people on either side; the attack side has 12"):
        sides.check(few, side(9000, told=nothing), what="the interface")


def test_the_attacker_is_chosen_on_people_held_back() -> None:
    own = side(0, told=nothing)
    fit, held = sides.parted(own, seed=3)
    assert held.count == PEOPLE // sides.HELD_BACK and not set(fit.people) & set(held.people)
    assert set(fit.people) | set(held.people) == set(own.people)


def test_an_attribute_without_labels_is_not_attacked() -> None:
    own, test = side(0, told=nothing), side(9000, told=nothing)
    test.labels["skin"][:] = -1  # type: ignore[index]
    own.labels["age"][:] = 1  # type: ignore[index]
    assert set(sides.attackable(own, test, list(SENSITIVE))) == {"gender", "expression"}


def test_wide_tokens_of_few_people_are_attacked_too() -> None:
    own, test = (side(at, told=nothing).where(np.arange(PEOPLE) < 25) for at in (0, 9000))
    rng = np.random.default_rng(0)
    wide = []
    for some in (own, test):
        tokens = rng.normal(size=(25, 4, 100)) + 3 * some.labels["gender"][:, None, None]
        wide.append(some.reading(Read({"numbers": tokens.reshape(25, -1), "tokens": tokens})))
    found = areas(wide[0], wide[1])
    assert found["best"] > 0.95 and len(found) == 5


def test_the_floor_reads_facts_alone() -> None:
    own = side(0, told=alone)
    read = sides.facts(own.labels)
    assert read.views["numbers"].shape == (PEOPLE, 4 * 7) and set(read.views) == {
        "numbers", "tokens",
    }  # fmt: skip
    assert (read.views["tokens"].sum((1, 2)) == 4).all()
