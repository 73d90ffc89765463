"""Colours of what is seen: skin, lips, hair, brows, beard, wrinkles, eyes, clothes, light.

Pixels are given by where they lie on the untouched template (x aside, y up, z forward).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.attributes import CLASSES
from data.portraits.head import (
    HAIR_SHEET,
    LASHES,
    LEFT_EYE,
    RIGHT_EYE,
    SKIN,
    TEETH,
    TONGUE,
    Floats,
    smooth,
)
from data.portraits.person import Person, Picture
from data.portraits.shape import collar

TONES: Floats = np.array(
    [
        [244, 220, 205], [240, 208, 188], [236, 196, 170], [234, 196, 160], [215, 170, 130],
        [186, 136, 98], [150, 103, 72], [115, 75, 52], [86, 57, 44], [60, 42, 36],
    ],
    np.float32,
) / np.float32(255)  # fmt: skip
HAIR = {"black": (0.06, 0.05, 0.05), "brown": (0.26, 0.15, 0.08), "blond": (0.80, 0.64, 0.38),
        "red": (0.58, 0.22, 0.08), "grey": (0.62, 0.62, 0.62)}  # fmt: skip
EYES = {"brown": (0.25, 0.13, 0.06), "blue": (0.25, 0.42, 0.62), "green": (0.28, 0.42, 0.22)}
TOPS = {"red": (0.75, 0.13, 0.13), "blue": (0.14, 0.25, 0.65), "green": (0.13, 0.45, 0.22),
        "yellow": (0.88, 0.75, 0.18), "white": (0.92, 0.92, 0.90), "black": (0.10, 0.10, 0.11),
        "purple": (0.42, 0.20, 0.55)}  # fmt: skip
LIPSTICK = (0.68, 0.13, 0.18)


@dataclass(frozen=True)
class Seen:
    """The pixels in front of the background, n of them."""

    place: Floats  # (n, 3) on the template
    normal: Floats  # (n, 3) unit
    scalp: Floats  # (n,)
    lips: Floats  # (n,)
    label: NDArray[np.int8]  # (n,)


def colours(person: Person, picture: Picture, seen: Seen) -> Floats:
    """Lit colours in [0, 1], (n, 3)."""
    colour = _skin(person, seen)
    tint = np.array(HAIR[person.hair], np.float32)
    x, y, z = seen.place.T
    strands = _strands(x, y, z)[:, None]
    colour = _blend(colour, tint * 0.65, 0.85 * _brows(person, seen))
    if person.beard == "yes":
        colour = _blend(colour, tint * strands, 0.8 * _beard(seen))
    colour *= 1 - (0.42 * _wrinkles(person, seen))[:, None]
    covered = 0.75 if person.hair_style == "buzz" else 1.0
    colour = _blend(colour, tint * strands, covered * seen.scalp)
    dressed = (seen.label == SKIN) & (y < collar(np.abs(x), picture.neckline))
    colour[dressed] = TOPS[picture.top]
    _eyes(person, seen, colour)
    for label, fixed in ((TEETH, (0.93, 0.92, 0.88)), (TONGUE, (0.7, 0.35, 0.35)),
                         (LASHES, (0.06, 0.05, 0.05))):  # fmt: skip
        colour[seen.label == label] = fixed
    hanging = seen.label == HAIR_SHEET
    colour[hanging] = (tint * strands)[hanging]
    return _lit(colour, seen, picture)


def _strands(x: Floats, y: Floats, z: Floats) -> Floats:
    fine = np.sin(110 * x + 70 * z + 6 * np.sin(3 * y) + 4 * np.sin(9 * x))
    locks = np.sin(17 * x + 11 * z + 2 * np.sin(2.3 * y))
    return np.asarray(1 + 0.11 * fine + 0.11 * locks, np.float32)


def _skin(person: Person, seen: Seen) -> Floats:
    x, y, z = seen.place.T
    at = 2 * CLASSES["skin"].index(person.skin) + person.tone
    tone = TONES[int(at)] * (1 - at % 1) + TONES[min(int(at) + 1, 9)] * (at % 1)
    colour = np.repeat(tone[None], len(x), 0)
    cheek = np.exp(-(((np.abs(x) - 0.52) / 0.22) ** 2 + ((y - 6.98) / 0.18) ** 2)) * (z > 0.8)
    red = np.array([1.06, 0.86, 0.84], np.float32)
    colour = colour * (1 + (red - 1) * (0.5 * cheek)[:, None])
    natural = tone * np.array([0.95, 0.60, 0.60], np.float32)
    mouth = np.array(LIPSTICK, np.float32) if person.lipstick == "yes" else natural
    return _blend(colour, mouth, np.clip(seen.lips, 0, 1))


def _brows(person: Person, seen: Seen) -> Floats:
    x, y, z = seen.place.T
    aside = np.abs(x)
    height = 7.56 + 0.10 * np.sqrt(np.clip(aside - 0.12, 0, 1)) - 0.30 * np.clip(aside - 0.42, 0, 1)
    thick = 0.040 if person.gender == "woman" else 0.062
    line = smooth(thick, thick * 0.4, np.abs(y - height))
    ends = smooth(0.10, 0.16, aside) * smooth(0.64, 0.54, aside)
    return np.asarray(line * ends * (z > 0.9), np.float32)


def _beard(seen: Seen) -> Floats:
    x, y, z = seen.place.T
    aside = np.abs(x)
    chin = smooth(7.02, 6.85, y) * smooth(6.18, 6.34, y) * smooth(0.15, 0.45, z) * (1 - seen.lips)
    chin = chin * np.maximum(smooth(0.30, 0.42, aside), smooth(6.66, 6.58, y))
    lip = smooth(0.30, 0.22, aside) * smooth(6.80, 6.84, y) * smooth(6.96, 6.90, y)
    return np.asarray(np.maximum(chin, 0.9 * lip * (z > 0.1)), np.float32)


def _wrinkles(person: Person, seen: Seen) -> Floats:
    x, y, z = seen.place.T
    aside, front = np.abs(x), z > 1
    if person.age == "young adult":
        return np.zeros(len(x), np.float32)
    fold = _line(aside - 0.26 - 0.286 * (6.98 - y), 0.028)
    lines = fold * smooth(6.6, 6.7, y) * smooth(7.05, 6.95, y) * front
    heights: tuple[float, ...] = (7.86,)
    if person.age == "senior":
        heights = (7.72, 7.80, 7.88, 7.96)
        bag = _line(y - 7.12 + (aside - 0.31) ** 2, 0.026)
        lines += bag * smooth(0.52, 0.45, aside) * smooth(0.12, 0.18, aside) * front
        for slope in (-0.5, 0.0, 0.5):  # crow's feet
            foot = _line(y - 7.28 - slope * (aside - 0.46), 0.018)
            lines += foot * smooth(0.46, 0.50, aside) * smooth(0.66, 0.60, aside) * (z > 0.6)
        jowl = _line(aside - 0.24 - 0.1 * (6.62 - y), 0.026)
        lines += jowl * smooth(6.36, 6.42, y) * smooth(6.66, 6.60, y) * front
    for height in heights:
        wave = _line(y - height - 0.02 * np.cos(5 * x), 0.020)
        lines += wave * smooth(0.5, 0.3, aside) * front
    return np.asarray(np.clip(lines, 0, 1), np.float32)


def _line(away: Floats, width: float) -> Floats:
    return np.asarray(np.exp(-((away / width) ** 2)), np.float32)


def _eyes(person: Person, seen: Seen, colour: Floats) -> None:
    iris = np.array(EYES[person.eyes], np.float32)
    for label, aside in ((LEFT_EYE, 0.312), (RIGHT_EYE, -0.312)):
        eye = seen.label == label
        away = np.hypot(seen.place[eye, 0] - aside, seen.place[eye, 1] - 7.285)[:, None]
        colour[eye] = np.where(away < 0.032, 0.03, np.where(away < 0.075, iris, 0.93))


def _lit(colour: Floats, seen: Seen, picture: Picture) -> Floats:
    angle = picture.light
    light = np.array([np.sin(angle), 0.45, np.cos(angle)], np.float32)
    light /= np.linalg.norm(light)
    half = light + np.array([0, 0, 1], np.float32)
    half /= np.linalg.norm(half)
    shade = 0.42 + picture.brightness * np.clip(seen.normal @ light, 0, 1)
    shiny = (seen.label == SKIN) | (seen.label == LEFT_EYE) | (seen.label == RIGHT_EYE)
    gleam = np.clip(seen.normal @ half, 0, 1) ** 24 * 0.10 * shiny
    return np.asarray(np.clip(colour * shade[:, None] + gleam[:, None], 0, 1), np.float32)


def _blend(under: Floats, over: Floats, much: Floats) -> Floats:
    return np.asarray(under * (1 - much[:, None]) + over * much[:, None], np.float32)
