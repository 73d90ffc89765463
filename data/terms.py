"""Under which terms a source's pictures and words may be used, as an export carries them."""

from collections.abc import Mapping
from typing import Any

NOT_STATED = "not stated by the source: whoever exports answers for it"
KNOWN = {
    "data.portraits.table.portraits": {
        "licence": "rendered from a CC0-1.0 head (data/portraits/NOTICE)",
        "consent": "none needed: rendered people, no picture of anyone",
    },
}


def of(source: Mapping[str, Any]) -> list[dict[str, str]]:
    """One entry a set of the config's ``data.source``: set, licence, consent."""
    name = str(source["_target_"])
    known = KNOWN.get(name, {"licence": NOT_STATED, "consent": NOT_STATED})
    return [{"set": name, **known}]
