"""Faces in a picture: YuNet (Wu, Peng and Yu 2023), any size of input that is a multiple of 32."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from device.errors import ModelError
from device.interfaces import InferenceSession
from device.types import Box, Detection, Image

#: Sides of the cells of the three grids in input pixels.
STRIDES = (8, 16, 32)
#: Overlap (intersection over union) above which the weaker of two answers is dropped: upstream's value.
NMS_IOU = 0.3
#: The best so many cells are looked at: a close face answers on some dozens.
MAX_CANDIDATES = 400

#: Numbers per cell in the outputs cls, obj, bbox and kps.
_VALUES = (1, 1, 4, 10)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the picture lies in the input, in input pixels."""

    left: int
    top: int
    width: int
    height: int


class YuNetDetector:
    """Finds faces, with five key points each: eyes, nose tip, mouth corners, the person's right ones first.

    The picture is scaled to fit and lies in the upper left corner of the input, black to its right and below. Of
    overlapping answers the best one stays.

    Args:
        session: Input (1, 3, height, width) BGR 0..255, both sides multiples of 32; outputs cls (1, n, 1), obj
            (1, n, 1), bbox (1, n, 4) and kps (1, n, 10), each at strides 8, 16, 32, in this order.
        min_score: 0..1, of the root of class and objectness; weaker answers are dropped. At 0.7 no face of recorded
            people is lost, nor of the same pictures darkened to a sixth, and of 233 frames of people seen from above 7
            have a false answer (45 at 0.5), of which the mesh believes one.
        max_faces: The largest so many are returned.

    Raises:
        ModelError: The session is not such a model.
    """

    def __init__(self, session: InferenceSession, *, min_score: float, max_faces: int) -> None:
        shape = session.input_shape
        if len(shape) != 4 or shape[:2] != (1, 3) or any(side < 32 or side % 32 for side in shape[2:]):
            raise ModelError(
                f"model {session.model} is no YuNet: input {shape}",
                hint="its input must be (1, 3, height, width), both sides fixed multiples of 32",
            )
        self._session = session
        self._min_product = min_score * abs(min_score)
        self._max_faces = max_faces
        self._height, self._width = shape[2:]
        self._tensor = np.zeros(shape, np.float32)
        self._place = _Place(0, 0, 0, 0)
        self._small: Image = np.empty((0, 0, 3), np.uint8)
        self._planes: Image = np.empty((3, 0, 0), np.uint8)
        grids = [(self._width // stride, self._height // stride) for stride in STRIDES]
        counts = [columns * rows for columns, rows in grids]
        self._shapes = tuple((1, count, values) for values in _VALUES for count in counts)
        self._cells = np.concatenate([_cells(columns, rows) for columns, rows in grids])
        self._strides = np.repeat(np.array(STRIDES, np.float32), counts)[:, np.newaxis]

    def detect(self, image: Image, *, padding: float = 0.0) -> tuple[Detection, ...]:
        """All faces, largest first, in pixels of the picture.

        Args:
            image: uint8 BGR (height, width, 3).
            padding: Black added on each side, as a share of the longer side.

        Raises:
            ModelError: The model failed or its outputs have other shapes.
        """
        height, width = image.shape[:2]
        place = self._lay_out(width, height, padding=padding)
        small = image
        if (width, height) != (place.width, place.height):
            # Bilinear: averaging finds the same faces and costs three times as much. Callers average large pictures.
            small = self._small
            cv2.resize(image, (place.width, place.height), dst=small, interpolation=cv2.INTER_LINEAR)
        cv2.split(small, list(self._planes))
        below, right = place.top + place.height, place.left + place.width
        np.copyto(self._tensor[0, :, place.top : below, place.left : right], self._planes)
        # Centres of pixels: x = (x_small + 0.5) * width / width_small - 0.5.
        scale = np.array((width / place.width, height / place.height), np.float32)
        origin = np.array((place.left - 0.5, place.top - 0.5), np.float32)
        outputs = self._session.run(self._tensor)
        with np.errstate(over="ignore", invalid="ignore"):
            rows, scores = self._decode(outputs)
            points = (rows.reshape(-1, 7, 2) - origin) * scale - np.float32(0.5)
        # What is no number any more is no face; every other one would count as overlapping it.
        real = np.isfinite(points).all(axis=(1, 2))
        rows, scores, points = rows[real], scores[real], points[real]
        found = [_detection(points[index], float(scores[index])) for index in best_of_each(rows, scores)]
        found = [face for face in found if face.box.width > 0 < face.box.height]
        found.sort(key=lambda face: -face.box.area)
        return tuple(found[: self._max_faces])

    def _lay_out(self, width: int, height: int, *, padding: float) -> _Place:
        """Where a picture of this size comes to lie; buffers are made and blackened when it is another place."""
        margin = max(width, height) * padding
        share = min(self._width / (width + 2 * margin), self._height / (height + 2 * margin))
        left, top = int(margin * share), int(margin * share)
        place = _Place(
            left=left,
            top=top,
            width=min(max(round(width * share), 1), self._width - left),
            height=min(max(round(height * share), 1), self._height - top),
        )
        if place != self._place:
            self._place = place
            self._small = np.empty((place.height, place.width, 3), np.uint8)
            self._planes = np.empty((3, place.height, place.width), np.uint8)
            self._tensor.fill(0)
        return place

    def _decode(self, outputs: tuple[NDArray[np.float32], ...]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Rows left, top, right, bottom and five points in input pixels (n, 14), and their scores, best first."""
        shapes = tuple(output.shape for output in outputs)
        if shapes != self._shapes:
            raise ModelError(f"model {self._session.model} is no YuNet of this input: outputs {shapes}")
        classes, objectness, boxes, points = (
            np.concatenate([output[0] for output in outputs[first : first + 3]]) for first in range(0, 12, 3)
        )
        products = (np.clip(classes, 0, 1) * np.clip(objectness, 0, 1))[:, 0]
        chosen = np.flatnonzero(products >= self._min_product)
        chosen = chosen[np.argsort(-products[chosen], kind="stable")[:MAX_CANDIDATES]]
        cells, strides = self._cells[chosen], self._strides[chosen]
        rows = np.empty((len(chosen), 14), np.float32)
        centres = (cells + boxes[chosen, :2]) * strides
        # A side beyond e^20 cells is no number any more and not a face either.
        half = np.exp(np.minimum(boxes[chosen, 2:], 20)) * strides / 2
        rows[:, :2] = centres - half
        rows[:, 2:4] = centres + half
        rows[:, 4:] = (points[chosen] + np.tile(cells, 5)) * strides
        return rows, np.sqrt(products[chosen])


def best_of_each(rows: NDArray[np.float32], scores: NDArray[np.float32]) -> list[int]:
    """Which answers stay: each time the best one left, without those that overlap it.

    Args:
        rows: (n, 4 or more) float32: left, top, right, bottom, ...
        scores: (n,) float32.

    Returns:
        Indices, best first. No two of these boxes overlap by more than ``NMS_IOU``.
    """
    areas = np.maximum(rows[:, 2] - rows[:, 0], 0) * np.maximum(rows[:, 3] - rows[:, 1], 0)
    left = np.argsort(-scores, kind="stable")
    kept = []
    while left.size:
        best, left = left[0], left[1:]
        kept.append(int(best))
        sides = np.minimum(rows[left, 2:4], rows[best, 2:4]) - np.maximum(rows[left, :2], rows[best, :2])
        shared = np.maximum(sides[:, 0], 0) * np.maximum(sides[:, 1], 0)
        left = left[shared <= NMS_IOU * (areas[left] + areas[best] - shared)]
    return kept


def _detection(points: NDArray[np.float32], score: float) -> Detection:
    """A face from its two corners and five key points, (7, 2)."""
    (left, top), (right, bottom) = points[:2].tolist()
    return Detection(box=Box(left, top, right - left, bottom - top), score=score, keypoints=points[2:].copy())


def _cells(columns: int, rows: int) -> NDArray[np.float32]:
    """Column and row of each cell of a grid, row by row, (columns * rows, 2)."""
    return np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 2).astype(np.float32)
