"""A person in a picture → pixels. H, W are the supersampled height and width."""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from data.portraits.head import Floats
from data.portraits.person import Person, Picture
from data.portraits.raster import mix, rasterise
from data.portraits.shade import Seen, colours
from data.portraits.shape import Mesh, mesh

Pixels = NDArray[np.uint8]
SUPERSAMPLE = 2
DISTANCE = 9.0  # of the camera, decimetres
PLACES = {"office": (0.72, 0.74, 0.76), "park": (0.45, 0.62, 0.38), "kitchen": (0.83, 0.76, 0.63),
          "street": (0.26, 0.27, 0.36), "beach": (0.60, 0.78, 0.88)}  # fmt: skip
FRAME = (25, 25, 28)  # of glasses


def render(person: Person, picture: Picture, *, size: int) -> Pixels:
    """RGB (size, size, 3); the same bytes for the same arguments."""
    side = size * SUPERSAMPLE
    shape = mesh(person, picture)
    points, normal = _project(shape, picture, side)
    depth = np.full((side, side), -1e9, np.float32)
    face = np.full((side, side), -1, np.int32)
    bary = np.zeros((side, side, 3), np.float32)
    rasterise(points, shape.triangles, depth, face, bary)
    image = _background(picture, side)
    rows, columns = np.nonzero(face >= 0)
    seen = _seen(shape, normal, face[rows, columns], bary[rows, columns])
    image[rows, columns] = colours(person, picture, seen)
    drawn = (image * 255).astype(np.uint8)
    if picture.glasses == "yes":
        _glasses(drawn, shape, points)
    small = cv2.resize(drawn, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def _project(shape: Mesh, picture: Picture, side: int) -> tuple[Floats, Floats]:
    eye_height = float(shape.vertices[np.concatenate(shape.eyes), 1].mean())
    turn = _rotation(picture.yaw, picture.pitch)
    turned = (shape.vertices - np.array([0, eye_height, 0.3], np.float32)) @ turn.T
    scale = side * 0.285 * DISTANCE / (DISTANCE - turned[:, 2])
    points = np.stack(
        [side / 2 + turned[:, 0] * scale, side * 0.45 - turned[:, 1] * scale, turned[:, 2]], 1
    )
    return points.astype(np.float32), shape.normals @ turn.T


def _rotation(yaw: float, pitch: float) -> Floats:
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    around = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]], np.float32)
    nod = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]], np.float32)
    return around @ nod


def _seen(shape: Mesh, normal: Floats, face: NDArray[np.int32], bary: Floats) -> Seen:
    values = np.concatenate(
        [shape.template, normal, shape.scalp[:, None], shape.lips[:, None]], axis=1
    )
    mixed = mix(values, shape.triangles, face, bary)  # (n, 8)
    turned = mixed[:, 3:6]
    return Seen(
        place=mixed[:, :3],
        normal=turned / (np.linalg.norm(turned, axis=1, keepdims=True) + 1e-6),
        scalp=mixed[:, 6],
        lips=mixed[:, 7],
        label=shape.labels[face],
    )


def _background(picture: Picture, side: int) -> Floats:
    rng = np.random.default_rng(picture.noise)
    fall = np.linspace(1.12, 0.82, side, dtype=np.float32)[:, None, None]
    colour = np.array(PLACES[picture.place], np.float32)
    coarse = rng.normal(0, 0.05, (6, 6)).astype(np.float32)
    cloud = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    image = colour * fall * _structure(picture.place, side)[..., None] + cloud[..., None]
    return np.asarray(np.clip(image, 0, 1), np.float32)


@lru_cache(maxsize=16)
def _structure(place: str, side: int) -> Floats:
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side
    if place == "office":  # a window's cross
        light = 1 - 0.25 * ((np.abs(x - 0.15) < 0.01) | (np.abs(y - 0.3) < 0.01))
    elif place == "park":  # leaves
        light = 1 + 0.12 * np.sin(37 * x + 5 * np.sin(11 * y)) * np.sin(29 * y)
    elif place == "kitchen":  # tiles
        light = 1 - 0.12 * ((x * 8 % 1 < 0.06) | (y * 8 % 1 < 0.06))
    elif place == "street":  # lit windows
        light = 1 + 0.9 * ((x * 7 % 1 < 0.25) & (y * 6 % 1 < 0.3) & (y < 0.7))
    else:  # beach: sand under the sky
        light = np.where(y > 0.72, 0.86, 1.0)
    return np.asarray(light, np.float32)


def _glasses(image: Pixels, shape: Mesh, points: Floats) -> None:
    (x1, y1), (x2, y2) = (points[eye, :2].mean(0) for eye in shape.eyes)
    side, apart = len(image), abs(x1 - x2)
    thick = max(2, side // 90)
    high = 0.23 * side * 0.285  # a turn of the head narrows glasses and leaves them as high
    drop = 0.0075 * side
    for x, y in ((x1, y1), (x2, y2)):
        middle = (int(x * 8), int((y + drop) * 8))
        axes = (int(0.42 * apart * 8), int(high * 8))
        cv2.ellipse(image, middle, axes, 0, 0, 360, FRAME, thick, cv2.LINE_AA, 3)
    inward = 0.42 * (x2 - x1)
    ends = (int(x1 + inward), int(y1)), (int(x2 - inward), int(y2))
    cv2.line(image, ends[0], ends[1], FRAME, thick, cv2.LINE_AA)
