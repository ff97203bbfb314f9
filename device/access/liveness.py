"""When is somebody alive enough: what each level accepts, escalates and refuses, whoever it is.

Pure rules over numbers. Nothing here knows an identity, so whether a challenge is asked cannot depend on one. Only two
things ever accept: the passive networks' median over K frames without a doubt, and a completed challenge. Everything
else can only make the door ask for more, or refuse. ``docs/liveness.md`` shows :func:`rule` as a table.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import median
from typing import Final

from device.errors import ModelError
from device.types import Cues, Doubt, PassiveVerdict, Reason, Word


class Level(Word):
    """How much proof a door asks for."""

    CONVENIENCE = "convenience"
    STANDARD = "standard"
    HIGH = "high"


class Move(Word):
    """What to do next with a face."""

    WAIT = "wait"
    ACCEPT = "accept"
    CHALLENGE = "challenge"
    REFUSE = "refuse"


#: In such pictures the networks reject living people, and no attack was seen to gain: what they say for life counts,
#: what they say against it does not.
DULLING: Final = frozenset({Doubt.BLUR, Doubt.NOISE})
#: In such pictures the networks reject living people or accept replays: they are not believed, and their veto is void.
BLINDING: Final = DULLING | {Doubt.LOW_LIGHT, Doubt.BURNT_BACKGROUND, Doubt.GREY, Doubt.LITTLE_CONTEXT}
#: What :data:`Level.CONVENIENCE` does not mind: both are seen around living people too.
FRAMING: Final = frozenset({Doubt.BEZEL, Doubt.SEVERAL_FACES})
#: A doubt stands when so many of the last K frames raised it: 0.4 s.
DOUBTED: Final = 3


@dataclass(frozen=True, slots=True)
class CueLimits:
    """From where on a cue is a doubt; each limit stands beside its measurement in ``device/vision/liveness``.

    Attributes:
        bezel: At least so much looks like the frame of a screen.
        burnt: At least this share of the surroundings is burnt out.
        chroma: Less colour than this is a grey picture.
        brightness: A darker face is in low light.
        noise: At least so much grain is noise.
        context: Less around the face than this is too little to judge.
        sharpness: A less sharp face is blurred.
    """

    bezel: float
    burnt: float
    chroma: float
    brightness: float
    noise: float
    context: float
    sharpness: float


def doubts_about(cues: Cues, limits: CueLimits) -> frozenset[Doubt]:
    """Every doubt that a frame raises; a number that is none raises its doubt."""
    sound: tuple[tuple[Doubt, bool], ...] = (
        (Doubt.SEVERAL_FACES, cues.faces <= 1),
        (Doubt.BEZEL, cues.bezel < limits.bezel),
        (Doubt.BURNT_BACKGROUND, cues.burnt < limits.burnt),
        (Doubt.GREY, cues.chroma >= limits.chroma),
        (Doubt.LOW_LIGHT, cues.brightness >= limits.brightness),
        (Doubt.NOISE, cues.noise < limits.noise),
        (Doubt.LITTLE_CONTEXT, cues.context >= limits.context),
        (Doubt.BLUR, cues.sharpness >= limits.sharpness),
    )
    return frozenset(doubt for doubt, good in sound if not good)


@dataclass(frozen=True, slots=True)
class PassiveRules:
    """The sequential test; see ``LivenessConfig`` for the meaning of each number.

    Attributes:
        samples: K, odd.
        accept: Median P(live) from which the face is live.
        veto: Median P(live) up to which it is a spoof.
        max_gap_s: Samples further apart do not belong to one proof.
        heeded: Doubts that keep a frame from speaking for life.
    """

    samples: int
    accept: float
    veto: float
    max_gap_s: float
    heeded: frozenset[Doubt] = frozenset(Doubt) - DULLING


class PassiveTest:
    """The passive networks' answers about one face, in order: their median over K frames, as soon as it is settled.

    Once more than half of K answers lie beyond a limit, the median will, whatever the others are: told so early, the
    same verdict comes after 0.7 s instead of 1.3 s (K = 11, 7.5 answers per second).

    A gap between two answers voids what was gathered for acceptance, since another face could have been there; it does
    not void what speaks for a veto, since turning away must not help a spoof.
    """

    def __init__(self, rules: PassiveRules) -> None:
        self._rules = rules
        self._last: deque[tuple[float, float, frozenset[Doubt]]] = deque(maxlen=rules.samples)
        self._run = 0
        self._doubts: frozenset[Doubt] = frozenset()
        self._clear: deque[float] | None = None
        self.samples = self.live = 0
        self.lived_s: float | None = None  # of the last answer that spoke for life

    def add(self, captured_s: float, live: float, doubts: frozenset[Doubt]) -> None:
        """Take one frame's answer. Raises ModelError for what is no probability or no later than the last."""
        if not 0.0 <= live <= 1.0:
            raise ModelError(f"the passive networks answered {live}, which is no probability")
        if not (math.isfinite(captured_s) and (not self._last or captured_s > self._last[-1][0])):
            raise ModelError(f"a passive sample of {captured_s} s does not follow the last one")
        joined = bool(self._last) and captured_s - self._last[-1][0] <= self._rules.max_gap_s
        self._run = self._run + 1 if joined else 1
        self._last.append((captured_s, live, doubts))
        counts = Counter(doubt for _, _, raised in self._last for doubt in raised)
        self._doubts = frozenset(doubt for doubt, count in counts.items() if count >= DOUBTED)
        self.samples += 1
        if self._lives(live, doubts):
            self.live += 1
            self.lived_s = captured_s
        if self._clear is not None and not doubts & BLINDING:
            self._clear.append(live)

    def ask(self) -> None:
        """Head turns are asked from now on: what the networks say to those who answer is remembered by itself."""
        self._clear = deque(maxlen=self._rules.samples)

    @property
    def clear(self) -> tuple[float, ...]:
        """The last K answers since head turns were asked, of pictures that do not blind the networks."""
        return tuple(self._clear or ())

    def _lives(self, live: float, doubts: frozenset[Doubt]) -> bool:
        """Whether an answer speaks for life."""
        return live >= self._rules.accept and not doubts & self._rules.heeded

    @property
    def median(self) -> float | None:
        """P(live) over the last K answers, or over fewer while there are fewer; None before the first."""
        return median(live for _, live, _ in self._last) if self._last else None

    @property
    def verdict(self) -> PassiveVerdict:
        """What the last K answers say."""
        rules, most = self._rules, self._rules.samples // 2 + 1
        if sum(live <= rules.veto and not doubts & BLINDING for _, live, doubts in self._last) >= most:
            return PassiveVerdict.SPOOF
        unbroken = islice(self._last, max(0, len(self._last) - self._run), None)
        if sum(self._lives(live, doubts) for _, live, doubts in unbroken) >= most:
            return PassiveVerdict.LIVE
        return PassiveVerdict.GATHERING if len(self._last) < rules.samples else PassiveVerdict.UNDECIDED

    @property
    def doubts(self) -> frozenset[Doubt]:
        """Every doubt that enough of the last K frames raised."""
        return self._doubts

    @property
    def hopeful(self) -> bool:
        """Whether there are some answers, and every one spoke for life."""
        return DOUBTED <= self.samples == self.live

    @property
    def sampled_s(self) -> float | None:
        """Time of the last answer."""
        return self._last[-1][0] if self._last else None

    @property
    def since_s(self) -> float | None:
        """Time of the first of the last K answers."""
        return self._last[0][0] if self._last else None


