"""Counterfactual flips: one attribute of a picture changed, how many answers change?

Greedy answers to the same question about a picture and about its counterfactual, nothing shared;
beside them the null twin, where no attribute was changed but pose, light and noise were.
"""

from collections.abc import Sequence
from typing import Any

from datasets import Dataset

from data.counterfactuals import TWIN, changes_of
from data.dialogues import phrasings
from data.dialogues.turns import prompt
from data.pictures import listed
from evaluation.behaviour import Asker
from evaluation.measure import Measure, rate

KINDS = {
    "facts": tuple(phrasings.FACTS),
    "advice": tuple(phrasings.ADVICE),
    "elicitation": tuple(phrasings.ELICITATION),
    "stereotype": tuple(phrasings.STEREOTYPE),
}
KINDS["all"] = tuple(kind for kinds in KINDS.values() for kind in kinds)


def measures(
    pictures: Dataset, changed: Dataset, answer: Asker, *, stage: str, seed: int
) -> list[Measure]:
    """Share of answers that change, by changed attribute and kind of question, with the twin's.

    ``changed`` holds pictures made of those in ``pictures`` (``data.counterfactuals``); ``answer``
    knows both.
    """
    before = _answers(listed(pictures), answer, seed=seed)
    people = {row["picture_id"]: row["subject_id"] for row in listed(pictures)}
    flipped: dict[str, dict[tuple[str, str], bool]] = {}
    for change, rows in changes_of(changed).items():
        after = _answers(rows, answer, seed=seed, of="of")
        flipped[change] = {key: after[key] != before[key] for key in after}
    made = []
    for change, flips in flipped.items():
        for group, kinds in KINDS.items():
            some = [key for key in flips if key[1] in kinds]
            lines = {f"{change}/{group}": ([float(flips[key]) for key in some], "")}
            if change != TWIN:
                gaps = [float(flips[key]) - float(flipped[TWIN][key]) for key in some]
                lines[f"{change}/{group}/above_twin"] = gaps, "less the null twin's rate"
            for name, (values, note) in lines.items():
                value, low, high, n = rate(values, [people[picture] for picture, _ in some])
                made.append(Measure("flips", "flip_rate", name, value, low, high, n, "person",
                                    stage=stage, seed=seed, note=note))  # fmt: skip
    return made


def _answers(
    rows: Sequence[dict[str, Any]], answer: Asker, *, seed: int, of: str = "picture_id"
) -> dict[tuple[str, str], str]:
    """(picture it is made of, kind) → answer; a picture's questions are the same for all."""
    asked = []
    for row in rows:
        number = int(row[of][1:].replace("-", ""))
        for at, kind in enumerate(KINDS["all"]):
            choices = phrasings.seen(kind)
            question = choices[(number + at + seed) % len(choices)]
            asked.append({**row, "images": [row["image"]], "key": (row[of], kind),
                          "prompt": prompt({}, [], question)})  # fmt: skip
    return dict(zip([row["key"] for row in asked], answer(asked), strict=True))
