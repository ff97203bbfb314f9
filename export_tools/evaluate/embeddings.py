"""Faces of picture files as embeddings, through the device's own pipeline.

Find, align, embed: :class:`device.wiring.models.Vision` does it, picture by picture, exactly as for an enrolment
photograph. This module adds what many pictures need: several workers, and the cache. The embedding without the
mirrored chip is read off the very run that makes the one with it.
"""

from __future__ import annotations

import hashlib
import queue
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from device.config import Config
from device.errors import PhotoError, UsageError
from device.vision.pack import Pack
from export_tools.evaluate.cache import CachePlace, EmbeddingCache, Entry
from export_tools.evaluate.files import told
from export_tools.evaluate.identity import pipeline_identity
from export_tools.evaluate.results.common import Source
from export_tools.evaluate.worker import Processed, WhichFace, Worker, read_bytes
from export_tools.sources.download import Reporter

SCORING: Final = "embedding of the chip plus embedding of the mirrored chip, scaled to unit length; cosine of two such"
#: Pictures per task: long enough that handing over costs nothing, short enough that a bar moves.
_CHUNK: Final = 16
#: After so many new pictures the cache is written, so that an interrupted evaluation goes on where it stopped.
_SAVE_EVERY: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Embeddings:
    """Faces of some pictures, in the order of the pictures.

    Attributes:
        vectors: (n, D) float32 of unit length, chip and mirrored chip; NaN where no face was found.
        upright: (n, D) the same of the chip alone.
        found: (n,) whether there is a face.
        usable: (n,) whether the door would compare it.
        cached: How many different pictures came from the cache.
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
        """The faces of these files, in their order. Raises PhotoError for files that are no pictures, ModelError."""


class DeviceFaces:
    """The device's pipeline over many files.

    Args:
        pack: The opened pack.
        config: The device's configuration; its thread count is per worker.
        cache: Where embeddings are kept; None keeps nothing.
        workers: Pictures at once; each worker has sessions of its own.
        face: Of several faces the largest, as the door does, or the most central, as pictures cut around one person
            want it.

    Raises:
        PackError, ModelError: The pack cannot be loaded.
    """

    def __init__(
        self,
        pack: Pack,
        config: Config,
        *,
        cache: CachePlace | None,
        workers: int = 1,
        face: WhichFace = "largest",
    ) -> None:
        if workers < 1:
            raise UsageError(f"{workers} workers cannot work", hint="give one per processor core")
        self._cache = cache
        self._workers = workers
        self._idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        ready = [Worker(pack, config, face=face) for _ in range(workers)]
        for worker in ready:
            self._idle.put(worker)
        entry = pack.manifest.models["embedder"]
        self._source = Source(
            pack=pack.manifest.pack,
            embedder=entry.model_id,
            precision=entry.precision,
            scoring=SCORING,
            identity=pipeline_identity(pack, config, alignment=ready[0].alignment, face=face),
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
        """The faces of these files, in their order; what was done is cached even where this is interrupted.

        Raises:
            PhotoError: Files that are no pictures; all of them are counted, the first are named.
            ModelError: A model failed.
            StateError: The cache cannot be written; told before the first picture is processed.
        """
        cache, note = EmbeddingCache.open(self._cache, identity=self._source.identity)
        for text in (note, *cache.others()):
            if text:
                reporter.note(text)
        unique = list(dict.fromkeys(files))
        entries, unknown, faults = _look_up(cache, unique)
        if unknown:
            cache.require_writable()
        cached = len(entries)
        if cached:
            reporter.note(f"{cached} of {len(unique)} pictures are known from the cache {cache.path}")
        reporter.begin("pictures", total=len(unique), done=cached)
        try:
            for done in self._process(unknown):
                if done.entry is None:
                    faults.append(done.fault)
                else:
                    entries[done.file] = done.entry
                    cache.put(done.digest, done.entry)
                    if cache.unsaved >= _SAVE_EVERY:
                        cache.save()
                reporter.at(len(entries) + len(faults))
        finally:
            reporter.end()
            cache.save()
        if faults:
            raise PhotoError(
                f"of {len(unique)} pictures some cannot be used: {told(faults, 'file')}",
                reason="unreadable",
                hint="repair them, or leave them out of the list",
            )
        return _stacked([entries[file] for file in files], cached=cached)

    def _process(self, files: Sequence[Path]) -> Iterator[Processed]:
        """Every file once, in any order; never more chunks waiting than twice the workers."""

        def run(chunk: Sequence[Path]) -> list[Processed]:
            worker = self._idle.get()
            try:
                return [worker.process(file) for file in chunk]
            finally:
                self._idle.put(worker)

        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="embed")
        try:
            waiting: set[Future[list[Processed]]] = set()
            for begin in range(0, len(files), _CHUNK):
                waiting.add(pool.submit(run, files[begin : begin + _CHUNK]))
                while len(waiting) >= 2 * self._workers:
                    finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    for future in finished:
                        yield from future.result()
            for future in waiting:
                yield from future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _look_up(cache: EmbeddingCache, files: Sequence[Path]) -> tuple[dict[Path, Entry], list[Path], list[str]]:
    """What the cache knows, what it does not know, and what cannot be read."""
    entries: dict[Path, Entry] = {}
    unknown: list[Path] = []
    faults: list[str] = []
    for file in files:
        try:
            entry = cache.get(hashlib.sha256(read_bytes(file)).digest())
        except PhotoError as exc:
            faults.append(exc.message)
            continue
        if entry is None:
            unknown.append(file)
        else:
            entries[file] = entry
    return entries, unknown, faults


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
