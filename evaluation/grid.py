"""The small grid of a claim: whatever mentions an axis in braces stands for one at each point."""

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from lineage.errors import TactError

Axes = Mapping[str, Mapping[str, Mapping[str, str]]]  # axis -> point -> variable -> value
NAMED = re.compile(r"\{(\w+)\}")
LATER = "seed"  # filled when a run is made


def axes(raw: Any, *, where: str) -> Axes:
    """Check ``axis: {point: {variable: value}}``; the axis' own name is a variable too."""
    made: dict[str, dict[str, dict[str, str]]] = {}
    for axis, points in _mapping(raw, f"{where}: grid").items():
        here = f"{where}: grid.{axis}"
        made[str(axis)] = {}
        for point, variables in _mapping(points, here).items():
            if isinstance(point, bool):
                raise TactError(f"{here}: YAML reads on, off, yes and no as truth values: quote it")
            more = _mapping(variables or {}, f"{here}.{point}")
            made[str(axis)][str(point)] = {
                str(axis): str(point), **{str(k): str(v) for k, v in more.items()}
            }  # fmt: skip
    _distinct(made, where=where)
    return made


def expanded(
    raw: Any, axes: Axes, *, where: str, only: Mapping[str, list[Any]] | None = None
) -> Iterator[tuple[dict[str, str], Any]]:
    """``({axis: point}, raw filled in)`` at each point of the axes that ``raw`` mentions.

    ``only`` limits axes to some of their points. TactError on a name that no axis has.
    """
    mentioned = {name for text in _texts(raw) for name in NAMED.findall(text)} - {LATER}
    used = [a for a in axes if any(mentioned & set(v) for v in axes[a].values())]
    given = _mapping(only or {}, f"{where}: where")
    limits = {axis: [str(point) for point in points] for axis, points in given.items()}
    for axis in limits:
        if axis not in used or set(limits[axis]) - set(axes[axis]):
            raise TactError(f"{where}: where.{axis}={limits[axis]}: no such axis or point here")
    for points in itertools.product(*(limits.get(axis, list(axes[axis])) for axis in used)):
        at = dict(zip(used, points, strict=True))
        values = {k: v for axis, point in at.items() for k, v in axes[axis][point].items()}
        if unknown := mentioned - set(values):
            names = sorted({k for points in axes.values() for v in points.values() for k in v})
            raise TactError(
                f"{where}: {{{min(unknown)}}} is nothing that can be filled in "
                f"{'at ' + str(at) if at else 'here'}; there are: {', '.join([LATER, *names])}"
            )
        yield at, _filled(raw, values)


def _filled(raw: Any, values: Mapping[str, str]) -> Any:
    if isinstance(raw, str):
        return NAMED.sub(lambda found: values.get(found[1], found[0]), raw)
    if isinstance(raw, dict):
        return {key: _filled(value, values) for key, value in raw.items()}
    if isinstance(raw, list | tuple):
        return [_filled(value, values) for value in raw]
    return raw


def _texts(raw: Any) -> Iterator[str]:
    if isinstance(raw, str):
        yield raw
    elif isinstance(raw, dict):
        yield from _texts(list(raw.values()))
    elif isinstance(raw, list | tuple):
        for value in raw:
            yield from _texts(value)


def _mapping(raw: Any, where: str) -> dict[Any, Any]:
    if not isinstance(raw, dict):
        raise TactError(f"{where}: must be a mapping, such as {{point: {{variable: value}}}}")
    return raw


def _distinct(made: Axes, *, where: str) -> None:
    owner: dict[str, str] = {LATER: "the seeds"}
    for axis, points in made.items():
        for name in {name for variables in points.values() for name in variables}:
            if owner.setdefault(name, axis) != axis:
                raise TactError(f"{where}: grid.{axis}: {name!r} is already of {owner[name]}")
