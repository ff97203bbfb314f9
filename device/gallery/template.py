"""Arithmetic of templates: the mean of several photographs, and who else looks like it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from device.errors import EnrolmentError, ModelError
from device.gallery.rows import checked_probe
from device.interfaces import GalleryIndex
from device.types import Candidate, Embedding

#: A mean of unit vectors has length cos of their typical angle to it. Below one half they lie more than 60 degrees from
#: their own mean: whatever they show, it is not one face.
_MIN_MEAN_LENGTH = 0.5


def mean_template(singles: Sequence[Embedding]) -> Embedding:
    """The direction of the mean of unit vectors of one model, again of unit length.

    Raises:
        EnrolmentError: The vectors cancel each other out (reason ``photos_disagree``).
        ModelError: None given, models mixed, or not finite unit vectors.
    """
    if not singles:
        raise ModelError("there is no template to take the mean of", hint="give at least one photograph")
    first = singles[0]
    vectors = [checked_probe(single, model=first.model, dimension=first.vector.size) for single in singles]
    mean = np.mean(np.asarray(vectors, dtype=np.float64), axis=0)
    length = float(np.linalg.norm(mean))
    if not length >= _MIN_MEAN_LENGTH:
        raise EnrolmentError(
            "the photographs do not show one and the same person",
            reason="photos_disagree",
            hint="look at them, and give those of one person only",
        )
    vector = (mean / length).astype(np.float32)
    vector.setflags(write=False)
    return Embedding(vector=vector, model=first.model)


def lookalikes(
    template: Embedding, *, index: GalleryIndex, threshold: float, own: str | None = None, limit: int = 5
) -> tuple[Candidate, ...]:
    """Enrolled people other than ``own`` whom ``template`` would match or nearly match, best first.

    Args:
        template: Of the person about to be enrolled.
        index: Those enrolled.
        threshold: Least cosine that is worth a warning; the door's own to find somebody enrolled twice.
        own: Handle of the person itself when enrolled anew.
        limit: At most so many.

    Raises:
        ModelError: See :meth:`device.interfaces.GalleryIndex.search`.
    """
    near = index.search(template, k=limit + 1)
    return tuple(
        candidate
        for candidate in near
        if candidate.person != own and math.isfinite(candidate.similarity) and candidate.similarity >= threshold
    )[:limit]
