"""How alive one face in one picture looks: MiniFASNet, two networks over two crops (minivision-ai, Apache-2.0).

Numbers only; what they mean for a visit is policy and lives elsewhere. Measured on public clips: the median over some
30 frames of a clip separated 25 live from 9 replayed ones, single frames missed 15 % of the replays at 5 % false
alarms, and masks pass. It is evidence beside a challenge, never a proof by itself.

A network that answers two different pictures with the same three numbers, bit by bit, does not look at them. No living
or recaptured face did that: in 857 pairs of successive frames no answer came back, neither in FP32 nor in FP16
(434 pairs), and one grey level more in one colour of one pixel of a crop changed each of 1,200 answers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from device.errors import ModelError
from device.interfaces import InferenceSession
from device.types import Box, Image, Vector

#: Side of both networks' input in pixels.
INPUT_PX: Final = 80
#: Side of the crop in sides of the face box, as in the names of the published weights (2.7_80x80, 4_0_0_80x80).
CLOSE_SCALE: Final = 2.7
WIDE_SCALE: Final = 4.0
#: The class that both networks were trained to give to live faces; the other two are kinds of attack.
LIVE_CLASS: Final = 1
_CLASSES: Final = 3
#: How far from 1 the three probabilities may sum: half precision rounds each by at most 2^-12.
_SUM_TOLERANCE: Final = 2e-3


@dataclass(frozen=True, slots=True, eq=False)
class PassiveScore:
    """What both networks say about one face.

    Attributes:
        live: Probability of a live face, mean of both networks, 0..1.
        winner: The class with the highest mean, 0..2; :data:`LIVE_CLASS` means live.
        confidence: That mean, 0..1.
        close: (3,) float32, probabilities of the network that sees the face, read-only.
        wide: (3,) float32, probabilities of the network that sees the surroundings, read-only.
    """

    live: float
    winner: int
    confidence: float
    close: Vector
    wide: Vector


@dataclass(frozen=True, slots=True)
class Crop:
    """A rectangle of whole pixels: left and top inside, right and bottom just outside."""

    left: int
    top: int
    right: int
    bottom: int


def crop_of(box: Box, *, scale: float, width: int, height: int) -> Crop:
    """The part of a picture that a network looks at: the box about its centre ``scale`` times as large.

    As the networks were trained (upstream's CropImage): the face in whole pixels, the scale lowered until the crop fits
    into the picture, then the crop shifted inside, so that it never needs padding and the face may leave its centre.

    Args:
        box: The face in pixels; may reach beyond the picture.
        scale: 2.7 or 4.0.
        width: Of the picture in pixels.
        height: Of the picture in pixels.

    Raises:
        ModelError: The box is not finite, empty, or wholly outside of the picture.
    """
    sides = (box.x, box.y, box.width, box.height)
    if not (all(map(math.isfinite, sides)) and box.width >= 1 and box.height >= 1):
        raise ModelError(f"a face box of {box.width} x {box.height} pixels cannot be judged")
    if not (box.x < width and box.y < height and box.x + box.width > 0 and box.y + box.height > 0):
        raise ModelError(f"the face box at ({box.x:.0f}, {box.y:.0f}) lies outside of the {width} x {height} picture")
    x, y, face_width, face_height = map(int, sides)
    scale = min(scale, (width - 1) / face_width, (height - 1) / face_height)
    left, right = _span(x + face_width / 2, face_width * scale, width)
    top, bottom = _span(y + face_height / 2, face_height * scale, height)
    return Crop(left, top, right, bottom)


def _span(centre: float, length: float, extent: int) -> tuple[int, int]:
    """First pixel and the one after the last of a span of ``length`` <= extent - 1, shifted into 0..extent."""
    first, last = centre - length / 2, centre + length / 2
    if first < 0:
        first, last = 0.0, last - first
    if last > extent - 1:
        first, last = first - (last - (extent - 1)), extent - 1
    return max(int(first), 0), int(last) + 1


class PassiveScorer:
    """Judges one face per call; makes no array per frame but the two answers. Used by one thread.

    4.1 ms per call on one thread of x86-64, 3.9 of them in the networks.

    Args:
        close: MiniFASNet V2, trained on 2.7 times the face. Input (1 or -1, 3, 80, 80) BGR 0..255; one output (N, 3).
        wide: MiniFASNet V1SE, trained on 4 times the face; the same shapes.

    Raises:
        ModelError: A session is not such a model.
    """

    def __init__(self, close: InferenceSession, wide: InferenceSession) -> None:
        self._close = _Network(close, scale=CLOSE_SCALE)
        self._wide = _Network(wide, scale=WIDE_SCALE)

    def score(self, image: Image, box: Box) -> PassiveScore:
        """Both networks' answers to one face of a picture.

        Args:
            image: uint8 BGR (height, width, 3). With red and blue swapped 3 of 9 replays passed.
            box: The face in pixels of the picture, as YuNet frames it or
                :func:`device.vision.liveness.face_box.face_box`: forehead to chin, ear to ear. The shape matters: in a
                square of the same area a recaptured face scores 0.03 instead of 0.23.

        Raises:
            ModelError: The picture is no such array, the box is empty or outside of it, or a network failed or did not
                answer with probabilities.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or min(image.shape) < 2:
            raise ModelError(f"a picture of {image.dtype} {image.shape} cannot be judged")
        close = self._close.probabilities(image, box)
        wide = self._wide.probabilities(image, box)
        means = [(float(one) + float(other)) / 2 for one, other in zip(close, wide, strict=True)]
        winner = means.index(max(means))
        return PassiveScore(means[LIVE_CLASS], winner, means[winner], close, wide)


class _Network:
    """One of the two networks with its input."""

    def __init__(self, session: InferenceSession, *, scale: float) -> None:
        if session.input_shape not in ((1, 3, INPUT_PX, INPUT_PX), (-1, 3, INPUT_PX, INPUT_PX)):
            raise ModelError(f"model {session.model} is no MiniFASNet: input {session.input_shape}")
        self._session = session
        self._scale = scale
        self._chip: Image = np.empty((INPUT_PX, INPUT_PX, 3), np.uint8)
        self._tensor = np.zeros((1, 3, INPUT_PX, INPUT_PX), np.float32)
        self._channels_last = self._tensor[0].transpose(1, 2, 0)

    def probabilities(self, image: Image, box: Box) -> Vector:
        """(3,) float32, read-only. Raises ModelError."""
        crop = crop_of(box, scale=self._scale, width=image.shape[1], height=image.shape[0])
        # Bilinear without smoothing, as the networks were trained.
        part = image[crop.top : crop.bottom, crop.left : crop.right]
        cv2.resize(part, (INPUT_PX, INPUT_PX), dst=self._chip, interpolation=cv2.INTER_LINEAR)
        np.copyto(self._channels_last, self._chip)
        outputs = self._session.run(self._tensor)
        model = self._session.model
        if len(outputs) != 1 or outputs[0].shape != (1, _CLASSES):
            raise ModelError(f"model {model} is no MiniFASNet: outputs {[part.shape for part in outputs]}")
        probabilities: Vector = outputs[0][0].astype(np.float32)  # a copy: the session reuses its own
        if not (probabilities.min() >= 0 and abs(float(probabilities.sum()) - 1) <= _SUM_TOLERANCE):
            raise ModelError(f"the output of model {model} is no set of probabilities")
        probabilities.flags.writeable = False
        return probabilities
