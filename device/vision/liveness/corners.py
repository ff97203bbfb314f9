"""Corners on a face, followed from picture to picture with pyramidal Lucas-Kanade, forward and backward.

Pictures are grey, cut to the face by :func:`crop`, and divided by their local mean by :func:`evened` before corners are
sought. Lucas and Kanade assume that a patch keeps its brightness; on paper that is turned under a lamp it does not, and
corners slip along the shading: in 8 turns of flat prints below a lamp (of the catalogue's tuning half) homography
residuals were 0.011-0.055 inter-ocular distances as they were and 0.007-0.020 evened out, in 8 turns of rendered heads
0.041-0.087 and 0.039-0.074.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from device.types import Face, Frame, Image, Points, Pose

#: Outer corners of the eyes in MediaPipe's mesh topology: their distance is the unit of every length here.
_OUTER_EYES = (33, 263)
#: Landmarks around the right eye, the left one, and the brow above each (the person's own sides).
_EYES = (
    (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7),
    (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249),
)
_BROWS = ((70, 63, 105, 66, 107), (300, 293, 334, 296, 336))
#: Landmarks around the right eye with its brow, the left one, the nose, the mouth.
PARTS = (
    (*_EYES[0], *_BROWS[0]),
    (*_EYES[1], *_BROWS[1]),
    (6, 197, 195, 5, 4, 1, 2, 98, 327, 49, 279, 129, 358, 168),
    (61, 291, 0, 17, 37, 267, 84, 314, 40, 270, 91, 321, 57, 287),
)
#: Corners looked for on the face, and in each part; there so many view pixels apart: parts are small.
_MAX_CORNERS, _MAX_PART_CORNERS, _PART_DISTANCE_PX = 120, 30, 3.0
#: Relative quality of the weakest corner (Shi and Tomasi 1994).
_CORNER_QUALITY = 0.01
#: Corners that come back further from where they started are dropped, pixels.
_MAX_RETURN_PX = 1.0
#: A window of 11 pixels halves the residual of tilted paper against 15 and 21 (0.009-0.014, 0.011-0.019, 0.015-0.025 on
#: 20 prints) and leaves that of heads as it is: a small patch is foreshortened less.
_KLT: dict[str, Any] = {
    "winSize": (11, 11),
    "maxLevel": 3,
    "criteria": (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.01),
    "flags": cv2.OPTFLOW_USE_INITIAL_FLOW,
}
#: Wider faces are reduced by a whole number first: halved it costs a quarter, and corners do not get better.
_MAX_FACE_PX = 200.0
#: Room around the face's box for the movement between two pictures, in box sizes.
_ROOM = 0.25
#: Radius of the local mean in inter-ocular distances, the grey level it becomes, what is added to both so that noise in
#: the dark is not blown up, and by how much the picture is reduced for the mean (which needs no detail).
_MEAN_RADIUS, _MEAN_LEVEL, _DARK, _REDUCED = 0.3, 110.0, 4.0, 4
#: The eyes are left out by so much more than their contour: behind holes in a mask living eyes move for themselves.
_EYE_ROOM = 1.8


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One face crop: its pixel (0, 0) lies at ``origin`` of the frame, one pixel is ``step`` frame pixels.

    Attributes:
        captured_s: The frame's capture time.
        grey: uint8 (h, w); :func:`evened`, every neighbourhood is as bright as any other.
        origin: Frame pixels.
        step: Whole number.
        points: (468, 2) float32, the mesh in frame pixels.
        depths: (468,) float32, its depth in inter-ocular distances, smaller is nearer.
        pose: Of the head, degrees.
        unit_px: Inter-ocular distance in frame pixels.
    """

    captured_s: float
    grey: Image
    origin: tuple[int, int]
    step: int
    points: Points
    depths: Points
    pose: Pose
    unit_px: float


