"""Blinks: evidence that a face is no still photograph, and of nothing else. It never accepts anybody.

Rules, in the order in which they are applied to each sample of one track:

1.  A sample that is no number, of a turned or a small face, or that does not follow the last one within ``MAX_GAP_S``,
    is no evidence, and all before it is forgotten.
2.  The open eye is the median opening of the last ``OPEN_S``, once there are ``LEARN_S`` of samples.
3.  From above ``OPEN_RATIO`` of the open eye to below it, a closing has begun. It must reach ``CLOSED_RATIO`` within
    ``CLOSING_S``: eyes that sink are no blink.
4.  At least ``CLOSED_SAMPLES`` must be as low: one noisy sample is no blink.
5.  Back above ``OPEN_RATIO`` within ``MAX_BLINK_S`` of the last open sample, it was a blink. After that it was a hand,
    a look downward or a nap, and all is learned anew.
6.  Meanwhile the head stays within ``MAX_MOVE_DEG`` of where it was: paper that is tilted to and fro narrows its eyes
    as fast as lids do.

Which opening: the iris model's contour (:class:`device.vision.iris.EyeReader`), not the lids of the 468-point mesh,
though those are free. Lids drawn shut on four rendered faces (116 to 172 px) take the contour to 0.33-0.58 of its open
median, the mesh's lids to 0.60-0.80; four blinks of recorded people (faces of 64 to 74 px) to 0.54-0.71 and 0.68-0.84,
where the mesh's lids fell to 0.75 in a man who did not blink. A print nodding by 25 degrees at 2.5 Hz takes the contour
to 0.70 at the lowest, the mesh's lids to 0.45.

Measured so, on faces from 100 px: no false blink in 364 s of simulated prints, jittered, tilted and nodding (at most
0.5 a minute, 95 %); 30 of 32 drawn blinks counted, with the mesh's lids 4. Of the four recorded blinks one counts where
the limits of size and rate are lifted: one reopens after the recording, one in a moving head, one is too shallow.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from statistics import median
from typing import Final

from device.types import Pose

#: Longest pause between samples: 25 frames per second and some jitter. A blink of 0.1 s would fall through larger ones.
MAX_GAP_S: Final = 0.06
#: Narrower faces are not measured: 64 pixels of the model would be stretched from 30.
MIN_FACE_PX: Final = 120.0
#: Turned further to the side, one eye is foreshortened and the other one hidden.
MAX_YAW_DEG: Final = 30.0
#: The open eye is the median over so long, and known after ``LEARN_S``.
OPEN_S: Final = 1.5
LEARN_S: Final = 0.5
#: Share of the open eye from which the eye counts as open. Prints in a still hand reach 0.84 at the lowest.
OPEN_RATIO: Final = 0.85
#: Share of the open eye up to which it counts as closed: no false blink in 94 simulated clips of photographs.
CLOSED_RATIO: Final = 0.65
CLOSED_SAMPLES: Final = 2
#: Lids close within 0.1 s and a blink lasts 0.1 to 0.4 s (Schiffman 2001); twice the one, a little more than the other.
CLOSING_S: Final = 0.2
MAX_BLINK_S: Final = 0.5
#: Yaw or pitch from the last open sample on. Within 0.25 s of their lowest opening rendered blinkers moved by 2.7
#: degrees, recorded ones by 2 to 10, nodding prints by 11 to 41. Without this rule the nodding prints gave 19 false
#: blinks in 77 s, at 5 degrees one, at 4 none; of 32 rendered blinks 30 counted either way.
MAX_MOVE_DEG: Final = 4.0


@dataclass(slots=True)
class _Closing:
    """The open eye before it, the pose and time of the last open sample, what was seen since."""

    open_eye: float
    began_s: float
    pose: Pose
    closed_s: float | None = None
    closed: int = 0


class BlinkCounter:
    """Counts the blinks of one track, sample by sample; pure, time is an argument."""

    def __init__(self) -> None:
        self.blinks = 0
        self._last_s = math.nan
        self._open: deque[tuple[float, float]] = deque()
        self._pose: Pose | None = None
        self._closing: _Closing | None = None

    def add(self, captured_s: float, openness: float, *, pose: Pose, face_px: float) -> None:
        """Take one sample; anything that is not a number is no evidence.

        Args:
            captured_s: The frame's time, monotonic.
            openness: Mean opening of both eyes, of :meth:`device.vision.iris.EyeReader.openness`.
            pose: Of the head.
            face_px: Width of the face in pixels.
        """
        follows = 0 < captured_s - self._last_s <= MAX_GAP_S
        usable = (
            math.isfinite(captured_s)
            and math.isfinite(openness)
            and openness >= 0
            and abs(pose.yaw_deg) < MAX_YAW_DEG
            and math.isfinite(pose.pitch_deg)
            and face_px >= MIN_FACE_PX
        )
        if not (usable and follows):
            self._forget()
        self._last_s = captured_s
        if not usable:
            return
        if self._closing is None:
            self._closing = self._begun(captured_s, openness)
        if self._closing is None:
            self._stay_open(captured_s, openness, pose)
        else:
            self._follow(self._closing, captured_s, openness, pose)

    def _forget(self) -> None:
        self._open.clear()
        self._pose = None
        self._closing = None

    def _stay_open(self, now_s: float, openness: float, pose: Pose) -> None:
        self._open.append((now_s, openness))
        self._pose = pose
        self._closing = None

    def _begun(self, now_s: float, openness: float) -> _Closing | None:
        """Rules 2 and 3."""
        while self._open and now_s - self._open[0][0] > OPEN_S:
            self._open.popleft()
        if not self._open or self._pose is None:
            return None
        last_s, last = self._open[-1]
        open_eye = median(opening for _, opening in self._open)
        limit = OPEN_RATIO * open_eye
        # The last sample may itself be low: while the open eye is learned, nothing is told from it.
        if not (last_s - self._open[0][0] >= LEARN_S and last >= limit > openness):
            return None
        return _Closing(open_eye=open_eye, began_s=last_s, pose=self._pose)

    def _follow(self, closing: _Closing, now_s: float, openness: float, pose: Pose) -> None:
        """Rules 3 to 6."""
        moved = max(abs(pose.yaw_deg - closing.pose.yaw_deg), abs(pose.pitch_deg - closing.pose.pitch_deg))
        if not (now_s - closing.began_s <= MAX_BLINK_S and moved <= MAX_MOVE_DEG):
            self._forget()
        elif openness < OPEN_RATIO * closing.open_eye:
            if openness <= CLOSED_RATIO * closing.open_eye:
                closing.closed += 1
                closing.closed_s = now_s if closing.closed_s is None else closing.closed_s
        else:
            in_time = closing.closed_s is not None and closing.closed_s - closing.began_s <= CLOSING_S
            self.blinks += in_time and closing.closed >= CLOSED_SAMPLES
            self._stay_open(now_s, openness, pose)
