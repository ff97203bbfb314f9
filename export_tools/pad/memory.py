"""What passes between an attempt and a door that remembers earlier ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from device.access.face_memory import Standing
from device.types import Box, Embedding
from export_tools.pad.attempt import Attempt


class Memory(Protocol):
    """What a door remembers from one attempt to the next."""

    def standing(self, face: Embedding, box: Box, *, now_s: float) -> Standing:
        """How a face that was just compared stands."""

    def closed(self, box: Box, *, now_s: float) -> bool:
        """Whether nobody at this place is attended to."""

    def undecided(self, face: Embedding, *, now_s: float) -> None:
        """A face left before the networks had decided."""


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """An attempt, and what a door remembers of it.

    Attributes:
        attempt: What it came to.
        first: The embedding with which its last visit began; None where nothing was compared.
        box: Where the face was in the end; None where none was attended to.
        asked: Whether a prompt was shown.
        alive: Whether the proof of life stood in the end.
        undecided: Whether it left before the networks had decided.
        ended_s: When it ended.
    """

    attempt: Attempt
    first: Embedding | None
    box: Box | None
    asked: bool
    alive: bool
    undecided: bool
    ended_s: float
