"""Whoever takes the visitor's place, joins, or never sees a prompt: who proves to be alive is who is let in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from device.audit.records import DecisionMade
from device.sim.camera import Visitor
from device.sim.clock import ManualClock
from device.sim.visitor import Walk
from device.types import Doubt, Frame, Image, Reason, Signal
from tests.scenarios.faults.conftest import Visit, doors
from tests.scenarios.faulty import Board, Broken, Late, Moment, Unseen, until
from tests.scenarios.filmed import Staying

# ---- People


def _cut(first: Sequence[Frame], then: Sequence[Frame], at_s: float) -> list[Frame]:
    """One person until a time, the other one at the same place from the next frame on."""
    stands = until(first, at_s)
    return [*first[:stands], *then[stands:]]


def _turn_by_turn(one: Sequence[Frame], other: Sequence[Frame], *, frames: int) -> list[Frame]:
    return [pair[(number // frames) % 2] for number, pair in enumerate(zip(one, other, strict=False))]


#: When the other one comes, and what that is taken for: an answer that was begun before the prompt, a face that is not
#: found again, a prompt that nobody answers, or a head that is not the compared one when it is back.
EXCHANGED = {
    "rest": {Reason.WRONG_RESPONSE},
    "asked": {Reason.FACE_CHANGED},
    "held": {Reason.NO_RESPONSE},
    "back": {Reason.NO_RESPONSE},
    "proven": {Reason.NO_RESPONSE, Reason.FACE_CHANGED},
}


@pytest.mark.parametrize("phase", EXCHANGED)
@pytest.mark.parametrize("leaves", ["enrolled", "stranger"])
@doors("door")
def test_whoever_answers_is_whoever_is_let_in(visit: Visit, phase: str, leaves: str) -> None:
    """The other one takes the place from one frame to the next, in mid-challenge."""
    at_s = {
        "rest": visit.at(Moment.ASKED) - 0.1,
        "asked": visit.at(Moment.ASKED) + 0.3,
        "held": visit.at(Moment.TURNED) - 0.1,
        "back": visit.at(Moment.TURNED) + 0.6,
        "proven": visit.at(Moment.PROVEN) - 0.05,
    }[phase]
    pair = (visit.film, visit.stranger) if leaves == "enrolled" else (visit.stranger, visit.film)
    outcome = visit.replay(_cut(*pair, at_s))
    assert not outcome.opened
    assert len(outcome.reasons) == 1
    assert outcome.reasons[0] in EXCHANGED[phase]


@pytest.mark.parametrize("frames", [1, 3, 6])
@doors()
def test_two_who_change_places_are_nobody(visit: Visit, frames: int) -> None:
    """Every so many frames, for longer than either would need: compared, begun anew, never asked, never decided."""
    outcome = visit.replay(_turn_by_turn(visit.film, visit.stranger, frames=frames))
    assert outcome.board.reached(Moment.COMPARED)
    assert not outcome.board.reached(Moment.ASKED)
    assert outcome.decisions == []
    assert not outcome.opened


@pytest.mark.parametrize("before_s", [0.05, 0.15, 0.3, 0.6])
@doors("plus")
def test_a_stranger_who_takes_the_place_before_the_decision_stays_outside(visit: Visit, before_s: float) -> None:
    """Between two passive samples, and between the last one and the decision: judged alone, as nobody enrolled."""
    outcome = visit.replay(_cut(visit.film, visit.stranger, visit.granted_s - before_s))
    assert outcome.reasons == [Reason.NO_MATCH]
    assert outcome.decisions[0].claimed is None
    assert not outcome.opened


@pytest.mark.parametrize("before_s", [0.05, 0.15, 0.3, 0.6])
@doors("plus")
def test_what_a_stranger_proved_is_not_the_next_ones(visit: Visit, before_s: float) -> None:
    """Who is enrolled and comes in a stranger's place is let in on samples of the own face alone."""
    changed_s = visit.granted_s - before_s
    outcome = visit.replay(_cut(visit.stranger, visit.film, changed_s))
    assert outcome.reasons == [Reason.GRANTED], "the control: alive and enrolled"
    assert outcome.decisions[0].decided_s - changed_s >= visit.alone_s - 0.1


