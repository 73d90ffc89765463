"""Two kinds of plot: rows of marks with intervals, and curves over a count."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evaluation.canvas import ABOVE, GREY, INK, LEFT, RIGHT, SIZE, WIDTH, Look, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TRACK, GAP, HEADING = 14.0, 7.0, 17.0  # heights of a mark's line, between rows, of a heading
GUIDED = 22.0  # above the axes, for the words of guides


@dataclass(frozen=True)
class Mark:
    """A value with its interval and the words beside it."""

    value: float
    low: float
    high: float
    text: str
    look: Look


@dataclass(frozen=True)
class Row:
    """A label at the left with its marks below each other; a heading where it has none."""

    label: str
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class Guide:
    """A vertical line that marks are judged by."""

    at: float
    text: str
    dashes: tuple[float, float] = (4, 3)


@dataclass(frozen=True)
class Curve:
    """Points (x, value, low, high) of one attribute."""

    label: str
    points: tuple[tuple[float, float, float, float], ...]
    look: Look


def forest(
    name: str,
    *,
    rows: Sequence[Row],
    guides: Sequence[Guide],
    limits: tuple[float, float],
    axis: str,
    says: str,
    left: float = LEFT,
) -> str:
    """Rows of marks with intervals on one axis, as SVG; ``says`` is read to who can't see it."""

    def draw(ax: "Axes") -> None:
        ax.set_ylim(height, 0)
        ax.set_xlim(*limits)
        ax.set_yticks([])
        ax.set_xlabel(axis)
        for guide in guides:
            ax.axvline(guide.at, color=GREY, lw=0.9, dashes=guide.dashes, zorder=0)
            side = "center" if len(guides) == 1 else "right" if guide is guides[0] else "left"
            ax.text(guide.at, -5, guide.text, ha=side, color=GREY, size=SIZE - 1)
        top = 0.0
        for row in rows:
            _row(ax, row, top, limits=limits, left=left)
            top += _height(row)

    height = sum(_height(row) for row in rows)
    above = GUIDED if guides else ABOVE
    return svg(name, draw, height=height, says=says, left=left, above=above)


def curves(
    name: str,
    *,
    lines: Sequence[Curve],
    guide: Guide,
    axis: str,
    says: str,
) -> str:
    """Values over a count, one line an attribute, named at its end; as SVG."""
    height = 170.0

    def draw(ax: "Axes") -> None:
        every = [point for line in lines for point in line.points]
        floor, top = min(p[2] for p in every), max(p[3] for p in every)
        floor, top = min(floor, guide.at) - 0.02, max(top, guide.at + 0.15) + 0.02
        ax.set_ylim(floor, top)
        ax.axhline(guide.at, color=GREY, lw=0.9, dashes=guide.dashes, zorder=0)
        _counts(ax, sorted({point[0] for point in every}), axis)
        gap = (top - floor) * (SIZE + 2) / height
        ends = [line.points[-1][1] for line in lines]
        for number, (line, at) in enumerate(zip(lines, _apart(ends, gap), strict=True)):
            _curve(ax, line, shift=(number - (len(lines) - 1) / 2) * 2.5)
            _end(ax, line, at)
        ax.text(1, guide.at, guide.text, transform=ax.get_yaxis_transform(), va="top", ha="right",
                color=GREY, size=SIZE - 1)  # fmt: skip

    return svg(name, draw, height=height, says=says, left=36, right=78)


def _row(ax: "Axes", row: Row, top: float, *, limits: tuple[float, float], left: float) -> None:
    beside = ax.get_yaxis_transform()
    if not row.marks:
        ax.text(-left / (WIDTH - left - RIGHT), top + HEADING - 5, row.label, transform=beside,
                weight="bold", color=INK)  # fmt: skip
        return
    middle = top + TRACK * len(row.marks) / 2
    ax.text(-0.02, middle, row.label, transform=beside, ha="right", va="center", color=INK)
    for number, mark in enumerate(row.marks):
        _mark(ax, mark, top + TRACK * (number + 0.5), limits)


def _mark(ax: "Axes", mark: Mark, y: float, limits: tuple[float, float]) -> None:
    look = mark.look
    ax.plot([mark.low, mark.high], [y, y], color=look.colour, lw=1.6, solid_capstyle="butt")
    ax.plot([mark.value], [y], **look.options(), clip_on=False)
    middle = (limits[0] + limits[1]) / 2
    right = mark.value < middle
    at = max(mark.high, mark.value) if right else min(mark.low, mark.value)
    ax.annotate(
        mark.text, (at, y), (7 if right else -7, 0), textcoords="offset points", va="center",
        ha="left" if right else "right", color=INK, size=SIZE - 0.5,
        bbox={"fc": "white", "ec": "none", "pad": 0.6, "alpha": 0.85},
    )  # fmt: skip


def _curve(ax: "Axes", line: Curve, *, shift: float) -> None:
    """The line's marks stand a little aside, so that intervals don't cover each other."""
    from matplotlib.transforms import ScaledTranslation

    aside = ax.transData + ScaledTranslation(shift / 72, 0, ax.figure.dpi_scale_trans)  # type: ignore[arg-type]
    xs = [point[0] for point in line.points]
    for x, _, low, high in line.points:
        ax.plot([x, x], [low, high], color=line.look.colour, lw=1.1, transform=aside)
    ax.plot(xs, [p[1] for p in line.points], transform=aside, lw=1.3, **line.look.options())


def _end(ax: "Axes", line: Curve, y: float) -> None:
    """The line's name right of the axis, its mark before it."""
    beside = ax.get_yaxis_transform()
    ax.plot([1.03], [y], transform=beside, clip_on=False, **line.look.options())
    ax.text(1.065, y, line.label, transform=beside, va="center", color=INK)


def _counts(ax: "Axes", xs: Sequence[float], axis: str) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator

    ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator(list(xs)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticks(list(xs), [f"{x:,.0f}" for x in xs])
    ax.set_xlim(xs[0] / 1.25, xs[-1] * 1.12)
    ax.set_xlabel(axis)


def _apart(wanted: Sequence[float], gap: float) -> list[float]:
    """The wanted places, moved as little as keeps them ``gap`` apart, their mean unchanged."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    placed = [wanted[i] for i in order]
    for _ in range(50):
        for lower in range(len(placed) - 1):
            short = gap - (placed[lower + 1] - placed[lower])
            if short > 0:
                placed[lower] -= short / 2
                placed[lower + 1] += short / 2
    return [placed[order.index(i)] for i in range(len(wanted))]


def _height(row: Row) -> float:
    return TRACK * len(row.marks) + GAP if row.marks else HEADING
