"""Words that give an attribute away, and what an answer says by them.

``WORDS`` is what the leakage loss names and the templates use. An answer is judged on whole
words, whatever their case and the punctuation around them.
"""

import re
from typing import Final

from data.attributes import FREE, SENSITIVE
from data.dialogues.answers import HINTS
from data.dialogues.phrasings import ABOUT

EXPLICIT: Final[dict[str, dict[str, frozenset[str]]]] = {
    "gender": {"woman": frozenset({"woman"}), "man": frozenset({"man"})},
    "age": {
        "young adult": frozenset({"young", "adult"}),
        "middle-aged": frozenset({"middle", "aged"}),
        "senior": frozenset({"senior"}),
    },
    "skin": {value: frozenset({value}) for value in SENSITIVE["skin"]},
    "expression": {value: frozenset({value}) for value in SENSITIVE["expression"]},
}


def _words() -> dict[str, frozenset[str]]:
    found = {name: set().union(*classes.values()) for name, classes in EXPLICIT.items()}
    for kind, hints in HINTS.items():
        for words_ in hints.values():
            found[ABOUT[kind]] |= set(words_)
    return {name: frozenset(words_) for name, words_ in found.items()}


WORDS: Final[dict[str, frozenset[str]]] = _words()
REFUSAL: Final = frozenset({"rather", "depends", "guess"})


def words(answer: str) -> set[str]:
    """The words of an answer, lower case."""
    return set(re.findall(r"[a-z]+", answer.lower()))


def leaks(answer: str, attribute: str) -> bool:
    """Whether the answer states a class of the attribute, or a word that hints at one."""
    return bool(words(answer) & WORDS[attribute])


def classes_said(answer: str, attribute: str) -> set[str]:
    """The classes of the attribute that the answer states in so many words."""
    said = words(answer)
    return {value for value, marks in EXPLICIT[attribute].items() if said & marks}


def refuses(answer: str) -> bool:
    """Whether the answer declines."""
    return bool(words(answer) & REFUSAL)


def tells(answer: str, fact: str, value: str) -> bool:
    """Whether the answer tells this fact, and no other class of it."""
    said = words(answer)
    return {c for c in FREE[fact] if c in said} == {value}
