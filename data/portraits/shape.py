"""A person's geometry: blend shapes, hair, clothes. V vertices."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from data.portraits.head import HAIR_SHEET, LEFT_EYE, RIGHT_EYE, SKIN, Floats, head
from data.portraits.person import Person, Picture
from data.portraits.raster import blend_shapes, normals

# shares of the young and the old head; beyond [0, 1] the difference is exaggerated
AGES = {"young adult": (1.2, -0.2), "middle-aged": (0.5, 0.5), "senior": (-0.2, 1.2)}
EXPRESSIONS: dict[str, dict[str, float]] = {
    "neutral": {},
    "happy": {
        "expr:mouth-corner-puller": 1.5,
        "expr:mouth-parling": 1.0,
        "expr:mouth-open": 0.22,
        "expr:mouth-retraction": 0.6,
        "expr:eye-left-slit": 0.5,
        "expr:eye-right-slit": 0.5,
    },
    "sad": {
        "expr:mouth-depression": 2.2,
        "expr:eyebrows-left-inner-up": 2.2,
        "expr:eyebrows-right-inner-up": 2.2,
        "expr:eye-left-closure": 0.45,
        "expr:eye-right-closure": 0.45,
    },
    "surprised": {
        "expr:mouth-open": 0.9,
        "expr:eyebrows-left-up": 1.5,
        "expr:eyebrows-right-up": 1.5,
        "expr:eye-left-opened-up": 1.2,
        "expr:eye-right-opened-up": 1.2,
    },
}
THICKNESS = {"buzz": 0.015, "short": 0.10, "bob": 0.05, "long": 0.05}
FALL = {"bob": 6.45, "long": 4.9}  # height that hanging hair reaches
_AROUND, _DOWN = 41, 24


@dataclass(frozen=True)
class Mesh:
    """What is drawn. ``template`` keeps where on the untouched head a vertex lies."""

    vertices: Floats  # (V, 3)
    normals: Floats  # (V, 3)
    template: Floats  # (V, 3)
    scalp: Floats  # (V,)
    lips: Floats  # (V,)
    triangles: NDArray[np.int32]
    labels: NDArray[np.int8]
    eyes: tuple[NDArray[np.int64], NDArray[np.int64]]  # numbers of each eye's vertices


def collar(aside: Floats, neckline: str) -> Floats:
    """Height of the collar at a distance ``aside`` from the middle."""
    if neckline == "vneck":
        return np.asarray(5.35 + 0.75 * np.clip(aside, 0, 0.7), np.float32)
    if neckline == "high":
        return np.asarray(6.02 + 0 * aside, np.float32)
    return np.asarray(5.80 + 0.10 * np.clip(aside - 0.3, 0, 2), np.float32)


def mesh(person: Person, picture: Picture) -> Mesh:
    """The person's head with hair and collar."""
    base = head()
    face = _face(person.gender, person.age, person.ancestry, person.weight, person.identity)
    shaped = _moved(face, EXPRESSIONS[picture.expression])
    outward = normals(shaped, base.triangles)
    vertices = shaped + outward * _hair(person.hair_style)[:, None]
    dressed = (base.vertex_labels == SKIN) & (
        base.vertices[:, 1] < collar(np.abs(base.vertices[:, 0]), picture.neckline) - 0.02
    )
    vertices = vertices + outward * (0.05 * dressed)[:, None]
    body = base.labels != HAIR_SHEET
    eyes = tuple(np.flatnonzero(base.vertex_labels == label) for label in (LEFT_EYE, RIGHT_EYE))
    made = Mesh(
        vertices=vertices,
        normals=outward,
        template=base.vertices,
        scalp=base.scalp,
        lips=base.lips,
        triangles=base.triangles[body],
        labels=base.labels[body],
        eyes=(eyes[0], eyes[1]),
    )
    return _with_hanging_hair(made, shaped, person.hair_style)


