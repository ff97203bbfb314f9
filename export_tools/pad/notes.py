"""The columns of a trace while they grow."""

from __future__ import annotations

import math

import numpy as np

from device.types import Embedding, Face, Frame, Vector
from export_tools.pad.columns import CUES, DONE, NO_FACE, NOT_DONE, Found, Frames, measured

_NO_GEOMETRY, _NO_QUALITY = [0.0] * 8, [0.0] * 5


class Notes:
    """Rows of the frames seen so far; what is measured later belongs to the last one."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._numbers: list[int] = []
        self._tracks: list[int] = []
        self._faults: list[int] = []
        self._nearest: list[bool] = []
        self._others: list[bool] = []
        self._geometry: list[list[float]] = []
        self._quality: list[list[float]] = []
        self._compared: list[bool] = []
        self._embeddings: list[Vector] = []
        self._cued: list[int] = []
        self._cues: list[list[float]] = []
        self._turned: list[int] = []
        self._findings: list[list[float]] = []

    def __len__(self) -> int:
        """How many frames."""
        return len(self._times)

    def begin(self, frame: Frame, face: Face | None, *, nearest: bool, others: bool) -> None:
        """A frame and its candidate face."""
        geometry, quality, faults = (_NO_GEOMETRY, _NO_QUALITY, 0) if face is None else measured(face)
        self._times.append(frame.captured_s)
        self._numbers.append(frame.number)
        self._tracks.append(NO_FACE if face is None else face.track)
        self._faults.append(faults)
        self._nearest.append(nearest)
        self._others.append(others)
        self._geometry.append(geometry)
        self._quality.append(quality)
        self._compared.append(False)
        self._cued.append(NOT_DONE)
        self._turned.append(NOT_DONE)

    def compared(self, embedding: Embedding) -> None:
        """The face was compared."""
        self._compared[-1] = True
        self._embeddings.append(np.array(embedding.vector, np.float32))

    def cued(self, state: int, row: list[float] | None) -> None:
        """Its cues were read, or could not be."""
        self._cued[-1] = state
        if row is not None:
            self._cues.append(row)

    def turned(self, state: int, found: Found | None) -> None:
        """The gate has judged, or could not."""
        self._turned[-1] = state
        if found is not None:
            measures = (found.residual, found.parallax, found.error)
            told = [math.nan if value is None else value for value in measures]
            self._findings.append([*told, found.corners, found.enough, found.linked])

    def frames(self) -> Frames:
        """Everything so far."""
        count, dimension = len(self._times), self._embeddings[0].size if self._embeddings else 1
        return Frames(
            captured_s=np.array(self._times, np.float64),
            number=np.array(self._numbers, np.int64),
            track=np.array(self._tracks, np.int64),
            others=np.array(self._others, np.bool_),
            nearest=np.array(self._nearest, np.bool_),
            geometry=np.array(self._geometry, np.float64).reshape(count, len(_NO_GEOMETRY)),
            quality=np.array(self._quality, np.float64).reshape(count, len(_NO_QUALITY)),
            faults=np.array(self._faults, np.int64),
            compared=np.array(self._compared, np.bool_),
            embeddings=np.array(self._embeddings, np.float32).reshape(len(self._embeddings), dimension),
            cued=np.array(self._cued, np.int64),
            cues=np.array(self._cues, np.float64).reshape(self._cued.count(DONE), len(CUES)),
            turned=np.array(self._turned, np.int64),
            findings=np.array(self._findings, np.float64).reshape(self._turned.count(DONE), 6),
        )
