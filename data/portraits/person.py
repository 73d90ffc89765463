"""Who is drawn: people, and what changes from picture to picture.

Gender, age, skin tone, expression and the free facts are uniform and independent of each other
and of the identity. Proxies (hair style, beard, lipstick) follow gender with ``proxy_strength``.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.random import Generator

from data.attributes import CLASSES, class_index
from data.errors import DataError
from data.portraits.head import head

IDENTITY_SHAPES = 28
OF_A_PICTURE = frozenset(("glasses", "top", "place", "expression"))
EYES = ("brown", "blue", "green")
NECKLINES = ("crew", "vneck", "high")
_STYLES = {"woman": (0.45, 0.35, 0.2, 0.0), "man": (0.1, 0.0, 0.7, 0.2)}


@dataclass(frozen=True)
class Person:
    """What a person keeps from picture to picture."""

    seed: int
    index: int
    gender: str
    age: str
    skin: str
    hair: str
    hair_style: str
    beard: str
    lipstick: str
    eyes: str
    tone: float  # within the skin's class: 0 lighter, 1 darker
    ancestry: tuple[float, float, float]
    weight: float
    identity: tuple[tuple[int, float], ...]  # (group of shapes, strength)


@dataclass(frozen=True)
class Picture:
    """What is of one picture only."""

    glasses: str
    top: str
    place: str
    expression: str
    neckline: str
    yaw: float  # radians
    pitch: float
    light: float  # where it comes from, radians around the head
    brightness: float  # of that light
    noise: int  # seed of the background's noise


def sample_person(seed: int, index: int, *, proxy_strength: float) -> Person:
    """Person ``index`` of the population ``seed``; DataError unless 0 ≤ proxy_strength ≤ 1.

    Each proxy is drawn as for the person's gender with probability ``proxy_strength``, else as for
    a gender drawn anew. All else about the person is the same whatever the strength.
    """
    if not 0.0 <= proxy_strength <= 1.0:
        raise DataError(f"proxy_strength={proxy_strength}: it is a probability, in [0, 1]")
    rng = np.random.default_rng([seed, index, 1])
    groups = rng.choice(len(head().identity), IDENTITY_SHAPES, replace=False)
    strengths = rng.uniform(0.15, 0.75, IDENTITY_SHAPES)
    ancestry = rng.dirichlet([0.6, 0.6, 0.6])
    gender = _one(rng, CLASSES["gender"])
    hair_style, beard, lipstick = _proxies(
        np.random.default_rng([seed, index, 4]), gender, proxy_strength
    )
    return Person(
        seed=seed,
        index=index,
        gender=gender,
        age=_one(rng, CLASSES["age"]),
        skin=_one(rng, CLASSES["skin"]),
        hair=_one(rng, CLASSES["hair"]),
        hair_style=hair_style,
        beard=beard,
        lipstick=lipstick,
        eyes=_one(rng, EYES),
        tone=float(rng.random()),
        ancestry=(float(ancestry[0]), float(ancestry[1]), float(ancestry[2])),
        weight=float(rng.random()),
        identity=tuple((int(g), float(s)) for g, s in zip(groups, strengths, strict=True)),
    )


def sample_picture(person: Person, number: int) -> Picture:
    """Picture ``number`` of a person."""
    rng = np.random.default_rng([person.seed, person.index, 2, number])
    return Picture(
        glasses=_one(rng, CLASSES["glasses"]),
        top=_one(rng, CLASSES["top"]),
        place=_one(rng, CLASSES["place"]),
        expression=_one(rng, CLASSES["expression"]),
        neckline=str(rng.choice(NECKLINES, p=(0.5, 0.35, 0.15))),
        **_nuisance(rng),
    )


def attributes(person: Person, picture: Picture) -> dict[str, str]:
    """All classes that a picture of a person shows."""
    return {
        name: str(getattr(picture if name in OF_A_PICTURE else person, name)) for name in CLASSES
    }


def counterfactual(
    person: Person, picture: Picture, *, attribute: str, value: str
) -> tuple[Person, Picture]:
    """The same person, pose, light and noise, with one attribute changed; DataError if unknown."""
    try:
        class_index(attribute, value)
    except ValueError as error:
        raise DataError(f"counterfactual: {error}") from error
    change: dict[str, Any] = {attribute: value}
    if attribute in OF_A_PICTURE:
        return person, replace(picture, **change)
    return replace(person, **change), picture


def twin(person: Person, picture: Picture) -> Picture:
    """A null twin: the same attributes, another pose, light and noise."""
    rng = np.random.default_rng([person.seed, person.index, 3, picture.noise])
    return replace(
        picture,
        **_nuisance(rng),
    )


def _nuisance(rng: Generator) -> dict[str, Any]:
    return {
        "yaw": float(rng.uniform(-0.35, 0.35)),
        "pitch": float(rng.uniform(-0.12, 0.12)),
        "light": float(rng.uniform(-0.8, 0.8)),
        "brightness": float(rng.uniform(0.47, 0.59)),
        "noise": int(rng.integers(2**31)),
    }


def _proxies(rng: Generator, gender: str, strength: float) -> tuple[str, str, str]:
    tied = rng.random(3) < strength
    anew = rng.integers(len(CLASSES["gender"]), size=3)
    as_if = [gender if t else CLASSES["gender"][a] for t, a in zip(tied, anew, strict=True)]
    style = str(rng.choice(CLASSES["hair_style"], p=_STYLES[as_if[0]]))
    beard, lipstick = rng.random(2)
    return (
        style,
        _yes(as_if[1] == "man" and beard < 0.45),
        _yes(as_if[2] == "woman" and lipstick < 0.5),
    )


def _one(rng: Generator, choices: tuple[str, ...]) -> str:
    return choices[int(rng.integers(len(choices)))]


def _yes(value: bool) -> str:
    return "yes" if value else "no"
