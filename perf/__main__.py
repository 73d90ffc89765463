"""``python -m perf``: what a step and preparing rows cost, and how well a plan foretells."""

import sys
from typing import Any

from lineage.door import options, run_door, verb_and_words

HELP = """
python -m perf clipping [rounds=10] [threads=1] [rows=16] [write=true] [json=true]
python -m perf rows [rows=100000] [write=true] [json=true]
python -m perf foretold [experiment=demo] [write=true] [json=true]

  python -m perf clipping                time and memory of a step, plain, ours and Opacus' two
  python -m perf rows                    100,000 rows prepared: speed, memory, going on if killed
  python -m perf foretold                stages' time by a probe, and as they are trained
  python -m perf clipping write=true     the same into perf/clipping.json
"""


def main(words: list[str]) -> dict[str, Any]:
    """Measure and show; raises TactError."""
    verb, words = verb_and_words(words, ("clipping", "rows", "foretold"))
    from pathlib import Path

    from lineage.files import write_json
    from perf import show

    if verb == "rows":
        given = options(words, ("rows", "write", "json"))
        found, print_table = _rows(given), show.rows
    elif verb == "foretold":
        given = options(words, ("experiment", "write", "json"))
        found, print_table = _foretold(given), show.foretold
    else:
        given = options(words, ("rounds", "threads", "rows", "write", "json"))
        found, print_table = _clipping(given), show.clipping
    if given.get("write") == "true":
        write_json(Path(__file__).with_name(f"{verb}.json"), found)
    if given.get("json") != "true":
        print_table(found)
    return found


def _clipping(given: dict[str, str]) -> dict[str, Any]:
    from perf.cost import measure
    from perf.steps import Size

    return measure(
        rounds=_whole(given, "rounds", 10),
        threads=_whole(given, "threads", 1),
        size=Size(rows=_whole(given, "rows", 16)),
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )


def _rows(given: dict[str, str]) -> dict[str, Any]:
    from perf.rows import measure

    return measure(rows=_whole(given, "rows", 100_000))


def _foretold(given: dict[str, str]) -> dict[str, Any]:
    from perf.foretold import measure

    return measure(experiment=given.get("experiment", "demo"))


def _whole(given: dict[str, str], key: str, default: int) -> int:
    from lineage.errors import TactError

    value = given.get(key, str(default))
    if not value.isdigit() or int(value) < 1:
        raise TactError(f"{key}={value}: give a whole number above 0")
    return int(value)


if __name__ == "__main__":
    sys.exit(run_door(main, HELP))
