"""The tables of the page: rows of cells, each number with its interval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evaluation.records import Key, Record, headline, keyed
from evaluation.words import counted, interval, number, words

CONTROLS = ("before", "sft_only", "system_prompt", "refuse_all", "constant")
PARTS = (
    ("behaviour", "held_out"), ("behaviour", "seen"), ("paraphrases", "held_out"),
    ("paraphrases", "seen"),
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """A figure or words, with what stands small below it."""

    text: str
    small: str = ""
    numeric: bool = True


@dataclass(frozen=True)
class Table:
    """Columns, and rows whose first cell is their header, under headings of groups of rows."""

    caption: str
    columns: tuple[str, ...]
    parts: tuple[tuple[str, tuple[tuple[Cell, ...], ...]], ...]


def attack(best: Mapping[str, Record], floor: Mapping[str, Record], caption: str) -> list[Table]:
    """What the best attacker got of each attribute, and how far that is above the floor."""
    rows = []
    for attribute, one in best.items():
        under = floor.get(attribute)
        above = f"{one['value'] - under['value']:+.3f}".replace("-", "−") if under else "–"
        who = Cell(
            one["attacker"] or "–",
            f"chosen on {one['chosen_on']}" if one["chosen_on"] else "",
            False,
        )
        row = (
            _words(words(attribute)),
            _value(one),
            _value(under),
            Cell(above),
            _counted(one),
            who,
        )
        rows.append((*row, Cell(one["note"], "", False)) if _noted(best) else row)
    columns = ("attribute", "AUC", "floor", "above floor", "n", "attacker")
    return _table(caption, (*columns, "note") if _noted(best) else columns, rows)


def plain(found: Sequence[Record], caption: str) -> list[Table]:
    """A row for each group: value, interval, n."""
    rows = [(_words(words(one["group"])), _value(one), _counted(one)) for one in found]
    return _table(caption, ("", "value", "n"), rows)


def attackers(found: Sequence[Record], caption: str) -> list[Table]:
    """A row for each attacker, a column for each attribute; weak ones are marked."""
    each = [one for one in found if one["chosen_on"] is None]
    attributes = list(dict.fromkeys(one["group"] for one in each))
    rows = []
    for who in dict.fromkeys(one["attacker"] for one in each):
        own = {one["group"]: one for one in each if one["attacker"] == who}
        rows.append((_words(who or "–"), *(_value(own.get(a), marked=True) for a in attributes)))
    return _table(caption, ("attacker", *(words(a) for a in attributes)), rows)


def flips(found: Sequence[Record]) -> list[Table]:
    """A row for each attribute, the null twin last; a column for each kind of question."""
    own = {one["group"]: one for one in headline(found)}
    each = (group.partition("/")[2] for group in own)
    kinds = [k for k in dict.fromkeys(each) if not k.endswith("above_twin") or k.startswith("all")]
    changed = list(dict.fromkeys(group.partition("/")[0] for group in own))
    rows = [
        (_words(words(what)), *(_value(own.get(f"{what}/{kind}")) for kind in kinds))
        for what in sorted(changed, key=lambda one: one == "twin")
    ]
    caption = f"Share of answers that change, by kind of question; n = {counted(found)}"
    return _table(caption, ("changed", *(words(kind) for kind in kinds)), rows)


def behaviour(
    now: Sequence[Record], others: Mapping[str, Sequence[Record]], title: str
) -> list[Table]:
    """Every figure of what it says, with a column for each control there is."""
    names = [name for name in CONTROLS if name in others]
    names += [name for name in others if name not in names]
    found = [keyed(now), *(keyed(others[name]) for name in names)]
    keys = list(dict.fromkeys(key for one in found for key in one))
    parts = []
    for suite, phrasing in PARTS:
        rows = [
            (_words(_said(key)), *(_value(one.get(key)) for one in found), _n(found, key))
            for key in keys
            if key[0] == suite and key[2].startswith(f"{phrasing}/")
        ]
        said = "Paraphrases and hints, " if suite == "paraphrases" else ""
        heading = said + words(phrasing)
        parts += [(heading[0].upper() + heading[1:], tuple(rows))] if rows else []
    columns = ("", title, *(_control(name, others[name]) for name in names), "n")
    return [Table("What it says, beside its controls", columns, tuple(parts))] if parts else []


def every(found: Sequence[Record], caption: str) -> Table:
    """All records with all that is known of them."""
    columns = ("measure", "group", "value", "n", "attacker", "chosen on", "of", "note")
    rows = tuple(
        (
            _words(words(one["name"])),
            Cell(words(one["group"]), one["suite"], False),
            Cell(number(one["value"]), f"{interval(one)} ({100 * one['level']:g} %)"),
            _counted(one),
            *(Cell(one[key] or "–", "", False) for key in ("attacker", "chosen_on")),
            _words(", ".join(filter(None, (one["stage"], f"seed {one['seed']}")))),
            Cell(one["note"], "", False),
        )
        for one in found
    )
    return Table(caption, columns, (("", rows),))


def _table(caption: str, columns: tuple[str, ...], rows: Sequence[tuple[Cell, ...]]) -> list[Table]:
    return [Table(caption, columns, (("", tuple(rows)),))] if rows else []


def _words(text: str) -> Cell:
    return Cell(text, "", False)


def _value(record: Record | None, *, marked: bool = False) -> Cell:
    if record is None:
        return Cell("–")
    weak = ", too weak" if marked and "too weak" in record["note"] else ""
    return Cell(number(record["value"]) + weak, interval(record))


def _counted(record: Record) -> Cell:
    return Cell(counted([record]))


def _noted(found: Mapping[str, Record]) -> bool:
    return any(one["note"] for one in found.values())


def _n(found: Sequence[Mapping[Key, Record]], key: Key) -> Cell:
    return Cell(counted([one[key] for one in found if key in one]))


def _said(key: Key) -> str:
    return f"{words(key[1])}: {words(key[2].partition('/')[2])}"


def _control(name: str, found: Sequence[Record]) -> str:
    stage = found[0]["stage"]
    return f"{words(name)} ({stage})" if stage else words(name)
