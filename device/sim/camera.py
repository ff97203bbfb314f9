"""A door camera that sees simulated visitors, one after the other.

The scene has its own time: each frame lies one frame period after the last, and reading it moves the clock there.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import cv2
import numpy as np

from device.errors import CameraError
from device.sim.backdrop import hallway, sensor_noise
from device.sim.clock import ManualClock
from device.sim.optics import Optics, OpticsRenderer
from device.sim.warp import Lens
from device.types import Frame, Image, Signal

#: Focal length over picture width of a lens with 66 degrees horizontal field of view.
FOCAL_PER_WIDTH = 0.77


class Visitor(Protocol):
    """Somebody or something before the camera."""

    def draw(self, canvas: Image, *, now_s: float, prompt: Signal, since_s: float) -> bool:
        """Paint yourself as of ``now_s`` into ``canvas``; False once gone for good."""


class Prompts(Protocol):
    """What the door shows."""

    @property
    def current(self) -> Signal:
        """The signal that is shown now."""

    @property
    def since_s(self) -> float:
        """Monotonic time since which it is shown."""


def door_lens(width: int = 640, height: int = 480) -> Lens:
    """The scene camera's lens for pictures of this size."""
    return Lens(focal_px=FOCAL_PER_WIDTH * width, width=width, height=height)


class SceneCamera:
    """Keeps :class:`device.interfaces.FrameSource`.

    Args:
        visitors: In the order in which they come; each scene object can be watched once.
        clock: Moved by each read to the frame's time.
        prompts: What the visitors react to.
        width: Of the picture, pixels.
        height: Of the picture, pixels.
        fps: Frames per second of scene time.
        gap_s: Nobody is seen for so long before, between and after the visitors.
        live: Whether a read waits until the frame is due on the world's clock too.
        seed: Decides background and noise.
        wait: Sleeps for so many seconds; used only when live.
        optics: The camera's faults, its noise among them; None for a good camera with a little noise.
    """

    def __init__(
        self,
        visitors: Sequence[Visitor],
        *,
        clock: ManualClock,
        prompts: Prompts,
        width: int = 640,
        height: int = 480,
        fps: int = 30,
        gap_s: float = 2.0,
        live: bool = False,
        seed: int = 0,
        wait: Callable[[float], None] = time.sleep,
        optics: Optics | None = None,
    ) -> None:
        self._waiting = list(visitors)
        self._clock = clock
        self._prompts = prompts
        self._size = (width, height)
        self._period_s = 1.0 / fps
        self._gap_s = gap_s
        self._live = live
        self._seed = seed
        self._wait = wait
        self._rng = random.Random(seed)  # noqa: S311  # a scene that can be repeated
        self._opened = False
        self._number = 0
        self._empty_until_s = 0.0
        self._present: Visitor | None = None
        self._empty: Image | None = None
        self._noise = sensor_noise(width, height, seed=seed)
        self._optics = None if optics is None else OpticsRenderer(optics, width=width, height=height, seed=seed)
        self._due_s = 0.0

    @property
    def description(self) -> str:
        """What it is, for people."""
        return "simulated door scene (visitors are rendered)"

    @property
    def live(self) -> bool:
        """Whether frames come at the world's pace."""
        return self._live

    def open(self) -> None:
        """Build the scene; opening again after a close goes on where it was."""
        if self._empty is None:
            self._empty = hallway(*self._size, seed=self._seed)
            if self._optics is not None:
                self._empty = self._optics.background(self._empty)
            self._empty_until_s = self._clock.monotonic() + self._gap_s
        self._opened = True
        self._due_s = time.monotonic()

    def read(self) -> Frame | None:
        """The next frame; None once the last visitor has been gone for a gap. Raises CameraError when not open."""
        if not self._opened or self._empty is None:
            raise CameraError("the simulated camera is not open", hint="call open() first")
        now_s = self._clock.monotonic() + self._period_s
        canvas = self._empty.copy()
        if self._present is None and now_s >= self._empty_until_s:
            if not self._waiting:
                return None
            self._present = self._waiting.pop(0)
        if self._present is not None and not self._present.draw(
            canvas, now_s=now_s, prompt=self._prompts.current, since_s=self._prompts.since_s
        ):
            self._present = None
            self._empty_until_s = now_s + self._gap_s
        self._clock.advance_to(now_s)
        self._number += 1
        if self._live:
            self._due_s = max(self._due_s + self._period_s, time.monotonic() - 1.0)
            self._wait(max(0.0, self._due_s - time.monotonic()))
        return Frame(image=self._expose(canvas), captured_s=now_s, number=self._number)

    def close(self) -> None:
        """Release it; harmless when closed already."""
        self._opened = False

    def _expose(self, canvas: Image) -> Image:
        """What lens and sensor make of it."""
        if self._optics is not None:
            return self._optics.expose(canvas)
        width, height = self._size
        x, y = self._rng.randrange(64), self._rng.randrange(64)
        noise = self._noise[y : y + height, x : x + width]
        return np.asarray(cv2.add(canvas, noise, dtype=cv2.CV_8U), dtype=np.uint8)
