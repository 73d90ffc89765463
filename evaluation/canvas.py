"""A drawing surface that becomes SVG text in a page, the same bytes for the same drawing.

A plot is 340 units wide, so that its text can be read on a telephone. All lengths here are in
these units. Colours are those of Okabe and Ito, and never the only difference between two marks.
"""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, VERMILION, GREEN, PINK, GREY, INK = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#767676", "#1a1a1a",
)  # fmt: skip
WIDTH: Final = 340.0
LEFT, RIGHT, ABOVE, BELOW = 96.0, 14.0, 8.0, 36.0
SIZE: Final = 10.0
STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "font.family": ["DejaVu Sans"],
    "font.size": SIZE,
    "text.parse_math": False,
    "axes.linewidth": 0.8,
}


@dataclass(frozen=True)
class Look:
    """How marks of one kind are told from others: colour and shape."""

    colour: str
    marker: str
    filled: bool = True

    def options(self) -> dict[str, Any]:
        """For ``Axes.plot``."""
        inside = self.colour if self.filled else "white"
        return {"marker": self.marker, "ms": 5.5, "color": self.colour, "mfc": inside, "mew": 1.3}


def svg(
    name: str,
    draw: Callable[["Axes"], None],
    *,
    height: float,
    says: str,
    left: float = LEFT,
    right: float = RIGHT,
    above: float = ABOVE,
) -> str:
    """What ``draw`` puts on the axes; ``says`` is read to who can't see it."""
    import matplotlib
    from matplotlib.figure import Figure

    total = height + above + BELOW
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=(WIDTH / 72, total / 72))
        ax = figure.add_axes(
            (left / WIDTH, BELOW / total, (WIDTH - left - right) / WIDTH, height / total)
        )
        ax.spines[["top", "right", "left"]].set_visible(False)
        ax.tick_params(color=GREY, labelcolor=INK)
        draw(ax)
        out = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(out, format="svg", metadata=nothing, transparent=True)  # type: ignore[arg-type]
    return _inline(out.getvalue(), says=says, size=(WIDTH, total))


def _inline(drawn: str, *, says: str, size: tuple[float, float]) -> str:
    """For a page: no XML head, no name spaces, no id that nothing uses; a label in words."""
    body = drawn[drawn.index("</defs>") + len("</defs>") : drawn.rindex("</svg>")]
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', body))
    body = re.sub(r' id="([^"]+)"', lambda m: m[0] if m[1] in used else "", body)
    head = f'<svg viewBox="0 0 {size[0]:g} {size[1]:g}" role="img" aria-label="{escape(says)}">'
    return head + body.replace("xlink:href", "href").strip() + "</svg>"
