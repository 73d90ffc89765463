"""Who is drawn: people, and what changes from picture to picture.

Gender, age, skin tone, expression and the free facts are uniform and independent of each other
and of the identity. Proxies (hair style, beard, lipstick) follow gender with ``proxy_strength``.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from data.attributes import CLASSES
from data.errors import DataError
from data.portraits.head import head

IDENTITY_SHAPES = 28
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
    light: float  # radians around the head
    noise: int  # seed of the background's noise


def sample_person(seed: int, index: int, *, proxy_strength: float) -> Person:
    """Person ``index`` of the population ``seed``; DataError unless 0 ≤ proxy_strength ≤ 1."""
    if not 0.0 <= proxy_strength <= 1.0:
        raise DataError(f"proxy_strength={proxy_strength}: it is a probability, in [0, 1]")
    rng = np.random.default_rng([seed, index, 1])
    gender = _one(rng, CLASSES["gender"])
    groups = rng.choice(len(head().identity), IDENTITY_SHAPES, replace=False)
    ancestry = rng.dirichlet([0.6, 0.6, 0.6])
    tied = [gender if rng.random() < proxy_strength else _one(rng, CLASSES["gender"])
            for _ in range(3)]  # fmt: skip
    return Person(
        seed=seed,
        index=index,
        gender=gender,
        age=_one(rng, CLASSES["age"]),
        skin=_one(rng, CLASSES["skin"]),
        hair=_one(rng, CLASSES["hair"]),
        hair_style=str(rng.choice(CLASSES["hair_style"], p=_STYLES[tied[0]])),
        beard=_yes(tied[1] == "man" and rng.random() < 0.45),
        lipstick=_yes(tied[2] == "woman" and rng.random() < 0.5),
        eyes=_one(rng, EYES),
        tone=float(rng.random()),
        ancestry=(float(ancestry[0]), float(ancestry[1]), float(ancestry[2])),
        weight=float(rng.random()),
        identity=tuple((int(g), float(rng.uniform(0.15, 0.75))) for g in groups),
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
        yaw=float(rng.uniform(-0.35, 0.35)),
        pitch=float(rng.uniform(-0.12, 0.12)),
        light=float(rng.uniform(-0.8, 0.8)),
        noise=int(rng.integers(2**31)),
    )


def attributes(person: Person, picture: Picture) -> dict[str, str]:
    """All classes that a picture of a person shows."""
    return {
        name: str(getattr(picture if hasattr(picture, name) else person, name))
        for name in CLASSES
    }


def counterfactual(
    person: Person, picture: Picture, *, attribute: str, value: str
) -> tuple[Person, Picture]:
    """The same person, pose, light and noise, with one attribute changed; DataError if unknown."""
    if attribute not in CLASSES or value not in CLASSES[attribute]:
        raise DataError(f"counterfactual: unknown {attribute}={value}; known: {CLASSES}")
    if hasattr(picture, attribute):
        return person, replace(picture, **{attribute: value})  # type: ignore[arg-type]
    return replace(person, **{attribute: value}), picture  # type: ignore[arg-type]


def twin(person: Person, picture: Picture) -> Picture:
    """A null twin: the same attributes, another pose, light and noise."""
    rng = np.random.default_rng([person.seed, person.index, 3, picture.noise])
    return replace(
        picture,
        yaw=float(rng.uniform(-0.35, 0.35)),
        pitch=float(rng.uniform(-0.12, 0.12)),
        light=float(rng.uniform(-0.8, 0.8)),
        noise=int(rng.integers(2**31)),
    )


def _one(rng: Generator, choices: tuple[str, ...]) -> str:
    return choices[int(rng.integers(len(choices)))]


def _yes(value: bool) -> str:
    return "yes" if value else "no"
