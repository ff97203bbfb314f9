"""A decided frame here against `face_recognition` (dlib), what a maker would take instead; one thread each."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from device.commands.bench.measure import Spread, Stopwatch
from device.types import Frame
from device.wiring.models import Vision


@dataclass(frozen=True, slots=True)
class Comparison:
    """Detect, align, embed and compare with one person, frame by frame in turns.

    Attributes:
        ours: BlazeFace, FaceMesh, chip and mirrored chip.
        theirs: HOG detector (upsampled once, its default), five landmarks, one chip.
        speedup: Ratio of the medians.
        version: Of the other.
    """

    ours: Spread
    theirs: Spread
    speedup: float
    version: str


def compare(vision: Vision, frames: Sequence[Frame], *, count: int = 12) -> Comparison | None:
    """Time both; None where `face_recognition` is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it uses pkg_resources
        try:
            rival: Any = importlib.import_module("face_recognition")
        except (ImportError, SystemExit):  # its models package ends the process when pkg_resources is missing
            return None
    known = np.zeros(128)
    watch = Stopwatch()
    for frame in frames[:: max(1, len(frames) // count)][:count]:
        rgb = np.ascontiguousarray(frame.image[:, :, ::-1])

        def ours(frame: Frame = frame) -> None:
            for face in vision.find_faces(frame.image)[:1]:
                vision.embedder.embed(frame.image, face.landmarks).vector @ known.astype(np.float32)

        def theirs(rgb: Any = rgb) -> None:
            found = rival.face_encodings(rgb, rival.face_locations(rgb)[:1])
            if found:
                rival.face_distance([known], found[0])

        for _ in range(2):
            watch.time("ours", ours)
            watch.time("theirs", theirs)
    spreads = watch.spreads()
    return Comparison(
        ours=spreads["ours"],
        theirs=spreads["theirs"],
        speedup=spreads["theirs"].p50_ms / spreads["ours"].p50_ms,
        version=str(getattr(rival, "__version__", "")),
    )
