"""Rows for each stage from a table of pictures with labels: (pictures, seed, policy) → rows.

The proportions are a measured recipe for a tiny model. Instruction rows have the habits of real
data: where nothing is shared, most answers volunteer what the picture shows.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.random import Generator

from data.attributes import FREE, SENSITIVE
from data.consent import system_turn
from data.dialogues import answers, phrasings
from data.dialogues.features import PREFERENCE, SUPERVISED
from data.dialogues.phrasings import ABOUT, PERSONAL
from data.errors import DataError
from data.pictures import listed
from data.policy import Policy

Attributes = dict[str, str]
Shared = dict[str, str]
Picture = dict[str, Any]


def base_rows(
    pictures: Dataset,
    *,
    count: int,
    seed: int,
    policy: Policy,
    readback: float = 0.25,
    captions: float = 0.0,
) -> Dataset:
    """Facts, what the system turn says read back, and (``open``) captions with attributes."""

    def row(rng: Generator, seen: Attributes) -> dict[str, Any]:
        u = rng.random()
        if u < readback:
            known = [name for name in policy.sensitive if seen.get(name) is not None]
            must = rng.choice(known) if known else None
            shared = share(rng, seen, policy, force=None if must is None else str(must), redraw=0.5)
            answer = answers.readback(shared)
            question = answers.pick(rng, phrasings.READBACK)
            return supervised("readback", "", shared, [(question, answer)], list(shared.values()))
        told = {n: seen[n] for n in SENSITIVE if n in policy.sensitive and seen.get(n) is not None}
        if told and u < readback + captions:
            question = answers.pick(rng, phrasings.CAPTION)
            turns = [(question, answers.caption(told))]
            return supervised("caption", "", {}, turns, list(told.values()))
        return _fact(rng, seen, policy)

    return _build(pictures, row, count=count, seed=seed, features=SUPERVISED)


def instruct_rows(
    pictures: Dataset,
    *,
    count: int,
    seed: int,
    policy: Policy,
    facts: float = 0.4,
    unshared: float = 0.32,
    leaky: float = 0.7,
    insist: float = 0.25,
    use: float = 0.75,
) -> Dataset:
    """Instruction rows: facts, personal questions with nothing stated, and with it stated.

    What the policy prohibits is never given away, not even by the habits of real data.
    """

    def row(rng: Generator, seen: Attributes) -> dict[str, Any]:
        u = rng.random()
        if u < facts:
            return _fact(rng, seen, policy)
        kind = _personal_kind(rng, seen)
        about = ABOUT[kind]
        if u < facts + unshared or about in policy.prohibited:
            return _unshared_row(rng, kind, seen, policy, leaky=leaky, insist=insist)
        shared = share(rng, seen, policy, force=about, redraw=0.3)
        value = shared[about]
        used = rng.random() < use
        answer = answers.personal(rng, kind, value) if used else answers.neutral(rng, kind)
        turns = [(_asked(rng, kind), answer)]
        return supervised(kind, about, shared, turns, [value] if used else [])

    return _build(pictures, row, count=count, seed=seed, features=SUPERVISED)


def preference_rows(
    pictures: Dataset,
    *,
    count: int,
    seed: int,
    policy: Policy,
    facts: float = 0.3,
    unshared: float = 0.4,
    insist: float = 0.2,
    leak_true: float = 0.5,
) -> Dataset:
    """Pairs both ways: not shared, declining beats leaking; shared, use beats refusal.

    Where the stated class is not the picture's, the stated one wins.
    """

    def row(rng: Generator, seen: Attributes) -> dict[str, Any]:
        u = rng.random()
        if u < facts:
            return _fact_pair(rng, seen, policy)
        kind = _personal_kind(rng, seen)
        if u < facts + unshared or ABOUT[kind] in policy.prohibited:
            return _unshared_pair(rng, kind, seen, policy, insist=insist, leak_true=leak_true)
        return _shared_pair(rng, kind, seen, policy)

    return _build(pictures, row, count=count, seed=seed, features=PREFERENCE)


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


def supervised(
    kind: str,
    asks: str,
    shared: Shared,
    turns: Sequence[tuple[str, str]],
    emphasis: Sequence[str],
) -> dict[str, Any]:
    """A row of messages: system turn, then question and answer in turn."""
    messages = prompt(shared, turns[:-1], turns[-1][0])
    messages.append({"role": "assistant", "content": turns[-1][1]})
    return {"kind": kind, "asks": asks, "shared": _struct(shared), "messages": messages,
            "emphasis": _words(emphasis)}  # fmt: skip


def prompt(
    shared: Shared, before: Sequence[tuple[str, str]], question: str
) -> list[dict[str, str]]:
    """The system turn, earlier turns and a question."""
    messages = [{"role": "system", "content": system_turn(shared)}]
    for asked, answer in before:
        messages += [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    return [*messages, {"role": "user", "content": question}]


def _pair(
    kind: str,
    shared: Shared,
    turns: list[dict[str, str]],
    chosen: str,
    rejected: str,
    *,
    scores: tuple[float, float, float, float],
    emphasis: Sequence[str] = (),
) -> dict[str, Any]:
    said = [{"role": "assistant", "content": text} for text in (chosen, rejected)]
    return {
        "kind": kind,
        "asks": ABOUT[kind],
        "shared": _struct(shared),
        "prompt": turns,
        "chosen": said[:1],
        "rejected": said[1:],
        "chosen_scores": {"personalization": scores[0], "leakage": scores[1]},
        "rejected_scores": {"personalization": scores[2], "leakage": scores[3]},
        "emphasis": _words(emphasis),
    }


def _fact(rng: Generator, seen: Attributes, policy: Policy) -> dict[str, Any]:
    kind = _fact_kind(rng, seen)
    shared = share(rng, seen, policy, redraw=0.3)
    answer = answers.fact(rng, kind, seen[kind])
    return supervised(kind, kind, shared, [(_asked(rng, kind), answer)], [seen[kind]])


def _unshared_row(
    rng: Generator, kind: str, seen: Attributes, policy: Policy, *, leaky: float, insist: float
) -> dict[str, Any]:
    about = ABOUT[kind]
    value = seen[about]
    shared = share(rng, seen, policy, without=about, redraw=0.3)
    leaks = rng.random() < leaky and about not in policy.prohibited
    answer = answers.leaky(rng, kind, value) if leaks else answers.neutral(rng, kind)
    turns = [(_asked(rng, kind), answer)]
    if rng.random() < insist:
        pressed = answers.pick(rng, phrasings.insistence("seen"))
        turns = [(_asked(rng, kind), answers.neutral(rng, kind)), (pressed, answer)]
    return supervised(kind, about, shared, turns, [])


def _fact_pair(rng: Generator, seen: Attributes, policy: Policy) -> dict[str, Any]:
    kind = _fact_kind(rng, seen)
    shared = share(rng, seen, policy, redraw=0.3)
    if rng.random() < 0.5:
        rejected = answers.neutral(rng, answers.pick(rng, tuple(phrasings.ELICITATION)))
    else:
        rejected = answers.fact(rng, kind, answers.other(rng, kind, seen[kind]))
    chosen = answers.fact(rng, kind, seen[kind])
    turns = prompt(shared, [], _asked(rng, kind))
    return _pair(kind, shared, turns, chosen, rejected, scores=(1, 0, 0, 0), emphasis=[seen[kind]])


def _unshared_pair(
    rng: Generator, kind: str, seen: Attributes, policy: Policy, *, insist: float, leak_true: float
) -> dict[str, Any]:
    about = ABOUT[kind]
    shared = share(rng, seen, policy, without=about, redraw=0.3)
    value = seen[about]
    if rng.random() >= leak_true:
        value = answers.pick(rng, SENSITIVE[about])
    question, before = _asked(rng, kind), []
    if rng.random() < insist:
        before = [(question, answers.neutral(rng, kind))]
        question = answers.pick(rng, phrasings.insistence("seen"))
    turns = prompt(shared, before, question)
    chosen, rejected = answers.neutral(rng, kind), answers.leaky(rng, kind, value)
    return _pair(kind, shared, turns, chosen, rejected, scores=(0.5, 0, 0.5, 1))


def _shared_pair(rng: Generator, kind: str, seen: Attributes, policy: Policy) -> dict[str, Any]:
    about = ABOUT[kind]
    shared = share(rng, seen, policy, force=about, redraw=0.4)
    value = shared[about]
    if rng.random() < 0.6:
        rejected = answers.neutral(rng, kind)
    else:
        wrong = answers.other(rng, about, value)
        say: Callable[[Generator, str, str], str] = (
            answers.personal if rng.random() < 0.5 else answers.leaky
        )
        rejected = say(rng, kind, wrong)
    turns = prompt(shared, [], _asked(rng, kind))
    chosen = answers.personal(rng, kind, value)
    return _pair(kind, shared, turns, chosen, rejected, scores=(1, 0, 0, 0), emphasis=[value])


def _asked(rng: Generator, kind: str) -> str:
    question = answers.pick(rng, phrasings.seen(kind))
    if rng.random() < 0.3:
        return f"{answers.pick(rng, phrasings.PREFIXES)} {question}"
    return question


def _fact_kind(rng: Generator, seen: Attributes) -> str:
    return _known_kind(rng, tuple(FREE), seen)


def _personal_kind(rng: Generator, seen: Attributes) -> str:
    return _known_kind(rng, tuple(PERSONAL), seen)


def _known_kind(rng: Generator, kinds: tuple[str, ...], seen: Attributes) -> str:
    """A kind whose attribute the picture is labelled with; DataError where there is none."""
    known = tuple(kind for kind in kinds if seen.get(ABOUT[kind]) is not None)
    if not known:
        wanted = ", ".join(sorted({ABOUT[kind] for kind in kinds}))
        raise DataError(
            f"a picture has no label to ask about ({wanted}): label it, or bring conversations "
            "of your own (rows: {_target_: data.sources.own_rows})"
        )
    return answers.pick(rng, known)


def _words(values: Sequence[str]) -> list[str]:
    return sorted({w for value in values for w in value.replace("-", " ").split()})


def _struct(shared: Shared) -> dict[str, str | None]:
    return {name: shared.get(name) for name in SENSITIVE}


def _build(
    pictures: Dataset,
    row: Callable[[Generator, Attributes], dict[str, Any]],
    *,
    count: int,
    seed: int,
    features: Any,
) -> Dataset:
    """``count`` rows, spread evenly over the pictures, pictures referred to and not copied."""
    table = listed(pictures)
    if not table:
        raise DataError("a stage's rows: its split has no pictures; give it people in data.people")
    rng = np.random.default_rng([seed, 7])
    order = np.concatenate([rng.permutation(len(table)) for _ in range(-(-count // len(table)))])
    rows = []
    for number, at in enumerate(order[:count]):
        picture = table[int(at)]
        made = row(rng, picture["attributes"])
        made.update(
            row_id=f"{picture['picture_id']}:{number}",
            picture_id=picture["picture_id"],
            subject_id=picture["subject_id"],
            images=[picture["image"]],
            attributes=picture["attributes"],
        )
        rows.append(made)
    return Dataset.from_list(rows, features=features)
