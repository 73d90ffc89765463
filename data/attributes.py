"""The attributes that Tact's labelled sources speak of, and their classes.

A *sensitive* attribute may be used only where its user stated it; a *free* one is a fact that
any answer may tell; a *proxy* is neither told nor asked, but may correlate with a sensitive one.
Which of the sensitive ones are prohibited in a use is the policy's to say (``conf/policy``).
"""

from typing import Final

SENSITIVE: Final[dict[str, tuple[str, ...]]] = {
    "gender": ("woman", "man"),
    "age": ("young adult", "middle-aged", "senior"),
    "skin": ("fair", "light", "tan", "bronze", "deep"),
    "expression": ("neutral", "happy", "sad", "surprised"),
}
FREE: Final[dict[str, tuple[str, ...]]] = {
    "glasses": ("no", "yes"),
    "hair": ("black", "brown", "blond", "red", "grey"),
    "top": ("red", "blue", "green", "yellow", "white", "black", "purple"),
    "place": ("office", "park", "kitchen", "street", "beach"),
}
PROXIES: Final[dict[str, tuple[str, ...]]] = {
    "hair_style": ("long", "bob", "short", "buzz"),
    "beard": ("no", "yes"),
    "lipstick": ("no", "yes"),
}
CLASSES: Final[dict[str, tuple[str, ...]]] = {**SENSITIVE, **FREE, **PROXIES}


def class_index(attribute: str, value: str) -> int:
    """Index of ``value`` among the classes of ``attribute``; raises ValueError that names both."""
    if attribute not in CLASSES:
        raise ValueError(f"unknown attribute {attribute!r}; known: {', '.join(CLASSES)}")
    if value not in CLASSES[attribute]:
        known = ", ".join(CLASSES[attribute])
        raise ValueError(f"unknown class {value!r} of attribute {attribute!r}; known: {known}")
    return CLASSES[attribute].index(value)
