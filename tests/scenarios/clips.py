"""The recordings that lie beside the checkout: who is seen in them, and their frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as Still

from device.types import Image

#: Who is seen in which of the clips ``intel_asl_*.mkv``.
OFFICE = {"again": "A", "help": "A", "no": "A", "yes": "A", "bird": "B", "thanks": "B", "book": "C", "learn": "C"}


def clip_frames(path: Path, *, step: int = 1) -> Iterator[Image]:
    """Every ``step``-th frame of a clip, BGR."""
    if path.suffix == ".gif":
        with Still.open(path) as clip:
            for number in range(0, clip.n_frames, step):
                clip.seek(number)
                yield np.ascontiguousarray(np.asarray(clip.convert("RGB"))[:, :, ::-1])
        return
    capture = cv2.VideoCapture(str(path))
    try:
        number = 0
        while capture.grab():
            if number % step == 0:
                _, picture = capture.retrieve()
                yield picture.astype(np.uint8, copy=False)
            number += 1
    finally:
        capture.release()
