"""Whether a camera can be believed: a rule over times and frames, without a thread or a clock of its own."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from device.config import CameraConfig
from device.types import Frame, Word

#: A longer pause helps nobody who stands at the door.
_MAX_REOPEN_S = 30.0
#: ``camera.reopen_s`` of 0 must not become a busy loop.
_MIN_REOPEN_S = 0.1
#: So many good frames in a row make a camera good again: one may be a flicker.
_GOOD_FRAMES = 3
#: Every 8th pixel of every 8th line: 14 kB of a VGA picture, and no camera's noise repeats itself on 4,800 pixels.
_STRIDE = 8
#: Mean grey level below which a picture counts as black: a covered lens gives 0..3, a dim room 10 and more.
_BLACK_LEVEL = 4.0


class CameraState(Word):
    """What is the matter with the camera."""

    STARTING = "starting"
    OK = "ok"
    LOST = "lost"
    FROZEN = "frozen"
    BLACK = "black"
    WRONG_SIZE = "wrong_size"
    ENDED = "ended"


class CameraWatch:
    """Follows one camera: lost, frozen, black, of another size, or ended.

    Frozen means identical pixels for ``frozen_after_s``: the last picture handed out for ever. Black is told apart
    because a covered lens repeats itself too, and reopening would not help. Used by one thread; times are monotonic.

    Args:
        config: Limits in seconds.
        same_size: Whether all frames must have the size of the first (a folder of pictures may mix).
    """

    def __init__(self, config: CameraConfig, *, same_size: bool) -> None:
        self._lost_after_s = config.lost_after_s
        self._frozen_after_s = config.frozen_after_s
        self._first_reopen_s = max(config.reopen_s, _MIN_REOPEN_S)
        self._reopen_s = self._first_reopen_s
        self._same_size = same_size
        self._state = CameraState.STARTING
        self._size: tuple[int, ...] | None = None
        self._sample: NDArray[np.uint8] | None = None
        self._heard_s = -math.inf
        self._moved_s = -math.inf
        self._lit_s = -math.inf
        self._good = 0

    @property
    def state(self) -> CameraState:
        """As of the last call."""
        return self._state

    def opened(self, now_s: float) -> None:
        """The camera was opened: it has ``lost_after_s`` for its first frame, and what was seen before is forgotten."""
        self._heard_s = self._moved_s = self._lit_s = now_s
        self._size = None
        self._sample = None
        self._good = 0
        self._state = CameraState.STARTING

    def observe(self, now_s: float, frame: Frame | None) -> CameraState:
        """A frame arrived, or there was none just now."""
        if frame is None:
            if self._state is not CameraState.ENDED and not now_s - self._heard_s < self._lost_after_s:
                self._become(CameraState.LOST)
            return self._state
        self._heard_s = now_s
        size = frame.image.shape
        if self._same_size and self._size is not None and size != self._size:
            return self._become(CameraState.WRONG_SIZE)
        self._size = size
        black, moved = self._look(frame)
        if moved:
            self._moved_s = now_s
        if not black:
            self._lit_s = now_s
        if black and not now_s - self._lit_s < self._frozen_after_s:
            return self._become(CameraState.BLACK)
        if not moved and not now_s - self._moved_s < self._frozen_after_s:
            return self._become(CameraState.FROZEN)
        self._recover(good=moved and not black)
        return self._state

    def lost(self) -> CameraState:
        """The camera said so itself."""
        return self._become(CameraState.LOST)

    def ended(self) -> CameraState:
        """The stream is over; final until opened again."""
        return self._become(CameraState.ENDED)

    def next_reopen_s(self) -> float:
        """How long to wait before opening it again; doubles to 30 s, begins anew once the camera has been good."""
        pause_s = self._reopen_s
        self._reopen_s = min(2 * pause_s, _MAX_REOPEN_S)
        return pause_s

    def _look(self, frame: Frame) -> tuple[bool, bool]:
        """Whether the frame is black, and whether it differs from the one before."""
        # A copy: the view would keep the whole picture alive, and compare it with itself where buffers are re-used.
        sample = frame.image[::_STRIDE, ::_STRIDE].copy()
        moved = self._sample is None or not np.array_equal(sample, self._sample)
        self._sample = sample
        return bool(sample.mean() < _BLACK_LEVEL), moved

    def _recover(self, *, good: bool) -> None:
        if self._state is CameraState.OK:
            return
        self._good = self._good + 1 if good else 0
        if self._good >= _GOOD_FRAMES:
            self._state = CameraState.OK
            self._reopen_s = self._first_reopen_s

    def _become(self, state: CameraState) -> CameraState:
        self._state = state
        self._good = 0
        return state
