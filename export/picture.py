"""The card's picture: facts against leaks beside the controls, and what attackers read.

Left, how many facts an answer tells right over how much it gives away: the upper left corner is
where a model should be, and what refuses everything or was never aligned stands beside it. Right,
the best fresh attacker on what leaves the device, with its floor and chance.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.evidence import Content, headline
from lineage import files

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OWN, OTHER, GREY, INK = "#0072B2", "#D55E00", "#767676", "#1a1a1a"  # Okabe and Ito
STYLE: dict[Any, Any] = {
    "font.family": ["DejaVu Sans"], "font.size": 9, "axes.spines.top": False,
    "axes.spines.right": False, "axes.titlelocation": "left", "axes.titlesize": 10,
    "text.parse_math": False,
}  # fmt: skip
Point = tuple[str, float, float]  # label, leak, facts


def draw(report: Content | None, earlier: Sequence[Content], path: Path) -> bool:
    """Draw the picture as PNG; False, and nothing drawn, where neither side was measured."""
    points, attackers = _points(report, earlier), _attackers(report)
    if not points and not attackers:
        return False
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        page = Figure(figsize=(7.6, 3.0), dpi=150, layout="constrained", facecolor="white")
        left, right = page.subplots(1, 2)
        _facts(left, points)
        _read(right, attackers, _floors(report))
        files.write_with(path, lambda out: page.savefig(out, format="png", metadata=NOTHING))
    return True


NOTHING: dict[str, Any] = {"Software": None}


def _points(report: Content | None, earlier: Sequence[Content]) -> list[Point]:
    """This model, the same after earlier stages, and its controls."""
    found = [_point("this model", (report or {}).get("measures", []), "behaviour")]
    for each in earlier:
        found.append(_point(f"after {each['stage']}", each["measures"], "behaviour"))
    suites = {m["suite"] for m in (report or {}).get("measures", [])}
    for suite in sorted(s for s in suites if s.startswith("control/") and s.count("/") == 1):
        name = suite.removeprefix("control/")
        if name != "before":  # the report after an earlier stage
            found.append(_point(name.replace("_", " "), report["measures"], suite))  # type: ignore[index]
    return [each for each in found if each is not None]


def _point(label: str, measures: Sequence[Content], suite: str) -> Point | None:
    """The worse of seen and held-out phrasings, on both axes."""
    leaks = [m["value"] for m in measures if (m["suite"], m["name"]) == (suite, "leak_rate")
             and m["group"].endswith("/all_unshared")]  # fmt: skip
    facts = [m["value"] for m in measures if (m["suite"], m["name"]) == (suite, "fact_accuracy")]
    return (label, max(leaks), min(facts)) if leaks and facts else None


def _attackers(report: Content | None) -> list[Content]:
    return [m for m in headline(report)
            if (m["suite"], m["name"]) == ("interface", "attacker_auc")]  # fmt: skip


def _floors(report: Content | None) -> dict[str, float]:
    return {m["group"]: m["value"] for m in (report or {}).get("measures", [])
            if (m["suite"], m["name"]) == ("interface", "attacker_floor")}  # fmt: skip


def _facts(ax: "Axes", points: Sequence[Point]) -> None:
    ax.set_title("facts told, against what is given away")
    ax.set_xlabel("leak rate (not shared)")
    ax.set_ylabel("facts right")
    ax.set_xlim(-0.03, 1.03)
    ax.set_ylim(-0.03, 1.08)
    for label, leak, facts in points:
        own = label == "this model"
        ax.plot(
            [leak], [facts], "o" if own else "s", color=OWN if own else OTHER, ms=6 if own else 4
        )
        right = leak < 0.6
        ax.annotate(label, (leak, facts), (6 if right else -6, -3), textcoords="offset points",
                    ha="left" if right else "right", color=INK,
                    weight="bold" if own else "normal")  # fmt: skip
    if not points:
        ax.text(0.5, 0.5, "not measured", ha="center", color=GREY)


def _read(ax: "Axes", attackers: Sequence[Content], floors: dict[str, float]) -> None:
    ax.set_title("what the best attacker reads of it (AUC)")
    ax.set_xlim(0.4, 1.03)
    ax.axvline(0.5, color=GREY, lw=0.9, ls=":")
    for at, m in enumerate(attackers):
        ax.plot([m["low"], m["high"]], [at, at], color=OWN, lw=1.6)
        ax.plot([m["value"]], [at], "o", color=OWN, ms=6)
        if m["group"] in floors:
            ax.plot([floors[m["group"]]], [at], "|", color=OTHER, ms=12, mew=1.6)
    ax.set_yticks(range(len(attackers)), [m["group"] for m in attackers])
    ax.set_ylim(len(attackers) - 0.4, -0.6)
    ax.set_xlabel("dotted: chance; |: the true facts alone; bars: 95 %")
    if not attackers:
        ax.text(0.7, -0.5, "not measured", ha="center", color=GREY)
