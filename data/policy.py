"""Policies: which attributes are used only with consent, which never, and what is bounded."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from data.attributes import FREE, SENSITIVE
from data.errors import DataError

BOUNDS = ("leak_rate", "attacker_auc", "epsilon")


@dataclass(frozen=True)
class Policy:
    """For one use: attribute → why; the bounds that an export is checked against."""

    name: str
    sensitive: dict[str, str]  # used only with consent
    prohibited: dict[str, str]  # never inferred or used, consent or not
    bounds: dict[str, float]

    @property
    def readable(self) -> dict[str, tuple[str, ...]]:
        """Attributes that a reader may be trained for and shown: free ones and sensitive ones."""
        return {**{k: SENSITIVE[k] for k in self.sensitive}, **FREE}


def policy(raw: Mapping[str, Any]) -> Policy:
    """The policy of a ``conf/policy`` file; DataError where it leaves an attribute open.

    DataError too on a bound that isn't known or is out of range.
    """
    sensitive = {str(k): str(v) for k, v in (raw.get("sensitive") or {}).items()}
    prohibited = {str(k): str(v) for k, v in (raw.get("prohibited") or {}).items()}
    name = str(raw.get("name", "?"))
    for attribute in (*sensitive, *prohibited):
        if attribute not in SENSITIVE:
            raise DataError(
                f"policy={name}: unknown attribute {attribute!r}; known: {', '.join(SENSITIVE)}"
            )
    both = sensitive.keys() & prohibited.keys()
    if both:
        raise DataError(f"policy={name}: {', '.join(both)} is both sensitive and prohibited")
    open_ = [a for a in SENSITIVE if a not in sensitive and a not in prohibited]
    if open_:
        raise DataError(f"policy={name}: says nothing of {', '.join(open_)}; add each to a list")
    return Policy(name, sensitive, prohibited, _bounds(raw.get("bounds") or {}, name))


def _bounds(raw: Mapping[str, Any], name: str) -> dict[str, float]:
    """The bounds as numbers; DataError on an unknown one or a value that bounds nothing."""
    for key, value in raw.items():
        where = f"policy={name}: bounds.{key}={value}"
        if key not in BOUNDS:
            raise DataError(f"{where}: no such bound; known: {', '.join(BOUNDS)}")
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value):
            raise DataError(f"{where}: give a number")
        if key == "epsilon" and value <= 0:
            raise DataError(f"{where}: it must be above 0; drop it where nothing is bounded")
        if key != "epsilon" and not 0 <= value <= 1:
            raise DataError(f"{where}: it must be in [0, 1]")
    return {str(key): float(value) for key, value in raw.items()}
