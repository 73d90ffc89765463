"""``python -m evaluation run=RUN``: measure a run as it now stands."""

import sys
from typing import Any

from lineage.door import options, run_door, verb_and_words

HELP = """
python -m evaluation [report|show] run=RUN [stage=STAGE] [again=true]
    [checkpoints=FOLDER] [cache=FOLDER] [json=true]

  python -m evaluation run=demo         measure the run after its last finished stage, or stage=
  python -m evaluation show run=demo    the table of all its reports, nothing measured
"""


def main(words: list[str]) -> Any:
    """Measure or show; raises TactError."""
    verb, words = verb_and_words(words, ("report", "show"))
    given = options(words, ("run", "stage", "again", "checkpoints", "cache", "json"))
    from evaluation import report, table
    from lineage import show
    from lineage.errors import TactError
    from lineage.run import RunFolder

    if "run" not in given:
        raise TactError("give run=RUN")
    folder = show.root(given.get("checkpoints", "checkpoints"))
    run = RunFolder.existing(given["run"], checkpoints=folder)
    if verb == "report":
        report.report(
            run,
            stage=given.get("stage"),
            cache=given.get("cache"),
            again=given.get("again") == "true",
        )
    return table.show(run, quiet=given.get("json") == "true")


if __name__ == "__main__":
    sys.exit(run_door(main, HELP))
