"""A sheet of paper in space, flat or curved about its vertical axis: projected, shaded and painted.

The way is backward: each ray of the camera is cut with the cylinder on which the sheet lies, for every fourth pixel,
and what lies between is interpolated. A mesh of triangles with affine maps would bend straight lines by up to a pixel
in strong perspective, and what measures planarity must not measure the renderer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from device.sim.warp import Lens, blend
from device.types import Image

Floats = NDArray[np.float64]

#: A radius from which on the sheet is flat: 20 cm of it leave the plane by 5 micrometres.
FLAT_M = 1000.0
#: Rays are cut at every fourth pixel.
_STEP = 4
#: Shade and outline are computed at so many rows and columns of the sheet.
_ROWS, _COLUMNS = 9, 25
#: Shades are kept in units of 1/160: paper may be up to 1.59 times as bright as at rest.
_SHADE_ONE = 160.0
#: Exponent of Blinn's highlight (1977): between matt (5) and photo paper seen in a ceiling lamp (60).
_SHARPNESS = 24.0
#: What is nearer to the camera than this has no outline in the picture, metres.
_NEAREST_M = 0.02


@dataclass(frozen=True, slots=True)
class Light:
    """One lamp, far away, and what comes from everywhere.

    Attributes:
        elevation_deg: Height of the lamp above the camera's axis, seen from the sheet; 20..70.
        azimuth_deg: Its place to the right of the camera, seen from the camera; -60..60.
        ambient: Share of the light that comes from everywhere, 0..1.
        gloss: Brightness of the highlight, 0 (matt)..1 (white).
    """

    elevation_deg: float = 45.0
    azimuth_deg: float = 0.0
    ambient: float = 0.5
    gloss: float = 0.1

    @property
    def direction(self) -> Floats:
        """Unit vector from the sheet to the lamp, (3,): x right, y down, z away from the camera."""
        height, side = math.radians(self.elevation_deg), math.radians(self.azimuth_deg)
        return np.array([math.cos(height) * math.sin(side), -math.sin(height), -math.cos(height) * math.cos(side)])


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """What is printed.

    Attributes:
        levels: uint8 BGRA, premultiplied, largest first; each is half as wide as the one before.
        width_m: Of the whole picture.
        height_m: Of the whole picture.
    """

    levels: tuple[Image, ...]
    width_m: float
    height_m: float

    @classmethod
    def of(cls, picture: Image, *, width_m: float, height_m: float) -> Sheet:
        """Make the levels of a BGRA picture."""
        halves = [picture]
        for _ in range(2):
            size = (max(1, halves[-1].shape[1] // 2), max(1, halves[-1].shape[0] // 2))
            halves.append(np.asarray(cv2.resize(halves[-1], size, interpolation=cv2.INTER_AREA), dtype=np.uint8))
        return cls(levels=tuple(halves), width_m=width_m, height_m=height_m)


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """Where a sheet is.

    Attributes:
        turn: (3, 3) rotation from the sheet's axes (x right, y down, z away from who looks at it) to the camera's.
        position: (3,) metres, of the middle of the sheet.
        radius_m: Of the cylinder about the sheet's vertical axis; its sides bend away from who looks at it.
    """

    turn: Floats
    position: Floats
    radius_m: float = FLAT_M

    def points(self, across_m: Floats, down_m: Floats) -> tuple[Floats, Floats]:
        """Points of the sheet and its normals there, (..., 3) each, the camera's axes.

        Args:
            across_m: Way along the paper from its middle to the right.
            down_m: Way down from its middle.
        """
        angle = across_m / self.radius_m
        zero = np.zeros_like(angle)
        # 1 - cos(a), without its loss of digits
        depth = 2.0 * self.radius_m * np.sin(angle / 2) ** 2
        flat = np.stack([self.radius_m * np.sin(angle), down_m, depth], axis=-1)
        normal = np.stack([np.sin(angle), zero, -np.cos(angle)], axis=-1)
        return flat @ self.turn.T + self.position, normal @ self.turn.T

    def unproject(self, x: Floats, y: Floats, lens: Lens) -> tuple[Floats, Floats, Floats]:
        """Where the camera's rays meet the sheet's cylinder first.

        Args:
            x: Pixels.
            y: Pixels.
            lens: The camera.

        Returns:
            Way across and down from the sheet's middle in metres, and a number that is negative where a ray misses (the
            first two are then those of the cylinder's rim nearby).
        """
        ray = np.stack([(x - lens.width / 2) / lens.focal_px, (y - lens.height / 2) / lens.focal_px, np.ones_like(x)])
        ray_x, ray_y, ray_z = np.tensordot(self.turn.T, ray, axes=1)
        from_x, from_y, from_z = (-self.position @ self.turn).tolist()
        behind = from_z - self.radius_m
        a = ray_x * ray_x + ray_z * ray_z
        b = ray_x * from_x + ray_z * behind
        hit = b * b - a * (from_x * from_x + behind * behind - self.radius_m**2)
        away = (-b - np.sqrt(np.maximum(hit, 0.0))) / a
        across = self.radius_m * np.arctan2(from_x + away * ray_x, -(behind + away * ray_z))
        return across, from_y + away * ray_y, hit


def draw_sheet(canvas: Image, sheet: Sheet, placement: Placement, *, lens: Lens, light: Light) -> None:
    """Paint the printed side of a sheet over ``canvas``, uint8 BGR, changed in place."""
    across, down = np.meshgrid(
        np.linspace(-0.5, 0.5, _COLUMNS) * sheet.width_m, np.linspace(-0.5, 0.5, _ROWS) * sheet.height_m
    )
    points, normals = placement.points(across, down)
    box = _outline(points, lens)
    if box is None:
        return
    x0, y0, x1, y1 = box
    picture = _level(sheet, lens.focal_px / max(_NEAREST_M, float(points[..., 2].min())))
    lit = _lit(picture, points, normals, light)
    height, width = picture.shape[:2]
    # A resized picture knows nothing beyond its outermost centres: one more of them on each side.
    columns, rows = (x1 - x0 - 1) // _STEP + 3, (y1 - y0 - 1) // _STEP + 3
    grid_x, grid_y = np.meshgrid(x0 + _centres(columns), y0 + _centres(rows))
    at_x, at_y, hit = placement.unproject(grid_x, grid_y, lens)
    coarse = np.stack(
        [(at_x / sheet.width_m + 0.5) * width - 0.5, (at_y / sheet.height_m + 0.5) * height - 0.5], axis=-1
    )
    inner = (slice(_STEP, _STEP + y1 - y0), slice(_STEP, _STEP + x1 - x0))
    fine = _grown(np.clip(coarse, -1e4, 1e4))[inner]
    if hit.min() < 0.0:
        fine[_grown(hit)[inner] < 0.0] = -9.0
    nothing: Any = None  # the type asks for a second map, which pairs of coordinates replace
    patch = cv2.remap(lit, fine, nothing, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    blend(canvas[y0:y1, x0:x1], np.asarray(patch, dtype=np.uint8))


def shade(points: Floats, normals: Floats, light: Light) -> tuple[Floats, Floats]:
    """Lambert's brightness and Blinn's highlight on paper.

    Args:
        points: (..., 3) metres, the camera's axes.
        normals: (..., 3) unit vectors.
        light: The lamp.

    Returns:
        The factor on the paper's colour, 1 where it faces the camera's axis, and what is added, 0..1.
    """
    lamp = light.direction
    facing = max(1e-6, -float(lamp[2]))
    lambert: Floats = light.ambient + (1.0 - light.ambient) * np.maximum(0.0, normals @ lamp) / facing
    view: Floats = -points / np.linalg.norm(points, axis=-1, keepdims=True)
    half: Floats = view + lamp
    half /= np.maximum(1e-9, np.linalg.norm(half, axis=-1, keepdims=True))
    highlight: Floats = light.gloss * np.maximum(0.0, (normals * half).sum(axis=-1)) ** _SHARPNESS
    return lambert, highlight


def _lit(picture: Image, points: Floats, normals: Floats, light: Light) -> Image:
    lambert, highlight = shade(points, normals, light)
    size = (picture.shape[1], picture.shape[0])

    def spread(values: Floats, last: float) -> Image:
        grid = np.clip(np.rint(values), 0, 255).astype(np.uint8)[..., None]
        four = np.concatenate([grid, grid, grid, np.full_like(grid, last)], axis=2)
        return np.asarray(cv2.resize(four, size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)

    lit = cv2.multiply(picture, spread(lambert * _SHADE_ONE, _SHADE_ONE), scale=1 / _SHADE_ONE)
    if float(highlight.max()) * 255.0 >= 0.5:
        alpha = cv2.cvtColor(picture[..., 3], cv2.COLOR_GRAY2BGRA)
        added = cv2.multiply(alpha, spread(highlight * 255.0, 0.0), scale=1 / 255)
        lit = cv2.min(cv2.add(lit, added), np.asarray(alpha, dtype=np.uint8))
    return np.asarray(lit, dtype=np.uint8)


def _level(sheet: Sheet, px_per_m: float) -> Image:
    """The smallest picture that is not coarser than the nearest part of the sheet is seen."""
    fitting = [picture for picture in sheet.levels if picture.shape[1] >= px_per_m * sheet.width_m]
    return fitting[-1] if fitting else sheet.levels[0]


def _outline(points: Floats, lens: Lens) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom of the part of the picture that the points cover; None where there is none."""
    if float(points[..., 2].max()) < _NEAREST_M:
        return None
    if float(points[..., 2].min()) < _NEAREST_M:
        return 0, 0, lens.width, lens.height
    x = points[..., 0] * (lens.focal_px / points[..., 2]) + lens.width / 2
    y = points[..., 1] * (lens.focal_px / points[..., 2]) + lens.height / 2
    x0, y0 = max(0, math.floor(x.min()) - 2), max(0, math.floor(y.min()) - 2)
    x1, y1 = min(lens.width, math.ceil(x.max()) + 3), min(lens.height, math.ceil(y.max()) + 3)
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _centres(count: int) -> Floats:
    """Pixels of the fine picture that lie under the pixels of the coarse one, one of which lies outside."""
    return _STEP * (np.arange(count, dtype=np.float64) - 0.5) - 0.5


def _grown(coarse: Floats) -> NDArray[np.float32]:
    size = (coarse.shape[1] * _STEP, coarse.shape[0] * _STEP)
    return np.asarray(cv2.resize(coarse.astype(np.float32), size, interpolation=cv2.INTER_LINEAR), dtype=np.float32)
