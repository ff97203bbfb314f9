"""What is measured on the frames of a presentation, as columns: one row for each frame, or for each measured one."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from device.config import LivenessConfig
from device.gallery.rows import UNIT_TOLERANCE
from device.types import Cues, Face, QualityReason
from device.vision.liveness.planarity import PLANAR, SPATIAL, TOO_FEW_CORNERS, Planarity, verdict_on

#: Track of a frame in which there is no face.
NO_FACE: Final = -1
#: What became of a measurement on a frame: not made, made, or attempted in vain.
NOT_DONE, DONE, FAILED = 0, 1, 2
#: Times are whole multiples of so many seconds, finer than any camera's. Sums and differences of such numbers are
#: exact, so a trace that is played at another time stays the same: a span of just 0.1 s is enough, or not, at any time.
GRID_S: Final = 2.0**-20
#: Names of the cues, in the order of their columns.
CUES: Final = tuple(field.name for field in fields(Cues))
REASONS: Final = tuple(QualityReason)

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
Truths = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Found:
    """What the gate found on one turn, whatever its limits say.

    Attributes:
        residual: In inter-ocular distances; None where not measurable.
        corners: How many were followed through the window.
        enough: Whether the gate took them for enough.
        linked: Whether the turned face hangs together with the last compared one.
        parallax: Sine of the turn that the corners confirm in depth; None where not measurable.
        error: Its standard error.
    """

    residual: float | None
    corners: int
    enough: bool
    linked: bool
    parallax: float | None = None
    error: float | None = None

    def judged(self, config: LivenessConfig, *, relief: bool = True) -> Planarity:
        """The gate's verdict with these limits; nothing that is not a number is spatial.

        Args:
            config: The limits.
            relief: Whether the parallax is asked for too, or the residual alone.
        """
        if not (self.enough and self.linked):
            return Planarity(verdict=TOO_FEW_CORNERS, residual=None, corners=self.corners)
        if self.residual is None:
            return Planarity(verdict=PLANAR, residual=None, corners=self.corners)
        verdict = verdict_on(self.residual, self.parallax, self.error, config)
        if not relief:
            verdict = SPATIAL if self.residual >= config.min_residual else PLANAR
        return Planarity(verdict, self.residual, self.corners, parallax=self.parallax, error=self.error)


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """The frames as columns, n rows; rows of what is measured now and then follow one another in the frames' order.

    Attributes:
        captured_s: (n,) float64, increasing, multiples of ``GRID_S``.
        number: (n,) int64, increasing.
        track: (n,) int64 of the candidate face, ``NO_FACE`` without one.
        others: (n,) bool, whether the candidate of the frame before is still there although it is no longer the one.
        nearest: (n,) bool, whether nobody stands before the candidate.
        geometry: (n, 8) float64: box x, y, width, height in pixels; yaw, pitch, roll in degrees; presence.
        quality: (n, 5) float64: width in pixels, sharpness, brightness, contrast, clipped.
        faults: (n,) int64: a bit for each quality reason, in the order of :class:`device.types.QualityReason`.
        compared: (n,) bool, whether there is an embedding.
        embeddings: (compared frames, D) float32 of length 1.
        cued: (n,) int64: ``NOT_DONE``, ``DONE`` or ``FAILED``.
        cues: (cued frames, cues) float64 in the order of :class:`device.types.Cues`; ``live`` is NaN without networks.
        turned: (n,) int64, the same for the gate.
        findings: (judged frames, 6) float64: residual, parallax, error (NaN without), corners, enough, linked.
    """

    captured_s: Floats
    number: Whole
    track: Whole
    others: Truths
    nearest: Truths
    geometry: Floats
    quality: Floats
    faults: Whole
    compared: Truths
    embeddings: NDArray[np.float32]
    cued: Whole
    cues: Floats
    turned: Whole
    findings: Floats


#: Name of each column, its type, and the width of its rows (None: one value a row; 0: any width).
_COLUMNS: Final[dict[str, tuple[type[np.generic], int | None]]] = {
    "captured_s": (np.float64, None),
    "number": (np.int64, None),
    "track": (np.int64, None),
    "others": (np.bool_, None),
    "nearest": (np.bool_, None),
    "geometry": (np.float64, 8),
    "quality": (np.float64, 5),
    "faults": (np.int64, None),
    "compared": (np.bool_, None),
    "embeddings": (np.float32, 0),
    "cued": (np.int64, None),
    "cues": (np.float64, len(CUES)),
    "turned": (np.int64, None),
    "findings": (np.float64, 6),
}
COLUMNS: Final = tuple(field.name for field in fields(Frames))
_ROWS_OF: Final = {"embeddings": "compared", "cues": "cued", "findings": "turned"}


def measured(face: Face) -> tuple[list[float], list[float], int]:
    """A face as rows of ``geometry`` and ``quality``, and its ``faults``."""
    box, pose, quality = face.box, face.pose, face.quality
    return (
        [box.x, box.y, box.width, box.height, pose.yaw_deg, pose.pitch_deg, pose.roll_deg, face.presence],
        [quality.face_px, quality.sharpness, quality.brightness, quality.contrast, quality.clipped],
        sum(1 << bit for bit, reason in enumerate(REASONS) if reason in quality.reasons),
    )


def cue_row(cues: Cues) -> list[float]:
    """Cues as a row."""
    values = (getattr(cues, name) for name in CUES)
    return [math.nan if value is None else float(value) for value in values]


def cues_of(row: list[float], *, passive: bool) -> Cues:
    """A row as cues."""
    values: dict[str, Any] = dict(zip(CUES, row, strict=True))
    return Cues(**(values | {"faces": int(values["faces"]), "live": values["live"] if passive else None}))


def found_of(row: list[float]) -> Found:
    """A row as what the gate found."""
    *measures, corners, enough, linked = row
    residual, parallax, error = (value if math.isfinite(value) else None for value in measures)
    return Found(
        residual=residual,
        parallax=parallax,
        error=error,
        corners=int(corners),
        enough=bool(enough),
        linked=bool(linked),
    )


def on_grid(time_s: float) -> float:
    """The nearest time that a trace can hold."""
    return round(time_s / GRID_S) * GRID_S


def fault_of(frames: Frames) -> str | None:
    """What is wrong with the columns; None for nothing."""
    return _misshapen(frames) or _disordered(frames) or _meaningless(frames)


def _misshapen(frames: Frames) -> str | None:
    count = len(frames.captured_s)
    for name, (kind, width) in _COLUMNS.items():
        column: NDArray[Any] = getattr(frames, name)
        rows = count if name not in _ROWS_OF else int(np.count_nonzero(getattr(frames, _ROWS_OF[name]) == DONE))
        if column.dtype != kind or column.ndim != (1 if width is None else 2) or len(column) != rows:
            return f"its column {name} is of another shape or type"
        if width and column.shape[1] != width:
            return f"its column {name} has rows of {column.shape[1]}"
    return None


def _disordered(frames: Frames) -> str | None:
    for name in ("captured_s", "number"):
        column: NDArray[Any] = getattr(frames, name)
        if not (np.isfinite(column).all() and (np.diff(column) > 0).all()):
            return f"its {name} does not increase"
    return "its times are too fine" if (frames.captured_s % GRID_S).any() else None


def _meaningless(frames: Frames) -> str | None:
    for name in ("cued", "turned"):
        if not np.isin(getattr(frames, name), (NOT_DONE, DONE, FAILED)).all():
            return f"its column {name} has values that mean nothing"
    known = (frames.track >= NO_FACE) & (frames.faults >= 0) & (frames.faults < 1 << len(REASONS))
    if not known.all():
        return "its tracks or quality reasons mean nothing"
    somewhere = frames.compared | (frames.cued != NOT_DONE) | (frames.turned != NOT_DONE)
    if (somewhere & (frames.track == NO_FACE)).any():
        return "something was measured where there is no face"
    if not np.isfinite(frames.findings[:, 3:]).all():
        return "what its gate found is no number"
    lengths = np.linalg.norm(frames.embeddings.astype(np.float64), axis=1)
    return None if (np.abs(lengths - 1.0) <= UNIT_TOLERANCE).all() else "it holds what is no embedding"
