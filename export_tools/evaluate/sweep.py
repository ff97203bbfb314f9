"""Faces at a distance, rendered: one head, reduced to several widths and laid on textured frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from device.errors import UsageError
from device.types import Box, Image
from export_tools.evaluate.annotations import FaceBox
from export_tools.evaluate.detection import MIN_OVERLAP, FindAll, measure
from export_tools.evaluate.results.detection import DetectionResult
from export_tools.sources.download import Reporter, Silent

#: Face widths in pixels at 0.3, 0.75, 1, 1.5, 2 and 2.5 m before a camera of 640 pixels and 66 degrees.
SWEEP_PX: Final = (247.0, 99.0, 74.0, 49.0, 37.0, 30.0)
#: Height and width of a frame.
_FRAME: Final = (480, 640)
_WIDEST_PX: Final = 300.0
_PLACES: Final = 16
_SEED: Final = 2026


def widest_px(face: FaceBox) -> float:
    """Up to which width a face can be shown: its own, and what a frame has room for."""
    return min(face.box.width, _WIDEST_PX)


def run_sweep(
    image: Image,
    face: FaceBox,
    *,
    find: FindAll,
    name: str,
    widths_px: Sequence[float] = SWEEP_PX,
    places: int = _PLACES,
    min_overlap: float = MIN_OVERLAP,
    reporter: Reporter | None = None,
) -> DetectionResult:
    """Recall over distance: one face, reduced to several widths and laid on textured frames of 640 x 480.

    Args:
        image: A picture, uint8 BGR, with the face in high resolution.
        face: Where it is in the picture.
        find: What finds faces.
        name: What to call it.
        widths_px: Widths of the face in the frames.
        places: Frames per width, each with another background and another place.
        min_overlap: As in :func:`run_detection`.
        reporter: Who is told how far it is.

    Raises:
        UsageError: A width that does not fit, or is larger than the face in the picture.
        ModelError: A model failed.
    """
    widths = sorted(set(widths_px))
    if not widths or widths[0] < 8 or widths[-1] > widest_px(face):
        raise UsageError(
            f"the face is {face.box.width:.0f} px wide: it cannot be shown {', '.join(map(str, widths))} px wide",
            hint="give a picture of higher resolution, and widths from 8 to 300",
        )
    rendered = (
        (frame, (shown,)) for width in widths for frame, shown in _rendered(image, face, width_px=width, places=places)
    )
    return measure(
        rendered,
        total=len(widths) * places,
        find=find,
        name=name,
        measured="sweep",
        size="face_width",
        edges=tuple(width - 0.5 for width in widths),
        min_overlap=min_overlap,
        reporter=reporter or Silent(),
    )


def _rendered(image: Image, face: FaceBox, *, width_px: float, places: int) -> Iterator[tuple[Image, FaceBox]]:
    """Frames with the head laid on texture, its edge faded."""
    draw = np.random.default_rng((_SEED, round(width_px * 100)))
    box = face.box
    # The head with hair and neck: most detectors know faces by their surroundings.
    left, top = round(box.x - 0.5 * box.width), round(box.y - 0.6 * box.height)
    right, bottom = round(box.x + 1.5 * box.width), round(box.y + 1.4 * box.height)
    left, top = max(left, 0), max(top, 0)
    right, bottom = min(right, image.shape[1]), min(bottom, image.shape[0])
    scale = width_px / box.width
    head_width, head_height = max(round((right - left) * scale), 2), max(round((bottom - top) * scale), 2)
    head = cv2.resize(image[top:bottom, left:right], (head_width, head_height), interpolation=cv2.INTER_AREA)
    height, width = _FRAME
    if head_height > height or head_width > width:
        cut_height, cut_width = min(head_height, height), min(head_width, width)
        head = head[:cut_height, :cut_width]
    mask = _faded(*head.shape[:2])
    step = np.array((head_width / (right - left), head_height / (bottom - top)))
    for _ in range(places):
        frame = _texture(draw)
        x = int(draw.integers(0, width - head.shape[1] + 1))
        y = int(draw.integers(0, height - head.shape[0] + 1))
        part = frame[y : y + head.shape[0], x : x + head.shape[1]]
        part[:] = np.clip(part + mask * (head.astype(np.float32) - part), 0, 255).astype(np.uint8)
        # Centres of pixels: x_small = (x + 0.5) * scale - 0.5.
        shift = np.array((x, y)) - 0.5 - step * (np.array((left, top)) - 0.5)
        corner = step * np.array((box.x, box.y)) + shift
        yield (
            frame,
            FaceBox(
                box=Box(float(corner[0]), float(corner[1]), box.width * float(step[0]), box.height * float(step[1])),
                eyes=None if face.eyes is None else (step * face.eyes + shift).astype(np.float32),
            ),
        )


def _faded(height: int, width: int) -> NDArray[np.float32]:
    """1 in the middle, 0 at the edge, over a tenth of the side."""
    rows = np.minimum(np.arange(height) + 0.5, height - np.arange(height) - 0.5) / max(0.1 * height, 1)
    columns = np.minimum(np.arange(width) + 0.5, width - np.arange(width) - 0.5) / max(0.1 * width, 1)
    mask: NDArray[np.float32] = np.clip(np.minimum.outer(rows, columns), 0, 1).astype(np.float32)[:, :, None]
    return mask


def _texture(draw: np.random.Generator) -> Image:
    """A frame of coarse and fine structure, as a room has it."""
    height, width = _FRAME
    frame = np.full((height, width, 3), 110.0, np.float32)
    for cells, strength in ((4, 35.0), (16, 20.0), (60, 10.0)):
        noise = draw.normal(0, strength, (cells * 3 // 4, cells, 3)).astype(np.float32)
        frame += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    done: Image = np.clip(frame, 0, 255).astype(np.uint8)
    return done
