"""What tells one living person's movements from another's: late, past the mark, restless, glancing aside, or unwilling.

With a :class:`Manner` of defaults everything here moves exactly as :mod:`device.sim.motion` does.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from device.sim.motion import Blinks, Obedience, Reach, smooth
from device.types import Signal

# A glance leaves and returns in this time each. Like all its numbers chosen, not measured: a little faster than the
# fastest answers of the catalogue (``turn_s`` from 0.35 s on), over a smaller angle.
_GLANCE_TURN_S = 0.3
# Glances come at random, but never before the last one is over. They go further than what counts as rest
# (``liveness.neutral_deg``) and hardly further than what is compared (``vision.max_yaw_deg``), and are held for longer
# than an answer has to be (``liveness.hold_s``).
_GLANCE_DEG = (10.0, 24.0)
_GLANCE_HELD_S = (0.3, 0.9)
# A shape, not a measurement: an overshoot is at its height just after the movement would have ended, and is over within
# half its duration again.
_PAST_FROM, _PAST_LASTS = 0.6, 0.9


@dataclass(frozen=True, slots=True)
class Manner:
    """A living person's habits.

    Attributes:
        overshoot: Share of a movement by which the head first goes too far.
        hesitation_s: Each answer starts later than the reaction time by up to so much.
        blink_rate: Against one blink every 1.5 to 4 s.
        sway: Against 12 mm and 1.5 degrees of drift.
        glances_per_min: How often the person looks aside for a moment.
        obeys: Whether prompts are answered at all.
    """

    overshoot: float = 0.0
    hesitation_s: float = 0.0
    blink_rate: float = 1.0
    sway: float = 1.0
    glances_per_min: float = 0.0
    obeys: bool = True


class Answering(Obedience):
    """Turns where the prompts say, in somebody's own manner.

    Args:
        reach: Amplitudes and times.
        manner: Hesitation, overshoot, willingness.
        rng: Varies the movements, as for everybody.
        mood: Varies the hesitation.
    """

    def __init__(self, reach: Reach, manner: Manner, *, rng: random.Random, mood: random.Random) -> None:
        super().__init__(reach, rng=rng)
        self._manner = manner
        self._mood = mood

    def angles(self, now_s: float, *, prompt: Signal, since_s: float) -> tuple[float, float]:
        """Yaw and pitch in degrees at ``now_s``, while ``prompt`` has been shown since ``since_s``."""
        if not self._manner.obeys:
            return 0.0, 0.0
        late_s = 0.0
        if prompt is not self._prompt and self._manner.hesitation_s > 0.0:
            late_s = self._mood.uniform(0.0, self._manner.hesitation_s)
        return super().angles(now_s, prompt=prompt, since_s=since_s + late_s)

    def _at(self, now_s: float) -> tuple[float, float]:
        yaw, pitch = super()._at(now_s)
        past = min(1.0, max(0.0, ((now_s - self._start_s) / self._reach.turn_s - _PAST_FROM) / _PAST_LASTS))
        more = self._manner.overshoot * 16.0 * (past * (1.0 - past)) ** 2
        return yaw + more * (self._to[0] - self._from[0]), pitch + more * (self._to[1] - self._from[1])


class PacedBlinks(Blinks):
    """Blinks at somebody's own rate.

    Args:
        rate: Against everybody's.
        rng: Draws the pauses.
    """

    def __init__(self, *, rate: float, rng: random.Random) -> None:
        super().__init__(rng=rng)
        self._rate = rate

    def at(self, now_s: float) -> float:
        """How far the lids are closed at ``now_s``, 0..1."""
        before_s = self._next_s
        closed = super().at(now_s)
        if self._next_s != before_s and self._rate != 1.0:
            self._next_s = now_s + (self._next_s - now_s) / self._rate
        return closed


class Glances:
    """Now and then the head turns aside for a moment, whatever is asked.

    Args:
        per_min: How often on average; 0 for never.
        mood: Draws when and where to.
    """

    def __init__(self, *, per_min: float, mood: random.Random) -> None:
        self._per_s = per_min / 60.0
        self._mood = mood
        self._to = (0.0, 0.0)
        self._start_s = -math.inf
        self._held_s = 0.0

    def at(self, now_s: float) -> tuple[float, float]:
        """Yaw and pitch in degrees at ``now_s`` on top of everything else."""
        if self._per_s <= 0.0:
            return 0.0, 0.0
        end_s = self._start_s + 2 * _GLANCE_TURN_S + self._held_s
        if now_s >= end_s:
            size = self._mood.uniform(*_GLANCE_DEG)
            self._to = (self._mood.choice((-1.0, 1.0)) * size, self._mood.uniform(-0.5, 0.3) * size)
            self._held_s = self._mood.uniform(*_GLANCE_HELD_S)
            self._start_s = now_s + self._mood.expovariate(self._per_s)
        gone_s = now_s - self._start_s
        away = smooth(gone_s / _GLANCE_TURN_S) - smooth((gone_s - _GLANCE_TURN_S - self._held_s) / _GLANCE_TURN_S)
        return self._to[0] * away, self._to[1] * away
