"""What the door's vision saw of one presentation under a fixed script, whatever a policy would have said.

A trace has two parts. In the passive part nobody is asked anything, for longer than any policy waits. On its last
frame, ``turn_at``, a challenge of three head turns begins; it takes every turn for solid, and what its gate really
found is noted. So one recording serves every policy: whether and when head turns are asked for, and what their gate
makes of them, is decided when the trace is played (:mod:`export_tools.pad.replay`).

No picture is kept. The embeddings of compared frames are biometric data all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from device.errors import StateError
from device.types import Box, Face, Points, Pose, Quality, Signal, Word
from device.vision.liveness.steps import ANSWERS
from export_tools.pad.columns import REASONS, Frames, fault_of

_NO_POINTS: Final[Points] = np.zeros((468, 3), np.float32)
_NO_POINTS.setflags(write=False)


class TraceError(StateError):
    """A trace is damaged, or of something else."""


class Ending(Word):
    """Why a recording ended."""

    OVER = "over"
    LEFT = "left"
    NOT_NEAREST = "not_nearest"


@dataclass(frozen=True, slots=True)
class About:
    """What was presented.

    Attributes:
        species: The attack type, or ``live``.
        number: Of the presentation within its species.
        subject: The identity shown; an attack's is its victim's.
        photo: The photograph it was made from; the clip's name for a recording.
        answers: Whether it could react to what the door showed; a recorded clip cannot.
    """

    species: str
    number: int
    subject: str
    photo: str
    answers: bool

    @property
    def name(self) -> str:
        """What its trace is called."""
        return self.name_of(self.species, self.number)

    @staticmethod
    def name_of(species: str, number: int) -> str:
        """What the trace of a presentation is called."""
        return f"{species}-{number:05d}"


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """One presentation as the door's vision saw it. Checked when it is made.

    Attributes:
        about: What was presented.
        passive: Whether the passive networks were asked.
        model: Id of the embedding model.
        prompts: The course of the challenge.
        turn_at: Row of the frame on which the challenge began; None where it came to none.
        ending: Why the recording ended.
        frames: The columns.

    Raises:
        TraceError: The parts do not fit one another.
    """

    about: About
    passive: bool
    model: str
    prompts: tuple[Signal, ...]
    turn_at: int | None
    ending: Ending
    frames: Frames

    def __post_init__(self) -> None:
        fault = fault_of(self.frames) or self._contradiction()
        if fault is not None:
            raise TraceError(f"a trace of {self.about.species} {self.about.number} is not sound: {fault}")

    def __len__(self) -> int:
        """How many frames it has."""
        return len(self.frames.captured_s)

    def _contradiction(self) -> str | None:
        if not self.prompts or not set(self.prompts) <= set(ANSWERS):
            return "its course is none"
        if self.turn_at is not None and not 0 <= self.turn_at < len(self):
            return "its challenge begins on no frame"
        before = self.frames.turned if self.turn_at is None else self.frames.turned[: self.turn_at]
        return "turns were judged before any was asked for" if before.any() else None

    def face(self, row: int, *, track: int, captured_s: float, number: int) -> Face:
        """The candidate face of a row, at another time and on another track; without landmarks."""
        geometry: list[float] = self.frames.geometry[row].tolist()
        faults = int(self.frames.faults[row])
        face_px, sharpness, brightness, contrast, clipped = self.frames.quality[row].tolist()
        return Face(
            track=track,
            frame_number=number,
            captured_s=captured_s,
            box=Box(*geometry[:4]),
            landmarks=_NO_POINTS,
            presence=geometry[7],
            pose=Pose(*geometry[4:7]),
            quality=Quality(
                face_px=face_px,
                sharpness=sharpness,
                brightness=brightness,
                contrast=contrast,
                clipped=clipped,
                reasons=tuple(reason for bit, reason in enumerate(REASONS) if faults >> bit & 1),
            ),
        )
