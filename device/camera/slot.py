"""The newest frame, between the thread that owns the camera and the one that looks at the pictures.

A live camera replaces what nobody took: the gate always gets the newest frame. A recording that is played as fast as
possible waits instead until each frame was dealt with, so that a run gives the same decisions on every machine.
"""

from __future__ import annotations

import threading

from device.types import Frame


class FrameSlot:
    """Room for one frame; one thread puts, one takes."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._busy = False
        self._closed = False
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """How many frames were replaced before anybody took them."""
        with self._changed:
            return self._dropped

    @property
    def ended(self) -> bool:
        """Whether nothing will come any more: closed, and the last frame was taken."""
        with self._changed:
            return self._closed and self._frame is None

    def put(self, frame: Frame) -> None:
        """Offer a frame instead of the one that lies there; after ``close`` it is dropped."""
        with self._changed:
            if self._closed:
                self._dropped += 1
                return
            if self._frame is not None:
                self._dropped += 1
            self._frame = frame
            self._changed.notify_all()

    def hand_over(self, frame: Frame) -> bool:
        """Offer a frame and wait until it was dealt with; False when the slot was closed before that."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._idle())
            if self._closed:
                return False
            self._frame = frame
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closed or self._idle())
            return self._idle()

    def take(self, timeout_s: float) -> Frame | None:
        """The newest frame, waiting at most so long; None when none came (see ``ended``). Ends the frame before."""
        with self._changed:
            self._finish()
            self._changed.wait_for(lambda: self._frame is not None or self._closed, timeout_s)
            frame, self._frame = self._frame, None
            self._busy = frame is not None
            return frame

    def done(self) -> None:
        """The taken frame was dealt with; harmless without one."""
        with self._changed:
            self._finish()

    def clear(self) -> None:
        """Drop the frame that lies there: its camera is not to be believed."""
        with self._changed:
            if self._frame is not None:
                self._frame = None
                self._dropped += 1
                self._changed.notify_all()

    def close(self) -> None:
        """Nothing comes any more: whoever waits here goes on. A frame that lies there may still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _idle(self) -> bool:
        return self._frame is None and not self._busy

    def _finish(self) -> None:
        if self._busy:
            self._busy = False
            self._changed.notify_all()
