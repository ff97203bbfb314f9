"""Bezel cue: straight lines around a face that form a rectangle, as the frame of a screen or the edge of a sheet does.

A phone, a tablet, a monitor or a print shows its edges unless it fills the picture. The surroundings of the face are
scaled to a small grey picture, line segments are found in it (LSD: Grompone von Gioi et al., "LSD: a Line Segment
Detector", IPOL 2012) and the best rectangle about the face is searched among them, leaning and in mild perspective. A
living person stands before the lines of a room: head and shoulders hide the lower side of whatever hangs behind.

The score is a reason to ask for more, never to accept or to refuse: who fills the picture with the screen, or cuts the
print along the head, shows no edge at all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from device.errors import ModelError
from device.types import Box, Image

_Array = NDArray[np.float32]

#: Escalate where the median of the last five samples, 0.2 s apart, lies at or above it. Share of clips that it hits:
#: 0 of 12 recorded tracks of living people in two rooms (highest sample 0.2) and of 48 degraded copies (0.9), 0 of 5
#: photographs; 2 of 84 rendered visitors before hallways, recorded offices and drawn doors, windows and pictures.
#: Recordings and photographs composed into drawn phones, tablets, monitors and prints, in scenes by which the constants
#: were chosen and in others: all edges in view 148 of 150 and 115 of 120, the lower out of view 47 of 48 and 34 of 36,
#: one at the side 34 of 48 and 30 of 36. Simulated prints 12 of 12. Area under the curve 0.99. No phone was filmed; of
#: two recorded replays one is hit (2.2), the other shows no edge (0.9).
BEZEL_LIMIT: Final = 1.8

#: What is looked at: so many face sides from the centre of the face to each side. A side is the mean of the box's two.
REACH: Final = 2.5
#: Width of that square in the picture that is searched for lines, pixels; LSD shrinks it to 0.8 of that once more.
WORKING_PX: Final = 160
#: A side of the rectangle passes the centre of the face at this distance at least, in face sides: outside of the face.
_NEAREST: Final = 0.6
#: Shorter segments are texture, in face sides.
_SHORTEST: Final = 0.25
#: Segments lie on one line when their middles are so close to it, in face sides, and their angles agree.
_ON_LINE: Final = 0.08
_ON_LINE_RAD: Final = math.radians(10)
#: How far opposite sides may be from parallel, neighbours from perpendicular: a sheet tilted by 30 degrees close to the
#: camera shows 18 and 9. A shoulder below a door frame slopes by more than a neighbour may.
_PARALLEL_RAD: Final = math.radians(20)
_PERPENDICULAR_RAD: Final = math.radians(14)
#: A side that is covered less is none.
_LEAST_COVERED: Final = 0.4
#: What a side costs that is none though there is picture where it should be: a door whose posts are seen beside the
#: person all the way down comes to 1.5.
_MISSING: Final = 1.5
#: Lines that are tried for each side of the rectangle, the longest first.
_TRIED: Final = 4
#: Steps in which coverage along a line is counted, and how many there are to a face side.
_STEPS: Final = 40
_STEPS_PER_SIDE: Final = _STEPS / (2 * REACH)
#: Middles of the steps, in steps from the beginning.
_MIDDLES: Final[_Array] = np.arange(_STEPS, dtype=np.float32) + np.float32(0.5)


@dataclass(frozen=True, slots=True, eq=False)
class _Lines:
    """What may be one side of the rectangle; the last line is the end of what is seen, where the side is out of view.

    A line is ``across = offset + slope * along``, in face sides from the centre of the face; *along* is y for the left
    and the right side, x for the upper and the lower one.

    Attributes:
        offset: (n,) float32.
        slope: (n,) float32, -1..1.
        angle: (n,) float32, radians.
        seen: (n,) bool, False for the last.
        covered: (n, _STEPS + 1) float32, how many steps from the beginning up to each are covered by segments.
        unseen: What the last line adds to the score.
    """

    offset: _Array
    slope: _Array
    angle: _Array
    seen: NDArray[np.bool_]
    covered: _Array
    unseen: float


class BezelFinder:
    """Judges one face per call; keeps the buffers of the pictures. Used by one thread."""

    def __init__(self) -> None:
        # Refinement cuts the rounded corner of a phone off its sides: no gain here, at 0.1 ms.
        # Any: where there is no line it answers None, which OpenCV's stub does not know.
        self._detector: Any = cv2.createLineSegmentDetector(refine=cv2.LSD_REFINE_NONE)
        self._grey = np.empty(0, np.uint8)
        self._small: Image = np.empty((WORKING_PX, WORKING_PX), np.uint8)

    def score(self, image: Image, box: Box) -> float:
        """How much of a rectangle's outline around the face is straight lines.

        The sum over the four sides of the best rectangle of the squared share that line segments cover: 0..4. Squared,
        since two halves are less of a frame than one whole side. A side of which less than 0.4 is covered is none; then
        its neighbours must reach to the border of the picture, where the edge is out of view, or to the border of the
        square of five face sides that is looked at, which costs 1.5.

        Args:
            image: uint8 BGR (height, width, 3).
            box: The face in pixels of the picture, as the mesh frames it (:attr:`device.types.Face.box`); may reach
                beyond the picture.

        Raises:
            ModelError: The picture is no such array, or the box is not finite, empty or outside of it.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or min(image.shape) < 2:
            raise ModelError(f"a picture of {image.dtype} {image.shape} cannot be judged")
        height, width = image.shape[:2]
        _require_face(box, width=width, height=height)
        side = box.width / 2 + box.height / 2
        x, y = box.centre
        left, right = _span(x, REACH * side, width)
        top, bottom = _span(y, REACH * side, height)
        segments = self._segments(image[top:bottom, left:right], scale=WORKING_PX / (2 * REACH * side))
        segments *= np.float32(1 / side)
        ends = (left - x) / side, (top - y) / side, (right - x) / side, (bottom - y) / side
        segments += np.array([ends[0], ends[1], ends[0], ends[1]], np.float32)
        return _best_rectangle(segments, ends)

    def _segments(self, part: Image, *, scale: float) -> _Array:
        """Line segments of a part of a picture: (n, 4) float32, both ends (x, y, x, y) in its pixels."""
        height, width = part.shape[:2]
        if self._grey.size < height * width:
            self._grey = np.empty(height * width, np.uint8)
        grey = self._grey[: height * width].reshape(height, width)
        cv2.cvtColor(part, cv2.COLOR_BGR2GRAY, dst=grey)
        columns = min(max(round(width * scale), 2), WORKING_PX)
        rows = min(max(round(height * scale), 2), WORKING_PX)
        # Averaged, not sampled: the rows of a screen and the weave of a shirt would come out as lines.
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        small = self._small[:rows, :columns]
        cv2.resize(grey, (columns, rows), dst=small, interpolation=interpolation)
        found = self._detector.detect(small)[0]
        if found is None:
            return np.empty((0, 4), np.float32)
        across, down = width / columns, height / rows
        return np.asarray(found.reshape(-1, 4) * np.array([across, down, across, down], np.float32), np.float32)


