"""The loops that numba compiles: blend shapes, normals, triangles to pixels, mixing."""

from typing import Any

import numba
import numpy as np


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def blend_shapes(vertices: Any, shapes: Any, numbers: Any, weights: Any) -> Any:
    """``vertices`` (V, 3) moved by the shapes of ``numbers``, summed in that order.

    A loop and no matrix product: its sum doesn't depend on how many threads BLAS takes.
    """
    moved = vertices.copy()
    flat = moved.reshape(-1)
    for k in range(numbers.shape[0]):
        shape, weight = shapes[numbers[k]], weights[k]
        for i in range(flat.shape[0]):
            flat[i] += weight * shape[i]
    return moved


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def rasterise(points: Any, triangles: Any, depth: Any, face: Any, bary: Any) -> None:
    """Fill ``depth`` (H, W), ``face`` (H, W) and ``bary`` (H, W, 3) with what is seen first.

    ``points`` (V, 3) are pixels and depth (larger is nearer); faces turned away are left out.
    """
    height, width = depth.shape
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        x0, y0 = points[a, 0], points[a, 1]
        x1, y1 = points[b, 0], points[b, 1]
        x2, y2 = points[c, 0], points[c, 1]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if area > -1e-9:
            continue
        left = max(int(np.ceil(min(x0, x1, x2) - 0.5)), 0)
        right = min(int(np.floor(max(x0, x1, x2) - 0.5)), width - 1)
        top = max(int(np.ceil(min(y0, y1, y2) - 0.5)), 0)
        bottom = min(int(np.floor(max(y0, y1, y2) - 0.5)), height - 1)
        for j in range(top, bottom + 1):
            for i in range(left, right + 1):
                px, py = i + 0.5, j + 0.5
                w1 = ((px - x0) * (y2 - y0) - (x2 - x0) * (py - y0)) / area
                w2 = ((x1 - x0) * (py - y0) - (px - x0) * (y1 - y0)) / area
                w0 = 1 - w1 - w2
                if w0 < 0 or w1 < 0 or w2 < 0:
                    continue
                z = w0 * points[a, 2] + w1 * points[b, 2] + w2 * points[c, 2]
                if z > depth[j, i]:
                    depth[j, i] = z
                    face[j, i] = t
                    bary[j, i, 0], bary[j, i, 1], bary[j, i, 2] = w0, w1, w2


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def normals(vertices: Any, triangles: Any) -> Any:
    """Unit normals (V, 3), the mean of the faces around a vertex weighted by area."""
    out = np.zeros_like(vertices)
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        e0, e1 = vertices[b] - vertices[a], vertices[c] - vertices[a]
        n0 = e0[1] * e1[2] - e0[2] * e1[1]
        n1 = e0[2] * e1[0] - e0[0] * e1[2]
        n2 = e0[0] * e1[1] - e0[1] * e1[0]
        for k in (a, b, c):
            out[k, 0] += n0
            out[k, 1] += n1
            out[k, 2] += n2
    for i in range(out.shape[0]):
        length = np.sqrt(out[i, 0] ** 2 + out[i, 1] ** 2 + out[i, 2] ** 2) + 1e-9
        out[i] /= length
    return out


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def mix(values: Any, triangles: Any, face: Any, bary: Any) -> Any:
    """Values of vertices (V, C) at n pixels, each ``bary`` (n, 3) within a triangle: (n, C)."""
    out = np.zeros((face.shape[0], values.shape[1]), values.dtype)
    for i in range(face.shape[0]):
        for corner in range(3):
            vertex, share = triangles[face[i], corner], bary[i, corner]
            for c in range(values.shape[1]):
                out[i, c] += share * values[vertex, c]
    return out
