"""``python -m lineage show run=RUN``: what a run is made of and how far it is."""

import sys
from typing import Any

from lineage.door import options, run_door, verb_and_words

HELP = """
python -m lineage [show] run=RUN [checkpoints=FOLDER] [json=true]

  python -m lineage show run=demo             revision, data, parent, stages and their state
  python -m lineage show run=demo json=true   the same as one JSON object
"""


def main(words: list[str]) -> dict[str, Any]:
    """Show a run; raises TactError."""
    verb, words = verb_and_words(words, ("show",))
    given = options(words, ("run", "checkpoints", "json"))
    from lineage import show
    from lineage.errors import TactError
    from lineage.place import place

    if "run" not in given:
        raise TactError("give run=RUN")
    folder = place(given.get("checkpoints", "checkpoints"))
    return show.show(given["run"], folder, quiet=given.get("json") == "true")


if __name__ == "__main__":
    sys.exit(run_door(main, HELP))
