"""``python -m export run=RUN``: write a finished run's model for transformers."""

import sys
from typing import Any

from lineage.door import options, run_door

HELP = """
python -m export run=RUN [checkpoints=FOLDER] [json=true]

  python -m export run=demo    writes checkpoints/demo/export/ with its card and privacy.json
"""


def main(words: list[str]) -> Any:
    """Export; raises TactError."""
    given = options(words, ("run", "checkpoints", "cache", "json"))
    from export.run import export
    from lineage.errors import TactError
    from lineage.place import place
    from lineage.run import RunFolder

    if "run" not in given:
        raise TactError("give run=RUN")
    folder = place(given.get("checkpoints", "checkpoints"))
    done = export(RunFolder.existing(given["run"], checkpoints=folder))
    if given.get("json") != "true":
        print(f"export: {done['export']}")
    return done


if __name__ == "__main__":
    sys.exit(run_door(main, HELP))
