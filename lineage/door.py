"""What all doors share: words of a command line, errors without traceback, exit status."""

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from lineage.errors import TactError
from lineage.files import is_full


def wants_help(words: Sequence[str]) -> bool:
    """Whether the command is bare or asks for help."""
    return not words or bool({"--help", "-h", "help"} & set(words))


def verb_and_words(words: Sequence[str], verbs: Sequence[str]) -> tuple[str, list[str]]:
    """The first word if it is a verb, else the first of ``verbs``; TactError on an unknown one."""
    if words and "=" not in words[0]:
        if words[0] not in verbs:
            raise TactError(f"unknown verb {words[0]!r}; there are: {', '.join(verbs)}")
        return words[0], list(words[1:])
    return verbs[0], list(words)


def options(words: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """``key=value`` words as a mapping; TactError names an unknown key and what there is."""
    found = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key not in known:
            raise TactError(f"unknown {word!r}; there are: {', '.join(f'{k}=…' for k in known)}")
        found[key] = value
    return found


def run_door(main: Callable[[list[str]], Any], text: str) -> int:
    """Run a door: help, one clear error with its status, or what it returns as JSON if asked."""
    words = sys.argv[1:]
    if wants_help(words):
        print(text.strip())
        return 0
    try:
        result = main(words)
    except Exception as error:
        said = told(error)
        if said is None:
            raise
        print(f"error: {said}", file=sys.stderr)
        return error.status if isinstance(error, TactError) else 2
    if "json=true" in words:
        print(json.dumps(result))
    return 0


def told(error: BaseException) -> str | None:
    """What the user is told of an error that they can mend; None of any other."""
    if isinstance(error, TactError) or type(error).__name__ == "ConfigError":
        return str(error)
    if is_full(error):  # a log or a picture, which libraries write
        return (
            f"no space left ({str(error).splitlines()[0]}); what was saved before is whole. Free "
            "space and run the same command again"
        )
    return None
