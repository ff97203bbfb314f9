"""Whether a picture is the one before once more: a camera that hangs hands out its last picture for ever."""

from __future__ import annotations

import numpy as np

from device.types import Box, Image

#: Every 16th line of a picture and every 2nd of a face, whole, since memory is read by lines: 35 us became 5 on 768 x
#: 432 pixels. No camera's noise repeats itself on so many.
_LINES, _FACE_LINES = 16, 2


class Repeats:
    """Remembers a sample of the last picture."""

    def __init__(self) -> None:
        self._last: Image | None = None

    def __call__(self, image: Image) -> bool:
        """Whether ``image``, uint8 BGR (height, width, 3), shows the same pixels as the picture of the last call."""
        # A copy: the view would keep the whole picture alive, and compare it with itself where buffers are re-used.
        sample = image[::_LINES].copy()
        last, self._last = self._last, sample
        return last is not None and np.array_equal(sample, last)


class FaceRepeats:
    """Whether a face's pixels are those of the frame before: a picture that hangs behind a clock that runs.

    A stream that shows its own time in a corner never repeats a whole picture. The face is compared at the place
    where it was.
    """

    def __init__(self) -> None:
        self._place: tuple[slice, slice] | None = None
        self._last: Image | None = None

    def __call__(self, image: Image, box: Box) -> bool:
        """Whether the face of the last call still shows the same pixels.

        Args:
            image: uint8 BGR (height, width, 3).
            box: The face in it, pixels.
        """
        repeated = self._last is not None and np.array_equal(image[self._place], self._last)
        if not repeated:
            x0, y0 = max(0, int(box.x)), max(0, int(box.y))
            x1, y1 = max(x0, int(box.x + box.width)), max(y0, int(box.y + box.height))
            self._place = np.s_[y0:y1:_FACE_LINES, x0:x1]
            last = image[self._place].copy()
            self._last = last if last.size else None
        return repeated
