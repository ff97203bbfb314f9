"""How simulated heads and hands move: smooth turns in answer to prompts, sway, blinks; all from a seed."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from device.types import Signal

#: What each prompt asks for as (yaw, pitch), in the signs of :class:`device.types.Pose`.
DIRECTIONS = {
    Signal.TURN_LEFT: (1.0, 0.0),
    Signal.TURN_RIGHT: (-1.0, 0.0),
    Signal.LOOK_UP: (0.0, 1.0),
    Signal.LOOK_DOWN: (0.0, -1.0),
}


def smooth(share: float) -> float:
    """Minimum-jerk course from 0 to 1 (Flash and Hogan 1985), constant outside."""
    s = min(1.0, max(0.0, share))
    return s * s * s * (10.0 + s * (6.0 * s - 15.0))


@dataclass(frozen=True, slots=True)
class Reach:
    """How far and how fast a head or a hand goes when prompted.

    Attributes:
        yaw_deg: Turn to either side.
        up_deg: Upward.
        down_deg: Downward.
        turn_s: Duration of one movement.
        reaction_s: Mean time from the prompt to the start of the movement.
        spread: Share by which one movement is larger or smaller than another.
    """

    yaw_deg: float
    up_deg: float
    down_deg: float
    turn_s: float
    reaction_s: float
    spread: float = 0.04


class Obedience:
    """Turns where the prompts say, after a reaction time, and back when they end.

    Args:
        reach: Amplitudes and times.
        rng: Varies them from one movement to the next.
    """

    def __init__(self, reach: Reach, *, rng: random.Random) -> None:
        self._reach = reach
        self._rng = rng
        self._prompt = Signal.IDLE
        self._from = (0.0, 0.0)
        self._to = (0.0, 0.0)
        self._start_s = 0.0

    def angles(self, now_s: float, *, prompt: Signal, since_s: float) -> tuple[float, float]:
        """Yaw and pitch in degrees at ``now_s``, while ``prompt`` has been shown since ``since_s``."""
        if prompt is not self._prompt:
            self._prompt = prompt
            self._from = self._at(now_s)
            self._to = self._target(prompt)
            self._start_s = max(now_s, since_s + self._reach.reaction_s * self._rng.uniform(0.8, 1.25))
        return self._at(now_s)

    def _at(self, now_s: float) -> tuple[float, float]:
        share = smooth((now_s - self._start_s) / self._reach.turn_s)
        return (
            self._from[0] + (self._to[0] - self._from[0]) * share,
            self._from[1] + (self._to[1] - self._from[1]) * share,
        )

    def _target(self, prompt: Signal) -> tuple[float, float]:
        yaw, pitch = DIRECTIONS.get(prompt, (0.0, 0.0))
        size = self._rng.uniform(1 - self._reach.spread, 1 + self._reach.spread)
        vertical = self._reach.up_deg if pitch > 0 else self._reach.down_deg
        return yaw * self._reach.yaw_deg * size, pitch * vertical * size


class Sway:
    """A slow, endless, never quite repeating movement: a sum of three sines with seeded phases.

    Args:
        size: Largest excursion.
        period_s: Of the slowest part.
        rng: Draws the phases.
    """

    def __init__(self, *, size: float, period_s: float, rng: random.Random) -> None:
        parts = ((0.6, 1.0), (0.28, 2.3), (0.12, 5.1))
        self._parts = [
            (size * share, 2 * math.pi * speed / period_s, rng.uniform(0, 2 * math.pi)) for share, speed in parts
        ]

    def at(self, now_s: float) -> float:
        """The excursion at ``now_s``."""
        return sum(size * math.sin(rate * now_s + phase) for size, rate, phase in self._parts)


class Blinks:
    """Closes the eyes for a fifth of a second every few seconds.

    Args:
        rng: Draws the pauses.
    """

    def __init__(self, *, rng: random.Random) -> None:
        self._rng = rng
        self._next_s = 0.0

    def at(self, now_s: float) -> float:
        """How far the lids are closed at ``now_s``, 0..1."""
        if now_s > self._next_s + 0.2:
            self._next_s = now_s + self._rng.uniform(1.5, 4.0)
        return max(0.0, 1.0 - abs(now_s - self._next_s - 0.1) / 0.1)
