"""``python -m data show``: look at a source and at the rows that stages make of it."""

import sys
from typing import Any

from lineage.door import run_door, verb_and_words

HELP = """
python -m data show [data=NAME] [experiment=NAME] [key=value …]

Prints people and pictures by split, counts by attribute and by two attributes together, and
writes a contact sheet with dialogues (PNG) and the rows that would be rejected.

  python -m data show experiment=demo
  python -m data show data=folder data.source.path=FOLDER
"""


def main(words: list[str]) -> Any:
    """Show; raises TactError or ConfigError."""
    _, words = verb_and_words(words, ("show",))
    from conf.compose import load
    from data.show import show

    return show(load(words, check=False))


if __name__ == "__main__":
    sys.exit(run_door(main, HELP))
