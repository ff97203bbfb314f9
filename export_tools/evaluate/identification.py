"""One person against everybody enrolled, with strangers among those who come.

A template is made as at enrolment: the mean of a person's photographs, of unit length
(:func:`device.gallery.template.mean_template`). Rates follow ISO/IEC 19795-1:2021: FNIR is the share of transactions of
enrolled people whose right identity is not returned (3.22), here at rank 1 and from the threshold upwards; FPIR the
share of transactions of people who are not enrolled that return anybody. A probe without a face returns nobody: a miss
for an enrolled person, no false alarm for a stranger, and counted for both.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from device.errors import EnrolmentError, UsageError
from device.gallery.template import mean_template
from device.types import Embedding
from export_tools.evaluate.embeddings import FaceSource
from export_tools.evaluate.intervals import counted, rate_of
from export_tools.evaluate.metrics import Scores, matches, thin
from export_tools.evaluate.people import OpenSet
from export_tools.evaluate.results.common import Effort, Gates
from export_tools.evaluate.results.recognition import (
    FnirAtFpir,
    IdentificationAt,
    IdentificationCurve,
    IdentificationResult,
)
from export_tools.sources.download import Reporter, Silent

TARGET_FPIRS: Final = (1e-1, 1e-2, 1e-3)
#: Probes that are compared with everybody at once.
_BLOCK: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Searches:
    """What searching the gallery gave, one entry per probe.

    Attributes:
        best: (m,) highest cosine of a probe of an enrolled person; NaN without a face.
        right: (m,) whether that is the right person.
        best_stranger: (s,) highest cosine of a stranger's probe; NaN without a face.
        subjects: (m,) number of the person; None where unknown.
        stranger_subjects: (s,) the same.
    """

    best: Scores
    right: NDArray[np.bool_]
    best_stranger: Scores
    subjects: NDArray[np.int64] | None = None
    stranger_subjects: NDArray[np.int64] | None = None


def run_identification(
    people: OpenSet,
    *,
    embedder: FaceSource,
    threshold: float,
    photos: int,
    reporter: Reporter | None = None,
    target_fpirs: Sequence[float] = TARGET_FPIRS,
    door_gates: bool = False,
) -> IdentificationResult:
    """Enrol, search every probe, tell the rates.

    Args:
        people: Gallery and probes.
        embedder: What turns pictures into embeddings.
        threshold: Cosine from which the door takes somebody for the nearest person.
        photos: How many photographs a template was to have, for the record.
        reporter: Who is told how far it is.
        target_fpirs: At which false positive identification rates the misses are told.
        door_gates: Count a probe that the door's quality gates refuse as one without a face.

    Raises:
        UsageError: Nobody could be enrolled.
        PhotoError: Files that are no pictures.
        ModelError: A model failed.
    """
    started = time.monotonic()
    enrolled = [(name, file) for name, files in people.gallery.items() for file in files]
    probed = [(name, file) for name, files in people.probes.items() for file in files]
    files = [file for _, file in (*enrolled, *probed)]
    faces = embedder.embed(files, reporter=reporter or Silent())
    model = embedder.source.embedder
    split = len(enrolled)
    names, templates = _templates(
        [name for name, _ in enrolled], faces.vectors[:split], faces.found[:split], model=model
    )
    if not names:
        raise UsageError("nobody of the gallery could be enrolled", hint="no face was found; look at the pictures")
    acquired = faces.found & faces.usable if door_gates else faces.found
    mated = np.array([name in people.gallery for name, _ in probed], np.bool_)
    searches = _search(
        [name for name, _ in probed],
        np.where(acquired[split:, None], faces.vectors[split:], np.float32(np.nan)),
        mated,
        names=names,
        templates=templates,
    )
    return summarise(
        searches,
        threshold=threshold,
        target_fpirs=target_fpirs,
        people=len(names),
        gallery=len(people.gallery),
        photos=photos,
        embedder=embedder,
        gates="door" if door_gates else "none",
        effort=Effort(
            pictures=len(dict.fromkeys(files)),
            cached=faces.cached,
            elapsed_s=time.monotonic() - started,
            workers=embedder.workers,
        ),
    )


def summarise(
    searches: Searches,
    *,
    threshold: float,
    target_fpirs: Sequence[float],
    people: int,
    gallery: int,
    photos: int,
    embedder: FaceSource,
    gates: Gates,
    effort: Effort,
) -> IdentificationResult:
    """All figures of the searches."""
    best, right, strangers = searches.best, searches.right, searches.best_stranger
    curve = identification_curve(searches)
    kept = thin(len(curve.threshold))
    return IdentificationResult(
        source=embedder.source,
        gates=gates,
        people=people,
        not_enrolled=counted(gallery - people, gallery),
        photos_per_person=photos,
        mated=best.size,
        strangers=strangers.size,
        mated_without_face=int(np.count_nonzero(~np.isfinite(best))),
        strangers_without_face=int(np.count_nonzero(~np.isfinite(strangers))),
        rank1=rate_of(right & np.isfinite(best), subjects=searches.subjects),
        at_threshold=identification_at(searches, threshold=threshold),
        fnir_at_fpir=tuple(fnir_at_fpir(searches, target_fpir=target) for target in target_fpirs),
        curve=IdentificationCurve(
            threshold=tuple(curve.threshold[row] for row in kept),
            fpir=tuple(curve.fpir[row] for row in kept),
            fnir=tuple(curve.fnir[row] for row in kept),
        ),
        effort=effort,
    )


def identification_at(searches: Searches, *, threshold: float) -> IdentificationAt:
    """FPIR and FNIR at one threshold."""
    returned = matches(searches.best, threshold) & searches.right
    return IdentificationAt(
        threshold=threshold,
        fpir=rate_of(matches(searches.best_stranger, threshold), subjects=searches.stranger_subjects),
        fnir=rate_of(~returned, subjects=searches.subjects),
    )


def fnir_at_fpir(searches: Searches, *, target_fpir: float) -> FnirAtFpir:
    """The misses at the lowest threshold that keeps a false positive identification rate."""
    points = _thresholds(searches)
    alarms = _exceeding(searches.best_stranger, points) / max(searches.best_stranger.size, 1)
    at = int(np.searchsorted(alarms, target_fpir, side="right")) - 1
    found = identification_at(searches, threshold=float(points[at]))
    return FnirAtFpir(
        target_fpir=target_fpir,
        threshold=float(points[at]) if at > 0 else None,
        fpir=found.fpir,
        fnir=found.fnir,
        resolved=target_fpir * searches.best_stranger.size >= 1,
    )


def identification_curve(searches: Searches) -> IdentificationCurve:
    """FPIR and FNIR above all scores, then at each score that occurs, highest first."""
    points = _thresholds(searches)
    alarms = _exceeding(searches.best_stranger, points) / max(searches.best_stranger.size, 1)
    hits = _exceeding(np.where(searches.right, searches.best, np.nan), points) / max(searches.best.size, 1)
    return IdentificationCurve(
        threshold=tuple(points.tolist()), fpir=tuple(alarms.tolist()), fnir=tuple((1 - hits).tolist())
    )


def _thresholds(searches: Searches) -> Scores:
    scores = np.concatenate([searches.best, searches.best_stranger])
    occurring = np.unique(scores[np.isfinite(scores)])[::-1]
    top = np.nextafter(occurring[0] if occurring.size else 1.0, np.inf)
    return np.concatenate([[top], occurring])


def _exceeding(scores: Scores, thresholds: Scores) -> NDArray[np.int64]:
    """How many finite scores reach each threshold."""
    ordered = np.sort(scores[np.isfinite(scores)])
    return (ordered.size - np.searchsorted(ordered, thresholds, side="left")).astype(np.int64)


def _templates(
    owners: Sequence[str], vectors: NDArray[np.float32], found: NDArray[np.bool_], *, model: str
) -> tuple[list[str], NDArray[np.float32]]:
    """Who could be enrolled, and their templates (n, D)."""
    singles: dict[str, list[Embedding]] = {}
    for owner, vector, good in zip(owners, vectors, found.tolist(), strict=True):
        if good:
            singles.setdefault(owner, []).append(Embedding(vector=vector, model=model))
    names, rows = [], []
    for owner, own in singles.items():
        try:
            rows.append(mean_template(own).vector)
        except EnrolmentError:  # photographs that disagree: the door would not enrol them either
            continue
        names.append(owner)
    return names, np.array(rows, np.float32)


def _search(
    owners: Sequence[str],
    vectors: NDArray[np.float32],
    mated: NDArray[np.bool_],
    *,
    names: Sequence[str],
    templates: NDArray[np.float32],
) -> Searches:
    best = np.empty(len(owners), np.float64)
    right = np.empty(len(owners), np.bool_)
    for begin in range(0, len(owners), _BLOCK):
        block = slice(begin, begin + _BLOCK)
        scores = vectors[block].astype(np.float64) @ templates.T.astype(np.float64)
        # Nobody is nearest to a probe without a face: argmax would take the first NaN for the best.
        nearest = np.argmax(np.where(np.isfinite(scores), scores, -np.inf), axis=1)
        best[block] = scores[np.arange(len(scores)), nearest]
        right[block] = [names[place] == owner for place, owner in zip(nearest.tolist(), owners[block], strict=True)]
    number = {name: place for place, name in enumerate(dict.fromkeys(owners))}
    subjects = np.array([number[owner] for owner in owners], np.int64)
    return Searches(
        best=best[mated],
        right=right[mated],
        best_stranger=best[~mated],
        subjects=subjects[mated],
        stranger_subjects=subjects[~mated],
    )
