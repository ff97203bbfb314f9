"""Approximate search with hnswlib (extra ``ann``), for galleries beyond some 50,000 templates.

The native library trusts its caller: a probe of the wrong length reads beyond the array, a damaged index file crashes
or is silently wrong, growing an index while another thread searches it crashes, and a saved file holds templates in
plaintext (each reproduced with 0.8.0). Hence: probes are checked before every call, an index is built in RAM from the
database and never changed, saved or loaded, and the nearest rows are compared again exactly.

An approximate index can miss somebody: recall@1 of genuine probes among 10,000 random vectors was 0.996 with ef 200, of
the nearest impostor 0.96, so the margin to the runner-up is less certain than with exact search.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device.errors import ConfigError, ModelError
from device.gallery.rows import Rows, checked_probe, ranked
from device.types import Candidate, Embedding

#: Links per node and breadth of the search while building: the library's own advice, and what recall was measured with.
_LINKS = 16
_BUILD_BREADTH = 200
#: Least breadth of a search; the library's default of 10 lost every tenth genuine probe.
_MIN_BREADTH = 200
_SEED = 20_250_101


class HnswIndex:
    """Implements :class:`device.interfaces.GalleryIndex`; made by :func:`make_hnsw_index`. Safe for several threads.

    Args:
        library: The hnswlib module.
        dimension: Length of every vector.
        model: Id of the only model whose vectors it holds and compares.
    """

    def __init__(self, library: Any, *, dimension: int, model: str) -> None:
        self._library = library
        self._dimension = dimension
        self._model = model
        self._lock = threading.Lock()
        self._rows = Rows.empty(dimension)
        self._graph: Any = None
        self._rows_per_person = 1

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
        """Replace everything; see :class:`device.interfaces.GalleryIndex`. Takes seconds per 10,000 templates."""
        rows = Rows.grouped(vectors, owners, dimension=self._dimension)
        count = len(rows.matrix)
        graph = None
        if count:
            graph = self._library.Index(space="ip", dim=self._dimension)
            graph.init_index(max_elements=count, ef_construction=_BUILD_BREADTH, M=_LINKS, random_seed=_SEED)
            # One thread: the same gallery gives the same graph on every start.
            graph.add_items(rows.matrix, np.arange(count), num_threads=1)
            graph.set_num_threads(1)
        widest = int(np.max(np.bincount(rows.person_of))) if count else 1
        with self._lock:
            self._rows, self._graph, self._rows_per_person = rows, graph, widest

    def search(self, probe: Embedding, *, k: int) -> tuple[Candidate, ...]:
        """The ``k`` nearest people; see :class:`device.interfaces.GalleryIndex`."""
        vector = checked_probe(probe, model=self._model, dimension=self._dimension)
        with self._lock:
            rows = self._rows
            if k < 1 or self._graph is None:
                return ()
            # So many rows hold k people even where the first ones have the most rows.
            wanted = min(len(rows.matrix), k * self._rows_per_person)
            self._graph.set_ef(max(_MIN_BREADTH, 4 * wanted))
            try:
                labels, _ = self._graph.knn_query(vector.reshape(1, -1), k=wanted)
            except RuntimeError as exc:
                raise ModelError(f"the approximate search failed: {exc}", hint="set gallery.index: exact") from exc
        near = labels[0].astype(np.intp)
        scores = rows.matrix[near] @ vector
        people, where = np.unique(rows.person_of[near], return_inverse=True)
        best = np.full(len(people), -np.inf, dtype=np.float32)
        np.maximum.at(best, where, scores)
        return ranked(people, best, owners=rows.owners, k=k)


def make_hnsw_index(*, dimension: int, model: str) -> HnswIndex:
    """An empty approximate index. Raises ConfigError where hnswlib is not installed."""
    try:
        import hnswlib  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: PLC0415  # an extra
    except ImportError as exc:
        raise ConfigError(
            "gallery.index: hnsw needs hnswlib, which is not installed",
            hint="install the extra `ann` (needs a C++ compiler), or set gallery.index: exact",
        ) from exc
    return HnswIndex(hnswlib, dimension=dimension, model=model)
