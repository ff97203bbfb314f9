"""One person against one: pairs of pictures, and what the door would have said about them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from export_tools.evaluate.embeddings import Embeddings, FaceSource
from export_tools.evaluate.intervals import counted
from export_tools.evaluate.metrics import TARGET_FARS, ScoredPairs, verification_figures
from export_tools.evaluate.pairs import Pairs
from export_tools.evaluate.results.common import Effort
from export_tools.evaluate.results.recognition import Acquisition, MirrorGain, VerificationFigures, VerificationResult
from export_tools.sources.download import Reporter, Silent

#: So many pictures without a face are named in a result.
_NAMED: Final = 20


def run_verification(
    pairs: Pairs,
    *,
    embedder: FaceSource,
    threshold: float,
    reporter: Reporter | None = None,
    target_fars: Sequence[float] = TARGET_FARS,
    mirror_gain: bool = True,
    door_gates: bool = False,
) -> VerificationResult:
    """Score every pair by the door's rule and tell all rates.

    Args:
        pairs: Pairs of existing pictures.
        embedder: What turns pictures into embeddings.
        threshold: Cosine from which the door takes two faces for one person.
        reporter: Who is told how far it is.
        target_fars: At which false accept rates the true accept rate is told.
        mirror_gain: Score everything once more without the mirrored chip; costs no further inference.
        door_gates: Count a face that the door's quality gates refuse as none.

    Raises:
        UsageError: No genuine or no impostor pairs.
        PhotoError: Files that are no pictures.
        ModelError: A model failed.
    """
    started = time.monotonic()
    files = pairs.pictures
    faces = embedder.embed(files, reporter=reporter or Silent())
    acquired = faces.found & faces.usable if door_gates else faces.found
    rows = _rows(pairs, files)
    whole: NDArray[np.bool_] = np.logical_and(acquired[rows[:, 0]], acquired[rows[:, 1]])
    people = {name: number for number, name in enumerate(dict.fromkeys(n for pair in pairs.pairs for n in pair.people))}
    same = np.array([pair.same for pair in pairs.pairs], np.bool_)
    folds = [pair.fold for pair in pairs.pairs]
    scored = ScoredPairs(
        scores=_cosines(faces.vectors, rows, whole),
        same=same,
        folds=np.array(folds, np.int64) if all(fold is not None for fold in folds) else None,
        subjects=np.array([[people[name] for name in pair.people] for pair in pairs.pairs], np.int64),
    )
    everything = verification_figures(scored, threshold=threshold, target_fars=target_fars)
    detected = None
    if same[whole].any() and not same[whole].all():
        detected = verification_figures(scored.only(whole), threshold=threshold, target_fars=target_fars)
    gain = None
    if mirror_gain:
        alone = ScoredPairs(
            scores=_cosines(faces.upright, rows, whole), same=same, folds=scored.folds, subjects=scored.subjects
        )
        gain = compare_mirror(everything, verification_figures(alone, threshold=threshold, target_fars=target_fars))
    return VerificationResult(
        source=embedder.source,
        pairs_file=pairs.name,
        gates="door" if door_gates else "none",
        all_pairs=everything,
        detected_pairs=detected,
        acquisition=_acquisition(files, faces, acquired, same=same, whole=whole),
        mirror_gain=gain,
        effort=Effort(
            pictures=len(files),
            cached=faces.cached,
            elapsed_s=time.monotonic() - started,
            workers=embedder.workers,
        ),
    )


def compare_mirror(both: VerificationFigures, without: VerificationFigures) -> MirrorGain:
    """What the mirrored chip brings: figures with it minus figures without."""
    return MirrorGain(
        without=without,
        best_accuracy=both.at_best.accuracy - without.at_best.accuracy,
        fold_accuracy=both.folds.accuracy - without.folds.accuracy if both.folds and without.folds else None,
        auc=both.auc - without.auc if both.auc is not None and without.auc is not None else None,
        eer=both.eer - without.eer if both.eer is not None and without.eer is not None else None,
        tar=tuple(
            (mine.tar.value or 0.0) - (other.tar.value or 0.0)
            for mine, other in zip(both.tar_at_far, without.tar_at_far, strict=True)
        ),
    )


def _rows(pairs: Pairs, files: Sequence[Path]) -> NDArray[np.int64]:
    place = {file: row for row, file in enumerate(files)}
    return np.array([(place[pair.first], place[pair.second]) for pair in pairs.pairs], np.int64)


def _cosines(vectors: NDArray[np.float32], rows: NDArray[np.int64], whole: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Cosine of each pair; NaN for one that is not whole."""
    first, second = vectors[rows[:, 0]].astype(np.float64), vectors[rows[:, 1]].astype(np.float64)
    return np.where(whole, np.einsum("nd,nd->n", first, second), np.nan)


def _acquisition(
    files: Sequence[Path],
    faces: Embeddings,
    acquired: NDArray[np.bool_],
    *,
    same: NDArray[np.bool_],
    whole: NDArray[np.bool_],
) -> Acquisition:
    failed = np.flatnonzero(~acquired)
    return Acquisition(
        pictures=counted(failed.size, len(files)),
        genuine_pairs=int(np.count_nonzero(same & ~whole)),
        impostor_pairs=int(np.count_nonzero(~same & ~whole)),
        refused_at_door=int(np.count_nonzero(faces.found & ~faces.usable)),
        files=tuple(files[row].name for row in failed[:_NAMED]),
    )
