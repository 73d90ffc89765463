"""``python -m perf clipping``: what per-unit clipping costs, beside Opacus."""

import sys
from typing import Any

from lineage.door import options, run_door, verb_and_words

HELP = """
python -m perf clipping [rounds=10] [threads=1] [rows=16] [write=true] [json=true]

  python -m perf clipping                time and memory of a step, plain, ours and Opacus' two
  python -m perf clipping write=true     the same into perf/clipping.json
"""


def main(words: list[str]) -> dict[str, Any]:
    """Measure and show; raises TactError."""
    _, words = verb_and_words(words, ("clipping",))
    given = options(words, ("rounds", "threads", "rows", "write", "json"))
    from pathlib import Path

    from lineage.files import write_json
    from perf import show
    from perf.cost import measure
    from perf.steps import Size

    found = measure(
        rounds=_whole(given, "rounds", 10),
        threads=_whole(given, "threads", 1),
        size=Size(rows=_whole(given, "rows", 16)),
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    if given.get("write") == "true":
        write_json(Path(__file__).with_name("clipping.json"), found)
    if given.get("json") != "true":
        show.table(found)
    return found


def _whole(given: dict[str, str], key: str, default: int) -> int:
    from lineage.errors import TactError

    value = given.get(key, str(default))
    if not value.isdigit() or int(value) < 1:
        raise TactError(f"{key}={value}: give a whole number above 0")
    return int(value)


if __name__ == "__main__":
    sys.exit(run_door(main, HELP))
