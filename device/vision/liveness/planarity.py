"""Is the face flat? Corners on a turning head move as no single plane could; corners on tilted paper do not.

Corners are followed over half a second with pyramidal Lucas-Kanade, forward and backward. The best homography between
the first and the last picture then explains all corners of a sheet, however it is tilted or held, but leaves a residual
on a head, whose nose and cheeks lie at different depths. Measured on 16 turning live heads and on simulated paper
(tilted 31, bent 16, flexed 16, rolled 12 clips) with residual >= 0.024 inter-ocular distances: every head passes, no
paper does. The cue has no power against a screen that replays a turning head.

In the rendered door scene (tests/liveness) visitors leave 0.031-0.086, prints 0.002-0.011; a recorded person 0.048 and
more. What fails too often: a nod that takes longer than a second (0.018-0.025 at 1.4 s), since the window sees only a
part of it, and faces below some 60 pixels at 12 frames per second, which lose their corners.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from device.config import LivenessConfig
from device.errors import ModelError
from device.types import Face, Frame, Image, Points

SPATIAL = "spatial"
PLANAR = "planar"
TOO_FEW_CORNERS = "too_few_corners"

#: Outer corners of the eyes in MediaPipe's mesh topology: their distance is the unit of the residual.
_EYES = (33, 263)
#: Share of the corners that counts, the best first: the rest may have slipped along an edge or a shadow.
_KEPT = 0.8
_MAX_CORNERS = 120
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
}
#: Pictures closer together than this add time and drift, not knowledge.
_MIN_STEP_S = 0.025
#: Landmarks around the right eye with its brow, the left one, the nose, the mouth (the person's own sides).
PARTS = (
    (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7, 70, 63, 105, 66, 107),
    (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249, 300, 293, 334, 296, 336),
    (6, 197, 195, 5, 4, 1, 2, 98, 327, 49, 279, 129, 358, 168),
    (61, 291, 0, 17, 37, 267, 84, 314, 40, 270, 91, 321, 57, 287),
)
#: Corners looked for in each part, and how far apart they must be in view pixels: parts are small.
_MAX_PART_CORNERS, _PART_DISTANCE_PX = 30, 3.0
#: Wider faces are halved first: it costs a quarter and corners do not get better.
_MAX_FACE_PX = 200.0
#: Room around the face's box for the movement between two pictures, in box sizes.
_ROOM = 0.25


@dataclass(frozen=True, slots=True)
class Planarity:
    """What the corners say about one window.

    Attributes:
        verdict: ``spatial``, ``planar`` or ``too_few_corners``; only the first speaks for life.
        residual: RMS of the best 80 % of the corners, in inter-ocular distances; None where not measurable.
        corners: How many were followed to the end.
    """

    verdict: str
    residual: float | None
    corners: int


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """One grey face crop: its pixel (0, 0) lies at ``origin`` of the frame, one pixel is ``step`` frame pixels."""

    captured_s: float
    grey: Image
    origin: tuple[int, int]
    step: int
    points: Points
    unit_px: float


class PlanarityGate:
    """Remembers the face while a turn is being judged, and says whether it moved like a solid or like a sheet.

    Args:
        config: Window, threshold and the least number of corners.
    """

    def __init__(self, config: LivenessConfig) -> None:
        self._config = config
        longest_s = config.answer_max_s + config.hold_s + config.planarity_window_s + config.max_gap_s
        self._views: deque[_View] = deque(maxlen=math.ceil(longest_s / _MIN_STEP_S))

    def clear(self) -> None:
        """Forget every picture: the next turn is another matter."""
        self._views.clear()

    def add(self, frame: Frame, face: Face) -> None:
        """Remember one frame's face; one that follows the last too closely is skipped."""
        if self._views and frame.captured_s - self._views[-1].captured_s < _MIN_STEP_S:
            return
        view = _crop(frame, face, step=self._views[0].step if self._views else None)
        if view is not None:
            self._views.append(view)

    def judge(self, *, vouched_s: float, until_s: float) -> Planarity:
        """Judge the window that ends at ``until_s``, and follow it back to the last vouched frame.

        The corners that were on the face when it was last compared must still be there, followed frame by frame, when
        the turn is held: a sheet that is pulled away to let a head turn in its place takes its corners along.

        Raises:
            ModelError: OpenCV could not compute it.
        """
        window_s = until_s - self._config.planarity_window_s - _MIN_STEP_S
        views = [view for view in self._views if view.captured_s <= until_s]
        linked = [view for view in views if view.captured_s <= vouched_s]
        window = [view for view in views if view.captured_s >= window_s]
        if not linked or len(window) < 2:
            return Planarity(verdict=TOO_FEW_CORNERS, residual=None, corners=0)
        try:
            first, last, _ = _follow(window)
            corners = len(first)
            if corners < self._config.min_corners or not self._hangs_together(views[len(linked) - 1 :]):
                return Planarity(verdict=TOO_FEW_CORNERS, residual=None, corners=corners)
            # The larger of both distances: paper that is moved closer must not enlarge its own residual.
            residual = homography_residual(first, last) / max(window[0].unit_px, window[-1].unit_px)
        except cv2.error as exc:
            raise ModelError("the planarity of the face cannot be computed") from exc
        spatial = math.isfinite(residual) and residual >= self._config.min_residual
        return Planarity(
            verdict=SPATIAL if spatial else PLANAR,
            residual=residual if math.isfinite(residual) else None,
            corners=corners,
        )

    def _hangs_together(self, views: list[_View]) -> bool:
        """Whether most of the face's parts can be followed from the first view to the last, each by itself.

        Part by part, because corners are ranked by their contrast: a patterned rim held before the face would bring
        nearly all of the strongest ones, and stay where it is whatever is exchanged behind it.
        """
        linked = 0
        for part in PARTS:
            kept, _, found = _follow(views, part=part)
            linked += found > 0 and len(kept) >= self._config.min_linked * found
        return linked >= self._config.min_linked_parts