def _require_face(box: Box, *, width: int, height: int) -> None:
    """Raises ModelError where there is no face to judge the surroundings of."""
    sides = (box.x, box.y, box.width, box.height)
    if not (all(map(math.isfinite, sides)) and box.width >= 1 and box.height >= 1):
        raise ModelError(f"a face box of {box.width} x {box.height} pixels cannot be judged")
    if not (box.x < width and box.y < height and box.x + box.width > 0 and box.y + box.height > 0):
        raise ModelError(f"the face box at ({box.x:.0f}, {box.y:.0f}) lies outside of the {width} x {height} picture")


def _span(centre: float, reach: float, extent: int) -> tuple[int, int]:
    """First pixel and the one after the last of what is looked at; at least one."""
    first = int(min(max(centre - reach, 0.0), extent - 1.0))
    return first, max(math.ceil(min(centre + reach, extent)), first + 1)


def _best_rectangle(segments: _Array, ends: tuple[float, float, float, float]) -> float:
    """The score, from segments in face sides about the centre of the face and the ends of what is seen."""
    run = segments[:, 2:] - segments[:, :2]
    long = np.hypot(run[:, 0], run[:, 1]) >= _SHORTEST
    upright = np.abs(run[:, 1]) >= np.abs(run[:, 0])
    left, right = _lines(segments[long & upright], ends[0], ends[2])
    # Rows for columns: what holds for the left and the right side holds for the upper and the lower one.
    upper, lower = _lines(segments[long & ~upright][:, (1, 0, 3, 2)], ends[1], ends[3])
    corners = {
        (a, b): _corner(one, other) for a, one in enumerate((left, right)) for b, other in enumerate((upper, lower))
    }
    upright_sides = [_coverage(one, corners[a, 0][0], corners[a, 1][0]) for a, one in enumerate((left, right))]
    level_sides = [_coverage(one, corners[0, b][1].T, corners[1, b][1].T) for b, one in enumerate((upper, lower))]
    # Every combination: (left, right, upper, lower).
    total = (
        upright_sides[0][:, None]
        + upright_sides[1][None]
        + level_sides[0].transpose(1, 2, 0)[..., None]
        + level_sides[1].transpose(1, 2, 0)[:, :, None]
        + _parallel(left, right)[:, :, None, None]
        + _parallel(upper, lower)
        + corners[0, 0][2][:, None, :, None]
        + corners[0, 1][2][:, None, None, :]
        + corners[1, 0][2][:, :, None]
        + corners[1, 1][2][:, None, :]
    )
    return max(float(total.max()), 0.0)