def crop(frame: Frame, face: Face, *, step: int | None) -> View | None:
    """Cut the face with some room out of the frame, as it is; None where it lies outside or is not finite.

    Without a ``step`` the face's width decides it; all views of one turn share one.
    """
    points = face.landmarks[:, :2]
    box = face.box
    if not all(math.isfinite(value) for value in (box.x, box.y, box.width, box.height)):
        return None
    height, width = frame.image.shape[:2]
    room_x, room_y = box.width * _ROOM, box.height * _ROOM
    x0, y0 = int(max(0.0, box.x - room_x)), int(max(0.0, box.y - room_y))
    x1 = int(max(0.0, min(width, box.x + box.width + room_x)))
    y1 = int(max(0.0, min(height, box.y + box.height + room_y)))
    unit = math.dist(points[_OUTER_EYES[0]].tolist(), points[_OUTER_EYES[1]].tolist())
    if x1 - x0 < 16 or y1 - y0 < 16 or not unit > 1.0:
        return None
    step = step or max(1, math.ceil(box.width / _MAX_FACE_PX))
    grey = cv2.cvtColor(frame.image[y0:y1, x0:x1], cv2.COLOR_BGR2GRAY)
    if step > 1:
        grey = cv2.resize(grey, None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_AREA)
    return View(
        captured_s=frame.captured_s,
        grey=np.asarray(grey, dtype=np.uint8),
        origin=(x0, y0),
        step=step,
        points=points,
        depths=np.asarray(face.landmarks[:, 2] / np.float32(unit), dtype=np.float32),
        pose=face.pose,
        unit_px=unit,
    )


def evened(view: View) -> View:
    """The same view for :func:`find` and :func:`follow`: only what is judged is worth the 40 us."""
    return replace(view, grey=normalised(view.grey, radius=_MEAN_RADIUS * view.unit_px / view.step))