def homography_residual(first: Points, last: Points) -> float:
    """RMS distance in pixels of the best 80 % of the corners from the best homography; NaN where there is none.

    Args:
        first: (n, 2) float32 pixels, n >= 4.
        last: The same corners later.
    """
    count = max(4, math.ceil(_KEPT * len(first)))
    kept = np.arange(len(first))
    method = cv2.LMEDS
    error = np.zeros(len(first))
    for _ in range(3):  # the first estimate rests on four corners: refit twice on what fits
        # The type says that there always is one; for points on one line there is none.
        matrix: NDArray[np.float64] | None = cast("Any", cv2.findHomography(first[kept], last[kept], method)[0])
        if matrix is None:
            return math.nan
        error = np.linalg.norm(cv2.perspectiveTransform(first[None], matrix)[0] - last, axis=1)
        kept = np.argsort(error, kind="stable")[:count]
        method = 0
    return float(np.sqrt(np.mean(error[kept] ** 2)))


def _crop(frame: Frame, face: Face, *, step: int | None) -> _View | None:
    """Cut the face with some room out of the frame, in grey; None where it lies outside or is not finite.

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
    unit = math.dist(points[_EYES[0]].tolist(), points[_EYES[1]].tolist())
    if x1 - x0 < 16 or y1 - y0 < 16 or not unit > 1.0:
        return None
    step = step or max(1, math.ceil(box.width / _MAX_FACE_PX))
    grey = cv2.cvtColor(frame.image[y0:y1, x0:x1], cv2.COLOR_BGR2GRAY)
    if step > 1:
        grey = cv2.resize(grey, None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_AREA)
    return _View(
        captured_s=frame.captured_s,
        grey=np.asarray(grey, dtype=np.uint8),
        origin=(x0, y0),
        step=step,
        points=points,
        unit_px=unit,
    )


def _follow(views: list[_View], *, part: tuple[int, ...] | None = None) -> tuple[Points, Points, int]:
    """Find corners in the first view and follow them to the last.

    Args:
        views: At least one.
        part: Landmarks around the part of the face to look at; None for the whole face.

    Returns:
        Those that arrived, (n, 2) float32 frame pixels in the first and in the last view, and how many were found.
    """
    height, width = (max(view.grey.shape[axis] for view in views) for axis in (0, 1))
    views = [replace(view, grey=_padded(view.grey, width=width, height=height)) for view in views]
    here = views[0]
    empty = np.zeros((0, 2), dtype=np.float32)
    mask = np.zeros(here.grey.shape, dtype=np.uint8)
    if not np.isfinite(here.points).all():
        return empty, empty, 0
    points = here.points if part is None else here.points[list(part)]
    outline = cv2.convexHull(_to_view(points, here))
    cv2.fillConvexPoly(mask, np.rint(outline).astype(np.int32), 255)
    distance = max(3.0, here.unit_px / here.step / 18.0) if part is None else _PART_DISTANCE_PX
    most = _MAX_CORNERS if part is None else _MAX_PART_CORNERS
    # The type says that there always are some; in a blank picture there are none.
    found: Points | None = cast(
        "Any", cv2.goodFeaturesToTrack(here.grey, most, _CORNER_QUALITY, distance, mask=mask, blockSize=5)
    )
    if found is None:
        return empty, empty, 0
    first = current = _to_frame(found[:, 0], here)
    for there in views[1:]:
        start = _to_view(current, here)
        guess = _to_view(current, there)
        ahead, ok_ahead, _ = cv2.calcOpticalFlowPyrLK(
            here.grey, there.grey, start, guess, flags=cv2.OPTFLOW_USE_INITIAL_FLOW, **_KLT
        )
        back, ok_back, _ = cv2.calcOpticalFlowPyrLK(
            there.grey, here.grey, ahead, start.copy(), flags=cv2.OPTFLOW_USE_INITIAL_FLOW, **_KLT
        )
        good = (ok_ahead[:, 0] == 1) & (ok_back[:, 0] == 1)
        good &= np.linalg.norm(back - start, axis=1) <= _MAX_RETURN_PX
        first, current = first[good], _to_frame(ahead[good], there)
        here = there
        if len(first) < 4:
            break
    return first, current, len(found)


def _padded(grey: Image, *, width: int, height: int) -> Image:
    """Continue the last row and column up to this size: optical flow wants pictures of one size."""
    below, right = height - grey.shape[0], width - grey.shape[1]
    return np.asarray(cv2.copyMakeBorder(grey, 0, below, 0, right, cv2.BORDER_REPLICATE), dtype=np.uint8)


def _to_view(points: Points, view: _View) -> Points:
    """Frame pixels to crop pixels; with halving the centres of pixels move by half a step."""
    half = (view.step - 1) / 2
    shift = np.array([view.origin[0] + half, view.origin[1] + half], dtype=np.float32)
    return np.ascontiguousarray((points - shift) / np.float32(view.step), dtype=np.float32)


def _to_frame(points: Points, view: _View) -> Points:
    half = (view.step - 1) / 2
    shift = np.array([view.origin[0] + half, view.origin[1] + half], dtype=np.float32)
    return np.asarray(points * np.float32(view.step) + shift, dtype=np.float32)
