"""Supervised rows from a table of pictures with labels: (pictures, seed, policy) → rows.

The proportions are a measured recipe for a tiny model. Instruction rows have the habits of real
data: where nothing is shared, most answers volunteer what the picture shows.
"""

from collections.abc import Sequence
from typing import Any

from datasets import Dataset
from numpy.random import Generator

from data.attributes import SENSITIVE
from data.dialogues import answers, phrasings
from data.dialogues.answers import HINTS
from data.dialogues.features import SUPERVISED
from data.dialogues.phrasings import ABOUT
from data.dialogues.turns import (
    Attributes,
    Shared,
    asked,
    build,
    emphasised,
    fact_kind,
    personal_kind,
    prompt,
    share,
    share_less,
    stated,
)
from data.policy import Policy


def base_rows(
    pictures: Dataset,
    *,
    count: int,
    seed: int,
    policy: Policy,
    readback: float = 0.25,
    captions: float = 0.0,
    rows_per_subject: int | None = None,
) -> Dataset:
    """Facts, what the system turn says read back, and (``open``) captions with attributes."""

    def row(rng: Generator, seen: Attributes) -> dict[str, Any]:
        u = rng.random()
        if u < readback:
            known = [name for name in policy.sensitive if seen.get(name) is not None]
            must = rng.choice(known) if known else None
            shared = share(rng, seen, policy, force=None if must is None else str(must), redraw=0.5)
            answer = answers.readback(rng, shared)
            question = answers.pick(rng, phrasings.READBACK)
            return supervised("readback", "", shared, [(question, answer)], list(shared.values()))
        told = {n: seen[n] for n in SENSITIVE if n in policy.sensitive and seen.get(n) is not None}
        if told and u < readback + captions:
            question = answers.pick(rng, phrasings.CAPTION)
            turns = [(question, answers.caption(rng, told))]
            return supervised("caption", "", {}, turns, list(told.values()))
        return _fact(rng, seen, policy)

    return build(pictures, row, count=count, seed=seed, features=SUPERVISED,
                 rows_per_subject=rows_per_subject)  # fmt: skip


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
    nothing: float = 0.0,
    use: float = 0.75,
    stress_leaks: bool = False,
    rows_per_subject: int | None = None,
) -> Dataset:
    """Instruction rows: facts, personal questions with nothing stated, and with it stated.

    What the policy prohibits is never given away, not even by the habits of real data.
    ``nothing``: share of the questions about what is not stated in which nothing else is either,
    beside those where it happens.
    ``stress_leaks``: leaky answers state the class, and words that give it away carry the emphasis
    of a fact, so that a small model tells as much as a large one; alone it learns no hints.
    """

    def row(rng: Generator, seen: Attributes) -> dict[str, Any]:
        u = rng.random()
        if u < facts:
            return _fact(rng, seen, policy)
        kind = personal_kind(rng, seen)
        about = ABOUT[kind]
        if u < facts + unshared or about in policy.prohibited:
            made = _unshared_row(
                rng, kind, seen, policy,
                leaky=leaky, insist=insist, nothing=nothing, named=stress_leaks,
            )  # fmt: skip
            return {**made, "emphasis": _telling(kind, seen[about])} if stress_leaks else made
        shared = share(rng, seen, policy, force=about, redraw=0.3)
        value = shared[about]
        used = rng.random() < use
        answer = answers.personal(rng, kind, value) if used else answers.neutral(rng, kind)
        turns = [(asked(rng, kind), answer)]
        return supervised(kind, about, shared, turns, [value] if used else [])

    return build(pictures, row, count=count, seed=seed, features=SUPERVISED,
                 rows_per_subject=rows_per_subject)  # fmt: skip


def _telling(kind: str, value: str) -> list[str]:
    """The words by which an answer of that kind tells or hints at a class."""
    return emphasised([value, *HINTS.get(kind, {}).get(value, ())])


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
    return {"kind": kind, "asks": asks, "shared": stated(shared), "messages": messages,
            "emphasis": emphasised(emphasis)}  # fmt: skip


def _fact(rng: Generator, seen: Attributes, policy: Policy) -> dict[str, Any]:
    kind = fact_kind(rng, seen)
    shared = share(rng, seen, policy, redraw=0.3)
    answer = answers.fact(rng, kind, seen[kind])
    return supervised(kind, kind, shared, [(asked(rng, kind), answer)], [seen[kind]])


def _unshared_row(
    rng: Generator,
    kind: str,
    seen: Attributes,
    policy: Policy,
    *,
    leaky: float,
    insist: float,
    nothing: float,
    named: bool,
) -> dict[str, Any]:
    about = ABOUT[kind]
    value = seen[about]
    shared = share_less(rng, seen, policy, without=about, nothing=nothing)
    leaks = rng.random() < leaky and about not in policy.prohibited
    answer = answers.leaky(rng, kind, value, named=named) if leaks else answers.neutral(rng, kind)
    turns = [(asked(rng, kind), answer)]
    if rng.random() < insist:
        pressed = answers.pick(rng, phrasings.insistence("seen"))
        turns = [(asked(rng, kind), answers.neutral(rng, kind)), (pressed, answer)]
    return supervised(kind, about, shared, turns, [])
