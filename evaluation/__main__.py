"""``python -m evaluation run=RUN``: measure a run, show its figures, lay runs side by side."""

import sys
from typing import Any

from lineage.door import options, run_door, verb_and_words

HELP = """
python -m evaluation [report|show|compare] run=RUN [stage=STAGE] [again=true]
    [checkpoints=FOLDER] [cache=FOLDER] [json=true]

  python -m evaluation run=demo                        measure it after its last finished stage
  python -m evaluation run=demo stage=instruct         the same after an earlier one
  python -m evaluation show run=demo                   the table of all its reports, as they are
  python -m evaluation compare run=[demo,demo-open]    last reports of several runs side by side
  python -m evaluation claims [only=NAME] [seeds=[0]]  run what conf/claim/ claims, as far as it is
                                                       not done; dry_run=true lists what is;
                                                       threads=1: several at once, other seeds=

A report that is there, of these weights and this config, is kept; again=true measures anew.
"""


def main(words: list[str]) -> Any:
    """Measure, show or compare; raises TactError."""
    verb, words = verb_and_words(words, ("report", "show", "compare", "claims"))
    if verb == "claims":
        from evaluation import claims

        return claims.door(words)
    given = options(words, ("run", "stage", "again", "checkpoints", "cache", "json"))
    from evaluation import table
    from lineage.errors import TactError
    from lineage.place import place
    from lineage.run import RunFolder

    if "run" not in given:
        raise TactError("give run=RUN")
    folder = place(given.get("checkpoints", "checkpoints"))
    quiet = given.get("json") == "true"
    if verb == "compare":
        from evaluation import compare

        return compare.compare(given["run"], checkpoints=folder, quiet=quiet)
    run = RunFolder.existing(given["run"], checkpoints=folder)
    if verb == "report":
        from evaluation import report

        again = given.get("again") == "true"
        report.report(run, stage=given.get("stage"), cache=given.get("cache"), again=again)
    return table.show(run, quiet=quiet)


if __name__ == "__main__":
    sys.exit(run_door(main, HELP))
