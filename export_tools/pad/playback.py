"""A trace in the place of the parts that look at pictures: cues, and the gate of a challenge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from device.access.liveness import LivenessRules, Move, Policy, Ruling, Standpoint
from device.errors import ModelError
from device.types import Cues, Face, Frame, LivenessStatus, Scene
from device.vision.liveness.challenge import HeadTurnChallenge
from device.vision.liveness.planarity import SPATIAL, TOO_FEW_CORNERS, Planarity
from export_tools.pad.reading import Row
from export_tools.pad.settings import PolicySettings
from export_tools.pad.trace import Trace


class TraceReader:
    """Reads the cues that were recorded."""

    def __init__(self, *, passive: bool, several_faces: bool) -> None:
        self._passive = passive
        self._several_faces = several_faces
        self.row: Row | None = None

    @property
    def passive(self) -> bool:
        """Whether the networks are asked."""
        return self._passive

    def read(self, scene: Scene, face: Face) -> Cues:  # noqa: ARG002  # the Protocol's
        """Raises ModelError where they could not be read, or were not."""
        cues = self.row.cues if self.row is not None else None
        if cues is None:
            raise ModelError("the cues of this frame could not be read when it was recorded")
        return cues if self._several_faces else replace(cues, faces=1)


class TraceGate:
    """Answers what was found when the turn was recorded, judged by the policy's limits."""

    def __init__(self, settings: PolicySettings, row: Callable[[], Row]) -> None:
        self._settings = settings
        self._row = row

    def clear(self) -> None:
        """Nothing was remembered."""

    def add(self, frame: Frame, face: Face) -> None:
        """Nothing is looked at."""

    def judge(self, *, vouched_s: float, until_s: float) -> Planarity:  # noqa: ARG002  # the gate's
        """Raises ModelError where the recorded gate did."""
        row, settings = self._row(), self._settings
        if row.gate_failed:
            raise ModelError("the gate failed when this turn was recorded")
        found = row.found
        if found is None:
            return Planarity(verdict=TOO_FEW_CORNERS, residual=None, corners=0)
        if not settings.link:
            found = replace(found, linked=True)
        verdict = found.judged(settings.liveness, relief=settings.parallax)
        if not settings.planarity and found.enough and found.linked:
            return replace(verdict, verdict=SPATIAL)
        return verdict


class Transplanted:
    """A challenge that takes the frame on which it is begun for the one on which the recorded challenge began."""

    def __init__(self, challenge: HeadTurnChallenge, trace: Trace, turn_at: int) -> None:
        self._challenge = challenge
        self._trace = trace
        self._turn_at: int | None = turn_at

    def observe(self, frame: Frame, face: Face, *, vouched_s: float) -> LivenessStatus:
        """Take one frame."""
        if self._turn_at is not None:
            turn_at, self._turn_at = self._turn_at, None
            face = self._trace.face(turn_at, track=face.track, captured_s=face.captured_s, number=face.frame_number)
        return self._challenge.observe(frame, face, vouched_s=vouched_s)


def without_asking(policy: Policy) -> Policy:
    """The policy of a door that cannot ask: whoever would be asked waits."""

    def ruling(case: Standpoint, rules: LivenessRules) -> Ruling:
        found = policy(case, rules)
        return Ruling(Move.WAIT) if found.move is Move.CHALLENGE else found

    return ruling