@dataclass(frozen=True)
class Joined:
    """Somebody, and somebody else beside who comes later."""

    visitor: Visitor
    other: Visitor
    from_s: float

    def draw(self, canvas: Image, *, now_s: float, prompt: Signal, since_s: float) -> bool:
        """The nearer one last."""
        if now_s >= self.from_s:
            self.other.draw(canvas, now_s=now_s, prompt=Signal.IDLE, since_s=0.0)
        return self.visitor.draw(canvas, now_s=now_s, prompt=prompt, since_s=since_s)


def test_a_stranger_beside_the_visitor_makes_the_door_ask(plus: Visit, demo_photos: dict[str, bytes]) -> None:
    """Two faces, one of them enrolled and alive: the networks are not enough, and nobody turns the head."""
    house = plus.house
    beside = house.visitor(demo_photos["biden.jpg"], walk=Walk(0.72, 0.72, 0.3, 1e6, patience_s=99.0), seed=1)
    scene = Joined(Staying(house.visitor(demo_photos["obama.jpg"])), beside, 0.0)
    _, outcome = house.film([scene], seconds=6.0, board=lambda clock: Unseen(clock=clock))
    assert not outcome.opened
    assert outcome.reasons[:1] == [Reason.NO_RESPONSE]
    evidence = outcome.decisions[0].liveness
    assert evidence is not None
    assert Doubt.SEVERAL_FACES in evidence.doubts


# ---- Prompts


def test_a_prompt_that_nobody_sees_opens_nothing(door: Visit, demo_photos: dict[str, bytes]) -> None:
    """The display is dark, its driver does not know."""
    visitor = Staying(door.house.visitor(demo_photos["obama.jpg"]))
    _, outcome = door.house.film([visitor], seconds=4.5, board=lambda clock: Unseen(clock=clock))
    assert not outcome.opened
    assert outcome.reasons[:1] == [Reason.NO_RESPONSE]


@pytest.mark.parametrize("late_s", [2.4, 2.7])
def test_prompts_that_come_too_late_open_nothing(door: Visit, demo_photos: dict[str, bytes], late_s: float) -> None:
    """The turn begins after the prompt's three seconds: 0.4 s to react, 0.4 s to turn."""
    visitor = Staying(door.house.visitor(demo_photos["obama.jpg"]))
    _, outcome = door.house.film([visitor], seconds=4.5, board=lambda clock: Late(clock=clock, late_s=late_s))
    assert not outcome.opened
    assert outcome.reasons == [Reason.NO_RESPONSE]
    evidence = outcome.decisions[0].liveness
    assert evidence is not None
    assert [step.outcome for step in evidence.steps] == ["no_response"]


def test_prompts_that_come_a_little_late_cost_time_and_nothing_else(door: Visit, demo_photos: dict[str, bytes]) -> None:
    """The control: 1.5 s late, each answered within the three seconds."""
    visitor = Staying(door.house.visitor(demo_photos["obama.jpg"]))
    _, outcome = door.house.film([visitor], seconds=17.5, board=lambda clock: Late(clock=clock, late_s=1.5))
    assert outcome.reasons == [Reason.GRANTED]
    evidence = outcome.decisions[0].liveness
    assert evidence is not None
    assert all(step.response_s is not None and 2.0 < step.response_s <= 3.0 for step in evidence.steps)


@pytest.mark.parametrize("since", [Moment.START, Moment.COMPARED, Moment.ASKED, Moment.TURNED, Moment.PROVEN])
@doors("door")
def test_signals_that_raise_end_the_daemon_and_open_nothing(visit: Visit, since: Moment) -> None:
    """A prompt that was not shown was not answered, whoever turned the head."""

    def broken(clock: ManualClock) -> Board:
        return Broken(clock=clock, since=since)

    outcome = visit.replay(board=broken)
    assert not outcome.opened
    assert isinstance(outcome.error, OSError)
    assert DecisionMade.kind not in [entry["kind"] for entry in outcome.entries if entry["data"].get("granted")]
