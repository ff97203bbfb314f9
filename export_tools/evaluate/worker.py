"""One picture after the other through the device's pipeline.

Several workers run in threads: inference and warps give Python's lock back (60 pictures took 1.11 s with one worker,
twice 60 took 1.18 s with two in threads and 1.12 s in processes, which take half a second to start). Sixteen chips in
one run instead of two would save 11 % of the embedder's time (4.9 instead of 5.5 ms a chip): not worth a pipeline that
is not the device's.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from device.camera.photo import MAX_PHOTO_BYTES, decode_photo
from device.config import Config
from device.errors import ModelError, PhotoError
from device.interfaces import InferenceSession
from device.types import Face, Image
from device.vision.align import Alignment
from device.vision.pack import Pack
from device.wiring.models import Vision, load_vision, make_embedder, open_session
from export_tools.evaluate.cache import NO_FACE, Entry

WhichFace = Literal["largest", "central"]


@dataclass(frozen=True, slots=True, eq=False)
class Processed:
    """What became of one file; ``entry`` is None where the file is no picture, ``fault`` says why."""

    file: Path
    digest: bytes
    entry: Entry | None
    fault: str = ""


class Worker:
    """One set of sessions. Used by one thread.

    Args:
        pack: The opened pack.
        config: The device's configuration.
        face: Which of several faces counts.

    Raises:
        PackError, ModelError: The pack cannot be loaded.
    """

    def __init__(self, pack: Pack, config: Config, *, face: WhichFace) -> None:
        self._face: WhichFace = face
        self._tap = _Tap(open_session(pack, "embedder", config))
        self._vision: Vision = replace(
            load_vision(pack, config), embedder=make_embedder(self._tap, pack.model("embedder"))
        )

    @property
    def alignment(self) -> Alignment:
        """What the embedder's chips look like."""
        return self._vision.embedder.alignment

    def process(self, file: Path) -> Processed:
        """One file. Raises ModelError."""
        try:
            data = read_bytes(file)
            image = decode_photo(data, name=str(file))
        except PhotoError as exc:
            return Processed(file, b"", None, exc.message)
        return Processed(file, hashlib.sha256(data).digest(), self._embed(image))

    def _embed(self, image: Image) -> Entry:
        faces = self._vision.find_faces(image)
        if not faces:
            return NO_FACE
        face = faces[0] if self._face == "largest" else _most_central(faces, image)
        self._tap.forget()
        vector = self._vision.embedder.embed(image, face.landmarks).vector
        return Entry(vector=vector, upright=self._tap.upright(), usable=face.quality.usable)


def read_bytes(file: Path) -> bytes:
    """A picture file, up to the length at which the decoder refuses it. Raises PhotoError."""
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_PHOTO_BYTES + 1)
    except OSError as exc:
        raise PhotoError(f"cannot read {file}: {exc.strerror}", reason="unreadable", hint="check the path") from exc


class _Tap:
    """The embedder's session, remembering what it said about the chip itself, which comes first."""

    def __init__(self, session: InferenceSession) -> None:
        self._session = session
        self._first: NDArray[np.float32] | None = None

    @property
    def model(self) -> str:
        return self._session.model

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self._session.input_shape

    def run(self, tensor: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
        outputs = self._session.run(tensor)
        if self._first is None:
            self._first = np.array(outputs[0][0], np.float32).reshape(-1)
        return outputs

    def close(self) -> None:
        self._session.close()

    def forget(self) -> None:
        self._first = None

    def upright(self) -> NDArray[np.float32]:
        """Of unit length. Raises ModelError."""
        if self._first is None:
            raise ModelError(f"the model {self.model} was not asked")
        length = math.sqrt(float(self._first @ self._first))
        if not (math.isfinite(length) and length > 1e-6):
            raise ModelError(f"the embedding of model {self.model} has no direction (length {length})")
        vector: NDArray[np.float32] = self._first / np.float32(length)
        return vector


def _most_central(faces: Sequence[Face], image: Image) -> Face:
    height, width = image.shape[:2]
    return min(faces, key=lambda face: math.dist(face.box.centre, (width / 2, height / 2)))
