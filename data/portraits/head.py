"""The head: vertices, triangles and blend shapes, and which points belong to what.

V vertices, S shapes. Coordinates are MakeHuman's decimetres: x to the side, y up, z forward.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
SKIN, LEFT_EYE, RIGHT_EYE, TEETH, HAIR_SHEET, TONGUE, LASHES = 0, 2, 3, 4, 5, 6, 7

_NO_IDENTITY = (
    "head-trans", "head-angle", "mouth-trans-out", "mouth-trans-in", "nose-trans-out",
    "nose-trans-in", "neck-trans", "head-age", "neck-double", "eye-push",
    "measure-neck-height", "neck-scale-vert",
)  # fmt: skip


@dataclass(frozen=True)
class Head:
    """The template and what can be done to it."""

    vertices: Floats  # (V, 3)
    triangles: NDArray[np.int32]  # (F, 3)
    labels: NDArray[np.int8]  # (F,) what a triangle belongs to
    vertex_labels: NDArray[np.int8]  # (V,)
    shapes: Floats  # (S, V * 3)
    names: tuple[str, ...]  # of the shapes
    number: dict[str, int]  # shape's name → its row
    lips: Floats  # (V,) in [0, 1]
    scalp: Floats  # (V,) in [0, 1], where hair grows
    identity: tuple[tuple[int, ...], ...]  # shapes that make a face its own, left with right


@lru_cache(maxsize=1)
def head() -> Head:
    """The head, read once a process."""
    with np.load(Path(__file__).with_name("head.npz")) as stored:
        vertices = stored["V"].astype(np.float32)
        triangles, labels = stored["tri"], stored["tl"]
        names = tuple(str(name) for name in stored["names"])
        shapes = stored["B"].astype(np.float32).reshape(len(names), -1)
        lips = stored["LIP"].astype(np.float32)
    vertex_labels = np.zeros(len(vertices), np.int8)
    for triangle, label in zip(triangles, labels, strict=True):
        vertex_labels[triangle] = label
    number = {name: i for i, name in enumerate(names)}
    return Head(
        vertices=vertices,
        triangles=triangles,
        labels=labels,
        vertex_labels=vertex_labels,
        shapes=shapes,
        names=names,
        number=number,
        lips=lips,
        scalp=_scalp(vertices, vertex_labels),
        identity=_identity(number),
    )


def smooth(low: float, high: float, x: Any) -> Any:
    """Smoothstep: 0 at ``low``, 1 at ``high`` (which may be the smaller)."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _scalp(vertices: Floats, labels: NDArray[np.int8]) -> Floats:
    x, y, z = vertices.T
    front = 8.02 - 0.2 * x**2
    temple = front - 0.35 * np.clip(np.abs(x) - 0.35, 0, 1)
    side = 7.30 + (front - 7.30) * np.clip((z - 0.35) / 0.6, 0, 1) ** 0.8
    line = np.where(z > 0.95, temple, np.where(z > 0.35, side, 6.75))
    ear = (np.abs(x) > 0.60) & (z < 0.55) & (z > -0.05) & (y > 6.85) & (y < 7.42)
    grown = smooth(-0.06, 0.10, y - line) * (labels == SKIN) * ~ear * (y > 6.6)
    return np.asarray(grown, np.float32)


def _identity(number: dict[str, int]) -> tuple[tuple[int, ...], ...]:
    groups: dict[str, list[int]] = {}
    for name, i in number.items():
        ancestry = name.startswith(("african", "asian", "caucasian"))
        if name.startswith("expr:") or "-averagemuscle-" in name or ancestry:
            continue
        if any(part in name for part in _NO_IDENTITY):
            continue
        side = name[2:] if name[:2] in ("l-", "r-") else name
        groups.setdefault(side, []).append(i)
    return tuple(tuple(groups[name]) for name in sorted(groups))
