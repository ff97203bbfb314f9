"""The promises between the appliance and the outside world, each with at least two keepers.

Every promise has a contract test in ``tests/contracts`` that runs over the simulation and every real adapter. Concrete
classes are named in ``device/wiring`` only.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from device.types import Candidate, Embedding, Frame, Signal


class Clock(Protocol):
    """Two clocks: durations come from the monotonic one, schedules from the wall, and only while it is trusted."""

    def monotonic(self) -> float:
        """Seconds that never jump, from an arbitrary start."""

    def wall(self) -> datetime:
        """Now, timezone-aware UTC."""

    def wall_trusted(self) -> bool:
        """Whether the wall clock is known to be right."""


class FrameSource(Protocol):
    """A camera, a recording or a simulated scene. Used by one thread."""

    @property
    def description(self) -> str:
        """What it is, for people."""

    @property
    def live(self) -> bool:
        """Whether frames come at the world's pace; a source that is not live waits until each frame was dealt with."""

    def open(self) -> None:
        """Acquire it. Raises CameraError."""

    def read(self) -> Frame | None:
        """The next frame; None at the end of the stream. Raises CameraError when the camera is lost: close, reopen."""

    def close(self) -> None:
        """Release it; harmless when closed already."""


class InferenceSession(Protocol):
    """One loaded model: tensors in, tensors out; no image, threshold or decoding. Used by one thread."""

    @property
    def model(self) -> str:
        """Id of the model."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the single input; -1 where the batch is dynamic."""

    def run(self, tensor: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
        """All outputs in the model's order; the arrays may be overwritten by the next call. Raises ModelError."""

    def close(self) -> None:
        """Free the model; harmless when closed already."""


class GalleryIndex(Protocol):
    """The enrolled in RAM, all of one model: built from the store, rebuilt whenever it changes, never written."""

    @property
    def model(self) -> str:
        """Id of the only model whose vectors it holds and compares."""

    @property
    def dimension(self) -> int:
        """Length of every vector."""

    def __len__(self) -> int:
        """How many people it holds."""

    def build(self, vectors: NDArray[np.float32], owners: Sequence[str]) -> None:
        """Replace everything by ``vectors`` (N, D), float32 of unit length; ``owners`` (N) may name people repeatedly.

        Raises ModelError for another shape or a vector that is not finite or not of unit length; nothing changes then.
        """

    def search(self, probe: Embedding, *, k: int) -> tuple[Candidate, ...]:
        """At most ``k`` people, each once with the best of the own vectors, best first; empty when nobody is held.

        Raises ModelError for a probe of another model or shape, or one that is not a finite unit vector.
        """


class Relay(Protocol):
    """The door's output line. Releases by itself: no caller has to come back for it."""

    @property
    def description(self) -> str:
        """What it is, for people."""

    @property
    def simulated(self) -> bool:
        """Whether no door is behind it."""

    @property
    def active(self) -> bool:
        """Whether the line is driven now."""

    def pulse(self, duration_s: float) -> None:
        """Drive the line, let go after ``duration_s``; a second pulse replaces the first's end. Raises DoorError."""

    def release(self) -> None:
        """Let go now; harmless when released already."""

    def close(self) -> None:
        """Let go and give the line back; harmless when closed already."""


class Signals(Protocol):
    """What tells the person at the door what to do: LEDs, buzzer, a console."""

    def show(self, signal: Signal) -> None:
        """Show this from now on; showing the same again changes nothing."""

    def close(self) -> None:
        """Show nothing any more."""


class KeySource(Protocol):
    """Where the state key comes from."""

    @property
    def description(self) -> str:
        """What it is, for people."""

    @property
    def weakness(self) -> str | None:
        """Why this source does not protect a stolen device; None when it does."""

    def load(self) -> bytes:
        """The 32-byte state key. Raises StateError."""
