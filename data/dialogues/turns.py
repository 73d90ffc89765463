"""What rows are built of: what a user states, turns of a conversation, questions, the table."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
from datasets import Dataset, concatenate_datasets
from numpy.random import Generator

from data.attributes import FREE, SENSITIVE
from data.consent import system_turn
from data.dialogues import answers, phrasings
from data.dialogues.phrasings import ABOUT, PERSONAL
from data.errors import DataError
from data.pictures import undecoded
from data.policy import Policy

CHUNK_ROWS = 1000  # at once as Python objects
Attributes = dict[str, str]
Shared = dict[str, str]


def share(
    rng: Generator,
    seen: Attributes,
    policy: Policy,
    *,
    without: str | None = None,
    force: str | None = None,
    chance: float = 0.45,
    redraw: float = 0.0,
) -> Shared:
    """What a user states: each sensitive attribute with ``chance``, in a random order.

    ``redraw`` of them state a random class in place of the picture's, so that a model learns to
    read the words and not the picture.
    """
    shared = {}
    for name in rng.permutation(list(policy.sensitive)):
        if name == without or not (name == force or rng.random() < chance):
            continue
        if seen.get(str(name)) is None:
            continue
        redrawn = rng.random() < redraw
        shared[str(name)] = answers.pick(rng, SENSITIVE[name]) if redrawn else seen[name]
    return shared


def share_less(
    rng: Generator, seen: Attributes, policy: Policy, *, without: str, nothing: float
) -> Shared:
    """What a user states who does not state ``without``; nothing at all in ``nothing`` of them."""
    if nothing and rng.random() < nothing:
        return {}
    return share(rng, seen, policy, without=without, redraw=0.3)


def prompt(
    shared: Shared, before: Sequence[tuple[str, str]], question: str
) -> list[dict[str, str]]:
    """The system turn, earlier turns and a question."""
    messages = [{"role": "system", "content": system_turn(shared)}]
    for said, answer in before:
        messages += [{"role": "user", "content": said}, {"role": "assistant", "content": answer}]
    return [*messages, {"role": "user", "content": question}]


def asked(rng: Generator, kind: str) -> str:
    question = answers.pick(rng, phrasings.seen(kind))
    if rng.random() < 0.3:
        return f"{answers.pick(rng, phrasings.PREFIXES)} {question}"
    return question


def fact_kind(rng: Generator, seen: Attributes) -> str:
    return _known_kind(rng, tuple(FREE), seen)


def personal_kind(rng: Generator, seen: Attributes) -> str:
    return _known_kind(rng, tuple(PERSONAL), seen)


def _known_kind(rng: Generator, kinds: tuple[str, ...], seen: Attributes) -> str:
    """A kind whose attribute the picture is labelled with; DataError where there is none."""
    known = tuple(kind for kind in kinds if seen.get(ABOUT[kind]) is not None)
    if not known:
        wanted = ", ".join(sorted({ABOUT[kind] for kind in kinds}))
        raise DataError(
            f"a picture has no label to ask about ({wanted}): label it, ask only what is "
            "labelled (rows: {facts: 0}, for align rows: {readback: 0.5, captions: 0.5}), or bring "
            "conversations of your own (rows: {_target_: data.sources.own_rows})"
        )
    return answers.pick(rng, known)


def emphasised(values: Sequence[str]) -> list[str]:
    return sorted({w for value in values for w in value.replace("-", " ").split()})


def stated(shared: Shared) -> dict[str, str | None]:
    return {name: shared.get(name) for name in SENSITIVE}


def build(
    pictures: Dataset,
    row: Callable[[Generator, Attributes], dict[str, Any]],
    *,
    count: int,
    seed: int,
    features: Any,
    rows_per_subject: int | None = None,
) -> Dataset:
    """``count`` rows, spread evenly over the pictures, pictures referred to and not copied.

    ``rows_per_subject``: so many of each person instead, each person's from their own pictures and
    the seed alone, as DP needs it.
    """
    if not len(pictures):
        raise DataError("a stage's rows: its split has no pictures; give it people in data.people")
    subjects = pictures["subject_id"][:]
    if rows_per_subject is None:
        drawn = _spread(len(pictures), count, seed)
    else:
        drawn = _of_each(subjects, rows_per_subject, seed)
    table, made = undecoded(pictures), []
    while some := list(islice(drawn, CHUNK_ROWS)):
        shown = table[[at for _, _, at in some]]
        rows = []
        for i, (rng, number, _) in enumerate(some):
            picture = {name: column[i] for name, column in shown.items()}
            rows.append(_referring(row(rng, picture["attributes"]), picture, number))
        made.append(Dataset.from_list(rows, features=features))
    return concatenate_datasets(made)


def _referring(row: dict[str, Any], picture: dict[str, Any], number: int) -> dict[str, Any]:
    return {
        **row,
        "row_id": f"{picture['picture_id']}:{number}",
        "picture_id": picture["picture_id"],
        "subject_id": picture["subject_id"],
        "images": [picture["image"]],
        "attributes": picture["attributes"],
    }


Drawn = Iterator[tuple[Generator, int, int]]  # the row's number and its picture's


def _spread(pictures: int, count: int, seed: int) -> Drawn:
    rng = np.random.default_rng([seed, 7])
    order = np.concatenate([rng.permutation(pictures) for _ in range(-(-count // pictures))])
    for number, at in enumerate(order[:count]):
        yield rng, number, int(at)


def _of_each(subjects: Sequence[str], count: int, seed: int) -> Drawn:
    people: dict[str, list[int]] = {}
    for at, who in enumerate(subjects):
        people.setdefault(who, []).append(at)
    for who, own in people.items():
        name = hashlib.sha256(who.encode()).digest()[:8]
        rng = np.random.default_rng([seed, 7, int.from_bytes(name, "big")])
        order = rng.permutation(len(own))
        for number in range(count):
            yield rng, number, own[int(order[number % len(own)])]
