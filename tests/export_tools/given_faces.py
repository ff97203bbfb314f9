"""A source of embeddings that were written down."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from export_tools.evaluate.embeddings import Embeddings
from export_tools.evaluate.results.common import Source
from export_tools.sources.download import Reporter

SOURCE = Source(pack="test", embedder="test-fp32", precision="fp32", scoring="cosine", identity="0" * 64)


def at_cosine(cosine: float) -> tuple[float, float]:
    """A unit vector of two dimensions with this cosine to (1, 0)."""
    return cosine, math.sqrt(max(1 - cosine * cosine, 0.0))


@dataclass
class GivenFaces:
    """Vectors by file name; a file without one shows no face. ``upright`` are those without the mirrored chip."""

    vectors: dict[str, tuple[float, ...]]
    upright: dict[str, tuple[float, ...]] = field(default_factory=dict)
    blurred: frozenset[str] = frozenset()
    asked: int = 0

    @property
    def source(self) -> Source:
        """Invented."""
        return SOURCE

    @property
    def workers(self) -> int:
        """One."""
        return 1

    def embed(self, files: Sequence[Path], *, reporter: Reporter) -> Embeddings:
        """As written down."""
        del reporter
        self.asked += len(files)
        size = len(next(iter(self.vectors.values())))
        nowhere = (math.nan,) * size
        rows = [self.vectors.get(file.name, nowhere) for file in files]
        alone = [self.upright.get(file.name, row) for file, row in zip(files, rows, strict=True)]
        found = np.array([file.name in self.vectors for file in files], np.bool_)
        usable = np.array([file.name in self.vectors and file.name not in self.blurred for file in files], np.bool_)
        return Embeddings(
            vectors=np.array(rows, np.float32),
            upright=np.array(alone, np.float32),
            found=found,
            usable=usable,
            cached=0,
        )
