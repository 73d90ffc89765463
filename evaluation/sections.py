"""What the page holds below its first screen: sections of figures, tables and limits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evaluation import figures, tables
from evaluation.figures import Figure
from evaluation.records import CONTROL, Record, by_group, controls, keyed, of
from evaluation.tables import Table
from evaluation.words import counted, number, words

TEXTS: dict[str, tuple[str, str, str]] = {
    "interface": (
        "What leaves the device",
        "Fresh attackers are trained on other people's tokens and tested on people whom neither "
        "the model nor they have seen.",
        "A stronger attacker, or one with more people or pictures, may read more.",
    ),
    "curve": (
        "More people, more pictures",
        "The best attacker by how many people he trained on and how many pictures of one person "
        "he holds.",
        "The curves end where the people of this report end; where they still rise, a larger "
        "attack reads more.",
    ),
    "behaviour": (
        "What it says",
        "Answers to people whom no stage has seen. Leaks are counted by words of a published "
        "lexicon.",
        "Other questions, other words and longer conversations may get more out of it. A low rate "
        "of leaks is worth something only beside facts that are right and use of what was shared.",
    ),
    "text": (
        "What its answers give away",
        "Attackers who see only answers to people who had not shared the attribute.",
        "These attackers read single answers; who gathers many answers of one person may "
        "read more.",
    ),
    "flips": (
        "What changes with one attribute",
        "The same person drawn again with one attribute changed and all else as it was. The null "
        "twin keeps every attribute and changes only the noise.",
        "Drawn people: a real photograph carries more with each attribute. A flip says that "
        "something got through, not what.",
    ),
}  # fmt: skip
FLOOR = (
    "The floor is what the same attackers get from the true free facts alone: what tells the facts "
    "tells that much."
)
BITS = "Nothing here is a guarantee but the {} bits that one picture leaves in."
PARAPHRASES = {
    True: "Paraphrases and hints, none of which training ever named, are counted apart.",
    False: "Paraphrases and hints were not counted.",
}
SUITES = {
    "behaviour": ("behaviour", "paraphrases"),
    "interface": ("interface", "strength", "codes"),
}


@dataclass(frozen=True)
class Section:
    """A part of the page; ``key`` is the figure that the first screen shows."""

    title: str
    lead: str
    limits: str
    records: Sequence[Record]
    key: Figure | None = None
    plots: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    more: Sequence[Table] = ()
    notes: Sequence[str] = ()

    @property
    def all(self) -> Table:
        """Every record of the section."""
        return tables.every(self.records, f"All measures: {self.title}")


def sections(report: dict[str, Any]) -> list[Section]:
    """Those of which the report has measures; suites that no section knows come last."""
    measures: list[Record] = report["measures"]
    made: list[Section] = []
    left = list(measures)
    for suite, build in BUILDERS.items():
        own = [m for m in measures if _belongs(m, suite)]
        left = [m for m in left if m not in own]
        if own:
            made.append(build(own, report))
    if left:
        made.append(Section("Other measures", "", "", left))
    return made


def _belongs(record: Record, suite: str) -> bool:
    control = suite == "behaviour" and record["suite"].startswith(CONTROL)
    return control or record["suite"] in SUITES.get(suite, (suite,))


def _interface(own: list[Record], report: dict[str, Any]) -> Section:
    best = by_group(of(own, "interface", "attacker_auc"))
    floor = by_group(of(own, "interface", "attacker_floor"))
    strength = of(own, "strength")
    kinds = {
        "best attacker": (figures.BEST, best),
        "floor": (figures.FLOOR, floor),
        "on the tower": (figures.TOWER, by_group(strength)),
    }
    bound = report.get("bounds", {}).get("attacker_auc")
    axis = "AUC of attackers on the tokens"
    facts = list(by_group(of(own, "interface", "fact_accuracy")).values())
    title, lead, limits = TEXTS["interface"]
    own_bits = report["interface"]["bits"] if report["interface"]["kind"] == "private" else None
    return Section(
        title,
        lead,
        f"{limits} {BITS.format(own_bits)}" if own_bits else limits,
        own,
        key=figures.attack("tokens", kinds, bound=bound, axis=axis),
        tables=[
            *tables.attack(best, floor, "The best attacker of each attribute"),
            *tables.plain(facts, "Free facts that the tokens still tell"),
        ],
        more=[
            *tables.attackers(of(own, "interface", "attacker_auc"), "Every attacker, AUC"),
            *tables.attackers(strength, "The same attackers on the frozen tower's features, AUC"),
        ],
        notes=[*([FLOOR] if floor else []), *_interface_notes(own, strength)],
    )


def _interface_notes(own: list[Record], strength: list[Record]) -> list[str]:
    notes = [
        f"Entropy of the codes: {number(m['value'])} bits ({number(m['low'])} to "
        f"{number(m['high'])}; n = {counted([m])})."
        for m in of(own, "codes", "code_entropy")
    ]
    weak: dict[str, list[str]] = {}
    for one in strength:
        if "too weak" in one["note"]:
            weak.setdefault(one["attacker"] or "attacker", []).append(words(one["group"]))
    if weak:
        named = "; ".join(f"{who} ({', '.join(what)})" for who, what in weak.items())
        notes.append(f"Too weak even on the frozen tower's features, so no evidence: {named}.")
    return notes


def _behaviour(own: list[Record], report: dict[str, Any]) -> Section:
    others = controls(own)
    before = others.get("before", [])
    now = [m for m in own if not m["suite"].startswith(CONTROL)]
    held_out = any(m["group"].startswith("held_out/") for m in now)
    stage = f"after {before[0]['stage']}" if before and before[0]["stage"] else "before"
    key = figures.behaviour(
        keyed(now),
        keyed(before),
        phrasing="held_out" if held_out else "seen",
        stages=(stage, f"after {report['stage']}"),
        bound=report.get("bounds", {}).get("leak_rate"),
    )
    table = tables.behaviour(now, others, f"after {report['stage']}")
    note = PARAPHRASES[bool(of(own, "paraphrases"))]
    return Section(*TEXTS["behaviour"], own, key=key, tables=table, notes=[note])


def _text(own: list[Record], report: dict[str, Any]) -> Section:
    best, floor = (
        by_group(of(own, "text", "text_attacker_auc")),
        by_group(of(own, "text", "attacker_floor")),
    )
    kinds = {"best attacker": (figures.BEST, best), "floor": (figures.FLOOR, floor)}
    plot = figures.attack("answers", kinds, bound=None, axis="AUC of attackers on the answers")
    return Section(
        *TEXTS["text"],
        own,
        notes=[FLOOR] if floor else [],
        plots=[plot] if plot else [],
        tables=tables.attack(best, floor, "The best text attacker of each attribute"),
        more=tables.attackers(of(own, "text", "text_attacker_auc"), "Every text attacker, AUC"),
    )


def _curve(own: list[Record], report: dict[str, Any]) -> Section:
    plots = [
        figures.curve(own, "people", axis="people that the attacker trained on"),
        figures.curve(own, "pictures", axis="pictures of one person"),
    ]
    return Section(*TEXTS["curve"], own, plots=[plot for plot in plots if plot])


def _flips(own: list[Record], report: dict[str, Any]) -> Section:
    plot = figures.flips(own)
    return Section(*TEXTS["flips"], own, plots=[plot] if plot else [], tables=tables.flips(own))


BUILDERS = {
    "interface": _interface,
    "behaviour": _behaviour,
    "text": _text,
    "flips": _flips,
    "curve": _curve,
}
