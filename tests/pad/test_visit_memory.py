"""The door and a played session remember the same: attempts before the doorkeeper and before traces, one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import pytest

from device.access.face_memory import Standing
from device.app.proof import LivenessProof
from device.app.visit import Doorkeeper
from device.app.visit_memory import VisitMemory
from device.config import DoorConfig
from device.door.controller import DoorController
from device.errors import ModelError
from device.sim.clock import ManualClock
from device.sim.relay import SimulatedRelay
from device.types import Box, Cues, Decision, Embedding, Face, Frame, Pose, Reason, Scene, Signal, Vector
from device.vision.liveness.challenge import HeadTurnChallenge
from device.vision.liveness.planarity import Planarity
from export_tools.pad.columns import DONE, FAILED, on_grid
from export_tools.pad.replay import play
from export_tools.pad.script import course
from export_tools.pad.session import PAUSE_S
from export_tools.pad.settings import PolicySettings
from export_tools.pad.trace import Trace
from tests.pad.live import Alone, Unwritten
from tests.pad.made import ENROLLED, FINE, GOOD, MODEL, OTHER, SOLID, TURNS, VICTIM, Presented, look, made, settings
from tests.pad.test_session import short

SPOOF, UNSURE = replace(GOOD, live=0.05), replace(GOOD, live=0.5)
FLAT = replace(SOLID, residual=0.01)


def turned(degrees: float) -> Vector:
    """The victim's look, gone so far from itself."""
    across = OTHER - VICTIM * float(VICTIM @ OTHER)
    across /= np.linalg.norm(across)
    vector = np.cos(np.radians(degrees)) * VICTIM + np.sin(np.radians(degrees)) * across
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


#: Each agrees with the one before (cosine 0.95) and not with the one before that (0.81).
NEXT, AFTER_NEXT = turned(18.0), turned(36.0)


def drifting(at_s: float) -> Vector:
    """First the victim's look, then one that agrees with it."""
    return VICTIM if at_s < 0.05 else NEXT


@dataclass(frozen=True)
class Try:
    """One attempt: what is presented, for how long, when the networks fail, and when its face is lost and found."""

    what: Presented
    seconds: float = 12.0
    fails_s: float = np.inf
    lost_s: float = np.inf

    def trace(self) -> Trace:
        """As it was recorded."""
        trace = made(self.what)
        if self.seconds < 12.0:
            return short(trace, seconds=self.seconds)
        frames = trace.frames
        failed = (frames.captured_s - frames.captured_s[0] >= self.fails_s) & (frames.cued == DONE)
        left = int(np.count_nonzero(frames.cued == DONE) - np.count_nonzero(failed))
        columns = {
            "cued": np.where(failed, FAILED, frames.cued),
            "cues": frames.cues[:left],
            "track": np.where(frames.captured_s - frames.captured_s[0] >= self.lost_s, 2, 1),
        }
        return replace(trace, frames=replace(frames, **columns))


@dataclass(frozen=True)
class Remembered:
    """How an attempt ended, and what is remembered when the next one begins."""

    reason: Reason
    asked: bool
    standings: tuple[Standing, ...]
    paused: bool


def remembered(reason: Reason, memory: VisitMemory, next_s: float, *, asked: bool) -> Remembered:
    """Looks that were presented, looks near them, and a stranger's."""
    looks = (VICTIM, NEXT, AFTER_NEXT, OTHER, look(0), look(99))
    standings = tuple(memory.faces.standing(Embedding(each, MODEL), now_s=next_s) for each in looks)
    return Remembered(reason, asked, standings, memory.paused(now_s=next_s))


