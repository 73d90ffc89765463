"""``python -m evaluation run=RUN``: measure a run as it now stands."""

import sys
from typing import Any

from lineage.door import options, run_door, verb_and_words

HELP = """
python -m evaluation [report|show] run=RUN [checkpoints=FOLDER] [cache=FOLDER] [json=true]

  python -m evaluation run=demo         measure the run after its last finished stage
  python -m evaluation show run=demo    the table of all its reports, nothing measured
  python -m evaluation claims           run what conf/claim claims, as far as it is not done
  python -m evaluation claims dry_run=true [only=NAME] [seeds=[0]]   what is done and what is not
"""


def main(words: list[str]) -> Any:
    """Measure or show; raises TactError."""
    verb, words = verb_and_words(words, ("report", "show", "claims"))
    if verb == "claims":
        from evaluation import claims

        return claims.door(words)
    given = options(words, ("run", "checkpoints", "cache", "json"))
    from evaluation import report, table
    from lineage import show
    from lineage.errors import TactError
    from lineage.run import RunFolder

    if "run" not in given:
        raise TactError("give run=RUN")
    folder = show.root(given.get("checkpoints", "checkpoints"))
    run = RunFolder.existing(given["run"], checkpoints=folder)
    if verb == "report":
        report.report(run, cache=given.get("cache"))
    return table.show(run, quiet=given.get("json") == "true")


if __name__ == "__main__":
    sys.exit(run_door(main, HELP))
