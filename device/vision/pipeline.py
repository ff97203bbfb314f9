"""From a frame to the faces in it: detect or follow, landmarks, pose, quality; embeddings on request."""

from __future__ import annotations

import numpy as np

from device.config import VisionConfig
from device.errors import ModelError
from device.types import Embedding, Face, Frame, Image, Scene
from device.vision.align import Aligner
from device.vision.detector import FaceDetector
from device.vision.embedder import FaceEmbedder
from device.vision.landmarks import FaceMesh, head_pose, locate_detected, roi_of_landmarks
from device.vision.quality import MEASURED_CHIP, Gates, QualityMeter
from device.vision.tracker import Track, Tracker


class VisionPipeline:
    """Sees one camera's frames in order. Used by one thread.

    The mesh follows each face from the landmarks of the frame before; the detector runs at a low rate, to find who
    comes (``detect_idle_s``) and who joins (``detect_busy_s``), counted by the frames' own times.

    Args:
        detector: Finds faces.
        mesh: Follows them.
        embedder: Compares them.
        config: Rates and gates.
    """

    def __init__(self, detector: FaceDetector, mesh: FaceMesh, embedder: FaceEmbedder, config: VisionConfig) -> None:
        self._detector = detector
        self._mesh = mesh
        self._embedder = embedder
        self._config = config
        self._gates = Gates.for_door(config)
        self._tracker = Tracker(max_faces=config.max_faces, min_presence=config.min_presence)
        self._detected_s: float | None = None
        self._aligner = Aligner(MEASURED_CHIP)
        self._meter = QualityMeter()
        shape = (MEASURED_CHIP.side_px, MEASURED_CHIP.side_px, 3)
        self._buffers: list[Image] = [np.empty(shape, np.uint8) for _ in range(config.max_faces)]
        self._one_chip = embedder.alignment == MEASURED_CHIP
        self._chips: dict[int, Image] = {}
        self._frame: Frame | None = None

    @property
    def model(self) -> str:
        """Id of the embedding model."""
        return self._embedder.model

    def reset(self) -> None:
        """End all tracks, as after a break in the stream."""
        self._tracker.reset()
        self._detected_s = None
        self._chips.clear()
        self._frame = None

    def observe(self, frame: Frame) -> Scene:
        """All faces of the frame, nearest (largest) first.

        Raises:
            ModelError: A model failed; all tracks have ended.
        """
        self._chips.clear()
        self._frame = frame
        try:
            self._track(frame)
            faces = tuple(
                self._face(track, frame, buffer)
                for track, buffer in zip(self._tracker.tracks, self._buffers, strict=False)
            )
        except ModelError:
            self.reset()
            raise
        return Scene(frame=frame, faces=faces)

    def embed(self, frame: Frame, face: Face) -> Embedding:
        """The embedding of a face that :meth:`observe` returned for this frame.

        Raises:
            ModelError: The model failed, or the face is not of this frame.
        """
        if face.frame_number != frame.number:
            raise ModelError(f"a face of frame {face.frame_number} cannot be embedded from frame {frame.number}")
        chip = self._chips.get(face.track) if self._one_chip and frame is self._frame else None
        if chip is None:
            return self._embedder.embed(frame.image, face.landmarks)
        return self._embedder.embed_chip(chip)

    def _track(self, frame: Frame) -> None:
        tracker = self._tracker
        height, width = frame.image.shape[:2]
        tracker.begin(captured_s=frame.captured_s, size=(height, width))
        if tracker.tracks:
            regions = [roi_of_landmarks(track.mesh.landmarks, track.mesh.box) for track in tracker.tracks]
            tracker.follow([self._mesh.locate(frame.image, region) for region in regions])
        if self._detection_due(frame.captured_s):
            self._detected_s = frame.captured_s
            found = tracker.support(self._detector.detect(frame.image))
            tracker.add([locate_detected(self._mesh, frame.image, detection) for detection in found])

    def _detection_due(self, captured_s: float) -> bool:
        if self._detected_s is None:
            return True
        pause = self._config.detect_busy_s if self._tracker.tracks else self._config.detect_idle_s
        return not 0 <= captured_s - self._detected_s < pause

    def _face(self, track: Track, frame: Frame, buffer: Image) -> Face:
        mesh = track.mesh
        height, width = frame.image.shape[:2]
        pose = head_pose(mesh.landmarks)
        chip = self._aligner.chip(frame.image, mesh.landmarks, out=buffer)
        self._chips[track.number] = chip
        return Face(
            track=track.number,
            frame_number=frame.number,
            captured_s=frame.captured_s,
            box=mesh.box,
            landmarks=mesh.landmarks,
            presence=mesh.presence,
            pose=pose,
            quality=self._meter.measure(chip, box=mesh.box, size=(height, width), pose=pose, gates=self._gates),
        )
