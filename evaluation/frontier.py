"""The picture of the bit budget, drawn from ``docs/results/bits.json`` alone.

Above, the facts that a picture still tells and the entropy of its codes; below, for each sensitive
attribute, what the best fresh attacker reads, beside what the true facts alone tell (the floor) and
chance. Solid with the adversary, dashed without it; bars are 95 % intervals.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evaluation.canvas import BLUE, GREEN, GREY, INK, PINK, VERMILION
from lineage import files
from lineage.errors import TactError

CLAIM, OPEN = "bits", "open"
Figures = Sequence[Mapping[str, Any]]
COLOURS = {"gender": BLUE, "age": VERMILION, "skin": GREEN, "expression": PINK}
CALLED = {"skin": "skin tone"}
ADVERSARY = {"on": "with the adversary", "off": "without it"}
ASIDE = {"on": -0.07, "off": 0.07}  # so that bars stand beside each other
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none", "svg.hashsalt": "tact", "font.size": 10,
    "font.family": ["DejaVu Sans"], "axes.spines.top": False, "axes.spines.right": False,
    "axes.edgecolor": GREY, "text.color": INK, "axes.labelcolor": INK, "xtick.color": INK,
    "ytick.color": INK, "axes.titlelocation": "left", "axes.titlesize": 11,
    "axes.titleweight": "bold",
}  # fmt: skip


def draw(result: Path) -> Path:
    """Draw the result of the claim ``bits`` beside it, as SVG; the same result, the same bytes."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    found = files.read_json(result)["figures"]
    figures = [_barred(f) for f in found
               if f["minus"] is None and {"bits", "adversary"} <= set(f["at"])]  # fmt: skip
    if not figures:
        raise TactError(f"{result.name}: no figure of it has bits and adversary to be drawn over")
    path = result.with_suffix(".svg")
    with rc_context(STYLE):
        page = Figure(figsize=(7.6, 8.8), layout="constrained", facecolor="white")
        panels = page.subplot_mosaic(
            [["facts", "facts"], ["gender", "age"], ["skin", "expression"]],
            height_ratios=[1.0, 1.0, 1.0],
        )
        places = _places(figures)
        _facts(panels["facts"], figures, places)
        for name in COLOURS:
            _attribute(panels[name], figures, places, name)
        for name in ("gender", "skin"):
            panels[name].set_ylabel("best attacker's AUC")
        page.supxlabel(
            "bits that a picture leaves the device in\n"
            f"floor: the same attackers given only the true facts; bars: {_bars(figures)}",
            fontsize=9,
        )
        files.write_with(path, lambda out: page.savefig(out, format="svg", metadata={"Date": None}))
    return path


def _barred(figure: dict[str, Any]) -> dict[str, Any]:
    """Of two seeds no interval is narrow enough to be drawn: its bar is from one to the other."""
    values = figure["values"]
    return figure | {"low": min(values), "high": max(values)} if len(values) == 2 else figure


def _bars(figures: Figures) -> str:
    return "the two seeds" if len(figures[0]["values"]) == 2 else "95 % intervals"


def _facts(panel: Any, figures: Figures, places: Mapping[str, float]) -> None:
    panel.set_title("Facts that the codes still tell (glasses, hair, top, place)")
    panel.set_ylabel("share right")
    lowest = 0.95
    for adversary in ADVERSARY:
        points = _points(figures, "fact_accuracy", adversary)
        lowest = min([lowest, *(f["value"] if f["low"] is None else f["low"] for f in points)])
        _line(panel, points, places, colour=INK)
    panel.set_ylim(lowest - 0.02, 1.012)
    _axis(panel, places, labels=_with_entropy(figures, places))
    if any(f["name"] == "code_entropy" for f in figures):
        panel.annotate(
            "bits\nentropy, with\nwithout", (0, 0), xycoords="axes fraction", xytext=(-2, -6.5),
            textcoords="offset points", ha="right", va="top", fontsize=9, color=GREY,
        )  # fmt: skip
    _key(panel)