@dataclass(frozen=True, slots=True)
class LivenessRules:
    """What a door asks for; see ``LivenessConfig`` for the meaning of each number.

    Attributes:
        turns_suffice: Whether head turns alone are enough where the networks cannot judge.
        always_ask: Whether head turns are asked even of who looks alive: a camera on a network shows what that says.
    """

    level: Level
    passive: PassiveRules
    within_s: float
    max_yaw_deg: float
    max_roll_deg: float
    steps: int
    steps_undecided: int
    limits: CueLimits
    turns_suffice: bool = False
    always_ask: bool = False


@dataclass(frozen=True, slots=True)
class Ruling:
    """What to do next.

    Attributes:
        move: The move.
        steps: Head turns to ask for; 0 unless the move is a challenge.
        reason: Why it is refused; None unless it is.
    """

    move: Move
    steps: int = 0
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Standpoint:
    """Everything that a ruling may look at.

    Attributes:
        passive: The networks' verdict.
        doubts: Among the frames it rests on.
        late: Whether the networks have had their time.
        owes: Whether this face left before it was decided a moment ago.
        hopeful: Whether the answers so far are few, but some, and every one of them spoke for life.
    """

    passive: PassiveVerdict
    doubts: frozenset[Doubt] = frozenset()
    late: bool = False
    owes: bool = False
    hopeful: bool = False


