"""What both indexes share: checked vectors grouped by person, checked probes, ordered candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from device.errors import ModelError
from device.types import Candidate, Embedding, Vector

#: Float32 rounding over 512 dimensions stays below 1e-6: a vector further from length 1 comes from a broken model.
UNIT_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Vectors, the rows of one person side by side.

    Attributes:
        matrix: (N, D) float32, contiguous, rows of unit length.
        owners: One handle per person, in the order of their rows, P of them.
        starts: (P,) first row of each person.
        person_of: (N,) index of the person that a row belongs to.
    """

    matrix: NDArray[np.float32]
    owners: tuple[str, ...]
    starts: NDArray[np.intp]
    person_of: NDArray[np.intp]

    @classmethod
    def empty(cls, dimension: int) -> Rows:
        """Nobody."""
        return cls.grouped(np.empty((0, dimension), dtype=np.float32), (), dimension=dimension)

    @classmethod
    def grouped(cls, vectors: NDArray[np.float32], owners: Sequence[str], *, dimension: int) -> Rows:
        """Check and copy vectors (N, D), sorted by owner. Raises ModelError, see GalleryIndex.build."""
        if vectors.dtype != np.float32 or vectors.shape != (len(owners), dimension):
            raise ModelError(
                f"templates of shape {vectors.shape} {vectors.dtype} do not fit {len(owners)} owners and {dimension}"
                " dimensions",
                hint="the people were enrolled with another model: enrol them again",
            )
        lengths = np.linalg.norm(vectors, axis=1)
        if not np.all(np.abs(lengths - 1.0) <= UNIT_TOLERANCE):  # False for NaN
            bad = owners[int(np.argmin(np.abs(lengths - 1.0) <= UNIT_TOLERANCE))]
            raise ModelError(
                f"a template of person {bad[:8]} is not a finite unit vector", hint="enrol that person again"
            )
        names, person_of = np.unique(np.asarray(owners, dtype=np.str_), return_inverse=True)
        order = np.argsort(person_of, kind="stable")
        person_of = person_of[order].astype(np.intp)
        starts = np.flatnonzero(np.diff(person_of, prepend=-1)).astype(np.intp)
        matrix = np.ascontiguousarray(vectors[order])
        return cls(matrix=matrix, owners=tuple(str(name) for name in names), starts=starts, person_of=person_of)


def checked_probe(probe: Embedding, *, model: str, dimension: int) -> Vector:
    """The probe's vector, (D,) contiguous float32. Raises ModelError, see GalleryIndex.search."""
    vector = probe.vector
    if probe.model != model:
        raise ModelError(
            f"a probe of model {probe.model!r} cannot be compared with templates of {model!r}",
            hint="enrol the people again with the model in use",
        )
    if vector.dtype != np.float32 or vector.shape != (dimension,):
        raise ModelError(
            f"a probe of shape {vector.shape} {vector.dtype} does not fit {dimension} dimensions",
            hint="check the model pack with `doorward check`",
        )
    length = float(np.sqrt(np.dot(vector, vector)))
    if not abs(length - 1.0) <= UNIT_TOLERANCE:  # True for NaN
        raise ModelError("a probe is not a finite unit vector", hint="check the model pack with `doorward check`")
    return np.ascontiguousarray(vector)


def ranked(
    people: NDArray[np.intp], scores: NDArray[np.float32], *, owners: tuple[str, ...], k: int
) -> tuple[Candidate, ...]:
    """The best ``k`` of some people, best first; equals in the order of their handles."""
    # owners are sorted, so the index breaks ties.
    order = np.lexsort((people, -scores))[:k]
    return tuple(Candidate(person=owners[people[i]], similarity=max(-1.0, min(1.0, float(scores[i])))) for i in order)
