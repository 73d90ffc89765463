"""Which of a report's measures stands for which claim: the chosen attacker among many."""

from collections.abc import Iterable
from typing import Any

Record = dict[str, Any]
Key = tuple[str, str, str]
CONTROL = "control/"


def of(measures: Iterable[Record], suite: str, *names: str) -> list[Record]:
    """The suite's records, of these names where any is given."""
    return [m for m in measures if m["suite"] == suite and (not names or m["name"] in names)]


def headline(measures: Iterable[Record]) -> list[Record]:
    """One record for each suite, name and group, in order.

    Of several attackers it is the one that was chosen on other people, and where none was, the
    strongest: an attack is worth what its best attacker gets.
    """
    found: dict[Key, Record] = {}
    for one in measures:
        key = (one["suite"], one["name"], one["group"])
        if key not in found or _rank(one) > _rank(found[key]):
            found[key] = one
    return list(found.values())


def by_group(measures: Iterable[Record]) -> dict[str, Record]:
    """The headline records of one name, by their group."""
    return {one["group"]: one for one in headline(measures)}


def controls(measures: Iterable[Record]) -> dict[str, list[Record]]:
    """The records of each control, by its name."""
    found: dict[str, list[Record]] = {}
    for one in measures:
        if one["suite"].startswith(CONTROL):
            found.setdefault(one["suite"].split("/")[1], []).append(one)
    return found


def keyed(measures: Iterable[Record]) -> dict[Key, Record]:
    """Records by suite, name and group, a control's where the model's own would be.

    ``control/before`` is of behaviour, ``control/before/paraphrases`` of paraphrases.
    """
    found = {}
    for one in measures:
        parts = one["suite"].split("/")
        suite = (parts[2:] or ["behaviour"])[0] if parts[0] == "control" else one["suite"]
        found[suite, one["name"], one["group"]] = one
    return found


def _rank(record: Record) -> tuple[bool, float]:
    return record["chosen_on"] is not None, record["value"]
