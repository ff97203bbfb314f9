"""Faces of picture files as embeddings, through the device's own pipeline.

Find, align, embed: :class:`device.wiring.models.Vision` does it, picture by picture, exactly as for an enrolment
photograph. This module adds what many pictures need: several at once, each with a set of sessions of its own, and the
cache. The embedding without the mirrored chip is read off the very run that makes the one with it.
"""

from __future__ import annotations

import hashlib
import json
import math
import queue
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from device.camera.photo import MAX_PHOTO_BYTES, decode_photo
from device.config import Config
from device.errors import ModelError, PhotoError
from device.interfaces import InferenceSession
from device.types import Face, Image
from device.vision.pack import Pack
from device.wiring.models import Vision, load_vision, onnx_session
from export_tools.evaluate.cache import NO_FACE, EmbeddingCache, Entry
from export_tools.evaluate.files import told
from export_tools.evaluate.result import Source
from export_tools.sources.download import Reporter

PIPELINE_REVISION: Final = 1
"""Raise it when the device finds, aligns or embeds differently with the same models: what is cached is void then."""
SCORING: Final = "embedding of the chip plus embedding of the mirrored chip, scaled to unit length; cosine of two such"
#: Pictures per task: long enough that handing over costs nothing, short enough that a bar moves.
_CHUNK: Final = 16
#: After so many new pictures the cache is written, so that an interrupted evaluation goes on where it stopped.
_SAVE_EVERY: Final = 1000

WhichFace = Literal["largest", "central"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Embeddings:
    """Faces of some pictures, in the order of the pictures.

    Attributes:
        vectors: (n, D) float32 of unit length, chip and mirrored chip; NaN where no face was found.
        upright: (n, D) the same of the chip alone.
        found: (n,) whether there is a face.
        usable: (n,) whether the door would compare it.
        cached: How many came from the cache.
    """

    vectors: NDArray[np.float32]
    upright: NDArray[np.float32]
    found: NDArray[np.bool_]
    usable: NDArray[np.bool_]
    cached: int


class FaceSource(Protocol):
    """What turns picture files into embeddings."""

    @property
    def source(self) -> Source:
        """What it is made of."""

    @property
    def workers(self) -> int:
        """How many pictures it works on at once."""

    def embed(self, files: Sequence[Path], *, reporter: Reporter) -> Embeddings:
        """The faces of these files. Raises PhotoError for files that are no pictures, ModelError."""


class DeviceFaces:
    """The device's pipeline over many files.

    Args:
        pack: The opened pack.
        config: The device's configuration; its thread count is per worker.
        cache: Folder of cached embeddings; None keeps nothing.
        workers: Pictures at once; each worker has sessions of its own.
        face: Of several faces the largest, as the door does, or the most central, as pictures cut around one person
            want it.
        make_session: What loads a model; the door's own by default.

    Raises:
        PackError, ModelError: The pack cannot be loaded.
    """

    def __init__(
        self,
        pack: Pack,
        config: Config,
        *,
        cache: Path | None,
        workers: int = 1,
        face: WhichFace = "largest",
        make_session: Callable[[bytes, str], InferenceSession] | None = None,
    ) -> None:
        self._pack = pack
        self._config = config
        self._cache = cache
        self._workers = workers
        self._face: WhichFace = face
        self._make_session = make_session or (lambda model, name: onnx_session(model, name, config))
        first, models = self._load()
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._idle.put(first)
        for _ in range(workers - 1):
            self._idle.put(self._load()[0])
        entry = pack.manifest.models["embedder"]
        settings = {
            "revision": PIPELINE_REVISION,
            "models": models,
            "vision": config.vision.model_dump(mode="json"),
            "face": face,
        }
        identity = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
        self._source = Source(
            pack=pack.manifest.pack,
            embedder=entry.model_id,
            precision=entry.precision,
            scoring=SCORING,
            identity=identity,
        )

    @property
    def source(self) -> Source:
        """Pack, model, precision, rule, and the identity under which embeddings are cached."""
        return self._source

    @property
    def workers(self) -> int:
        """Pictures at once."""
        return self._workers

    def embed(self, files: Sequence[Path], *, reporter: Reporter) -> Embeddings:
        """The faces of these files, in their order; the cache is written even where this is interrupted.

        Raises:
            PhotoError: Files that are no pictures; all of them are counted, the first are named.
            ModelError: A model failed.
            StateError: The cache cannot be written.
        """
        cache, note = EmbeddingCache.open(self._cache, identity=self._source.identity)
        if note:
            reporter.note(note)
        entries: dict[Path, Entry] = {}
        unreadable: list[str] = []
        cached = 0
        unique = list(dict.fromkeys(files))
        reporter.begin("pictures", total=len(unique), done=0)
        try:
            for chunk in self._chunks(unique, cache):
                for done in chunk:
                    if isinstance(done.outcome, PhotoError):
                        unreadable.append(done.outcome.message)
                        continue
                    cached += done.known
                    entries[done.file] = done.outcome
                    if not done.known:
                        cache.put(done.digest, done.outcome)
                        if cache.unsaved >= _SAVE_EVERY:
                            cache.save()
                reporter.at(len(entries) + len(unreadable))
        finally:
            reporter.end()
            cache.save()
        if unreadable:
            raise PhotoError(
                f"of {len(unique)} pictures cannot be used: {told(unreadable, 'file')}",
                reason="unreadable",
                hint="repair or remove them, and leave them out of the list",
            )
        return _stacked([entries[file] for file in files], cached=cached)

    def _load(self) -> tuple[_Worker, dict[str, str]]:
        """A set of sessions, and the SHA-256 of every model in it by its id."""
        models: dict[str, str] = {}
        embedder = self._pack.manifest.models["embedder"].model_id
        taps: list[_Tap] = []

        def make(model: bytes, name: str) -> InferenceSession:
            models[name] = hashlib.sha256(model).hexdigest()
            session = self._make_session(model, name)
            if name != embedder:
                return session
            taps.append(_Tap(session))
            return taps[-1]

        vision = load_vision(self._pack, self._config, make_session=make)
        if len(taps) != 1:
            raise ModelError(f"the pack {self._pack.manifest.pack} loads {len(taps)} models named {embedder}")
        return _Worker(vision, taps[0], face=self._face), models

    def _chunks(self, files: Sequence[Path], cache: EmbeddingCache) -> Iterator[list[_Done]]:
        """Chunks as they are finished, in any order; never more waiting than twice the workers."""

        def run(chunk: Sequence[Path]) -> list[_Done]:
            worker = self._idle.get()
            try:
                return [worker.process(file, cache) for file in chunk]
            finally:
                self._idle.put(worker)

        with _pool(self._workers) as pool:
            waiting: set[Future[list[_Done]]] = set()
            for begin in range(0, len(files), _CHUNK):
                if len(waiting) >= 2 * self._workers:
                    finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    for future in finished:
                        yield future.result()
                waiting.add(pool.submit(run, files[begin : begin + _CHUNK]))
            while waiting:
                finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in finished:
                    yield future.result()


@contextmanager
def _pool(workers: int) -> Iterator[ThreadPoolExecutor]:
    """Threads whose waiting work is dropped when something goes wrong."""
    pool = ThreadPoolExecutor(workers, thread_name_prefix="embed")
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True, slots=True, eq=False)
class _Done:
    file: Path
    digest: bytes
    outcome: Entry | PhotoError
    known: bool


