"""One step of the challenge: which way does the head point, and is that an answer to the prompt?

The mesh's axes do not read every direction alike. Measured on rendered heads, relative to the baseline: 40 degrees
sideways read as 25-32, 28 up as 25-29, 24 down as 24-27. People nod less far than they turn, so a nod has a threshold
of its own. A turn sideways also reads as up to 12 degrees of pitch, so the larger share of its threshold decides.
"""

from __future__ import annotations

import math
from collections import deque
from statistics import median

from device.config import LivenessConfig
from device.types import Pose, Signal

#: The prompts, and the axis (0 yaw, 1 pitch) and sign in which each is answered; see :class:`device.types.Pose`.
ANSWERS = {
    Signal.TURN_LEFT: (0, 1.0),
    Signal.TURN_RIGHT: (0, -1.0),
    Signal.LOOK_UP: (1, 1.0),
    Signal.LOOK_DOWN: (1, -1.0),
}
#: Pose is the median of so many frames: one frame's mesh may slip.
MEDIAN_FRAMES = 3
#: A face whose width changes by more within a baseline is walking: at 1 m, by 0.1 m in half a second.
_GROWTH = 1.12
#: A head may come to rest so far from its baseline, in shares of a turn: about half-way between what is at rest anyway
#: (``neutral_deg``, 0.5 of a turn, 0.6 of a nod) and an answer (1).
_NEAR = 0.75


class Baseline:
    """The head's rest position: near-frontal, still and no longer coming closer, for long enough, in one piece.

    Args:
        config: Its length, and how far from it is still at rest.
    """

    def __init__(self, config: LivenessConfig) -> None:
        self._config = config
        self._samples: deque[tuple[float, float, float, float]] = deque()

    def add(self, captured_s: float, pose: Pose, *, width_px: float) -> tuple[float, float] | None:
        """Take a sample; yaw and pitch of the baseline in degrees once it stands, None before.

        Args:
            captured_s: Of the frame.
            pose: Of the head.
            width_px: Of the face: who walks up grows.
        """
        config = self._config
        if max(abs(pose.yaw_deg), abs(pose.pitch_deg)) >= config.turn_deg:
            self._samples.clear()
            return None
        self._samples.append((captured_s, pose.yaw_deg, pose.pitch_deg, width_px))
        while len(self._samples) > 1 and captured_s - self._samples[1][0] >= config.baseline_s:
            self._samples.popleft()
        if captured_s - self._samples[0][0] < config.baseline_s:
            return None
        yaw = median(sample[1] for sample in self._samples)
        pitch = median(sample[2] for sample in self._samples)
        still = all(max(abs(sample[1] - yaw), abs(sample[2] - pitch)) < config.neutral_deg for sample in self._samples)
        widths = [sample[3] for sample in self._samples]
        return (yaw, pitch) if still and max(widths) <= _GROWTH * min(widths) else None


class Heading:
    """Where the head points, relative to its baseline, and since when.

    Args:
        config: What counts as a turn and as back at rest.
        baseline: Yaw and pitch in degrees.
    """

    def __init__(self, config: LivenessConfig, *, baseline: tuple[float, float]) -> None:
        self._config = config
        self._baseline = baseline
        self._recent: deque[tuple[float, float]] = deque(maxlen=MEDIAN_FRAMES)
        self._direction: Signal | None = None
        self._since_s = 0.0
        self._now_s = 0.0
        self._angles = (math.nan, math.nan)

    def add(self, captured_s: float, pose: Pose) -> None:
        """Take a sample."""
        self._recent.append((pose.yaw_deg - self._baseline[0], pose.pitch_deg - self._baseline[1]))
        self._now_s = captured_s
        self._angles = (median(yaw for yaw, _ in self._recent), median(pitch for _, pitch in self._recent))
        direction = self._point()
        if direction is not self._direction:
            self._direction, self._since_s = direction, captured_s

    def towards(self, prompt: Signal) -> float:
        """Degrees turned in the direction that ``prompt`` asks for; negative on the other side."""
        axis, sign = ANSWERS[prompt]
        return sign * self._angles[axis]

    @property
    def held(self) -> Signal | None:
        """The direction in which the head has been turned long enough; None at rest, in between or too short."""
        long_enough = self._now_s - self._since_s >= self._config.hold_s
        return self._direction if self._direction in ANSWERS and long_enough else None

    @property
    def direction(self) -> Signal | None:
        """The direction in which the head is turned, or ``look_straight`` at rest, or None in between."""
        return self._direction

    @property
    def since_s(self) -> float:
        """When it began to point where it points."""
        return self._since_s

    @property
    def at_rest(self) -> bool:
        """Whether the head has been back at its baseline long enough."""
        return self._direction is Signal.LOOK_STRAIGHT and self._now_s - self._since_s >= self._config.hold_s

    def near(self, rest: tuple[float, float]) -> bool:
        """Whether a rest position (yaw, pitch in degrees) is so near the baseline that no turn is mistaken for it.

        Three quarters of a turn: a head that is held where it was asked to turn to does not rest.
        """
        limits = (self._config.turn_deg, self._config.nod_deg)
        return all(
            abs(there - here) < _NEAR * limit for there, here, limit in zip(rest, self._baseline, limits, strict=True)
        )

    def _point(self) -> Signal | None:
        if max(abs(angle) for angle in self._angles) < self._config.neutral_deg:
            return Signal.LOOK_STRAIGHT
        furthest = max(ANSWERS, key=self._share)
        return furthest if self._share(furthest) >= 1.0 else None

    def _share(self, prompt: Signal) -> float:
        """How far the head has gone, in what is asked for; 1 and more is an answer."""
        axis, _ = ANSWERS[prompt]
        return self.towards(prompt) / (self._config.nod_deg if axis else self._config.turn_deg)
