"""``python -m evaluation run=RUN``: measure a run as it now stands."""

import sys
from typing import Any

from lineage.door import options, run_door, verb_and_words

HELP = """
python -m evaluation [report|show|compare] run=RUN [checkpoints=FOLDER] [cache=FOLDER] [json=true]

  python -m evaluation run=demo                        measure it after its last finished stage
  python -m evaluation show run=demo                   the table of all its reports, as they are
  python -m evaluation compare run=[demo,demo-open]    last reports of several runs side by side
"""


def main(words: list[str]) -> Any:
    """Measure, show or compare; raises TactError."""
    verb, words = verb_and_words(words, ("report", "show", "compare"))
    given = options(words, ("run", "checkpoints", "cache", "json"))
    from evaluation import compare, report, table
    from lineage import show
    from lineage.errors import TactError
    from lineage.run import RunFolder

    if "run" not in given:
        raise TactError("give run=RUN")
    folder = show.root(given.get("checkpoints", "checkpoints"))
    quiet = given.get("json") == "true"
    if verb == "compare":
        return compare.compare(given["run"], checkpoints=folder, quiet=quiet)
    run = RunFolder.existing(given["run"], checkpoints=folder)
    if verb == "report":
        report.report(run, cache=given.get("cache"))
    return table.show(run, quiet=quiet)


if __name__ == "__main__":
    sys.exit(run_door(main, HELP))
