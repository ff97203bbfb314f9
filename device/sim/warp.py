"""Draw a textured triangle mesh or a textured plane into a picture, with soft edges.

Triangles are painted far to near by number; each pixel then takes the affine map of its triangle, so the result is
exact below the pixel and one ``remap`` does the sampling.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from device.types import Image, Points

_SUBPIXEL_BITS = 4


@dataclass(frozen=True, slots=True)
class Lens:
    """A pinhole camera: focal length in pixels and the size of its picture."""

    focal_px: float
    width: int
    height: int

    def project(self, points_m: Points) -> Points:
        """Points in metres (x right, y down, z away from the camera) to pixels, (n, 2) float32."""
        centre = np.array([self.width / 2, self.height / 2], dtype=np.float32)
        return np.asarray(points_m[:, :2] * (self.focal_px / points_m[:, 2:3]) + centre, dtype=np.float32)


def draw_mesh(
    canvas: Image, cutout: Image, *, points: Points, depths: Points, texture: Points, triangles: NDArray[np.int32]
) -> None:
    """Paint a mesh over ``canvas``.

    Args:
        canvas: uint8 BGR, changed in place.
        cutout: uint8 BGRA, premultiplied.
        points: (n, 2) float32 pixels of the canvas.
        depths: (n,) float32, larger is farther.
        texture: (n, 2) float32 pixels of the cutout.
        triangles: (t, 3) indices.
    """
    height, width = canvas.shape[:2]
    x0, y0 = (max(0, int(np.floor(low))) for low in points.min(axis=0))
    x1, y1 = min(width, int(np.ceil(points[:, 0].max())) + 1), min(height, int(np.ceil(points[:, 1].max())) + 1)
    if x0 >= x1 or y0 >= y1:
        return
    corners = points[triangles] - np.array([x0, y0], dtype=np.float32)
    affine, solid = _inverse_maps(corners, texture[triangles])
    order = np.argsort(-depths[triangles].sum(axis=1), kind="stable")
    order = order[solid[order]]
    numbers = np.full((y1 - y0, x1 - x0), -1, dtype=np.int32)
    fixed = np.rint(corners * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    for number in order.tolist():
        cv2.fillConvexPoly(numbers, fixed[number], number, shift=_SUBPIXEL_BITS)
    maps = affine[numbers]
    columns = np.arange(x1 - x0, dtype=np.float32)[None, :]
    rows = np.arange(y1 - y0, dtype=np.float32)[:, None]
    map_x = maps[..., 0] * columns + maps[..., 1] * rows + maps[..., 2]
    map_y = maps[..., 3] * columns + maps[..., 4] * rows + maps[..., 5]
    patch = cv2.remap(cutout, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    blend(canvas[y0:y1, x0:x1], np.asarray(patch, dtype=np.uint8))


def draw_affine(canvas: Image, cutout: Image, matrix: NDArray[np.float64]) -> None:
    """Paint a cutout through an affine map (2, 3) from its pixels to the canvas; below its last row it goes on."""
    height, width = canvas.shape[:2]
    patch = cv2.warpAffine(cutout, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    blend(canvas, np.asarray(patch, dtype=np.uint8))


def draw_plane(canvas: Image, cutout: Image, matrix: NDArray[np.float64]) -> None:
    """Paint a cutout through a homography (3, 3) from its pixels to the canvas."""
    height, width = canvas.shape[:2]
    patch = cv2.warpPerspective(cutout, matrix, (width, height), flags=cv2.INTER_LINEAR)
    blend(canvas, np.asarray(patch, dtype=np.uint8))


def _inverse_maps(corners: Points, texture: Points) -> tuple[Points, NDArray[np.bool_]]:
    """Affine maps canvas -> texture, (t + 1, 6) float32 with an outside map last, and which triangles have an area."""
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    determinant = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    solid = np.abs(determinant) > 1e-4
    safe = np.where(solid, determinant, 1.0)
    du, dv = texture[:, 1] - texture[:, 0], texture[:, 2] - texture[:, 0]
    by_x = (du * second[:, 1:2] - dv * first[:, 1:2]) / safe[:, None]
    by_y = (dv * first[:, 0:1] - du * second[:, 0:1]) / safe[:, None]
    offset = texture[:, 0] - by_x * corners[:, 0, 0:1] - by_y * corners[:, 0, 1:2]
    maps = np.empty((len(corners) + 1, 6), dtype=np.float32)
    for axis in (0, 1):
        maps[:-1, 3 * axis], maps[:-1, 3 * axis + 1] = by_x[:, axis], by_y[:, axis]
        maps[:-1, 3 * axis + 2] = offset[:, axis]
    maps[-1] = (0, 0, -9, 0, 0, -9)
    return maps, solid


def blend(target: Image, patch: Image) -> None:
    """Lay a premultiplied BGRA patch over a BGR view of the same size; only where it covers anything."""
    cover = cv2.extractChannel(patch, 3)
    x, y, width, height = cv2.boundingRect(cover)
    if width == 0:
        return
    part = np.s_[y : y + height, x : x + width]
    uncovered = cv2.cvtColor(cv2.bitwise_not(cover[part]), cv2.COLOR_GRAY2BGR)
    rest = cv2.multiply(target[part], uncovered, scale=1 / 255)
    target[part] = cv2.add(rest, cv2.cvtColor(patch[part], cv2.COLOR_BGRA2BGR))
