"""Faces in a picture: what a detector is, and BlazeFace, full-range model (Bazarevsky et al. 2019), 192 x 192."""

from __future__ import annotations

import math
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from device.errors import ModelError
from device.interfaces import InferenceSession
from device.types import Box, Detection, Image
from device.vision.warp import Cutter, Similarity

#: Side of the network's input in pixels.
INPUT_PX = 192
#: One anchor in the centre of each cell of a 48 x 48 grid (stride 4): the full-range model's only layer.
GRID = 48
#: Overlap (intersection over union) from which detections are one face: MediaPipe's value for this model.
NMS_IOU = 0.3
#: The best so many anchors are looked at: a close face answers on about a hundred.
MAX_CANDIDATES = 400

_VALUES = 16


class FaceDetector(Protocol):
    """What finds the faces of a picture. Used by one thread."""

    def detect(self, image: Image, *, padding: float = 0.0) -> tuple[Detection, ...]:
        """All faces, largest first, in pixels of the picture.

        Args:
            image: uint8 BGR (height, width, 3).
            padding: Black added on each side, as a share of the longer side.

        Raises:
            ModelError: The model failed.
        """


class BlazeFaceDetector:
    """Finds faces, with six key points each.

    The picture is scaled into a black, centred 192 x 192 square by one bilinear warp without a shift of half a pixel:
    ``cv2.resize`` shifts, and moves the boxes (overlap with the reference 0.94 instead of 1). Overlapping answers are
    averaged with their scores as weights; keeping only the best one is what other detectors do, and is less exact here.

    Args:
        session: Input (1, 3, 192, 192); outputs boxes (1, 2304, 16) in input pixels relative to the anchors' centres
            and score logits (1, 2304, 1).
        min_score: 0..1; weaker answers are dropped.
        max_faces: The largest so many are returned.

    Raises:
        ModelError: The session is not such a model.
    """

    def __init__(self, session: InferenceSession, *, min_score: float, max_faces: int) -> None:
        if session.input_shape != (1, 3, INPUT_PX, INPUT_PX):
            raise ModelError(f"model {session.model} is no full-range BlazeFace: input {session.input_shape}")
        self._session = session
        self._max_faces = max_faces
        self._min_logit = _logit(min_score)
        self._cutter = Cutter(INPUT_PX, border=cv2.BORDER_CONSTANT, smooth=False)
        self._tensor = np.zeros(session.input_shape, np.float32)
        cells = (np.arange(GRID, dtype=np.float32) + np.float32(0.5)) * np.float32(INPUT_PX / GRID)
        self._anchors = np.stack((np.tile(cells, GRID), np.repeat(cells, GRID)), axis=1)

    def detect(self, image: Image, *, padding: float = 0.0) -> tuple[Detection, ...]:
        """All faces, largest first, in pixels of the picture.

        Args:
            image: uint8 BGR (height, width, 3).
            padding: Black added on each side, as a share of the longer side. The network knows whole heads: tight
                crops (2.3 % of a set of press photographs) are found only with some room around them.

        Raises:
            ModelError: The model failed or its outputs have another shape.
        """
        height, width = image.shape[:2]
        step = max(height, width) * (1 + 2 * padding) / INPUT_PX
        left = (width - INPUT_PX * step) / 2
        top = (height - INPUT_PX * step) / 2
        planes = self._cutter.planes(self._cutter.cut(image, Similarity(a=step, b=0, x0=left, y0=top)))
        np.multiply(planes, np.float32(1 / 127.5), out=self._tensor[0])
        np.subtract(self._tensor, np.float32(1), out=self._tensor)
        boxes, scores = self._outputs(self._session.run(self._tensor))
        chosen = np.flatnonzero(scores >= self._min_logit)
        if not chosen.size:
            return ()
        if chosen.size > MAX_CANDIDATES:
            chosen = chosen[np.argsort(-scores[chosen], kind="stable")[:MAX_CANDIDATES]]
        rows = _decode(boxes[chosen], self._anchors[chosen])
        rows = rows * np.float32(step) + np.tile(np.array((left, top), np.float32), 8)
        weights = 1 / (1 + np.exp(-np.clip(scores[chosen], -100, 100).astype(np.float64)))
        merged = [
            found for found in weighted_nms(rows, weights.astype(np.float32)) if found.box.width > 0 < found.box.height
        ]
        merged.sort(key=lambda found: -found.box.area)
        return tuple(merged[: self._max_faces])

    def _outputs(self, outputs: tuple[NDArray[np.float32], ...]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        shapes = tuple(output.shape for output in outputs)
        if shapes != ((1, GRID * GRID, _VALUES), (1, GRID * GRID, 1)):
            raise ModelError(f"model {self._session.model} is no full-range BlazeFace: outputs {shapes}")
        return outputs[0][0], outputs[1][0, :, 0]


def weighted_nms(rows: NDArray[np.float32], scores: NDArray[np.float32]) -> list[Detection]:
    """Join overlapping answers: place and key points are the mean weighted by score, the score is the best one's.

    Args:
        rows: (n, 16) float32: left, top, right, bottom, then six points x, y.
        scores: (n,) float32, 0..1.

    Returns:
        Best score first. Every row belongs to exactly one detection.
    """
    order = np.argsort(-scores, kind="stable")
    rows, scores = rows[order], scores[order]
    areas = np.maximum(rows[:, 2] - rows[:, 0], 0) * np.maximum(rows[:, 3] - rows[:, 1], 0)
    found = []
    while rows.size:
        sides = np.minimum(rows[:, 2:4], rows[0, 2:4]) - np.maximum(rows[:, 0:2], rows[0, 0:2])
        shared = np.maximum(sides[:, 0], 0) * np.maximum(sides[:, 1], 0)
        same = shared > NMS_IOU * (areas + areas[0] - shared)
        same[0] = True  # a box without area overlaps with nothing, not even itself
        weight = scores[same]
        total = float(weight.sum())
        mean = rows[0] if total <= 0 else weight @ rows[same] / np.float32(total)
        left, top, right, bottom = mean[:4].tolist()
        found.append(
            Detection(
                box=Box(left, top, right - left, bottom - top),
                score=float(scores[0]),
                keypoints=np.ascontiguousarray(mean[4:], np.float32).reshape(6, 2),
            )
        )
        rows, scores, areas = rows[~same], scores[~same], areas[~same]
    return found


def _decode(boxes: NDArray[np.float32], anchors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Network answers (n, 16) to left, top, right, bottom and six points in input pixels."""
    rows = boxes + np.tile(anchors, 8)
    half = boxes[:, 2:4] / 2
    centres = boxes[:, 0:2] + anchors
    rows[:, 0:2] = centres - half
    rows[:, 2:4] = centres + half
    return rows


def _logit(probability: float) -> float:
    if probability <= 0:
        return -math.inf
    if probability >= 1:
        return math.inf
    return math.log(probability / (1 - probability))
