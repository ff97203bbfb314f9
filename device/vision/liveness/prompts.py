"""Which head turns are asked: drawn so that nobody can know them, and never the same course twice in a row."""

from __future__ import annotations

import random

from device.types import Signal
from device.vision.liveness.steps import ANSWERS


class PromptCourses:
    """Draws courses of prompts for one door.

    Args:
        rng: ``random.SystemRandom()`` at a door; a seeded one where a test repeats a scene.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._last: tuple[Signal, ...] = ()

    def draw(self, steps: int, *, spares: int = 0) -> tuple[Signal, ...]:
        """So many prompts, at least two, and nothing that begins as the course shown last; then the spare ones.

        Each from all directions, the one before included: no recording fits more than one course in four to the power
        of ``steps``. Without repetition one that never repeats itself would fit one in twelve instead of sixteen.
        """
        if steps < 2:
            raise ValueError("a course of one prompt is guessed one time in four")
        course = self._course(steps)
        while self._last and all(one is other for one, other in zip(course, self._last, strict=False)):
            course = self._course(steps)
        return course + self._course(spares)

    def shown(self, course: tuple[Signal, ...]) -> None:
        """The first prompt of a course was shown: the next one begins otherwise. One that nobody saw may come again.

        Args:
            course: Without the spare prompts, which most visitors never see.
        """
        self._last = course

    def _course(self, steps: int) -> tuple[Signal, ...]:
        return tuple(self._rng.choices(tuple(ANSWERS), k=steps))
