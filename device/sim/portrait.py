"""From one photograph and its face mesh to a head that can be turned.

The mesh gives depth inside the face; rings around its outline continue it over hair, ears and neck, receding at a fixed
slope. Person and background of the photograph are separated once with GrabCut, seeded by the mesh. No model runs here:
the caller brings the 468 landmarks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from device.errors import PhotoError
from device.types import Image, Points

LANDMARKS = 468
#: Outline of the face in MediaPipe's mesh topology, clockwise from the top of the forehead.
OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
#: Lid margins of both eyes in the same topology: each upper point closes onto the lower one at its place.
UPPER_LID = (246, 161, 160, 159, 158, 157, 173, 466, 388, 387, 386, 385, 384, 398)
LOWER_LID = (7, 163, 144, 145, 153, 154, 155, 249, 390, 373, 374, 380, 381, 382)
EAR_TO_EAR = (234, 454)
CHIN, FOREHEAD = 152, 10

# Proportions of a head in face widths (ear to ear); chosen so that turned portraits look like heads.
_RINGS = (0.06, 0.14, 0.24, 0.36, 0.5, 0.68)
_RECEDE = 1.1
_DEEPEST = 0.62
_NECK = 0.5
_MARGIN_TOP = 1.6
# Texture levels and matte are made at these widths of the face in pixels.
_LEVEL_PX = (240.0, 120.0, 60.0)
_MATTE_PX = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class Texture:
    """The portrait at one resolution.

    Attributes:
        cutout: uint8 BGRA, (h, w, 4), colours premultiplied by alpha.
        scale: Pixels of this texture per face width.
    """

    cutout: Image
    scale: float


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """A head to be turned, in units of the face's width, origin between the ears, x right, y down, z away.

    Attributes:
        vertices: (n, 3) float32; the first 468 are the landmarks.
        follow: (n,) float32, 0..1: how much a vertex follows the head (1) rather than the body (0).
        triangles: (t, 3) int32 into ``vertices``.
        origin: Photograph's pixel of the origin divided by the face width, (2,) float32.
        textures: Largest first.
        photo: The whole photograph at the largest texture's scale, uint8 BGR.
        chin: y of the chin in face widths.
    """

    vertices: Points
    follow: NDArray[np.float32]
    triangles: NDArray[np.int32]
    origin: NDArray[np.float32]
    textures: tuple[Texture, ...]
    photo: Image
    chin: float

    def texture_for(self, face_px: float) -> Texture:
        """The smallest texture that is not coarser than a face ``face_px`` wide."""
        fitting = [texture for texture in self.textures if texture.scale >= face_px]
        return fitting[-1] if fitting else self.textures[0]


def build_portrait(photo: Image, landmarks: Points) -> Portrait:
    """Build the head from a photograph.

    Args:
        photo: uint8 BGR, one near-frontal face of at least 60 pixels width.
        landmarks: (468, 3) float32 in pixels of the photograph, z in the same unit, smaller is nearer.

    Raises:
        PhotoError: The landmarks are not a face of useful size inside the photograph.
    """
    if landmarks.shape != (LANDMARKS, 3) or not np.isfinite(landmarks).all():
        raise PhotoError("the landmarks are not a face mesh of 468 points", reason="no_mesh")
    left, right = landmarks[EAR_TO_EAR[0]], landmarks[EAR_TO_EAR[1]]
    width_px = float(np.linalg.norm(right[:2] - left[:2]))
    if width_px < _MATTE_PX:
        raise PhotoError(
            f"the face is only {width_px:.0f} pixels wide", reason="too_small", hint="take a larger photograph"
        )
    centre = (left + right) / 2
    centre[2] = 0.0
    face = (landmarks - centre) / width_px
    vertices, follow = _continue_outline(face.astype(np.float32))
    origin = (centre[:2] / width_px).astype(np.float32)
    textures = _textures(photo, landmarks, width_px)
    largest = textures[0].scale / width_px
    return Portrait(
        vertices=vertices,
        follow=follow,
        triangles=_triangulate(vertices[:, :2]),
        origin=origin,
        textures=textures,
        photo=_scaled(photo, largest),
        chin=float(face[CHIN, 1]),
    )


def _continue_outline(face: Points) -> tuple[Points, NDArray[np.float32]]:
    """Add rings outside the face: hair and ears turn with the head, the neck less and less."""
    outline = face[list(OVAL)]
    middle = face[[CHIN, FOREHEAD], :2].mean(axis=0)
    outward = outline[:, :2] - middle
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    parts = [face]
    for distance in _RINGS:
        ring = outline.copy()
        ring[:, :2] += outward * distance
        ring[:, 2] = np.minimum(outline[:, 2] + _RECEDE * distance, np.maximum(outline[:, 2], _DEEPEST))
        parts.append(ring)
    vertices = np.concatenate(parts).astype(np.float32)
    below = np.clip((vertices[:, 1] - face[CHIN, 1]) / _NECK, 0.0, 1.0)
    follow = 1.0 - below * below * (3.0 - 2.0 * below)
    follow[:LANDMARKS] = 1.0
    return vertices, follow.astype(np.float32)


def _triangulate(points: Points) -> NDArray[np.int32]:
    """Delaunay triangulation, (t, 3) indices."""
    grid = np.round(points * 4096).astype(np.float32)
    low, high = grid.min(axis=0) - 16, grid.max(axis=0) + 16
    delaunay = cv2.Subdiv2D((int(low[0]), int(low[1]), int(high[0] - low[0]) + 1, int(high[1] - low[1]) + 1))
    index: dict[tuple[float, float], int] = {}
    for number, (x, y) in enumerate(grid.tolist()):
        if (x, y) not in index:
            index[x, y] = number
            delaunay.insert((x, y))
    found = [
        corners
        for row in np.asarray(delaunay.getTriangleList()).tolist()
        if (corners := [index.get((row[k], row[k + 1]), -1) for k in (0, 2, 4)]) and min(corners) >= 0
    ]
    return np.array(found, dtype=np.int32)


def _textures(photo: Image, landmarks: Points, width_px: float) -> tuple[Texture, ...]:
    alpha = _matte(photo, landmarks, width_px)
    made = []
    for level_px in _LEVEL_PX:
        scale = min(1.0, level_px / width_px)
        picture = _scaled(photo, scale)
        cover = cv2.resize(alpha, (picture.shape[1], picture.shape[0]), interpolation=cv2.INTER_LINEAR)
        weight = cover.astype(np.float32)[..., None] / 255
        cutout = np.concatenate([np.rint(picture * weight).astype(np.uint8), cover[..., None]], axis=2)
        made.append(Texture(cutout=cutout, scale=scale * width_px))
    return tuple(made)


def _scaled(photo: Image, scale: float) -> Image:
    if scale >= 1.0:
        return photo
    size = (max(1, round(photo.shape[1] * scale)), max(1, round(photo.shape[0] * scale)))
    return np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _matte(photo: Image, landmarks: Points, width_px: float) -> NDArray[np.uint8]:
    """Separate the person from the background: uint8, 255 where the person is, soft at the edge."""
    picture = _scaled(photo, _MATTE_PX / width_px)
    height, width = picture.shape[:2]
    unit = _MATTE_PX
    points = landmarks[:, :2] * np.float32(unit / width_px)
    middle_x = float((points[EAR_TO_EAR[0], 0] + points[EAR_TO_EAR[1], 0]) / 2)
    chin = float(points[CHIN, 1])

    def fan(*corners: tuple[float, float]) -> NDArray[np.int32]:
        """Mirror (half width, distance below the chin), in face widths, to a closed shape."""
        right = [(middle_x + w * unit, min(chin + d * unit, float(height))) for w, d in corners]
        left = [(middle_x - w * unit, min(chin + d * unit, float(height))) for w, d in reversed(corners)]
        return np.rint(right + left).astype(np.int32)

    # The skull lies between the ears, leaning as they do, and as high as the face with some hair above it.
    ears = points[list(EAR_TO_EAR)]
    across = (ears[1] - ears[0]) / np.float32(np.linalg.norm(ears[1] - ears[0]))
    upward = np.array([across[1], -across[0]], dtype=np.float32)
    lift = float((points[[CHIN, FOREHEAD]].mean(axis=0) - ears.mean(axis=0)) @ upward) + 0.13 * unit
    middle_xy = ears.mean(axis=0) + upward * np.float32(lift)
    middle = (round(float(middle_xy[0])), round(float(middle_xy[1])))
    roll_deg = math.degrees(math.atan2(float(across[1]), float(across[0])))

    def skull(half_width: float, half_height: float, label: int, *, upper_only: bool) -> None:
        """An ellipse around the head, or its half above the ears, leaning as the head does."""
        axes = (round(half_width * unit), round(half_height * unit))
        cv2.ellipse(mask, middle, axes, roll_deg, 180 if upper_only else 0, 360, label, -1)

    mask = np.full((height, width), cv2.GC_BGD, dtype=np.uint8)
    skull(0.74, 1.1, cv2.GC_PR_BGD, upper_only=False)
    cv2.fillPoly(mask, [fan((0.35, 0.0), (0.6, 0.2), (1.5, 0.7), (1.75, 2.0), (1.4, 2.7), (1.2, 9.0))], cv2.GC_PR_FGD)
    skull(0.58, 0.86, cv2.GC_PR_FGD, upper_only=False)
    skull(0.5, 0.76, cv2.GC_FGD, upper_only=True)
    cv2.fillConvexPoly(mask, np.rint(cv2.convexHull(points)).astype(np.int32), cv2.GC_FGD)
    cv2.fillPoly(mask, [fan((0.22, -0.1), (0.3, 0.35), (0.95, 0.8), (1.1, 1.5), (0.9, 9.0))], cv2.GC_FGD)
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(1)  # GrabCut's colour clusters start at random: the same photograph shall give the same matte
    cv2.grabCut(picture, mask, (0, 0, 0, 0), background, foreground, 4, cv2.GC_INIT_WITH_MASK)
    person = ((mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)).astype(np.uint8)
    person = cv2.morphologyEx(person, cv2.MORPH_OPEN, np.ones((3, 3), dtype=np.uint8))
    _, labels = cv2.connectedComponents(person)
    nose = labels[min(int(points[1, 1]), height - 1), min(int(points[1, 0]), width - 1)]
    whole = np.where(labels == nose, 255, 0).astype(np.uint8)
    # Grow smoothly to the full size first, then cut: a matte of this size has steps that would be seen.
    fine = cv2.resize(whole, (photo.shape[1], photo.shape[0]), interpolation=cv2.INTER_CUBIC)
    soft = cv2.GaussianBlur(fine, (0, 0), 0.018 * width_px).astype(np.float32)
    return np.asarray(np.clip((soft - 110) * 2.6, 0, 255), dtype=np.uint8)
