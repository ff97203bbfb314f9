"""The parts of a proof of life that note what they see and let everything pass: for recording, never for a door."""

from __future__ import annotations

from collections.abc import Callable

from device.errors import ModelError
from device.types import Cues, Face, Frame, LivenessStatus, Scene
from device.vision.liveness.challenge import HeadTurnChallenge
from device.vision.liveness.planarity import SPATIAL, TOO_FEW_CORNERS, Planarity, PlanarityGate
from export_tools.pad.columns import DONE, FAILED, Found
from export_tools.pad.notes import Notes
from export_tools.pad.script import Script


class VouchedChallenge:
    """A challenge to which every compared face is the visit's first: exchanges are judged when the trace is played."""

    def __init__(self, challenge: HeadTurnChallenge, compared_s: Callable[[], float]) -> None:
        self._challenge = challenge
        self._compared_s = compared_s

    def observe(self, frame: Frame, face: Face, *, vouched_s: float) -> LivenessStatus:  # noqa: ARG002  # the Protocol's
        """Take one frame."""
        return self._challenge.observe(frame, face, vouched_s=self._compared_s())


class BlindReader:
    """Reads nothing: under the script the networks have no say."""

    @property
    def passive(self) -> bool:
        """False."""
        return False

    def read(self, scene: Scene, face: Face) -> Cues:
        """Never asked."""
        raise ModelError(f"nothing is read about face {face.track} of frame {scene.frame.number}")


class NotingGate:
    """Notes what the gate finds on each turn and takes every turn for solid, unless the script is a brisk one.

    A second gate, which asks for no link to the last compared face, is asked where the first one refuses for it.
    """

    def __init__(self, script: Script, notes: Notes) -> None:
        config = script.liveness
        self._brisk = script.brisk
        self._gate = PlanarityGate(config)
        self._unlinked = PlanarityGate(config.model_copy(update={"min_linked": 0.0, "min_linked_parts": 1}))
        self._notes = notes

    def clear(self) -> None:
        """As the gate."""
        self._gate.clear()
        self._unlinked.clear()

    def add(self, frame: Frame, face: Face) -> None:
        """As the gate."""
        self._gate.add(frame, face)
        self._unlinked.add(frame, face)

    def judge(self, *, vouched_s: float, until_s: float) -> Planarity:
        """Note the verdict; answer ``spatial``, or where brisk the verdict. Raises ModelError where brisk."""
        try:
            found = self._gate.judge(vouched_s=vouched_s, until_s=until_s)
            linked = _measured(found)
            if not (linked or self._brisk):
                found = self._unlinked.judge(vouched_s=vouched_s, until_s=until_s)
        except ModelError:
            self._notes.turned(FAILED, None)
            if self._brisk:
                raise
            return Planarity(verdict=SPATIAL, residual=None, corners=0)
        noted = Found(
            found.residual,
            found.corners,
            enough=_measured(found),
            linked=linked,
            parallax=found.parallax,
            error=found.error,
        )
        self._notes.turned(DONE, noted)
        return found if self._brisk else Planarity(verdict=SPATIAL, residual=found.residual, corners=found.corners)


def _measured(found: Planarity) -> bool:
    """Whether the gate had corners to measure; it also says that they are too few where they leave it undecided."""
    return found.verdict != TOO_FEW_CORNERS or found.residual is not None
