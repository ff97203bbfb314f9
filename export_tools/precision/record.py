"""Recording a whole pack: its own parts look at a calibration set, and every role's inputs and ranges follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from device.config import VisionConfig
from device.errors import PackError
from device.interfaces import InferenceSession
from device.vision.align import ALIGNMENTS
from device.vision.detector import FaceDetector
from device.vision.embedder import FaceEmbedder
from device.vision.landmarks import FaceMesh
from device.vision.liveness.passive import PassiveScorer
from device.vision.manifest import Role
from device.wiring.models import DETECTORS
from export_tools.cards import ModelCard, PackCard
from export_tools.precision.calibration import Look, RecordedInputs, RecordingSession, record_inputs, record_ranges
from export_tools.precision.graph import open_session
from export_tools.precision.looks import FaceLook, door_look, iris_look, liveness_look
from export_tools.precision.pictures import PictureSource, folder_sources, photo_sources
from export_tools.precision.ranges import Ranges
from export_tools.sources.fetch import Fetcher, fetch_photos

_PARTS: Final[frozenset[Role]] = frozenset({"detector", "landmarks", "embedder"})


def default_sources(*, fetcher: Fetcher, clips: Path | None) -> tuple[PictureSource, ...]:
    """The demo's photographs and, where there is one, a folder of clips.

    Raises:
        DownloadError: The photographs cannot be had.
        PackError: The folder holds nothing that could be used (``calibration``).
    """
    photos = photo_sources(fetch_photos(fetcher=fetcher))
    return photos if clips is None else (*photos, *folder_sources(clips))


def detector_of(card: ModelCard, session: InferenceSession) -> FaceDetector:
    """The device's detector of a family, with the door's default limits. Raises PackError, ModelError."""
    if card.min_score is None:
        raise PackError(f"{card.name} has no least score", reason="card", hint="give the detector a min_score")
    return DETECTORS[card.family](session, min_score=card.min_score, max_faces=VisionConfig().max_faces)


def pack_look(card: PackCard, sessions: Mapping[Role, InferenceSession]) -> Look:
    """How the door of this pack looks at a picture.

    Args:
        card: The pack.
        sessions: For detector, landmarks and embedder; iris and both liveness networks where they are to be fed.

    Raises:
        PackError: A part is missing (``calibration``).
        ModelError: A session is not such a model.
    """
    if missing := sorted(_PARTS - set(sessions)):
        raise PackError(f"nobody can look without {', '.join(missing)}", reason="calibration")
    embedder = card.models["embedder"]
    more: list[FaceLook] = []
    if "iris" in sessions:
        more.append(iris_look(sessions["iris"]))
    if "pad_close" in sessions and "pad_wide" in sessions:
        more.append(liveness_look(PassiveScorer(sessions["pad_close"], sessions["pad_wide"])))
    return door_look(
        detector=detector_of(card.models["detector"], sessions["detector"]),
        mesh=FaceMesh(sessions["landmarks"]),
        embedder=FaceEmbedder(
            sessions["embedder"], alignment=ALIGNMENTS[embedder.family], preprocessing=embedder.preprocessing
        ),
        more=tuple(more),
    )


def observe_pack(card: PackCard, references: Mapping[Role, bytes], sources: Sequence[PictureSource]) -> RecordedInputs:
    """What every model of a pack is run with when the pack looks at these pictures.

    Args:
        card: The pack.
        references: FP32 ONNX files by role.
        sources: Photographs and clips; calibrate with one side of :func:`split_sources`, measure with the other.

    Raises:
        PackError: The set is empty, unreadable or without a face (``calibration``), or a model does not load.
        ModelError: A model failed.
    """
    sessions = {
        role: RecordingSession(open_session(reference, name=card.models[role].name))
        for role, reference in references.items()
    }
    try:
        return record_inputs(
            sources, look=pack_look(card, sessions), sessions={str(role): session for role, session in sessions.items()}
        )
    finally:
        for session in sessions.values():
            session.close()


def record_pack(
    card: PackCard, references: Mapping[Role, bytes], sources: Sequence[PictureSource], *, description: str
) -> dict[Role, Ranges]:
    """Ranges of every model of a pack that may run in INT8.

    Args:
        card: The pack.
        references: FP32 ONNX files by role.
        sources: The calibration side of the set only.
        description: What the set consists of, in words.

    Raises:
        PackError: As of :func:`observe_pack`.
        ModelError: A model failed.
    """
    seen = observe_pack(card, references, sources)
    return {
        role: record_ranges(
            references[role],
            seen.batches[role],
            name=card.models[role].name,
            description=description,
            sources=len(sources) - len(seen.without_face),
        )
        for role in references
        if not {"int8-u8", "int8-s8"} <= set(card.models[role].excluded)
    }