class Head:
    """Vision, cues, gate and signals of whoever is there now: the same head as in a made trace."""

    def __init__(self) -> None:
        self.now: Try | None = None
        self.began_s = self._since_s = 0.0
        self._signal = Signal.CHECKING

    def begin(self, now: Try, at_s: float) -> None:
        """Somebody comes."""
        self.now, self.began_s, self._since_s, self._signal = now, at_s, at_s, Signal.CHECKING

    @property
    def what(self) -> Presented:
        """What is presented."""
        assert self.now is not None
        return self.now.what

    def show(self, signal: Signal) -> None:
        """The door's signal, seen with the next frame."""
        if signal is not self._signal:
            self._signal, self._since_s = signal, self._now_s

    def observe(self, frame: Frame) -> Scene:
        """One face."""
        self._now_s = frame.captured_s
        obeys = self.what.obeys and frame.captured_s - self._since_s >= self.what.after_s
        yaw, pitch = TURNS.get(self._signal, (0.0, 0.0)) if obeys else (0.0, 0.0)
        face = Face(
            track=2 * self.what.number + (self.now is not None and frame.captured_s - self.began_s >= self.now.lost_s),
            frame_number=frame.number,
            captured_s=frame.captured_s,
            box=Box(200, 150, 120, 160),
            landmarks=np.zeros((468, 3), np.float32),
            presence=0.99,
            pose=Pose(yaw, pitch, 0.0),
            quality=FINE,
        )
        return Scene(frame=frame, faces=(face,))

    def embed(self, frame: Frame, _: Face) -> Embedding:
        """How it looks."""
        return Embedding(self.what.looks(frame.captured_s - self.began_s), MODEL)

    def reset(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""

    @property
    def passive(self) -> bool:
        """The networks are asked."""
        return True

    def read(self, scene: Scene, _: Face) -> Cues:
        """What they say, until they fail."""
        at_s = scene.frame.captured_s - self.began_s
        assert self.now is not None
        if at_s >= self.now.fails_s:
            raise ModelError("the networks fail")
        return self.what.cues(at_s)


class Gate:
    """Finds what it is told."""

    def __init__(self, head: Head, policy: PolicySettings) -> None:
        self._head, self._policy = head, policy

    def clear(self) -> None:
        """Nothing."""

    def add(self, frame: Frame, face: Face) -> None:
        """Nothing."""

    def judge(self, **_: float) -> Planarity:
        """By the policy's limits."""
        assert self._head.what.found is not None
        return self._head.what.found.judged(self._policy.liveness)


def before_the_door(tries: list[Try], policy: PolicySettings) -> list[Remembered]:
    """What the doorkeeper makes of them, one after the other."""
    clock, head = ManualClock(), Head()

    def challenge(steps: int) -> HeadTurnChallenge:
        spares = policy.liveness.spare_turns
        prompts = course(head.what.number)[: steps + spares]
        return HeadTurnChallenge(policy.liveness, gate=Gate(head, policy), prompts=prompts, spares=spares)

    keeper = Doorkeeper(
        vision=cast("Any", head),
        roster=cast("Any", Alone(ENROLLED)),
        prove=lambda: LivenessProof(policy.rules, reader=head, challenge=challenge, policy=policy.policy),
        ledger=cast("Any", Unwritten()),
        door=DoorController(SimulatedRelay(clock, max_pulse_s=10.0), clock, DoorConfig(), max_frame_age_s=0.5),
        signals=head,
        clock=clock,
        rules=policy.visit,
        pack="test",
    )
    found: list[Remembered] = []
    number, next_s = 0, 0.0
    for each in tries:
        head.begin(each, next_s)
        decision: Decision | None = None
        for at in range(int(each.seconds * each.what.fps) + 1):
            clock.advance_to(on_grid(head.began_s + at / each.what.fps))
            number += 1
            frame = Frame(np.full((4, 4, 3), number % 256, np.uint8), clock.monotonic(), number)
            decision = keeper.attend(frame)
            if decision is not None:
                break
        decision = decision or keeper.dismiss()
        next_s = on_grid(clock.monotonic() + PAUSE_S)
        reason = decision.reason if decision is not None else Reason.LEFT
        asked = decision is not None and decision.liveness is not None and bool(decision.liveness.steps)
        found.append(remembered(reason, keeper._memory, next_s, asked=asked))
    return found


def played(tries: list[Try], policy: PolicySettings) -> list[Remembered]:
    """The same of their traces."""
    memory, start_s = VisitMemory(policy.visit), 0.0
    found: list[Remembered] = []
    for each in tries:
        came_to = play(each.trace(), policy, ENROLLED, memory=memory, start_s=start_s)
        start_s = came_to.ended_s + PAUSE_S
        evidence = came_to.attempt.evidence
        asked = evidence is not None and bool(evidence.steps)
        found.append(remembered(came_to.attempt.reason, memory, start_s, asked=asked))
    return found


def says(cues: Cues) -> Callable[[float], Cues]:
    """The networks say so all the time."""
    return lambda _: cues


def flat(number: int, looks: Callable[[float], Vector] = lambda _: VICTIM) -> Try:
    """A flat picture that answers, of which the networks are not sure."""
    return Try(Presented(species="print", number=number, found=FLAT, cues=says(UNSURE), looks=looks))


def faced(number: int) -> Callable[[float], Vector]:
    """A face of its own."""
    return lambda _: look(number)


LIVING = Presented(number=8)
SCRIPTS: dict[str, tuple[list[Try], list[tuple[Reason, bool]]]] = {
    "a veto locks the last look as well": (
        [
            Try(Presented(species="replay", number=1, cues=says(SPOOF), looks=drifting)),
            Try(Presented(species="replay", number=2, cues=says(SPOOF), looks=lambda _: AFTER_NEXT)),
        ],
        [(Reason.VETOED, False), (Reason.LOCKED_OUT, False)],
    ),
    "who leaves undecided owes": (
        [Try(Presented(number=1, cues=says(UNSURE)), seconds=2.0), Try(LIVING)],
        [(Reason.LEFT, False), (Reason.GRANTED, True)],
    ),
    "who gives way undecided owes": (
        [
            Try(
                Presented(number=1, cues=says(UNSURE), looks=lambda at_s: VICTIM if at_s < 1.5 else OTHER), seconds=1.8
            ),
            Try(LIVING),
        ],
        [(Reason.LEFT, False), (Reason.GRANTED, True)],
    ),
    "who is undecided when a model fails owes": (
        [Try(Presented(number=1, cues=says(UNSURE)), fails_s=2.0), Try(LIVING)],
        [(Reason.MODEL_ERROR, False), (Reason.GRANTED, True)],
    ),
    "who is lost and found undecided owes": (
        [Try(Presented(number=1, cues=lambda at_s: UNSURE if at_s < 1.5 else GOOD), lost_s=1.5)],
        [(Reason.GRANTED, True)],
    ),
    "who is lost when asked has failed": (
        [Try(Presented(number=1, cues=says(UNSURE)), lost_s=4.2), Try(LIVING)],
        [(Reason.LEFT, True), (Reason.GRANTED, True)],
    ),
    "a locked face is followed": (
        [
            Try(Presented(species="replay", number=1, cues=says(SPOOF))),
            Try(Presented(number=2, looks=lambda _: NEXT)),
            Try(Presented(number=3, looks=lambda _: AFTER_NEXT)),
        ],
        [(Reason.VETOED, False), *[(Reason.LOCKED_OUT, False)] * 2],
    ),
    "three failed challenges lock the face": (
        [*(flat(number) for number in range(1, 4)), Try(LIVING)],
        [*[(Reason.NOT_LIVE, True)] * 3, (Reason.LOCKED_OUT, False)],
    ),
    "who does not answer has failed": (
        [
            *(Try(Presented(number=number, cues=says(UNSURE), obeys=False)) for number in range(1, 4)),
            Try(LIVING),
        ],
        [*[(Reason.NO_RESPONSE, True)] * 3, (Reason.LOCKED_OUT, False)],
    ),
    "five failed challenges close the door to everybody": (
        [*(flat(number, faced(number)) for number in range(10, 15)), Try(LIVING)],
        [*[(Reason.NOT_LIVE, True)] * 5, (Reason.LEFT, False)],
    ),
    "a grant forgives one failure": (
        [flat(1), flat(2), Try(LIVING), flat(3), Try(replace(LIVING, number=9))],
        [*[(Reason.NOT_LIVE, True)] * 2, (Reason.GRANTED, True), (Reason.NOT_LIVE, True), (Reason.GRANTED, True)],
    ),
    "whoever is a stranger to all of them is free": (
        [flat(1), Try(Presented(number=2, looks=lambda _: OTHER))],
        [(Reason.NOT_LIVE, True), (Reason.NO_MATCH, False)],
    ),
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_played_session_remembers_what_the_door_remembers(script: str) -> None:
    """Reason by reason and standing by standing, when the next attempt begins."""
    tries, expected = SCRIPTS[script]
    policy = settings()
    at_door = before_the_door(tries, policy)
    assert [(each.reason, each.asked) for each in at_door] == expected
    assert played(tries, policy) == at_door


def test_before_a_door_that_forgets_the_same_attempts_end_otherwise() -> None:
    """Control: it is the memory that tells them apart."""
    tries, _ = SCRIPTS["a veto locks the last look as well"]
    first, second = (played([each], settings())[0] for each in tries)
    assert (first.reason, second.reason) == (Reason.VETOED, Reason.VETOED)
