"""``python -m export run=RUN``: write a finished run's model for transformers; ``push`` it."""

import sys
from typing import Any

from lineage.door import options, run_door, verb_and_words

HELP = """
python -m export [write] run=RUN [form=merged|adapter] [dtype=float32|bfloat16] [base=HUB_ID]
                 [allow=[BOUND,…]] [checkpoints=FOLDER] [cache=FOLDER] [json=true]
python -m export push run=RUN to=OWNER/NAME [update=true] [public=true]

  python -m export run=demo                     writes checkpoints/demo/export/: model, card,
                                                privacy.json; refused where these can't be stood by
  python -m export run=demo dtype=bfloat16      rounded to half the size
  python -m export run=demo allow=[leak_rate]   though the policy bounds it; the card then says so
  python -m export push run=demo to=ME/demo     to the Hub, private, in one commit; the same command
                                                goes on with a push that was cut off
"""
OWN = ("form", "dtype", "base", "allow", "cache")


def main(words: list[str]) -> Any:
    """Export or push; raises TactError."""
    verb, words = verb_and_words(words, ("write", "push"))
    more = OWN if verb == "write" else ("to", "update", "public", "cache")
    given = options(words, ("run", "checkpoints", *more, "json"))
    from lineage.errors import TactError
    from lineage.place import place
    from lineage.run import RunFolder

    if "run" not in given:
        raise TactError("give run=RUN")
    folder = place(given.get("checkpoints", "checkpoints"))
    run = RunFolder.existing(given["run"], checkpoints=folder)
    done = _write(run, given) if verb == "write" else _push(run, given)
    lines = done.pop("lines")
    if given.get("json") != "true":
        print("\n".join(lines))
    return done


def _write(run: Any, given: dict[str, str]) -> dict[str, Any]:
    from export.run import export

    wanted: dict[str, Any] = {key: given[key] for key in OWN if key in given}
    if "allow" in wanted:
        wanted["allow"] = [n.strip() for n in wanted["allow"].strip("[]").split(",") if n.strip()]
    done = export(run, wanted=wanted)
    lines = [f"export: {done['export']}"]
    for name, found in done["not_met"].items():
        lines.append(f"the policy's bound {name} is not met, as the card says first: {found}")
    return {**done, "lines": lines}


def _push(run: Any, given: dict[str, str]) -> dict[str, Any]:
    from export.hub import push
    from export.ready import ready
    from lineage.errors import TactError

    if "to" not in given:
        raise TactError("give to=OWNER/NAME: where on the Hub it goes")
    asked = {key: given.get(key, "false") == "true" for key in ("update", "public")}
    done = push(run, ready(run, cache=given.get("cache")), to=given["to"], **asked)
    seen = "public" if done["public"] else "private: public=true shows it to all"
    return {**done, "lines": [f"pushed {done['files']} files to {done['to']}, one commit ({seen})"]}


if __name__ == "__main__":
    sys.exit(run_door(main, HELP))