def normalised(grey: Image, *, radius: float) -> Image:
    """Divide a grey picture by its local mean.

    Args:
        grey: uint8 (h, w).
        radius: Standard deviation of the mean's Gaussian, pixels.

    Returns:
        uint8 (h, w) with the local mean near 110; brighter than 2.3 times the mean is cut off.
    """
    height, width = grey.shape
    small = (max(1, width // _REDUCED), max(1, height // _REDUCED))
    reduced = cv2.resize(grey, small, interpolation=cv2.INTER_AREA).astype(np.float32) + _DARK
    mean = cv2.GaussianBlur(reduced, (0, 0), max(0.5, radius / _REDUCED))
    spread = cv2.resize(mean, (width, height), interpolation=cv2.INTER_LINEAR)
    ratio = cv2.divide(grey.astype(np.float32) + np.float32(_DARK), spread, scale=_MEAN_LEVEL)
    return cv2.convertScaleAbs(ratio).astype(np.uint8, copy=False)


def find(view: View, *, part: tuple[int, ...] | None = None) -> Points:
    """Corners in a view, (n, 2) float32 frame pixels, strongest first; none where the mesh is no number.

    Args:
        view: Where to look.
        part: Landmarks around the part of the face to look at; None for the whole face without the eyes.
    """
    if not np.isfinite(view.points).all():
        return np.zeros((0, 2), dtype=np.float32)
    distance = max(3.0, view.unit_px / view.step / 18.0) if part is None else _PART_DISTANCE_PX
    most = _MAX_CORNERS if part is None else _MAX_PART_CORNERS
    # The type says that there always are some; in a blank picture there are none.
    found: Points | None = cast(
        "Any", cv2.goodFeaturesToTrack(view.grey, most, _CORNER_QUALITY, distance, mask=_mask(view, part), blockSize=5)
    )
    return np.zeros((0, 2), dtype=np.float32) if found is None else _to_frame(found[:, 0], view)


def follow(views: list[View], corners: Points) -> tuple[NDArray[np.int64], Points]:
    """Follow corners of the first view to the last.

    Each search begins where the mesh's affine motion puts the corner: that says nothing about depth, and at 12 frames
    per second a head that turns fast moves further than the search reaches.

    Args:
        views: At least one.
        corners: (n, 2) float32 frame pixels.

    Returns:
        Which of them arrived, (m,), and where, (m, 2) float32 frame pixels.
    """
    height, width = (max(view.grey.shape[axis] for view in views) for axis in (0, 1))
    arrived = np.arange(len(corners))
    if not all(np.isfinite(view.points).all() for view in views):
        return arrived[:0], corners[:0]
    here, grey = views[0], _padded(views[0].grey, width=width, height=height)
    current = corners
    for there in views[1:]:
        if len(arrived) == 0:
            break
        ahead_grey = _padded(there.grey, width=width, height=height)
        start = _to_view(current, here)
        guess = _to_view(_carried(current, here, there), there)
        ahead, ok_ahead, _ = cv2.calcOpticalFlowPyrLK(grey, ahead_grey, start, guess, **_KLT)
        back, ok_back, _ = cv2.calcOpticalFlowPyrLK(ahead_grey, grey, ahead, start.copy(), **_KLT)
        good = (ok_ahead[:, 0] == 1) & (ok_back[:, 0] == 1)
        good &= np.linalg.norm(back - start, axis=1) <= _MAX_RETURN_PX
        arrived, current = arrived[good], _to_frame(ahead[good], there)
        here, grey = there, ahead_grey
    return arrived, current


def _mask(view: View, part: tuple[int, ...] | None) -> NDArray[np.uint8]:
    """Where corners are looked for: 255 inside the part's outline, or inside the face's and outside the eyes."""
    mask = np.zeros(view.grey.shape, dtype=np.uint8)
    inside = view.points if part is None else view.points[list(part)]
    cv2.fillConvexPoly(mask, np.rint(cv2.convexHull(_to_view(inside, view))).astype(np.int32), 255)
    for eye in _EYES if part is None else ():
        outline = cv2.convexHull(_to_view(view.points[list(eye)], view))[:, 0]
        middle = outline.mean(axis=0)
        cv2.fillConvexPoly(mask, np.rint((outline - middle) * _EYE_ROOM + middle).astype(np.int32), 0)
    return mask


def _carried(points: Points, here: View, there: View) -> Points:
    """Where the affine motion of the whole mesh between two views takes these frame pixels."""
    middle = here.points.mean(axis=0)
    mesh = np.column_stack([here.points - middle, np.ones(len(here.points), dtype=np.float32)]).astype(np.float64)
    # Normal equations of three unknowns: the pseudo-inverse knows what to do with a mesh that is a line.
    matrix = np.linalg.pinv(mesh.T @ mesh, hermitian=True) @ (mesh.T @ there.points)
    moved = np.column_stack([points - middle, np.ones(len(points), dtype=np.float32)]) @ matrix
    return np.asarray(moved, dtype=np.float32)


def _padded(grey: Image, *, width: int, height: int) -> Image:
    """Continue the last row and column up to this size: optical flow wants pictures of one size."""
    below, right = height - grey.shape[0], width - grey.shape[1]
    return np.asarray(cv2.copyMakeBorder(grey, 0, below, 0, right, cv2.BORDER_REPLICATE), dtype=np.uint8)


def _to_view(points: Points, view: View) -> Points:
    """Frame pixels to crop pixels; with halving the centres of pixels move by half a step."""
    half = (view.step - 1) / 2
    shift = np.array([view.origin[0] + half, view.origin[1] + half], dtype=np.float32)
    return np.ascontiguousarray((points - shift) / np.float32(view.step), dtype=np.float32)


def _to_frame(points: Points, view: View) -> Points:
    half = (view.step - 1) / 2
    shift = np.array([view.origin[0] + half, view.origin[1] + half], dtype=np.float32)
    return np.asarray(points * np.float32(view.step) + shift, dtype=np.float32)
