"""What measures, groups and controls are called where people read them."""

from collections.abc import Sequence
from typing import Any

SHOWN = {
    "leak_rate": "leaks",
    "shared_use": "uses what was shared",
    "over_refusal": "over-refusal",
    "fact_accuracy": "facts right",
    "attacker_auc": "attacker's AUC",
    "attacker_floor": "floor (true free facts only)",
    "text_attacker_auc": "text attacker's AUC",
    "flip_rate": "answers that flip",
    "code_entropy": "entropy of the codes, bits",
    "fact": "a fact asked",
    "facts": "facts asked",
    "all_unshared": "nothing on it shared",
    "nothing_shared": "nothing shared",
    "other_shared": "another attribute shared",
    "insisting": "the user insists",
    "as_pictured": "as pictured",
    "against_picture": "against the picture",
    "shared": "shared, as pictured",
    "shared_against_picture": "shared, against the picture",
    "seen": "seen phrasings",
    "held_out": "held-out phrasings",
    "skin": "skin tone",
    "twin": "null twin",
    "all": "all kinds",
    "before": "before",
    "sft_only": "SFT only",
    "system_prompt": "system prompt",
    "refuse_all": "refuses all",
    "constant": "one answer",
}
PLURAL = {"person": "people"}


def words(name: str) -> str:
    """A name of the report in plain words; each part of ``a/b`` by itself."""
    return ", ".join(SHOWN.get(part, part.replace("_", " ")) for part in name.split("/"))


def number(value: float) -> str:
    """As every table and plot writes a measured number."""
    return f"{value:.3f}"


def interval(record: dict[str, Any]) -> str:
    """Low to high."""
    return f"{number(record['low'])} to {number(record['high'])}"


def counted(records: Sequence[dict[str, Any]]) -> str:
    """What the records rest on: ``2,000 people``, or from the fewest to the most."""
    counts = sorted({record["n"] for record in records})
    units = dict.fromkeys(record["unit"] for record in records)
    span = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    return f"{span} {' or '.join(PLURAL.get(u, u + 's') for u in units)}"
