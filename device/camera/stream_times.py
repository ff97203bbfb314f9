"""How old a network camera's pictures are, told from their own times; nothing else tells it.

A stream counts on a clock of its own, but it counts: the picture that came soonest, measured by its own time, is taken
to have come at once, and each other one is as old as it came later than that. So a stall and a growing queue are seen.
What is not seen is a delay that was there from the opening on, by encoder, network and decoder: it never changes.
"""

from __future__ import annotations

import math

from device.errors import CameraError

#: A picture that much later than the soonest is late: the stream lags, or its clock is slower than ours (by 50 parts in
#: a million: a quarter of a second in an hour and a half). Half of what ``access.max_frame_age_s`` lets pass.
LATE_S = 0.25
#: So long without a picture that is not late: the stream is given up, to be opened again. A queue after a stall, which
#: is read faster than it grows, is gone by then.
LATE_FOR_S = 10.0


class StreamTimes:
    """Capture times of one opened stream on our clock.

    Args:
        description: Of the camera, for errors.
    """

    def __init__(self, description: str) -> None:
        self._description = description
        self._last_s: float | None = None
        self._soonest_s = math.inf
        self._in_time_s = -math.inf

    def captured_s(self, media_s: float, *, now_s: float) -> float:
        """When the picture was taken, never later than now.

        Args:
            media_s: The picture's own time.
            now_s: When it arrived, on our monotonic clock.

        Raises:
            CameraError: The picture has no time, or none after the last one's (OpenCV tells 0 where FFmpeg knows none):
                how old it is cannot be known. Or every picture has been late for long.
        """
        if not math.isfinite(media_s) or (self._last_s is not None and not media_s > self._last_s):
            raise CameraError(
                f"{self._description} does not tell when its pictures were taken",
                hint="choose another stream or codec in the camera's settings: each picture needs a later time",
            )
        self._last_s = media_s
        offset_s = now_s - media_s
        self._soonest_s = min(self._soonest_s, offset_s)
        late_s = offset_s - self._soonest_s
        if late_s <= LATE_S:
            self._in_time_s = now_s
        elif now_s - self._in_time_s > LATE_FOR_S:
            raise CameraError(
                f"the pictures of {self._description} come {late_s:.2f} s late", hint="it is opened again by itself"
            )
        return now_s - late_s