@lru_cache(maxsize=8)  # of the same person come several pictures in a row
def _face(
    gender: str,
    age: str,
    ancestry: tuple[float, float, float],
    weight: float,
    identity: tuple[tuple[int, float], ...],
) -> Floats:
    base = head()
    amounts = {
        base.names[shape]: strength for group, strength in identity
        for shape in base.identity[group]
    }  # fmt: skip
    sex = "female" if gender == "woman" else "male"
    build = {
        "minweight": max(0.0, 1 - 2 * weight),
        "averageweight": 1 - abs(2 * weight - 1),
        "maxweight": max(0.0, 2 * weight - 1),
    }
    for years, much in zip(("young", "old"), AGES[age], strict=True):
        for race, share in zip(("african", "asian", "caucasian"), ancestry, strict=True):
            amounts[f"{race}-{sex}-{years}"] = much * share
        for name, value in build.items():
            amounts[f"universal-{sex}-{years}-averagemuscle-{name}"] = much * value
    return _moved(base.vertices, amounts)


def _moved(vertices: Floats, amounts: dict[str, float]) -> Floats:
    base = head()
    used = {base.number[name]: amount for name, amount in sorted(amounts.items()) if amount}
    numbers = np.array(list(used), np.int64)
    weights = np.array(list(used.values()), np.float32)
    return np.asarray(blend_shapes(vertices, base.shapes, numbers, weights), np.float32)


def _hair(style: str) -> Floats:
    base = head()
    x, y, z = base.vertices.T
    waves = 1 + 0.35 * np.sin(9 * x + 3 * np.sin(7 * y)) * np.sin(8 * z)
    grown = base.scalp * THICKNESS[style] * waves * np.clip(y - 6.9, 0, 0.6) / 0.6
    return np.asarray(grown, np.float32)


def _with_hanging_hair(mesh: Mesh, shaped: Floats, style: str) -> Mesh:
    if style not in FALL:
        return mesh
    sheet = _sheet(shaped, FALL[style])
    outward = sheet - np.array([0, 0, 0.3], np.float32)
    outward[:, 1] *= 0.3
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    faces = _sheet_faces() + len(mesh.vertices)
    none = np.zeros(len(sheet), np.float32)
    return Mesh(
        vertices=np.concatenate([mesh.vertices, sheet]),
        normals=np.concatenate([mesh.normals, outward]),
        template=np.concatenate([mesh.template, sheet]),
        scalp=np.concatenate([mesh.scalp, none]),
        lips=np.concatenate([mesh.lips, none]),
        triangles=np.concatenate([mesh.triangles, faces]).astype(np.int32),
        labels=np.concatenate([mesh.labels, np.full(len(faces), HAIR_SHEET, np.int8)]),
        eyes=mesh.eyes,
    )


def _sheet(shaped: Floats, lowest: float) -> Floats:
    base = head()
    skull = shaped[(base.vertex_labels == SKIN) & (base.vertices[:, 1] > 7.0)]
    high, low = skull.max(0), skull.min(0)
    volume, middle, top = 0.10, 0.30, high[1] + 0.02
    wide = (high[0] - low[0]) / 2 * 0.90 + volume
    angle, down = np.meshgrid(
        np.linspace(-np.pi * 0.8, np.pi * 0.8, _AROUND), np.linspace(0, 1, _DOWN)
    )
    y = top - down * (top - lowest)
    round_ = np.sqrt(np.clip(1 - np.clip(1 - (top - y) / 0.95, 0, 1) ** 2, 0, 1))
    flare = 1 + 0.10 * np.clip((7.0 - y) / 2.0, 0, 1)
    x = wide * round_ * flare * np.sin(angle) + 0.015 * np.sin(25 * angle)
    front = np.where(np.cos(angle) > 0, 1, 0.55)
    z = middle - (middle - low[2] + volume) * round_ * np.cos(angle) * front
    return np.stack([x, y, z], -1).reshape(-1, 3).astype(np.float32)


def _sheet_faces() -> NDArray[np.int32]:
    corner = np.arange((_DOWN - 1) * _AROUND).reshape(_DOWN - 1, _AROUND)[:, :-1].ravel()
    upper = np.stack([corner, corner + _AROUND, corner + 1], 1)
    lower = np.stack([corner + 1, corner + _AROUND, corner + _AROUND + 1], 1)
    faces = np.concatenate([upper, lower])
    return np.concatenate([faces, faces[:, ::-1]]).astype(np.int32)  # seen from both sides
