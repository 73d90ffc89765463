"""``python -m privacy plan|show|verify``: what DP costs, and what a run has spent."""

import sys
from typing import Any

from lineage.door import options, run_door, verb_and_words

HELP = """
python -m privacy plan experiment=NAME [key=value …]
python -m privacy show|verify run=RUN [checkpoints=FOLDER] [json=true]

  python -m privacy plan experiment=portraits_dp privacy.epsilon=4   noise and epsilon by stage
  python -m privacy show run=first       what was charged so far, and what is not accounted
  python -m privacy verify run=first     does the ledger fit the config, the steps and the weights
"""


def main(words: list[str]) -> dict[str, Any]:
    """Plan, show or verify; raises TactError."""
    verb, words = verb_and_words(words, ("show", "plan", "verify"))
    from privacy import show

    if verb == "plan":
        from conf.compose import load

        return show.planned(load([*words, *([] if _named(words) else ["run=plan"])]))
    given = options(words, ("run", "checkpoints", "json"))
    from lineage.errors import TactError
    from lineage.place import place
    from lineage.run import RunFolder

    if "run" not in given:
        raise TactError("give run=RUN")
    folder = place(given.get("checkpoints", "checkpoints"))
    run = RunFolder.existing(given["run"], checkpoints=folder)
    return show.charged(run, verify=verb == "verify", quiet=given.get("json") == "true")


def _named(words: list[str]) -> bool:
    return any(word.startswith("run=") for word in words)


if __name__ == "__main__":
    sys.exit(run_door(main, HELP))
