"""The report's figures, each drawn from the measures that it shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evaluation.canvas import BLUE, GREEN, GREY, PINK, VERMILION, Look
from evaluation.plots import Curve, Guide, Mark, Row, curves, forest
from evaluation.records import Key, Record, by_group
from evaluation.words import counted, number, words

BEST, FLOOR, TOWER = Look(BLUE, "o"), Look(VERMILION, "D", filled=False), Look(GREY, "s")
NOW, BEFORE = Look(BLUE, "o"), Look(VERMILION, "s", filled=False)
FLIP, TWIN = Look(BLUE, "o"), Look(GREY, "D", filled=False)
LINES = (Look(BLUE, "o"), Look(VERMILION, "s"), Look(GREEN, "^"), Look(PINK, "D"))
CHANCE = Guide(0.5, "chance")
KINDS = ("facts", "advice", "elicitation", "stereotype", "all")
ROWS = {
    "Leaks: less is better": {
        ("behaviour", "leak_rate", "nothing_shared"): "nothing shared",
        ("behaviour", "leak_rate", "other_shared"): "another one shared",
        ("behaviour", "leak_rate", "insisting"): "the user insists",
        ("paraphrases", "leak_rate", "all_unshared"): "paraphrases, hints",
    },
    "Use of what was shared: more is better": {
        ("behaviour", "shared_use", "as_pictured"): "as pictured",
        ("behaviour", "shared_use", "against_picture"): "against the picture",
    },
    "Free facts": {
        ("behaviour", "fact_accuracy", "facts"): "right (more)",
        ("behaviour", "over_refusal", "facts"): "refused (less)",
    },
}


@dataclass(frozen=True)
class Figure:
    """A plot as SVG text, and what is written below it."""

    svg: str
    caption: str


def attack(
    name: str,
    kinds: Mapping[str, tuple[Look, dict[str, Record]]],
    *,
    bound: float | None,
    axis: str,
) -> Figure | None:
    """Attributes by attack: kind of mark → its look and its record of each attribute.

    The first kind is the attack itself, by which the rows go; None where it wasn't made.
    """
    best = next(iter(kinds.values()))[1]
    if not best:
        return None
    rows: list[Row] = []
    for attribute in best:
        row = {k: (look, r[attribute]) for k, (look, r) in kinds.items() if attribute in r}
        rows.append(_row(words(attribute), row, named=not rows))
    guides = [CHANCE] + ([Guide(bound, f"bound {bound:.2f}", (1, 2))] if bound else [])
    low = min(0.45, *(r["low"] - 0.02 for _, of_kind in kinds.values() for r in of_kind.values()))
    svg = forest(
        name, rows=rows, guides=guides, limits=(low, 1.0), axis=axis, says=_says(axis, rows)
    )
    return Figure(svg, f"{axis}: 0.5 is guessing, 1 is certain. {_bars(list(best.values()))}")


def behaviour(
    now: Mapping[Key, Record],
    before: Mapping[Key, Record],
    *,
    phrasing: str,
    stages: Sequence[str],
    bound: float | None,
) -> Figure | None:
    """What the model says, before and now; None where none of it was measured."""
    rows: list[Row] = []
    shown: list[Record] = []
    for heading, wanted in ROWS.items():
        part: list[Row] = []
        for (suite, name, group), label in wanted.items():
            key = (suite, name, f"{phrasing}/{group}")
            kinds = {stages[0]: (BEFORE, before.get(key)), stages[1]: (NOW, now.get(key))}
            there = {k: (look, r) for k, (look, r) in kinds.items() if r is not None}
            if key in now:
                shown.append(now[key])
                part.append(_row(label, there, named=len(shown) == 1))
        rows += [Row(heading), *part] if part else []
    if not shown:
        return None
    axis = f"share of answers, {words(phrasing)}"
    svg = forest(
        "behaviour", rows=rows, guides=(), limits=(0, 1), axis=axis, says=_says(axis, rows),
        left=118,
    )  # fmt: skip
    limit = f"The policy's bound for leaks is {bound:.2f}. " if bound is not None else ""
    return Figure(svg, f"Share of answers, {words(phrasing)}. {limit}{_bars(shown)}")


def flips(measures: Sequence[Record]) -> Figure | None:
    """Answers that change with one attribute, by kind of question, and the null twin."""
    found = {group: one for group, one in by_group(measures).items() if group.count("/") == 1}
    rows: list[Row] = []
    for kind in dict.fromkeys((*KINDS, *(group.split("/")[-1] for group in found))):
        part = [group.split("/")[0] for group in found if group.endswith(f"/{kind}")]
        rows += [Row(words(kind))] if part else []
        for what in sorted(part, key=lambda one: one == "twin"):
            look = TWIN if what == "twin" else FLIP
            rows.append(_row(words(what), {"": (look, found[f"{what}/{kind}"])}, named=False))
    if not rows:
        return None
    axis = "share of answers that change"
    top = max(0.1, *(1.6 * one["high"] for one in found.values()))
    svg = forest(
        "flips", rows=rows, guides=(), limits=(0, min(1.0, top)), axis=axis, says=_says(axis, rows)
    )
    return Figure(svg, f"{axis.capitalize()}. {_bars(list(found.values()))}")


def curve(measures: Sequence[Record], over: str, *, axis: str) -> Figure | None:
    """The best attacker over ``people`` or ``pictures``; None where there are no two points."""
    points: dict[str, list[tuple[float, float, float, float]]] = {}
    shown: list[Record] = []
    for group, one in by_group(measures).items():
        attribute, _, count = group.partition(f"/{over}=")
        if count:
            shown.append(one)
            point = (float(count), one["value"], one["low"], one["high"])
            points.setdefault(attribute, []).append(point)
    if len({point[0] for some in points.values() for point in some}) < 2:
        return None
    lines = [
        Curve(words(attribute), tuple(sorted(some)), LINES[number % len(LINES)])
        for number, (attribute, some) in enumerate(points.items())
    ]
    says = f"AUC over {axis}: " + "; ".join(
        f"{line.label} " + ", ".join(f"{number(p[1])} at {p[0]:,.0f}" for p in line.points)
        for line in lines
    )
    svg = curves(f"curve {over}", lines=lines, guide=CHANCE, axis=axis, says=says)
    return Figure(svg, f"AUC of the best attacker over {axis}. {_bars(shown)}")


def _row(label: str, kinds: Mapping[str, tuple[Look, Record]], *, named: bool) -> Row:
    """Marks of a row; the first row of a plot also names their kinds."""
    marks = [
        Mark(r["value"], r["low"], r["high"], f"{kind * named} {number(r['value'])}".strip(), look)
        for kind, (look, r) in kinds.items()
    ]
    return Row(label, tuple(marks))


def _says(axis: str, rows: Sequence[Row]) -> str:
    parts = [f"{row.label} {' and '.join(mark.text for mark in row.marks)}".strip() for row in rows]
    return f"{axis}: {'; '.join(parts)}"


def _bars(shown: Sequence[Record]) -> str:
    level = 100 * shown[0]["level"]
    return f"Bars: {level:g} % intervals, bootstrap over people; n = {counted(shown)}."
