"""Which units a step takes, which of their rows, and in what physical batches."""

from collections.abc import Mapping, Sequence

import numpy as np


def draw(units: int, *, rate: float, stream: np.random.Generator) -> list[int]:
    """Poisson sampling: each of ``units`` on its own with chance ``rate``; there may be none."""
    return np.flatnonzero(stream.random(units) < rate).tolist()


def rows_of(
    drawn: Sequence[int],
    rows: Mapping[int, Sequence[int]],
    *,
    most: int,
    stream: np.random.Generator,
) -> dict[int, list[int]]:
    """Of each drawn unit at most ``most`` of its rows, chosen without replacement."""
    found = {}
    for unit in drawn:
        own = rows.get(unit, ())
        count = min(most, len(own))
        found[unit] = [own[i] for i in stream.permutation(len(own))[:count]]
    return found


def share(
    chosen: Mapping[int, Sequence[int]], *, rank: int, world: int
) -> dict[int, Sequence[int]]:
    """What of the drawn units is process ``rank``'s own, by position: each unit is in one share."""
    return dict(list(chosen.items())[rank::world])


def physical(chosen: Mapping[int, Sequence[int]], *, rows: int) -> list[dict[int, list[int]]]:
    """Units in batches of at most ``rows`` rows, a unit never in two.

    A unit with more rows than that is a batch of its own.
    """
    batches: list[dict[int, list[int]]] = []
    size = 0
    for unit, own in chosen.items():
        if not own:
            continue
        if not batches or size + len(own) > rows:
            batches.append({})
            size = 0
        batches[-1][unit] = list(own)
        size += len(own)
    return batches
