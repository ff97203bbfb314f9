"""A door whose eyes and proof of life are scripted; rules, encrypted state, audit, controller and relay are real."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from device.app.ledger import Ledger
from device.app.roster import Roster
from device.app.visit import Doorkeeper
from device.app.visit_rules import VisitRules
from device.audit.entry import Record
from device.audit.export import entry_object
from device.config import Config
from device.door.controller import DoorController
from device.gallery.exact import ExactIndex
from device.keys import StateKeys
from device.sim.clock import ManualClock
from device.sim.relay import SimulatedRelay
from device.store.database import Database
from device.types import (
    AuditEntry,
    Box,
    Decision,
    Embedding,
    Face,
    Frame,
    Image,
    LivenessEvidence,
    LivenessState,
    LivenessStatus,
    Pose,
    Quality,
    QualityReason,
    Reason,
    Scene,
    Signal,
    StepEvidence,
)
from tests.app.conftest import DIMENSION, MODEL, near, unit

#: Of the pack ``door``.
THRESHOLD, SAME_FACE = 0.9547, 0.9312
#: Seconds between two frames.
FRAME_S = 0.05
KEYS = StateKeys.derive(bytes(range(32)))


def picture(number: int) -> Image:
    """No picture is the one before once more."""
    return np.full((48, 64, 3), number % 256, np.uint8)


#: Who is enrolled, as the camera sees her: not the enrolled photograph, but near enough.
ADA_ENROLLED = unit(1)
ADA = near(ADA_ENROLLED, cosine=0.98)
#: Nobody.
STRANGER = unit(2)


@dataclass(frozen=True)
class Someone:
    """A face in a frame, and what the embedder makes of it: an embedding, or an exception."""

    looks: Embedding | Exception = ADA
    track: int = 1
    width: float = 100.0
    yaw_deg: float = 0.0
    reasons: tuple[QualityReason, ...] = ()

    def face(self, frame: Frame) -> Face:
        """As the pipeline would hand it over."""
        return Face(
            track=self.track,
            frame_number=frame.number,
            captured_s=frame.captured_s,
            box=Box(10, 10, self.width, self.width),
            landmarks=np.zeros((468, 3), np.float32),
            presence=0.99,
            pose=Pose(self.yaw_deg, 0.0, 0.0),
            quality=Quality(
                face_px=self.width, sharpness=99, brightness=120, contrast=40, clipped=0.0, reasons=self.reasons
            ),
        )


class ScriptedVision:
    """Sees who was put before the door."""

    def __init__(self) -> None:
        self.there: tuple[Someone, ...] = ()
        self.resets = 0
        self.embedded: list[int] = []
        self.during_embed: Callable[[], None] = lambda: None
        self.blind: Exception | None = None

    def observe(self, frame: Frame) -> Scene:
        """All of them, nearest first."""
        if self.blind is not None:
            raise self.blind
        faces = sorted((someone.face(frame) for someone in self.there), key=lambda face: -face.box.width)
        return Scene(frame, tuple(faces))

    def embed(self, frame: Frame, face: Face) -> Embedding:  # noqa: ARG002  # the pipeline's own signature
        """How this one looks."""
        self.embedded.append(face.track)
        self.during_embed()
        looks = next(someone.looks for someone in self.there if someone.track == face.track)
        if isinstance(looks, Exception):
            raise looks
        return looks

    def reset(self) -> None:
        """Counted."""
        self.resets += 1


@dataclass(frozen=True)
class Plan:
    """A proof of life: prompts from the sample ``asks`` on (0-based), ends at the sample ``ends`` as ``state``."""

    asks: int = 2
    ends: int = 14
    state: LivenessState = LivenessState.PROVEN
    reason: Reason | None = None


class ScriptedProof:
    """Goes as planned; ``script`` overrides single samples by number: a status, or an exception."""

    def __init__(self, plan: Plan, script: dict[int, Callable[[LivenessStatus], LivenessStatus]] | None = None) -> None:
        self._plan = plan
        self._script = script or {}
        self.samples = 0
        self.vouched_s: list[float] = []
        self.owed: list[bool] = []
        self._asked_s: float | None = None
        self._proven_s: float | None = None
        self.last: LivenessStatus | None = None

    def observe(self, scene: Scene, face: Face, *, vouched_s: float, owes_challenge: bool) -> LivenessStatus:  # noqa: ARG002  # the proof's own signature
        """One sample."""
        self.owed.append(owes_challenge)
        self.vouched_s.append(vouched_s)
        number, plan = self.samples, self._plan
        self.samples += 1
        asked, over = number >= plan.asks, number >= plan.ends
        if asked and self._asked_s is None:
            self._asked_s = face.captured_s
        state = plan.state if over else LivenessState.PENDING
        if state is LivenessState.PROVEN and self._proven_s is None:
            self._proven_s = face.captured_s
        steps = (StepEvidence(Signal.TURN_LEFT, "passed" if over else "open", 21.0, None, None),) if asked else ()
        status = LivenessStatus(
            state=state,
            reason=plan.reason if over else None,
            signal=Signal.CHECKING if over else Signal.TURN_LEFT if asked else Signal.LOOK_STRAIGHT,
            sampled_s=face.captured_s,
            since_s=self._asked_s,
            lived_s=face.captured_s,
            evidence=LivenessEvidence("scripted", self.samples, steps),
            proven_s=self._proven_s,
        )
        change = self._script.get(number)
        self.last = status if change is None else change(status)
        return self.last


class Board:
    """Remembers what was shown, frame by frame."""

    def __init__(self) -> None:
        self.shown: list[Signal] = []

    def show(self, signal: Signal) -> None:
        """Remember it."""
        self.shown.append(signal)

    def close(self) -> None:
        """Nothing."""


class Witness(SimulatedRelay):
    """A relay that looks, at the moment of each pulse, through a connection of its own at what is committed."""

    def __init__(self, clock: ManualClock, directory: Path) -> None:
        super().__init__(clock, max_pulse_s=10.0)
        self.directory = directory
        self.look = True
        self.saw: list[dict[str, Any]] = []
        self.broken: Exception | None = None

    def pulse(self, duration_s: float) -> None:
        """Look, then pulse."""
        if self.look:
            with _opened(self.directory) as database:
                self.saw = [
                    entry_object(entry) for entry in Ledger(database, clock=ManualClock(), boot_id="w").entries()
                ]
        if self.broken is not None:
            raise self.broken
        super().pulse(duration_s)


class WatchedLedger(Ledger):
    """A ledger that can be made to fail, and that can take its time."""

    fails: Exception | None = None
    takes_s: float = 0.0
    slow: ManualClock | None = None

    def record(self, record: Record, *, urgent: bool) -> AuditEntry:
        """Take time, fail, or record."""
        if self.slow is not None:
            self.slow.advance(self.takes_s)
        if self.fails is not None:
            raise self.fails
        return super().record(record, urgent=urgent)


@dataclass
class Doorway:
    """The door, and a script of who stands before it."""

    clock: ManualClock
    database: Database
    ledger: WatchedLedger
    roster: Roster
    vision: ScriptedVision
    relay: Witness
    board: Board
    keeper: Doorkeeper
    ada: str
    plans: list[ScriptedProof]
    proofs: list[ScriptedProof]
    decisions: list[Decision] = field(default_factory=list)
    number: int = 0

    def frame(self, *there: Someone, after_s: float = FRAME_S) -> Decision | None:
        """One frame that shows these people."""
        self.clock.advance(after_s)
        return self.attend(Frame(picture(self.number), self.clock.monotonic(), self.number), *there)

    def attend(self, frame: Frame, *there: Someone) -> Decision | None:
        """A frame of the test's own."""
        self.vision.there = there
        self.number = frame.number + 1
        decision = self.keeper.attend(frame)
        if decision is not None:
            self.decisions.append(decision)
        return decision

    def watch(self, *there: Someone, frames: int = 60) -> Decision | None:
        """These people stay until something is decided, at most so many frames."""
        return next((made for made in (self.frame(*there) for _ in range(frames)) if made is not None), None)

    def entries(self, *kinds: str) -> list[dict[str, Any]]:
        """The audit, verified."""
        assert self.ledger.verify().sound
        found = map(entry_object, self.ledger.entries())
        return [entry for entry in found if not kinds or entry["kind"] in kinds]