def _lines(segments: _Array, low_end: float, high_end: float) -> tuple[_Lines, _Lines]:
    """Lines before and behind the face: segments as (across, along, across, along), steeper than 45 degrees."""
    slope = (segments[:, 2] - segments[:, 0]) / (segments[:, 3] - segments[:, 1])
    offset = segments[:, 0] - slope * segments[:, 1]
    angle = np.arctan(slope)
    first = ((segments[:, (1, 3)].min(axis=1) + REACH) * _STEPS_PER_SIDE)[:, None]
    last = ((segments[:, (1, 3)].max(axis=1) + REACH) * _STEPS_PER_SIDE)[:, None]
    covers = ((first <= _MIDDLES) & (last >= _MIDDLES)).astype(np.float32)
    middle = (segments[:, :2] + segments[:, 2:]) / 2
    away = np.abs(offset[:, None] + slope[:, None] * middle[:, 1] - middle[:, 0])
    on_line = (away < _ON_LINE) & (np.abs(angle[:, None] - angle) < _ON_LINE_RAD)
    covered = on_line.astype(np.float32) @ covers > 0
    order = np.argsort(-covered.sum(axis=1), kind="stable")
    made = []
    for beyond, end in ((-offset, low_end), (offset, high_end)):
        chosen = _distinct(order[beyond[order] > _NEAREST], on_line)
        counts = np.zeros((len(chosen) + 1, _STEPS + 1), np.float32)
        np.cumsum(covered[chosen], axis=1, out=counts[:-1, 1:])
        made.append(
            _Lines(
                offset=np.append(offset[chosen], np.float32(end)),
                slope=np.append(slope[chosen], np.float32(0)),
                angle=np.append(angle[chosen], np.float32(0)),
                seen=np.arange(len(chosen) + 1) < len(chosen),
                covered=counts,
                # Up to REACH the picture goes on, and so would the edge of a screen.
                unseen=0.0 if abs(end) < REACH else -_MISSING,
            )
        )
    return made[0], made[1]


def _distinct(order: NDArray[np.intp], on_line: NDArray[np.bool_]) -> list[int]:
    """The first lines that do not share their segments with one before."""
    chosen: list[int] = []
    for number in order.tolist():
        if not any(on_line[other, number] for other in chosen):
            chosen.append(number)
            if len(chosen) == _TRIED:
                break
    return chosen


def _corner(upright: _Lines, level: _Lines) -> tuple[_Array, _Array, _Array]:
    """Where each upright line meets each level one, y and x, and 0 or -inf: whether they may be neighbours."""
    offset, slope = upright.offset[:, None], upright.slope[:, None]
    # Neighbours are near to perpendicular, which makes this 0.97 at least: the bound serves only the others.
    y = (level.offset + level.slope * offset) / np.maximum(1 - slope * level.slope, 0.5)
    x = offset + slope * y
    y = np.where(level.seen, y, level.offset)
    x = np.where(upright.seen[:, None], x, offset)
    return y, x, _barred(upright, level, np.abs(upright.angle[:, None] + level.angle) > _PERPENDICULAR_RAD)


def _parallel(one: _Lines, other: _Lines) -> _Array:
    """0 or -inf: whether two lines may be opposite sides."""
    return _barred(one, other, np.abs(one.angle[:, None] - other.angle) > _PARALLEL_RAD)


def _barred(one: _Lines, other: _Lines, off: NDArray[np.bool_]) -> _Array:
    """-inf where two lines that are seen are off from what they should be, else 0: (n, m)."""
    seen = one.seen[:, None] & other.seen
    barred: _Array = np.zeros(seen.shape, np.float32)
    barred[seen & off] = -np.inf
    return barred


def _coverage(lines: _Lines, begins: _Array, ends: _Array) -> _Array:
    """Square of the share of each line that segments cover between its corners, -inf where it is no side.

    Args:
        lines: n of them.
        begins: (n, p), where they meet p neighbours at one end.
        ends: (n, q), where they meet q neighbours at the other.

    Returns:
        (n, p, q) float32, up to 1.
    """
    first, last = _step(begins), _step(ends)
    covered = np.take_along_axis(lines.covered, last, axis=1)[:, None, :]
    covered = covered - np.take_along_axis(lines.covered, first, axis=1)[:, :, None]
    share: _Array = (covered / np.maximum(last[:, None, :] - first[:, :, None], 1)).astype(np.float32)
    evidence = np.where(share < _LEAST_COVERED, np.float32(-np.inf), share * share)
    evidence[-1] = lines.unseen
    return evidence


def _step(along: _Array) -> NDArray[np.intp]:
    """The boundary between steps that is nearest to a place, kept within what is looked at."""
    steps = np.clip((along + np.float32(REACH)) * np.float32(_STEPS_PER_SIDE), 0, _STEPS)
    return np.asarray(np.rint(steps), np.intp)