class _Worker:
    """One set of sessions. Used by one thread at a time."""

    def __init__(self, vision: Vision, tap: _Tap, *, face: WhichFace) -> None:
        self._vision = vision
        self._tap = tap
        self._face: WhichFace = face

    def process(self, file: Path, cache: EmbeddingCache) -> _Done:
        """One file: from the cache where its bytes are known."""
        try:
            data = _read(file)
            digest = hashlib.sha256(data).digest()
            known = cache.get(digest)
            if known is not None:
                return _Done(file, digest, known, known=True)
            image = decode_photo(data, name=str(file))
        except PhotoError as exc:
            return _Done(file, b"", exc, known=False)
        return _Done(file, digest, self._embed(image), known=False)

    def _embed(self, image: Image) -> Entry:
        faces = self._vision.find_faces(image)
        if not faces:
            return NO_FACE
        face = faces[0] if self._face == "largest" else _most_central(faces, image)
        self._tap.forget()
        vector = self._vision.embedder.embed(image, face.landmarks).vector
        return Entry(vector=vector, upright=self._tap.upright(), usable=face.quality.usable)


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


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_PHOTO_BYTES + 1)
    except OSError as exc:
        raise PhotoError(f"cannot read {file}: {exc.strerror}", reason="unreadable", hint="check the path") from exc


def _most_central(faces: Sequence[Face], image: Image) -> Face:
    height, width = image.shape[:2]
    return min(faces, key=lambda face: math.dist(face.box.centre, (width / 2, height / 2)))


def _stacked(entries: Sequence[Entry], *, cached: int) -> Embeddings:
    dimension = next((entry.vector.size for entry in entries if entry.vector is not None), 1)
    vectors = np.full((len(entries), dimension), np.nan, np.float32)
    upright = np.full((len(entries), dimension), np.nan, np.float32)
    for row, entry in enumerate(entries):
        if entry.vector is not None:
            vectors[row], upright[row] = entry.vector, entry.upright
    return Embeddings(
        vectors=vectors,
        upright=upright,
        found=np.array([entry.vector is not None for entry in entries], np.bool_),
        usable=np.array([entry.usable for entry in entries], np.bool_),
        cached=cached,
    )
