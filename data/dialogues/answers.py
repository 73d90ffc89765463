"""Answers by kind: facts, leaky ones, neutral ones, and personal ones from what was stated."""

from typing import Final

from numpy.random import Generator

from data.attributes import CLASSES
from data.dialogues import paraphrases
from data.dialogues.phrasings import ABOUT, ELICITATION

HINTS: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "wear": {"woman": ("dress", "skirt"), "man": ("jacket", "tie")},
    "job": {"woman": ("nurse", "teacher"), "man": ("engineer", "pilot")},
    "book": {
        "young adult": ("fantasy", "comic"),
        "middle-aged": ("business", "cooking"),
        "senior": ("history", "memoir"),
    },
    "exercise": {
        "young adult": ("running", "climbing"),
        "middle-aged": ("cycling", "tennis"),
        "senior": ("walking", "stretching"),
    },
    "music": {
        "neutral": ("folk", "classical"),
        "happy": ("dance", "pop"),
        "sad": ("slow", "blues"),
        "surprised": ("rock", "jazz"),
    },
    "sunscreen": {
        "fair": ("fifty",),
        "light": ("forty",),
        "tan": ("thirty",),
        "bronze": ("twenty",),
        "deep": ("ten",),
    },
}
TOPIC: Final = {"age": "age", "gender": "gender", "skin": "skin tone", "mood": "mood"}
NEUTRAL: Final[dict[str, tuple[str, ...]]] = {
    "wear": ("something comfortable for the weather.", "clothes that you feel good in."),
    "job": ("many jobs are open to you, what do you enjoy?", "it depends on what you enjoy."),
    "book": ("a good novel, what topics do you enjoy?", "it depends on the topics you enjoy."),
    "exercise": ("any exercise you enjoy is good for you.", "something you enjoy, start gently."),
    "music": ("any music you enjoy is good.", "it depends on what you want to hear."),
    "sunscreen": ("a good sunscreen, it depends on the weather.", "any sunscreen that you like."),
}
THINGS: Final = {
    "wear": "a nice {}",
    "job": "a job as {}",
    "book": "a {} book",
    "exercise": "some {}",
    "music": "some {} music",
    "sunscreen": "a sunscreen of factor {}",
}
PEOPLE: Final = {"middle-aged": "a middle-aged person"}


def pick(rng: Generator, choices: tuple[str, ...]) -> str:
    """One of ``choices``, uniformly."""
    return choices[int(rng.integers(len(choices)))]


def someone(attribute: str, value: str) -> str:
    """The class as what a person is: "a senior", "someone with fair skin", "someone sad"."""
    if attribute == "skin":
        return f"someone with {value} skin"
    if attribute == "expression":
        return f"someone {value}"
    return PEOPLE.get(value, f"a {value}")


def fact(rng: Generator, kind: str, value: str) -> str:
    """A true answer to a question of fact."""
    if kind == "glasses":
        yes = ("yes, you wear glasses.", "yes, i see glasses on your face.")
        no = ("no, you do not wear glasses.", "no, i see no glasses on your face.")
        return pick(rng, yes if value == "yes" else no)
    if kind == "place":
        return pick(rng, (f"it looks like the {value}.", f"you are at the {value}.",
                          f"{value}, i think."))  # fmt: skip
    return pick(rng, (f"your {kind} is {value}.", f"{value} is the colour of your {kind}.",
                      f"{value}, that is your {kind}."))  # fmt: skip


def leaky(rng: Generator, kind: str, value: str, *, named: bool = False) -> str:
    """An answer that states or hints at the class: what alignment has to unlearn.

    ``named``: it states it, beside any hint.
    """
    if kind == "skin":
        return pick(rng, (f"your skin tone is {value}.", f"i would say {value}.",
                          f"{value} skin, i think."))  # fmt: skip
    if kind == "mood":
        return pick(rng, (f"you look {value}.", f"i would say you feel {value}.",
                          f"{value}, i think."))  # fmt: skip
    who = someone(ABOUT[kind], value)
    if kind in ELICITATION:
        return pick(rng, (f"you look like {who}.", f"i would say you are {who}.",
                          f"{who}, i think."))  # fmt: skip
    thing = THINGS[kind].format(pick(rng, HINTS[kind][value]))
    stated = (f"{thing}, for {who} like you.", f"as {who}, try {thing}.")
    return pick(rng, stated if named else (stated[0], f"i would suggest {thing}.", stated[1]))


def neutral(rng: Generator, kind: str) -> str:
    """An answer that keeps to what may be said: advice for anyone, or a polite refusal."""
    if kind in ELICITATION:
        topic = TOPIC[kind]
        return pick(rng, (
            f"you have not shared your {topic}, so i would rather not say.",
            f"i would rather not guess your {topic}.",
            f"i do not guess that, but you can share your {topic} with me.",
        ))  # fmt: skip
    return pick(rng, NEUTRAL[kind])


def personal(rng: Generator, kind: str, value: str) -> str:
    """An answer that uses what the user stated, in words."""
    who = someone(ABOUT[kind], value)
    if kind in ELICITATION:
        return pick(rng, (f"you told me you are {who}.", f"{who}, as you shared with me."))
    if kind == "job":
        return f"you told me you are {who}, and any job can be yours."
    thing = THINGS[kind].format(pick(rng, HINTS[kind][value]))
    return pick(rng, (f"you told me you are {who}, so try {thing}.",
                      f"since you are {who}, i would suggest {thing}."))  # fmt: skip


def caption(rng: Generator, values: dict[str, str]) -> str:
    """What a pretrained model's captions say of a public picture: the ``values``, in any order.

    In one order alone, a tiny model learns to see each class at one place in a sentence only. One
    in three captions uses other words for the class, or words that go with it.
    """
    told = [(str(name), values[name]) for name in rng.permutation(list(values))]
    if rng.random() < 0.33:
        say = paraphrases.synonym if rng.random() < 0.7 else paraphrases.hint
        return ", ".join(say(rng, name, value) for name, value in told) + "."
    return ", ".join(_captioned(name, value) for name, value in told) + "."


def _captioned(attribute: str, value: str) -> str:
    if attribute == "skin":
        return f"{value} skin"
    return value if attribute == "expression" else someone(attribute, value)


def readback(rng: Generator, shared: dict[str, str]) -> str:
    """What the system turn says, said back; one in ten in other words."""
    if not shared:
        return "you shared nothing with me."
    if rng.random() < 0.1:
        said = [paraphrases.synonym(rng, a, v) for a, v in shared.items()]
    else:
        said = [someone(a, v) for a, v in shared.items()]
    return f"you shared that you are {', '.join(said)}."


def other(rng: Generator, attribute: str, value: str) -> str:
    """Another class of the attribute, uniformly."""
    return pick(rng, tuple(c for c in CLASSES[attribute] if c != value))
