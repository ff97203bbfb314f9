"""A real encrypted state in a temporary directory, people made of random unit vectors, faces without pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from device.app.control import ControlVerbs
from device.app.enrolment import Enroller, EnrolmentRules
from device.app.ledger import Ledger
from device.app.roster import Roster
from device.config import Config
from device.gallery.exact import ExactIndex
from device.keys import StateKeys
from device.sim.clock import ManualClock
from device.store.database import Database
from device.types import Box, Embedding, Face, Image, Points, Pose, Quality, QualityReason
from device.vision.quality import Gates

MODEL = "test-embedder-1"
DIMENSION = 128
GATES = Gates.for_enrolment(Config().vision, Config().gallery.enrolment)
RULES = EnrolmentRules(gates=GATES, similar=0.9312, match=0.9547)


def unit(seed: int, *, dimension: int = DIMENSION, model: str = MODEL) -> Embedding:
    """A random direction."""
    vector = np.random.default_rng(seed).standard_normal(dimension)
    return Embedding(vector=(vector / np.linalg.norm(vector)).astype(np.float32), model=model)


def near(embedding: Embedding, *, cosine: float, seed: int = 99) -> Embedding:
    """Another direction at exactly this cosine."""
    base = embedding.vector.astype(np.float64)
    other = np.random.default_rng(seed).standard_normal(base.size)
    other -= (other @ base) * base
    other /= np.linalg.norm(other)
    vector = cosine * base + np.sqrt(1 - cosine**2) * other
    return Embedding(vector=(vector / np.linalg.norm(vector)).astype(np.float32), model=embedding.model)


def face(*reasons: QualityReason, width: float = 200.0, seed: int = 0) -> Face:
    """A face whose landmarks carry ``seed``, so that the fake embedder knows whose it is."""
    landmarks = np.zeros((468, 3), np.float32)
    landmarks[0, 0] = seed
    return Face(
        track=0,
        frame_number=0,
        captured_s=0.0,
        box=Box(10, 10, width, width),
        landmarks=landmarks,
        presence=0.99,
        pose=Pose(1.0, 2.0, 3.0),
        quality=Quality(face_px=width, sharpness=99, brightness=120, contrast=40, clipped=0.0, reasons=reasons),
    )


class Eyes:
    """Stands in for vision: what a picture shows is decided by its top left pixel."""

    def __init__(self) -> None:
        self.sees: dict[int, tuple[Face, ...]] = {}
        self.embeddings: dict[int, Embedding] = {}

    def shows(self, number: int, *faces: Face, embedding: Embedding | None = None) -> Image:
        """A picture that shows these faces."""
        self.sees[number] = faces
        if embedding is not None:
            self.embeddings[number] = embedding
        return np.full((64, 64, 3), number, np.uint8)

    def portrait(self, number: int, embedding: Embedding) -> Image:
        """A picture with one good face."""
        return self.shows(number, face(seed=number), embedding=embedding)

    def find_faces(self, image: Image) -> tuple[Face, ...]:
        """What was agreed on."""
        return self.sees[int(image[0, 0, 0])]

    def embed(self, _: Image, landmarks: Points) -> Embedding:
        """What was agreed on."""
        return self.embeddings[int(landmarks[0, 0])]


@dataclass(frozen=True)
class State:
    """Everything that works on one state directory."""

    directory: Path
    clock: ManualClock
    database: Database
    ledger: Ledger
    roster: Roster
    eyes: Eyes
    enroller: Enroller
    verbs: ControlVerbs

    def enrol(self, name: str, seed: int) -> str:
        """Somebody with one photograph; returns the handle."""
        return self.roster.enrol(name, singles=(unit(seed),), mean=unit(seed)).handle


def open_database(directory: Path) -> Database:
    """The database of a test's state directory."""
    return Database.open(directory, keys=StateKeys.derive(bytes(range(32))), quota_mb=8, reserve_pages=64, create=True)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    """A new state."""
    directory = tmp_path / "state"
    directory.mkdir(mode=0o700)
    clock = ManualClock()
    database = open_database(directory)
    ledger = Ledger(database, clock=clock, boot_id="test")
    roster = Roster(database, ledger, make_index=lambda: ExactIndex(dimension=DIMENSION, model=MODEL), clock=clock)
    eyes = Eyes()
    enroller = Enroller(find_faces=eyes.find_faces, embed=eyes.embed, roster=roster, rules=RULES)
    verbs = ControlVerbs(
        database=database,
        ledger=ledger,
        roster=roster,
        enroller=lambda: enroller,
        threshold=0.9547,
        margin=0.02,
        run_on_gate=lambda job: job(),
        health=dict,
    )
    yield State(directory, clock, database, ledger, roster, eyes, enroller, verbs)
    database.close()
