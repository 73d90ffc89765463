"""How one resolved config differs from another, key by key."""

from collections.abc import Iterator, Sequence
from typing import Any

import yaml

ABSENT = "(not there)"


def difference(old: str, new: str, *, ignore: Sequence[str] = ()) -> list[str]:
    """``key: old → new`` for each key whose value differs between two YAML texts.

    A name in ``ignore`` that is a key of the top level stands for that key and all below it; any
    other name (or dotted end of one) stands for keys that end so. Lists are values, as a whole.
    """
    before, after = yaml.safe_load(old) or {}, yaml.safe_load(new) or {}
    top = {*before, *after}
    values, others = dict(_flat(before)), dict(_flat(after))
    return [
        f"{key}: {values.get(key, ABSENT)} → {others.get(key, ABSENT)}"
        for key in dict.fromkeys([*values, *others])
        if values.get(key, ABSENT) != others.get(key, ABSENT) and not _ignored(key, ignore, top)
    ]


def _flat(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _ignored(key: str, ignore: Sequence[str], top: set[str]) -> bool:
    return any(
        f"{key}.".startswith(f"{name}.") if name in top else f".{key}".endswith(f".{name}")
        for name in ignore
    )