def _attribute(panel: Any, figures: Figures, places: Mapping[str, float], name: str) -> None:
    colour = COLOURS[name]
    panel.set_title(CALLED.get(name, name), color=colour)
    panel.set_ylim(0.44, 1.03)
    panel.axhline(0.5, color=GREY, linewidth=0.9, linestyle=":")
    _label(panel, "chance", 0.5, below=True)
    floors = [f["value"] for a in ADVERSARY for f in _points(figures, "attacker_floor", a, name)]
    if floors:
        floor = sum(floors) / len(floors)
        panel.axhline(floor, color=GREY, linewidth=0.9)
        _label(panel, "floor", floor, below=False)
    for adversary in ADVERSARY:
        points = _points(figures, "attacker_auc", adversary, name)
        _line(panel, points, places, colour=colour)
    _axis(panel, places, labels=list(places))


def _line(panel: Any, points: Figures, places: Mapping[str, float], *, colour: str) -> None:
    """Points with bars, those of a budget joined; ``open`` has none and stands apart."""
    if not points:
        return
    adversary = points[0]["at"]["adversary"]
    filled = colour if adversary == "on" else "white"
    x = [places[p["at"]["bits"]] + ASIDE[adversary] for p in points]
    y = [p["value"] for p in points]
    reach = [[v - _or(p["low"], v) for v, p in zip(y, points, strict=True)],
             [_or(p["high"], v) - v for v, p in zip(y, points, strict=True)]]  # fmt: skip
    panel.errorbar(x, y, yerr=reach, fmt="none", ecolor=colour, elinewidth=1.2, capsize=2)
    joined = sum(p["at"]["bits"] != OPEN for p in points)
    dashes = "-" if adversary == "on" else (0, (3, 2))
    panel.plot(x[:joined], y[:joined], linestyle=dashes, color=colour, linewidth=1.5)
    panel.plot(x, y, "o", color=colour, markerfacecolor=filled, markersize=4.5, clip_on=False)


def _axis(panel: Any, places: Mapping[str, float], *, labels: Sequence[str]) -> None:
    panel.set_xticks(list(places.values()), labels, fontsize=9)
    panel.set_xlim(min(places.values()) - 0.4, max(places.values()) + 0.4)
    panel.tick_params(axis="x", length=3)
    panel.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    panel.set_axisbelow(True)


def _key(panel: Any) -> None:
    """Which line is which, by its own dashes."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=INK, marker="o", markersize=4.5, linewidth=1.5, label=label,
               linestyle="-" if adversary == "on" else (0, (3, 2)),
               markerfacecolor=INK if adversary == "on" else "white")
        for adversary, label in ADVERSARY.items()
    ]  # fmt: skip
    panel.legend(handles=handles, frameon=False, fontsize=9, loc="lower right", handlelength=3)


def _label(panel: Any, text: str, height: float, *, below: bool) -> None:
    """A word at the right end of a level line, where the lines of the budgets have ended."""
    panel.annotate(
        text, (1.0, height), xycoords=("axes fraction", "data"),
        xytext=(0, -3 if below else 2), textcoords="offset points", ha="right",
        va="top" if below else "bottom", fontsize=8.5, color=GREY,
    )  # fmt: skip


def _with_entropy(figures: Figures, places: Mapping[str, float]) -> list[str]:
    """Tick labels with the entropy of the codes below, with the adversary and without it."""
    found = {
        (f["at"]["bits"], f["at"]["adversary"]): f["value"]
        for f in figures
        if f["name"] == "code_entropy"
    }
    labels = []
    for bits in places:
        each = [f"{found[bits, a]:.1f}" for a in ADVERSARY if (bits, a) in found]
        labels.append("\n".join([bits, *each]))
    return labels


def _points(figures: Figures, name: str, adversary: str, attribute: str | None = None) -> Figures:
    return [
        f for f in figures
        if f["name"] == name and f["at"]["adversary"] == adversary
        and f["at"].get("attribute") == attribute
    ]  # fmt: skip


def _places(figures: Figures) -> dict[str, float]:
    """Where each budget stands: by its logarithm, ``open`` after a gap."""
    names = {str(f["at"]["bits"]) for f in figures}
    places = {n: math.log2(int(n)) for n in sorted(names - {OPEN}, key=int)}
    if OPEN in names:
        places[OPEN] = max(places.values(), default=0.0) + 1.3
    return places


def _or(value: float | None, other: float) -> float:
    return other if value is None else value