def rule(case: Standpoint, rules: LivenessRules) -> Ruling:
    """The next move for a face that was not asked anything yet."""
    high = rules.level is Level.HIGH
    thorough, brief = (Ruling(Move.CHALLENGE, steps=steps) for steps in (rules.steps, rules.steps_undecided))
    if case.passive is PassiveVerdict.ABSENT:
        # A door of level high does not start without the networks: one that asks here has lost them.
        return Ruling(Move.REFUSE, reason=Reason.LIVENESS_ERROR) if high else thorough
    if case.passive is PassiveVerdict.SPOOF:
        return Ruling(Move.REFUSE, reason=Reason.VETOED)
    restless = case.hopeful and not (case.owes or high or case.doubts & BLINDING)
    if case.passive is PassiveVerdict.GATHERING and case.late and restless:
        # More than can be said of the undecided, who are asked for less; but not again and again.
        return thorough
    blinding = BLINDING - DULLING if case.passive is PassiveVerdict.LIVE else BLINDING
    if case.doubts & blinding or (case.passive is PassiveVerdict.GATHERING and case.late):
        # The networks have seen too little, or nothing that they can judge: whoever shows the face can choose that.
        if _turns_suffice(rules):
            return thorough
        return Ruling(Move.REFUSE, reason=Reason.POOR_QUALITY) if case.late else Ruling(Move.WAIT)
    if case.passive is PassiveVerdict.GATHERING:
        return Ruling(Move.WAIT)
    if case.passive is PassiveVerdict.UNDECIDED and high:
        return Ruling(Move.REFUSE, reason=Reason.UNDECIDED) if case.late else Ruling(Move.WAIT)
    if high or case.doubts & rules.passive.heeded:
        return thorough
    owes = case.owes or rules.always_ask
    if case.passive is PassiveVerdict.LIVE:
        return brief if owes else Ruling(Move.ACCEPT)
    return brief if case.late or owes else Ruling(Move.WAIT)


def objection(case: Standpoint, rules: LivenessRules) -> Reason | None:
    """What the networks have against a face during and after its challenge; None for nothing.

    A veto outlives every answer. The networks must be able to see as they were before it: whoever shows the face could
    blind them once head turns are asked. That a turning head is blurred for a moment is no objection.
    """
    if case.passive is PassiveVerdict.SPOOF:
        return Reason.VETOED
    blind = case.doubts & (BLINDING - DULLING)
    return Reason.POOR_QUALITY if blind and not _turns_suffice(rules) else None


def shortfall(clear: Sequence[float], rules: LivenessRules) -> Reason | None:
    """What is missing to a completed challenge where there are networks; None for nothing.

    Args:
        clear: Their answers since head turns were asked, of pictures that do not blind them. Every prompt is shown on a
            frame that they judge, so that whoever keeps still and sharp for a moment has enough.
        rules: The door's.
    """
    if _turns_suffice(rules):
        return None
    if len(clear) < DOUBTED:
        return Reason.POOR_QUALITY
    return None if median(clear) > rules.passive.veto else Reason.VETOED


def _turns_suffice(rules: LivenessRules) -> bool:
    return rules.turns_suffice and rules.level is not Level.HIGH


def heeded_by(level: Level) -> frozenset[Doubt]:
    """The doubts that keep a live answer from counting at a level."""
    minded = frozenset(Doubt) - DULLING
    return minded - FRAMING if level is Level.CONVENIENCE else minded


#: Decides what is asked next: :func:`rule`, unless a comparison of policies brings another.
Policy = Callable[[Standpoint, LivenessRules], Ruling]
