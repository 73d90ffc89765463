"""Preference pairs from a table of pictures with labels: (pictures, seed, policy) → rows."""

from collections.abc import Callable, Sequence
from typing import Any

from datasets import Dataset
from numpy.random import Generator

from data.attributes import SENSITIVE
from data.dialogues import answers, phrasings
from data.dialogues.features import PREFERENCE
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


def preference_rows(
    pictures: Dataset,
    *,
    count: int,
    seed: int,
    policy: Policy,
    facts: float = 0.3,
    unshared: float = 0.4,
    insist: float = 0.2,
    nothing: float = 0.0,
    leak_true: float = 0.5,
    rows_per_subject: int | None = None,
) -> Dataset:
    """Pairs both ways: not shared, declining beats leaking; shared, use beats refusal.

    Where the stated class is not the picture's, the stated one wins. ``leak_true``: share of the
    leaking answers that tell the picture's class, the others any; what the policy prohibits is
    never told truly but by chance. ``nothing``: as in ``instruct_rows``.
    """

    def row(rng: Generator, seen: Attributes) -> dict[str, Any]:
        u = rng.random()
        if u < facts:
            return _fact_pair(rng, seen, policy)
        kind = personal_kind(rng, seen)
        if u < facts + unshared or ABOUT[kind] in policy.prohibited:
            return _unshared_pair(
                rng, kind, seen, policy, insist=insist, nothing=nothing, leak_true=leak_true
            )
        return _shared_pair(rng, kind, seen, policy)

    return build(pictures, row, count=count, seed=seed, features=PREFERENCE,
                 rows_per_subject=rows_per_subject)  # fmt: skip


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
        "shared": stated(shared),
        "prompt": turns,
        "chosen": said[:1],
        "rejected": said[1:],
        "chosen_scores": {"personalization": scores[0], "leakage": scores[1]},
        "rejected_scores": {"personalization": scores[2], "leakage": scores[3]},
        "emphasis": emphasised(emphasis),
    }


def _fact_pair(rng: Generator, seen: Attributes, policy: Policy) -> dict[str, Any]:
    kind = fact_kind(rng, seen)
    shared = share(rng, seen, policy, redraw=0.3)
    if rng.random() < 0.5:
        rejected = answers.neutral(rng, answers.pick(rng, tuple(phrasings.ELICITATION)))
    else:
        rejected = answers.fact(rng, kind, answers.other(rng, kind, seen[kind]))
    chosen = answers.fact(rng, kind, seen[kind])
    turns = prompt(shared, [], asked(rng, kind))
    return _pair(kind, shared, turns, chosen, rejected, scores=(1, 0, 0, 0), emphasis=[seen[kind]])


def _unshared_pair(
    rng: Generator,
    kind: str,
    seen: Attributes,
    policy: Policy,
    *,
    insist: float,
    nothing: float,
    leak_true: float,
) -> dict[str, Any]:
    about = ABOUT[kind]
    shared = share_less(rng, seen, policy, without=about, nothing=nothing)
    value = seen[about]
    if rng.random() >= leak_true or about in policy.prohibited:
        value = answers.pick(rng, SENSITIVE[about])
    question, before = asked(rng, kind), []
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
    turns = prompt(shared, [], asked(rng, kind))
    chosen = answers.personal(rng, kind, value)
    return _pair(kind, shared, turns, chosen, rejected, scores=(1, 0, 0, 0), emphasis=[value])
