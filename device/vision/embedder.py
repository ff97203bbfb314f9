"""A face as a point on the unit sphere: any network that turns an aligned chip into a vector."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from device.errors import ModelError
from device.interfaces import InferenceSession
from device.types import Embedding, Image, Points
from device.vision.align import Aligner, Alignment
from device.vision.manifest import Preprocessing
from device.vision.warp import Cutter

#: Lengths that an embedding may have: dlib and SFace 128, ArcFace and its kin 512. Anything else is another network.
MIN_DIMENSION, MAX_DIMENSION = 128, 512
#: Chips that go through a network of free batch in one run; with their mirror images twice as many inputs.
CHUNK = 16


class FaceEmbedder:
    """Turns an aligned face into an embedding.

    The chip and its mirror image both go through the network and are averaged before the length is made 1: on 6,000
    pairs of press photographs that lifts the accuracy of dlib's network (King 2017) from 98.55 to 98.93 %, and halves
    the misses at a false match rate of 1e-5.

    Args:
        session: Input (batch, 3, side, side), the batch free, 2 or 1 (which runs twice); one output
            (batch, dimension), 128 to 512 numbers of any length.
        alignment: Which chip the network was trained on; gives the side.
        preprocessing: Colour order, mean and divisor of the input; its geometry is the alignment's.

    Raises:
        ModelError: The session is not such a model.
    """

    def __init__(self, session: InferenceSession, *, alignment: Alignment, preprocessing: Preprocessing) -> None:
        side = alignment.side_px
        shape = session.input_shape
        if len(shape) != 4 or shape[0] not in (-1, 1, 2) or shape[1:] != (3, side, side):
            raise ModelError(
                f"model {session.model} is no face embedder for chips of {alignment.name}: input {shape}",
                hint=f"its input must be (1, 2 or free, 3, {side}, {side}); or another alignment belongs to it",
            )
        self._session = session
        self._aligner = Aligner(alignment)
        self._preprocessing = preprocessing
        self._cutter = Cutter(side, border=cv2.BORDER_CONSTANT, smooth=True)
        self._chip: Image = np.empty((side, side, 3), np.uint8)
        self._tensor = np.zeros((2, 3, side, side), np.float32)

    @property
    def model(self) -> str:
        """Id of the model, as in every embedding it makes."""
        return self._session.model

    @property
    def alignment(self) -> Alignment:
        """What its chips look like."""
        return self._aligner.alignment

    def embed(self, image: Image, landmarks: Points) -> Embedding:
        """The embedding of the face with these landmarks ((468, 3) float32, pixels) in a BGR picture.

        Raises:
            ModelError: The model failed, or its output has no direction.
        """
        return self.embed_chip(self._aligner.chip(image, landmarks, out=self._chip))

    def embed_chip(self, chip: Image) -> Embedding:
        """The embedding of an aligned chip, uint8 BGR (side, side, 3); see :meth:`embed`."""
        self._fill(self._tensor, chip)
        if self._session.input_shape[0] != 1:
            upright, mirrored = self._rows(self._tensor)
            return self._embedding(upright + mirrored)
        total = self._rows(self._tensor[:1])[0].copy()  # the next run overwrites it
        total += self._rows(self._tensor[1:])[0]
        return self._embedding(total)

    def embed_chips(self, chips: Sequence[Image]) -> list[Embedding]:
        """The embeddings of many chips, in runs of 16 where the network's batch is free.

        The same as :meth:`embed_chip` one by one, to rounding.
        """
        return [self._embedding(upright + mirrored) for upright, mirrored in self._pairs(chips)]

    def plain_and_mirrored(self, chip: Image) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What the network says about a chip and about its mirror image: (dimension,) float32 each, of any length.

        For measuring what their average gains; no door compares one of them alone.

        Raises:
            ModelError: The model failed.
        """
        ((upright, mirrored),) = self._pairs([chip])
        return upright.copy(), mirrored.copy()

    def _pairs(self, chips: Sequence[Image]) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """The rows of each chip and of its mirror image; a chip at a time unless the batch is free."""
        free = self._session.input_shape[0] == -1
        step = CHUNK if free else 1
        for first in range(0, len(chips), step):
            part = chips[first : first + step]
            tensor = np.empty((2 * len(part), *self._tensor.shape[1:]), np.float32)
            for index, chip in enumerate(part):
                self._fill(tensor[2 * index : 2 * index + 2], chip)
            if self._session.input_shape[0] == 1:
                rows = np.concatenate([self._rows(tensor[:1]).copy(), self._rows(tensor[1:])])
            else:
                rows = self._rows(tensor)
            yield from zip(rows[::2], rows[1::2], strict=True)

    def _fill(self, pair: NDArray[np.float32], chip: Image) -> None:
        """Write a chip and its mirror image as the network wants them into (2, 3, side, side)."""
        side = self.alignment.side_px
        if chip.shape != (side, side, 3) or chip.dtype != np.uint8:
            raise ModelError(f"model {self.model} takes chips uint8 ({side}, {side}, 3), not {chip.dtype} {chip.shape}")
        how = self._preprocessing
        planes = self._cutter.planes(chip)
        upright, mirrored = pair
        np.copyto(upright, planes if how.colour == "rgb" else planes[::-1])
        if how.mean != 0:
            np.subtract(upright, np.float32(how.mean), out=upright)
        if how.divisor != 1:
            np.divide(upright, np.float32(how.divisor), out=upright)
        np.copyto(mirrored, upright[:, :, ::-1])

    def _rows(self, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
        outputs = self._session.run(tensor)
        if (
            len(outputs) != 1
            or outputs[0].ndim != 2
            or outputs[0].shape[0] != len(tensor)
            or not MIN_DIMENSION <= outputs[0].shape[1] <= MAX_DIMENSION
        ):
            raise ModelError(
                f"model {self.model} is no face embedder: outputs {[part.shape for part in outputs]}",
                hint=f"it must give one vector of {MIN_DIMENSION} to {MAX_DIMENSION} numbers for each chip",
            )
        return outputs[0]

    def _embedding(self, total: NDArray[np.float32]) -> Embedding:
        length = math.sqrt(float(total @ total))
        if not (math.isfinite(length) and length > 1e-6):
            raise ModelError(f"the embedding of model {self.model} has no direction (length {length})")
        vector = (total / np.float32(length)).astype(np.float32, copy=False)
        vector.flags.writeable = False
        return Embedding(vector=vector, model=self.model)