@contextmanager
def _opened(directory: Path) -> Iterator[Database]:
    database = Database.open(directory, keys=KEYS, quota_mb=8, reserve_pages=64, create=True)
    try:
        yield database
    finally:
        database.close()


@contextmanager
def doorway(directory: Path, *, plans: Iterable[ScriptedProof] = (), **rules: Any) -> Iterator[Doorway]:
    """A door before which nobody stands yet; Ada is enrolled.

    Args:
        directory: The state directory.
        plans: The proof of each visit in turn; those after them follow the usual :class:`Plan`.
        rules: Changes to the shipped :class:`VisitRules`.
    """
    directory.mkdir(mode=0o700, exist_ok=True)
    config = Config()
    with _opened(directory) as database:
        clock = ManualClock()
        ledger = WatchedLedger(database, clock=clock, boot_id="test")
        roster = Roster(database, ledger, make_index=lambda: ExactIndex(dimension=DIMENSION, model=MODEL), clock=clock)
        ada = roster.enrol("Ada", singles=(ADA_ENROLLED,), mean=ADA_ENROLLED).handle
        relay, vision, board = Witness(clock, directory), ScriptedVision(), Board()
        waiting, given = list(plans), list[ScriptedProof]()

        def prove() -> ScriptedProof:
            given.append(waiting.pop(0) if waiting else ScriptedProof(Plan()))
            return given[-1]

        keeper = Doorkeeper(
            vision=cast("Any", vision),
            roster=roster,
            prove=prove,
            ledger=ledger,
            door=DoorController(relay, clock, config.door, max_frame_age_s=config.access.max_frame_age_s),
            signals=board,
            clock=clock,
            rules=replace(VisitRules.of(config, threshold=THRESHOLD, same_face=SAME_FACE), **rules),
            pack="test",
        )
        yield Doorway(
            clock=clock,
            database=database,
            ledger=ledger,
            roster=roster,
            vision=vision,
            relay=relay,
            board=board,
            keeper=keeper,
            ada=ada,
            plans=waiting,
            proofs=given,
        )
