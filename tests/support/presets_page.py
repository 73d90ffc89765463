"""``python tests/support/presets_page.py``: what each preset takes, by plan, into docs/presets.md.

No weight and no file of the Hub is read: models on shapes alone, with a tiny tokenizer.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from published_models import MODELS

from conf.compose import load
from conf.schema import Config
from lineage import files
from lineage.place import CHECKOUT
from slurm.gpus import SHARE, SIZES_GB
from slurm.plan import planned

PAGE = CHECKOUT / "docs" / "presets.md"
WORDS = ("experiment=demo", "run=plan", "steps=[instruct,prefer]", "trainer=gpu",
         "trainer.cache_features=false", "json=true")  # fmt: skip
COLUMNS = ("preset", "stage", "longest row", "weights", "32 rows at once",
           *(f"{size} GB" for size in SIZES_GB))  # fmt: skip
HEAD = f"""\
# What the presets take

Written by `python tests/support/presets_page.py` (minutes; nothing is downloaded): `python -m slurm
plan` of each preset's `instruct` and `prefer` as in `experiment=demo`, LoRA on an open model in
bfloat16, one GPU, the tower run at every step. GB are 10^9 bytes, of tensors at a step's fullest
moment.

Under a GPU's size stands how many rows go through it at once; a step of 32 rows is then split by
`trainer.accumulate`. {SHARE:.0%} of a GPU is filled: the rest is the CUDA context, fragments and
the plan's own error (within 15 % of torch's record of its allocations on small models on a CPU; no
preset has been run on a GPU). Rows are longer with a model's own tokenizer than here, where a word
is a token. Weights are with Tact's heads: adversaries and the reader see all tokens of a picture at
once, which on open tokens weighs several GB.

"""


def preset(name: str, *words: str) -> Config:
    """The config of a preset whose weights are not there."""
    config = load([f"model={name}", *WORDS, *words])
    parts = {"_target_": "published_models.made", "name": name}
    config.model = replace(config.model, id=None, revision=None, parts=parts)
    return config


def lines(name: str, found: dict[str, Any]) -> Iterator[str]:
    """A preset's lines of the table, one a stage."""
    for each in found["stages"]:
        memory = each["memory"]
        cells = [
            f"`{name}`", f"`{each['stage']}`", f"{each['longest_tokens']} tokens",
            f"{memory['weights'] / 1e9:.1f} GB", f"{memory['peak'] / 1e9:.1f} GB",
            *(str(rows or "none") for rows in each["gpus"].values()),
        ]  # fmt: skip
        yield f"| {' | '.join(cells)} |"


def main(names: list[str]) -> None:
    """Write the page, or print the lines of some presets."""
    made: list[str] = []
    for name in names or MODELS:
        made += lines(name, planned(preset(name)))
        print(*made[-2:], sep="\n", flush=True)
    if not names:
        table = [f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS), *made]
        files.write_text(Path(PAGE), HEAD + "\n".join(table) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
