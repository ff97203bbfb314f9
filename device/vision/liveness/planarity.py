"""Is the face flat? A head that turns shows its relief; a sheet of paper does not, however it is bent.

Two measures on corners that were followed through the turn (:mod:`.corners`):

*   The residual: the best homography explains all corners of a flat sheet, however it is tilted, but not those of a
    head. It has no power against a sheet that is bent, rolled or worn as a mask.
*   The parallax (:mod:`.parallax`): corners must move by as much more as the mesh says they are nearer, beyond what any
    smooth surface does. Its lower bound counts: the estimate less its standard error.

Measured per turn that the mesh took for an answer, on the tuning half of the catalogue as it was when the limits were
chosen (15 to 30 frames per second, through its optics, ten portraits): none of 606 with paper passes (bent 130, flexed
164, rolled 120, masks 98, flat 94). Before the light of pictures was evened out the residual alone had passed 241 of
them. Rendered living turns pass in 222 of 224, and in 210 of 218 where a lamp's shading moves over the head; most of
the rest lose the link to the compared face. Parallax of paper: -0.37 to 0.29, median -0.01; of rendered heads: 0.13 to
0.94, median 0.48. On the held-out half, 2026-11-20: 581 of 587 living turns pass, 6 are undecided; none of 129 turns
with flat prints passes, of which the residual alone passes 7. Recorded heads pass in all of 5 nods (30 frames per
second, faces of 65 pixels) and in 8 of 12 turns at 12 frames per second, 67 pixels and 256 colours; none is called
planar. 33 ms a turn on one thread of an EPYC (median of 8 rendered living turns at 30 frames per second, 2026-11-20),
58 to 94 ms in 4 turns of prints.

The cue has no power against a screen that replays a turning head, nor against a mask that has a nose or shows one.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from device.config import LivenessConfig
from device.errors import ModelError
from device.types import Face, Frame, Points
from device.vision.liveness.corners import PARTS, View, crop, evened, find, follow
from device.vision.liveness.parallax import depths_at, parallax, plane

SPATIAL = "spatial"
PLANAR = "planar"
TOO_FEW_CORNERS = "too_few_corners"

#: Pictures closer together than this add time and drift, not knowledge: of a camera of 30 frames per second each is
#: taken, of 60 every second one.
_MIN_STEP_S = 0.025
#: The parallax must be so many of its standard errors away from none: of 606 turns of paper one, a bent print's,
#: reached 0.292 with an error of 0.135, and with that the limit. Less than so many below the limit it is a sheet's no
#: more than a head's: undecided.
_SURE, _UNDECIDED = 2.5, 2.0
#: A turn that is longer than this is judged by its last part, degrees: what is turned further away hides its corners.
#: The widest of 16 rendered answers was read as 40 degrees; cut to 30, its parallax less its error fell from 0.63 to
#: 0.42.
_FURTHEST_DEG: Final = 45.0
#: A turn that is shorter than this within the window is judged from further back, degrees: what ``turn_deg`` asks for.
#: Of 8 rendered turns that take 1.8 s each it reaches back in 3, whose parallax less its error rises from 0.32-0.39 to
#: 0.38-0.51.
_LEAST_DEG: Final = 20.0
#: With less relief under the corners, in inter-ocular distances, the parallax would be a ratio of two noises, and of
#: 20,000 sheets rolled up to a half circle 266 would reach the limit, none with more relief than 0.019.
MIN_RELIEF: Final = 0.03


@dataclass(frozen=True, slots=True)
class Planarity:
    """What the corners say about one window.

    Attributes:
        verdict: ``spatial``, ``planar`` or ``too_few_corners``; only the first speaks for life.
        residual: RMS of the best 80 % of the corners, in inter-ocular distances; None where not measurable.
        corners: How many were followed to the end.
        parallax: Sine of the turn that the corners confirm in depth, negative where they contradict it; None where not
            measurable.
        error: Standard error of the parallax.
    """

    verdict: str
    residual: float | None
    corners: int
    parallax: float | None = None
    error: float | None = None


class PlanarityGate:
    """Remembers the face while a turn is being judged, and says whether it moved like a solid or like a sheet.

    Args:
        config: Window, thresholds and the least number of corners.
    """

    def __init__(self, config: LivenessConfig) -> None:
        self._config = config
        longest_s = config.answer_max_s + config.hold_s + config.planarity_window_s + config.max_gap_s
        self._views: deque[View] = deque(maxlen=math.ceil(longest_s / _MIN_STEP_S))

    def clear(self) -> None:
        """Forget every picture: the next turn is another matter."""
        self._views.clear()

    def add(self, frame: Frame, face: Face) -> None:
        """Remember one frame's face; one that follows the last too closely is skipped."""
        if self._views and frame.captured_s - self._views[-1].captured_s < _MIN_STEP_S:
            return
        view = crop(frame, face, step=self._views[0].step if self._views else None)
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
        recent = [view for view in views if view.captured_s >= window_s]
        turn = len(_last_turn(views, since_s=window_s))
        if not linked or min(len(recent), turn) < 2:
            return Planarity(verdict=TOO_FEW_CORNERS, residual=None, corners=0)
        link = len(views) - len(linked) + 1
        try:
            judged = [evened(view) for view in views[-max(turn, link) :]]
            window = judged[-turn:]
            found = find(window[0])
            arrived, last = follow(window, found)
            corners = len(arrived)
            if corners < self._config.min_corners or not self._hangs_together(judged[-link:]):
                return Planarity(verdict=TOO_FEW_CORNERS, residual=None, corners=corners)
            return self._measure(window[0], window[-1], found[arrived], last)
        except cv2.error as exc:
            raise ModelError("the planarity of the face cannot be computed") from exc

    def _measure(self, start: View, end: View, first: Points, last: Points) -> Planarity:
        """The verdict on corners that moved so between two views."""
        config = self._config
        # The larger of both distances: paper that is moved closer must not enlarge its own residual.
        unit_px = max(start.unit_px, end.unit_px)
        flat = plane(first, last)
        if flat is None or not math.isfinite(flat[1]):
            return Planarity(verdict=PLANAR, residual=None, corners=len(first))
        matrix, residual = flat[0], flat[1] / unit_px
        turned = (end.pose.yaw_deg - start.pose.yaw_deg, end.pose.pitch_deg - start.pose.pitch_deg)
        depths = depths_at(first, start.points, start.depths)
        relief = parallax(first, last, depths, matrix=matrix, unit_px=unit_px, turned=turned)
        if relief is None or not relief.relief >= MIN_RELIEF:
            return Planarity(verdict_on(residual, None, None, config), residual, len(first))
        verdict = verdict_on(residual, relief.sine, relief.error, config)
        return Planarity(verdict, residual, len(first), parallax=relief.sine, error=relief.error)

    def _hangs_together(self, views: list[View]) -> bool:
        """Whether most of the face's parts can be followed from the first view to the last, each by itself.

        Part by part, because corners are ranked by their contrast: a patterned rim held before the face would bring
        nearly all of the strongest ones, and stay where it is whatever is exchanged behind it.
        """
        found = [find(views[0], part=part) for part in PARTS]
        arrived, _ = follow(views, np.concatenate(found))
        owners = np.repeat(np.arange(len(found)), [len(part) for part in found])
        kept = np.bincount(owners[arrived], minlength=len(found))
        least = self._config.min_linked
        linked: int = sum(len(part) > 0 and count >= least * len(part) for part, count in zip(found, kept, strict=True))
        return linked >= self._config.min_linked_parts


