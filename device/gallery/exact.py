"""Exact search: one matrix in RAM, one matrix-vector product. The default.

The product is einsum's, on the calling thread. ``np.dot`` would wake the BLAS library's own threads: measured
on two busy cores over 10,000 x 128, its median was 0.05 ms and its 95th percentile 8 ms, against 0.18 and 0.25 ms.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from device.gallery.rows import Rows, checked_probe, ranked
from device.types import Candidate, Embedding


class ExactIndex:
    """Implements :class:`device.interfaces.GalleryIndex`. Safe to use from several threads.

    Args:
        dimension: Length of every vector.
        model: Id of the only model whose vectors it holds and compares.
    """

    def __init__(self, *, dimension: int, model: str) -> None:
        self._dimension = dimension
        self._model = model
        self._lock = threading.Lock()
        self._rows = Rows.empty(dimension)
        self._scores = np.empty(0, dtype=np.float32)
        self._people = np.empty(0, dtype=np.float32)

    @property
    def model(self) -> str:
        """Id of the model."""
        return self._model

    @property
    def dimension(self) -> int:
        """Length of every vector."""
        return self._dimension

    def __len__(self) -> int:
        return len(self._rows.owners)

    def build(self, vectors: NDArray[np.float32], owners: Sequence[str]) -> None:
        """Replace everything; see :class:`device.interfaces.GalleryIndex`."""
        rows = Rows.grouped(vectors, owners, dimension=self._dimension)
        scores = np.empty(len(rows.matrix), dtype=np.float32)
        people = np.empty(len(rows.owners), dtype=np.float32)
        # The score buffers are shared by all searches: two at once would read each other's numbers.
        with self._lock:
            self._rows, self._scores, self._people = rows, scores, people

    def search(self, probe: Embedding, *, k: int) -> tuple[Candidate, ...]:
        """The ``k`` nearest people; see :class:`device.interfaces.GalleryIndex`."""
        vector = checked_probe(probe, model=self._model, dimension=self._dimension)
        with self._lock:
            rows = self._rows
            if k < 1 or not rows.owners:
                return ()
            np.einsum("ij,j->i", rows.matrix, vector, out=self._scores)
            scores = self._scores
            if len(rows.owners) != len(rows.matrix):
                np.maximum.reduceat(self._scores, rows.starts, out=self._people)
                scores = self._people
            best = np.argpartition(scores, -k)[-k:] if k < len(scores) else np.arange(len(scores))
            return ranked(best, scores[best], owners=rows.owners, k=k)
