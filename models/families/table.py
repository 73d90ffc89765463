"""``docs/families.md``: family by what is supported, from the families' files."""

import importlib
from collections.abc import Iterator
from typing import Final

from models.families import FILES
from models.families.support import Support

TAKES: Final = {"whole": "whole", "crops": "crops and the whole", "patches": "patches"}
BOTH_WAYS: Final = {
    "nothing": "causal",
    "prompt": "the prompt both ways",
    "pictures": "each picture both ways",
}
COLUMNS: Final = (
    "family", "`model_type`", "pictures a row", "a picture is", "attention",
    "one-sequence pairs", "private interface", "DP", "strategies", "note",
)  # fmt: skip
NOT_YET: Final = "not yet"
CLIPPED: Final = "LoRA, projector, codes, adversaries"
HEAD: Final = """\
# Model families

A model is found by the `model_type` in its `config.json`. A family without a file under
`models/families/` is refused by name. This page is written by `python -m models.families write`
from what those files say of themselves, and tests hold it to models of each family.
"""
FOOT: Final = """\
- **A picture is** what the tower gets of it: the whole at the tower's size, crops with the whole
  beside them, or patches of one square. Families that take any size are given one square here;
  give an exported model's processor such squares too.
- **Attention**: sliding windows are built into the mask wherever the language model has them.
  Places by row and column are Qwen's M-RoPE. `model.attention` is `sdpa` or `eager`; flash
  attention is refused.
- **One-sequence pairs**: a recurrent or hybrid language model is refused for them by name; set
  `model.pairs=two_rows`.
- **Private interface**: the server half is the family's own causal language model, and reads words
  alone, causally.
- **DP**: per-unit clipping is exact on what is listed. A layer without an exact rule is refused by
  name on people who are not public.
- **Strategies**: only stages with `privacy.epsilon` train on several devices yet, for any family.
- All of this is tested on tiny models from config; no published checkpoint of these families has
  been trained here.
"""


def page() -> str:
    """The whole page, as it is committed."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(_row(types, own)) + " |" for types, own in supports()]
    return f"{HEAD}\n" + "\n".join(lines) + f"\n\n{FOOT}"


def supports() -> Iterator[tuple[list[str], Support]]:
    """Each family's model types and what its file supports, by name."""
    for module in dict.fromkeys(FILES.values()):
        types = [name for name, where in FILES.items() if where == module]
        yield types, importlib.import_module(module).SUPPORT


def _row(types: list[str], own: Support) -> tuple[str, ...]:
    return (
        own.models,
        ", ".join(f"`{name}`" for name in types),
        "1" if own.pictures == 1 else f"up to {own.pictures}",
        ", or ".join(TAKES[kind] for kind in own.takes),
        BOTH_WAYS[own.both_ways] + (", places by row and column" if own.grid else ""),
        "yes" if own.one_sequence else "no: `model.pairs=two_rows`",
        "yes" if own.private else "no",
        CLIPPED,
        NOT_YET,
        own.note,
    )