def verdict_on(residual: float, parallax: float | None, error: float | None, config: LivenessConfig) -> str:
    """What the two measures of a turn say; whatever is not a number is not spatial.

    Args:
        residual: In inter-ocular distances.
        parallax: Sine of the turn, and its standard ``error``; both None where there was too little relief.
        error: See there.
        config: The limits.
    """
    if not residual >= config.min_residual:
        return PLANAR
    if parallax is None or error is None:
        return TOO_FEW_CORNERS
    # The least sine that the corners speak for must reach the limit, not the likeliest.
    if parallax - error >= config.min_parallax and parallax >= _SURE * error:
        return SPATIAL
    return TOO_FEW_CORNERS if parallax + _UNDECIDED * error >= config.min_parallax else PLANAR


def _last_turn(views: list[View], *, since_s: float) -> list[View]:
    """The views since then, of a slow turn also those before; none in which the head was turned away too far."""
    begin, enough = len(views), False
    for number in range(len(views) - 1, -1, -1):
        yaw_deg = views[-1].pose.yaw_deg - views[number].pose.yaw_deg
        pitch_deg = views[-1].pose.pitch_deg - views[number].pose.pitch_deg
        turned_deg = math.hypot(yaw_deg, pitch_deg)
        if not turned_deg <= _FURTHEST_DEG or (enough and views[number].captured_s < since_s):
            break
        enough = enough or turned_deg >= _LEAST_DEG
        begin = number
    return views[begin:]
