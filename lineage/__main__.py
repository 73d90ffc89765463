"""``python -m lineage``: what a run is made of, where a person was, and keeping them out."""

import sys
from typing import Any

from lineage.door import options, run_door, verb_and_words

HELP = """
python -m lineage [show] run=RUN [checkpoints=FOLDER] [json=true]
python -m lineage who|exclude subject=ID [checkpoints=FOLDER] [cache=FOLDER] [json=true]

  python -m lineage show run=demo             revision, data, parent, stages and their state
  python -m lineage show run=demo json=true   the same as one JSON object
  python -m lineage who subject=ID            in which runs, stages, reports and exports they were
  python -m lineage exclude subject=ID        keep them out of every run from now on, empty the
                                              caches of them, name the runs to train again
"""


def main(words: list[str]) -> dict[str, Any]:
    """Show a run, or a person's place in all runs; raises TactError."""
    verb, words = verb_and_words(words, ("show", "who", "exclude"))
    needed = "run" if verb == "show" else "subject"
    given = options(words, (needed, "checkpoints", "cache", "json"))
    from lineage.errors import TactError
    from lineage.place import place

    if not given.get(needed):
        raise TactError(f"give {needed}={'RUN' if needed == 'run' else 'ID'}")
    folder = place(given.get("checkpoints", "checkpoints"))
    quiet = given.get("json") == "true"
    if verb == "show":
        from lineage import show

        return show.show(given["run"], folder, quiet=quiet)
    from lineage import who

    if verb == "who":
        return who.who(given["subject"], folder, quiet=quiet)
    cache = place(given.get("cache", ".cache"))
    return who.exclude(given["subject"], folder, cache, quiet=quiet)


if __name__ == "__main__":
    sys.exit(run_door(main, HELP))
