"""Sessions that answer by script, faces without a picture, and the real models of the pack ``door``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from device.config import VisionConfig
from device.types import Box, Image, Points
from device.vision.align import DLIB_150
from device.vision.backends.onnx import OnnxSession
from device.vision.detector import BlazeFaceDetector
from device.vision.embedder import FaceEmbedder
from device.vision.landmarks import FaceMesh, MeshFace
from device.vision.manifest import Preprocessing
from device.vision.pipeline import VisionPipeline

Tensor = NDArray[np.float32]
#: What the network of the pack ``door`` takes.
RAW_RGB = Preprocessing(colour="rgb", mean=0.0, divisor=1.0, geometry="face_chip")
Answer = Callable[[Tensor], tuple[Tensor, ...]]


class ScriptedSession:
    """An inference session whose answers are told by a function; remembers how often it was asked, and what last."""

    def __init__(self, input_shape: tuple[int, ...], answer: Answer) -> None:
        self.model = "scripted"
        self.input_shape = input_shape
        self.answer = answer
        self.calls = 0
        self.seen: Tensor = np.zeros(0, np.float32)

    def run(self, tensor: Tensor) -> tuple[Tensor, ...]:
        """Answer by the script."""
        assert tensor.dtype == np.float32
        assert tensor.flags.c_contiguous
        assert tensor.shape[1:] == self.input_shape[1:]
        self.calls += 1
        self.seen = tensor.copy()
        return self.answer(tensor)

    def close(self) -> None:
        """Nothing to free."""


@pytest.fixture
def scripted() -> type[ScriptedSession]:
    """The class of sessions that answer by script."""
    return ScriptedSession


def face_points(*, yaw_deg: float = 0.0, pitch_deg: float = 0.0, roll_deg: float = 0.0) -> Points:
    """A flat face of 128 px in the middle of a 192 px square, then turned; (468, 3) float32."""
    rng = np.random.default_rng(7)
    points = np.zeros((468, 3))
    points[:, :2] = rng.uniform(-50, 50, (468, 2))
    points[0, :2], points[1, :2] = (-64, -64), (64, 64)
    template = {33: (-43, -28), 133: (-17, -26), 362: (17, -26), 263: (43, -28), 2: (0, 13), 10: (0, -60), 152: (0, 62)}
    for index, place in template.items():
        points[index, :2] = place
    yaw, pitch, roll = np.radians((yaw_deg, pitch_deg, roll_deg))
    turn_roll = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    turn_pitch = np.array([[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]])
    turn_yaw = np.array([[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]])
    points = points @ (turn_yaw @ turn_pitch @ turn_roll).T
    points[:, :2] += 96
    turned: Points = points.astype(np.float32)
    return turned


@pytest.fixture
def make_points() -> Callable[..., Points]:
    """Landmarks of a turned face."""
    return face_points


@pytest.fixture
def make_mesh() -> Callable[..., MeshFace]:
    """A face as the mesh would find it, by centre and side."""

    def make(x: float, y: float, side: float = 100.0, presence: float = 1.0) -> MeshFace:
        points = (face_points() - np.float32(96)) * np.float32(side / 128) + np.array((x, y, 0), np.float32)
        box = Box(x - side / 2, y - side / 2, side, side)
        return MeshFace(landmarks=points.astype(np.float32), box=box, presence=presence)

    return make


@dataclass
class Stage:
    """A picture of 640 x 480 whose faces are told to scripted models: places by centre and side in pixels.

    The detector finds every face of ``faces`` on the picture; the mesh answers that the face lies in the middle of
    the region it was given (so that a track stays where it began), with ``presence``.
    """

    detector: ScriptedSession
    mesh: ScriptedSession
    embedder: ScriptedSession
    pipeline: VisionPipeline
    faces: list[tuple[float, float, float]]
    presence: float = 1.0
    points: Points | None = None


@pytest.fixture
def stage() -> Stage:
    """A pipeline over scripted models, with the default configuration."""
    config = VisionConfig()
    faces: list[tuple[float, float, float]] = []

    def detect(_: Tensor) -> tuple[Tensor, ...]:
        boxes = np.zeros((1, 2304, 16), np.float32)
        scores = np.full((1, 2304, 1), -20, np.float32)
        for x, y, side in faces:
            u, v = x * 0.3, y * 0.3 + 24  # the letterbox of 640 x 480
            cell = int(v // 4) * 48 + int(u // 4)
            anchor = np.array((cell % 48 * 4 + 2, cell // 48 * 4 + 2), np.float32)
            centre = np.array((u, v), np.float32) - anchor
            boxes[0, cell, :2] = centre
            boxes[0, cell, 2:4] = side * 0.3
            boxes[0, cell, 4:] = np.tile(centre, 6)
            boxes[0, cell, [4, 6]] += np.array((-side * 0.06, side * 0.06), np.float32)
            scores[0, cell] = 3
        return boxes, scores

    def locate(_: Tensor) -> tuple[Tensor, ...]:
        points = face_points() if built.points is None else built.points
        logit = np.log(built.presence / (1 - built.presence)) if built.presence < 1 else 20.0
        return points[np.newaxis], np.full((1, 1), logit, np.float32)

    def embed(tensor: Tensor) -> tuple[Tensor, ...]:
        means = tensor.reshape(2, -1)[:, :128] + 1
        return (np.ascontiguousarray(means),)

    sessions = (
        ScriptedSession((1, 3, 192, 192), detect),
        ScriptedSession((1, 3, 192, 192), locate),
        ScriptedSession((-1, 3, 150, 150), embed),
    )
    pipeline = VisionPipeline(
        BlazeFaceDetector(sessions[0], min_score=0.5, max_faces=config.max_faces),
        FaceMesh(sessions[1]),
        FaceEmbedder(sessions[2], alignment=DLIB_150, preprocessing=RAW_RGB),
        config,
    )
    built = Stage(*sessions, pipeline=pipeline, faces=faces)
    return built


@dataclass(frozen=True)
class Models:
    """The real models behind their stages."""

    detector: BlazeFaceDetector
    mesh: FaceMesh
    embedder: FaceEmbedder

    def pipeline(self) -> VisionPipeline:
        """A pipeline of its own, default configuration."""
        return VisionPipeline(self.detector, self.mesh, self.embedder, VisionConfig())


@pytest.fixture(scope="session")
def models(door_pack: Path) -> Iterator[Models]:
    """The models of the pack ``door`` in ONNX Runtime."""
    config = VisionConfig()
    names = ("detector", "landmarks", "embedder")
    sessions = [OnnxSession((door_pack / f"{name}.onnx").read_bytes(), model=name, threads=1) for name in names]
    yield Models(
        detector=BlazeFaceDetector(sessions[0], min_score=0.5, max_faces=config.max_faces),
        mesh=FaceMesh(sessions[1]),
        embedder=FaceEmbedder(sessions[2], alignment=DLIB_150, preprocessing=RAW_RGB),
    )
    for session in sessions:
        session.close()


@pytest.fixture(scope="session")
def photos(demo_photos: dict[str, bytes]) -> dict[str, Image]:
    """The demo's photographs, BGR, by name without ending."""
    pictures = {}
    for name, data in demo_photos.items():
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        pictures[Path(name).stem] = picture.astype(np.uint8, copy=False)
    return pictures
