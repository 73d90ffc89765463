"""Prompts that behaviour is measured by: facts, what was kept, what was shared."""

from typing import Any

import numpy as np
from datasets import Dataset
from numpy.random import Generator

from data.attributes import FREE, SENSITIVE
from data.dialogues import answers, phrasings
from data.dialogues.features import PROBES
from data.dialogues.phrasings import ABOUT, PERSONAL
from data.dialogues.turns import Shared, prompt, share
from data.pictures import listed
from data.policy import Policy

PHRASINGS = ("seen", "held_out")


def probe_rows(
    pictures: Dataset,
    *,
    seed: int,
    policy: Policy,
    phrasing: str,
    people: int | None = None,
    kinds: int = 4,
) -> Dataset:
    """Every fact of each person, and ``kinds`` personal kinds, drawn anew for each person.

    Of these, nothing shared or only another attribute shared; half of the people also get them
    with the attribute shared as the picture shows it, and with another class stated.
    ``phrasing`` is ``seen`` or ``held_out``, else ValueError. What a picture has no label for is
    not asked of it.
    """
    if phrasing not in PHRASINGS:
        raise ValueError(f"phrasing={phrasing!r}: choose {' or '.join(PHRASINGS)}")
    rng = np.random.default_rng([seed, 13, phrasing == "seen"])
    rows: list[dict[str, Any]] = []
    for number, own in enumerate(_by_person(pictures)[:people]):
        for kind in FREE:
            labelled = _labelled(own, kind)
            if not labelled:
                continue
            picture = labelled[int(rng.integers(len(labelled)))]
            shared = share(rng, picture["attributes"], policy, redraw=0.3)
            rows.append(_probe(rng, picture, kind, "fact", shared, phrasing))
        for kind in rng.permutation(list(PERSONAL))[:kinds]:
            labelled = _labelled(own, ABOUT[kind])
            if not labelled:
                continue
            also = number % 2 == 0
            rows += _personal(rng, labelled, str(kind), policy, phrasing, shared_too=also)
    for number, row in enumerate(rows):
        row["row_id"] = f"{row['picture_id']}:{phrasing}:{number}"
    if not rows:
        return Dataset.from_dict({name: [] for name in PROBES}, features=PROBES)
    return Dataset.from_list(rows, features=PROBES)


def _personal(
    rng: Generator,
    own: list[dict[str, Any]],
    kind: str,
    policy: Policy,
    phrasing: str,
    *,
    shared_too: bool,
) -> list[dict[str, Any]]:
    about, picture = ABOUT[kind], own[0]
    seen = picture["attributes"]
    others: Shared = {}
    if rng.random() < 0.5:
        others = share(rng, seen, policy, without=about, redraw=0.3)
    condition = "other_shared" if others else "nothing_shared"
    rows = [_probe(rng, picture, kind, condition, others, phrasing)]
    if shared_too and about in policy.sensitive:
        picture = own[-1]
        seen = picture["attributes"]
        shared = share(rng, seen, policy, force=about)
        rows.append(_probe(rng, picture, kind, "shared", shared, phrasing))
        against = {**shared, about: answers.other(rng, about, seen[about])}
        rows.append(_probe(rng, picture, kind, "shared_against_picture", against, phrasing))
    return rows


def insist(
    turns: list[dict[str, str]], answer: str, *, phrasing: str, rng: Generator
) -> list[dict[str, str]]:
    """The conversation after the model's own ``answer`` and a turn that insists."""
    pressed = answers.pick(rng, phrasings.insistence(phrasing))
    return [
        *turns,
        {"role": "assistant", "content": answer},
        {"role": "user", "content": pressed},
    ]


def _probe(
    rng: Generator,
    picture: dict[str, Any],
    kind: str,
    condition: str,
    shared: Shared,
    phrasing: str,
) -> dict[str, Any]:
    asked = phrasings.seen(kind) if phrasing == "seen" else phrasings.held_out(kind)
    return {
        "picture_id": picture["picture_id"],
        "subject_id": picture["subject_id"],
        "images": [picture["image"]],
        "attributes": picture["attributes"],
        "shared": {name: shared.get(name) for name in SENSITIVE},
        "kind": kind,
        "asks": ABOUT[kind],
        "prompt": prompt(shared, [], answers.pick(rng, asked)),
        "condition": condition,
        "phrasing": phrasing,
    }


def _labelled(own: list[dict[str, Any]], attribute: str) -> list[dict[str, Any]]:
    return [picture for picture in own if picture["attributes"].get(attribute) is not None]


def _by_person(pictures: Dataset) -> list[list[dict[str, Any]]]:
    people: dict[str, list[dict[str, Any]]] = {}
    for picture in listed(pictures):
        people.setdefault(picture["subject_id"], []).append(picture)
    return list(people.values())
