"""A paper mask: somebody else's photograph, cut along the face, with holes for the eyes, worn by a living person.

The wearer answers the prompts as anybody does and blinks behind the holes; the mask follows the head. It hangs before
the nose, so the eyes lie some centimetres behind the paper and move against it when the head turns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from device.sim.attacks.surface import FLAT_M, Light, Placement, Sheet, draw_sheet
from device.sim.motion import Reach
from device.sim.portrait import LOWER_LID, OVAL, UPPER_LID, Portrait
from device.sim.visitor import FACE_WIDTH_M, PIVOT, RenderedVisitor, Walk, rotation
from device.sim.warp import Lens
from device.types import Image, Points

_NOSE_TIP = 1
#: The paper's white edge around the face, in face widths; and how far beyond it the sheet reaches.
_SPARE = 0.05
_LIDS = len(UPPER_LID) // 2


@dataclass(frozen=True, slots=True)
class CutoutParameters:
    """A mask and who wears it. Behind each field what is usual, and the range that makes sense.

    Attributes:
        radius_m: Of the bend about the wearer's head, metres; 0.11, 0.085..0.2 (1000 is flat).
        hole_scale: Size of the holes over that of the eyes on the photograph; 1.3, 1.0..1.6.
        rim: White edge left around the face when cutting, in face widths; 0.02, 0..0.05.
        gap_m: From the tip of the wearer's nose to the paper, metres; -0.02, -0.03..0.01. Below 0 the paper gives way
            to the nose (a slit, a fold) and lies nearer to the eyes.
        near_m: Distance at which the wearer waits, metres; 0.6, 0.45..0.8.
        yaw_deg: The wearer's turn to either side, degrees; 46, 40..52. The mesh sees about three quarters of it.
        up_deg: The wearer's look up, degrees; 46, 42..52: the mask is flat that way, the mesh sees half of it.
        down_deg: The wearer's look down, degrees; 42, 36..46.
        turn_s: Duration of one turn, seconds; 0.45, 0.35..0.8.
        reaction_s: Mean time from the prompt to the start of the turn, seconds; 0.5, 0.3..0.9.
        light: Lamp and gloss of the paper; elevation 30..65 degrees, azimuth -50..50, ambient 0.35..0.75, gloss 0..0.3.
        patience_s: Without a verdict the wearer leaves after so long, seconds; 30.
    """

    radius_m: float = 0.11
    hole_scale: float = 1.3
    rim: float = 0.02
    gap_m: float = -0.02
    near_m: float = 0.6
    yaw_deg: float = 46.0
    up_deg: float = 46.0
    down_deg: float = 42.0
    turn_s: float = 0.45
    reaction_s: float = 0.5
    light: Light = field(default_factory=Light)
    patience_s: float = 30.0


class PrintCutout(RenderedVisitor):
    """A living person behind a paper mask of somebody else.

    Args:
        portrait: Whose photograph the mask is.
        wearer: Who wears it.
        lens: The camera.
        parameters: Mask and wearer.
        seed: Decides the wearer's sway, blinks and reaction times.
    """

    def __init__(
        self, portrait: Portrait, wearer: Portrait, *, lens: Lens, parameters: CutoutParameters, seed: int = 0
    ) -> None:
        reach = Reach(
            yaw_deg=parameters.yaw_deg,
            up_deg=parameters.up_deg,
            down_deg=parameters.down_deg,
            turn_s=parameters.turn_s,
            reaction_s=parameters.reaction_s,
        )
        walk = Walk(near_m=parameters.near_m, patience_s=parameters.patience_s)
        super().__init__(wearer, lens=lens, seed=seed, walk=walk, reach=reach)
        self._light = parameters.light
        self._radius_m = parameters.radius_m
        eyes, own = _eyes(portrait.vertices), _eyes(wearer.vertices)
        line, own_line = eyes[1, :2] - eyes[0, :2], own[1, :2] - own[0, :2]
        # One face width of the mask in metres: its eyes lie as far apart as the wearer's, and lean as they do.
        width_m = FACE_WIDTH_M * float(np.linalg.norm(own_line) / np.linalg.norm(line))
        lean = math.atan2(own_line[1], own_line[0]) - math.atan2(line[1], line[0])
        self._lean = rotation(0.0, 0.0, math.degrees(lean)).astype(np.float64)
        picture, middle = cutout_picture(portrait, hole_scale=parameters.hole_scale, rim=parameters.rim)
        metre = width_m / portrait.textures[0].scale
        self._sheet = Sheet.of(picture, width_m=metre * picture.shape[1], height_m=metre * picture.shape[0])
        # Where the middle of the paper lies on the wearer's head, in metres from the head's origin: its holes before
        # the eyes, itself before the nose.
        from_eyes = self._lean[:2, :2] @ (middle - eyes.mean(axis=0)[:2]) * width_m
        shift = own.mean(axis=0)[:2] * FACE_WIDTH_M + from_eyes
        front = float(wearer.vertices[_NOSE_TIP, 2]) * FACE_WIDTH_M - parameters.gap_m
        self._mask_m = np.array([shift[0], shift[1], front])

    def _paint(self, canvas: Image, position: Points, *, angles_deg: tuple[float, float, float], blink: float) -> None:
        super()._paint(canvas, position, angles_deg=angles_deg, blink=blink)
        turn = rotation(*angles_deg).astype(np.float64)
        pivot = PIVOT.astype(np.float64) * FACE_WIDTH_M
        at = turn @ (self._mask_m - pivot) + pivot + position
        placement = Placement(turn=turn @ self._lean, position=at, radius_m=min(self._radius_m, FLAT_M))
        draw_sheet(canvas, self._sheet, placement, lens=self._lens, light=self._light)


def cutout_picture(portrait: Portrait, *, hole_scale: float, rim: float) -> tuple[Image, NDArray[np.float32]]:
    """Cut the face out of the photograph, and the eyes out of the face.

    Args:
        portrait: Whose.
        hole_scale: Size of the holes over that of the eyes.
        rim: White edge left around the face, in face widths.

    Returns:
        uint8 BGRA, premultiplied, at the largest texture's scale; and where its middle lies on the face, (2,) float32
        in face widths from the portrait's origin.
    """
    scale = portrait.textures[0].scale
    outline = portrait.vertices[list(OVAL), :2]
    low, high = outline.min(axis=0) - rim - _SPARE, outline.max(axis=0) + rim + _SPARE
    middle = ((low + high) / 2).astype(np.float32)
    size = np.ceil((high - low) * scale).astype(int).tolist()
    # The photograph's pixel of the face's point p is (p + origin) * scale.
    corner = (middle + portrait.origin) * scale - np.array(size) / 2
    shift = np.array([[1, 0, -corner[0]], [0, 1, -corner[1]]], dtype=np.float64)
    white = (238, 242, 244)
    photo = cv2.warpAffine(portrait.photo, shift, size, borderMode=cv2.BORDER_CONSTANT, borderValue=white)

    def pixels(points: NDArray[np.float32]) -> NDArray[np.int32]:
        return np.asarray(np.rint(((points - middle) * scale + np.array(size) / 2) * 16), dtype=np.int32)

    face = np.zeros((size[1], size[0]), dtype=np.uint8)
    cv2.fillPoly(face, [pixels(outline)], 255, cv2.LINE_AA, shift=4)
    paper = face
    if rim > 0.0:
        side = 2 * max(1, round(rim * scale)) + 1
        paper = np.asarray(cv2.dilate(face, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))), dtype=np.uint8)
    for eye in range(2):
        contour = _eye_contour(portrait.vertices, eye)
        centre = contour.mean(axis=0)
        hole = np.zeros_like(face)
        cv2.fillPoly(hole, [pixels((contour - centre) * np.float32(hole_scale) + centre)], 255, cv2.LINE_AA, shift=4)
        paper = np.asarray(cv2.min(paper, 255 - hole), dtype=np.uint8)
    printed, kept = (part.astype(np.float32)[..., None] / 255 for part in (face, paper))
    colour = (photo * printed + np.array(white, dtype=np.float32) * (1.0 - printed)) * kept
    return np.concatenate([np.rint(colour).astype(np.uint8), paper[..., None]], axis=2), middle


def _lids(vertices: Points, eye: int) -> Points:
    """The lids of one eye (0: the person's right one), (14, 3) in face widths."""
    first, end = eye * _LIDS, (eye + 1) * _LIDS
    return vertices[[*UPPER_LID[first:end], *LOWER_LID[first:end]]]


def _eye_contour(vertices: Points, eye: int) -> NDArray[np.float32]:
    """One eye as a closed contour, (n, 2)."""
    return np.asarray(cv2.convexHull(np.ascontiguousarray(_lids(vertices, eye)[:, :2]))[:, 0], dtype=np.float32)


def _eyes(vertices: Points) -> NDArray[np.float32]:
    """The middles of both eyes, (2, 3) in face widths."""
    return np.stack([_lids(vertices, eye).mean(axis=0) for eye in range(2)])
