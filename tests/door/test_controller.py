"""The last gate before the relay: once, fresh, bounded, and only for a grant."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.config import DoorConfig
from device.door.controller import DoorController, DoorOutcome, DoorState
from device.errors import DoorError
from device.sim.clock import ManualClock
from device.sim.relay import SimulatedRelay
from device.types import Decision, Reason

_PERSON = "0123456789abcdef0123456789abcdef"
_MAX_AGE_S = 0.5


def _decision(
    *, captured_s: float = 0.0, decided_s: float | None = None, reason: Reason = Reason.GRANTED, frame: int = 1
) -> Decision:
    return Decision(
        reason=reason,
        person=_PERSON,
        claimed=_PERSON,
        similarity=0.97,
        runner_up=None,
        votes=3,
        track=1,
        frame_number=frame,
        captured_s=captured_s,
        decided_s=captured_s if decided_s is None else decided_s,
        first_usable_s=captured_s,
        claimed_s=captured_s,
        liveness=None,
    )


class _BrokenRelay(SimulatedRelay):
    """Drives the line, then complains; perhaps also when it should let go."""

    def __init__(self, clock: ManualClock, *, stuck: bool) -> None:
        super().__init__(clock, max_pulse_s=10)
        self._stuck = stuck
        self.let_go = 0

    def pulse(self, duration_s: float) -> None:
        super().pulse(duration_s)
        raise OSError(5, "Input/output error")

    def release(self) -> None:
        self.let_go += 1
        if self._stuck:
            raise DoorError("the line does not obey", hint="check the wiring")
        super().release()


def _door(
    *, relay: SimulatedRelay | None = None, clock: ManualClock | None = None
) -> tuple[DoorController, SimulatedRelay, ManualClock]:
    clock = clock or ManualClock()
    relay = relay or SimulatedRelay(clock, max_pulse_s=10)
    return DoorController(relay, clock, DoorConfig(), max_frame_age_s=_MAX_AGE_S), relay, clock


def test_a_fresh_grant_releases_the_door_for_the_configured_time() -> None:
    """And the door is locked again afterwards, without anybody's doing."""
    door, relay, clock = _door()
    clock.advance(1)
    answer = door.open(_decision(captured_s=0.8, decided_s=0.9))
    assert (answer.outcome, answer.pulsed, answer.pulse_s, answer.at_s) == (DoorOutcome.RELEASED, True, 3.0, 1.0)
    states = [door.state]
    clock.advance(3)
    states.append(door.state)
    assert states == [DoorState.RELEASED, DoorState.LOCKED]
    assert [(pulse.start_s, pulse.end_s) for pulse in relay.pulses] == [(1.0, 4.0)]


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.GRANTED])
def test_no_other_reason_moves_the_door(reason: Reason) -> None:
    """Whatever else the decision says."""
    door, relay, _ = _door()
    assert door.open(_decision(reason=reason)).outcome is DoorOutcome.NOT_GRANTED
    assert not relay.pulses


@pytest.mark.parametrize(("person", "claimed"), [(None, _PERSON), (_PERSON, None), ("f" * 32, _PERSON), (None, None)])
def test_a_grant_for_nobody_or_for_somebody_else_than_claimed_moves_nothing(
    person: str | None, claimed: str | None
) -> None:
    """The word alone is not enough."""
    door, relay, _ = _door()
    decision = replace(_decision(), person=person, claimed=claimed)
    assert door.open(decision).outcome is DoorOutcome.NOT_GRANTED
    assert not relay.pulses


def test_a_decision_opens_once() -> None:
    """The same one, and an equal copy of it."""
    door, relay, clock = _door()
    decision = _decision()
    assert door.open(decision).pulsed
    clock.advance(0.1)
    assert door.open(decision).outcome is DoorOutcome.REUSED
    assert door.open(replace(decision)).outcome is DoorOutcome.REUSED
    assert relay.pulses[-1].end_s == 3.0


def test_one_grant_after_another_does_not_hold_the_door_open() -> None:
    """All together end within the maximum of the first; the next one after that is a release of its own."""
    door, relay, clock = _door()
    grants = 0
    while clock.monotonic() < 9.5:
        grants += 1
        assert door.open(_decision(captured_s=clock.monotonic(), frame=grants)).pulsed
        clock.advance(0.9)
    assert [pulse.end_s - pulse.start_s for pulse in relay.pulses] == pytest.approx([10.0])
    clock.advance(10.1 - clock.monotonic())
    answer = door.open(_decision(captured_s=clock.monotonic(), frame=grants + 1))
    assert (answer.pulsed, answer.pulse_s) == (True, 3.0)


def test_a_line_that_is_still_on_when_its_time_is_over_goes_off_before_the_next_pulse() -> None:
    """A relay that is late would otherwise join two releases to one."""

    class _Late(SimulatedRelay):
        let_go = 0

        @property
        def active(self) -> bool:
            return not self.let_go

        def release(self) -> None:
            self.let_go += 1

    clock = ManualClock()
    relay = _Late(clock, max_pulse_s=10)
    door, _, _ = _door(relay=relay, clock=clock)
    assert door.open(_decision()).pulsed
    clock.advance(3)
    relay.let_go = 0
    assert door.open(_decision(captured_s=3.0, frame=2)).pulsed
    assert relay.let_go == 1


def test_a_decision_whose_pulse_failed_is_used_up() -> None:
    """Trying again needs a new look at the person."""
    clock = ManualClock()
    door, _, _ = _door(relay=_BrokenRelay(clock, stuck=False), clock=clock)
    assert door.open(_decision()).outcome is DoorOutcome.DOOR_FAULT
    assert door.open(_decision()).outcome is DoorOutcome.REUSED


@pytest.mark.parametrize(
    ("captured_s", "decided_s"),
    [
        (9.49, 9.6),
        (10.01, 10.01),
        (10.0, 10.01),
        (9.9, 9.8),
        (math.nan, 9.9),
        (9.9, math.nan),
        (math.inf, 9.9),
        (-math.inf, 9.9),
        (9.9, math.inf),
    ],
    ids=[
        "old",
        "future frame",
        "future decision",
        "decided before seen",
        "nan",
        "nan decided",
        "inf",
        "-inf",
        "inf decided",
    ],
)
def test_a_frame_that_is_not_surely_fresh_moves_nothing(captured_s: float, decided_s: float) -> None:
    """At ten o'clock plus half a second of age, and with times that compare with nothing."""
    door, relay, clock = _door()
    clock.advance(10)
    answer = door.open(_decision(captured_s=captured_s, decided_s=decided_s))
    assert answer.outcome is DoorOutcome.STALE_FRAME
    assert not relay.pulses


def test_the_age_limit_itself_is_still_fresh() -> None:
    """0 <= age <= limit."""
    door, _, clock = _door()
    clock.advance(_MAX_AGE_S)
    assert door.open(_decision(captured_s=0.0)).pulsed


@pytest.mark.parametrize("stuck", [False, True])
def test_a_relay_that_fails_is_let_go_and_reported(*, stuck: bool) -> None:
    """Also when letting go fails, which is reported as well."""
    clock = ManualClock()
    relay = _BrokenRelay(clock, stuck=stuck)
    door, _, _ = _door(relay=relay, clock=clock)
    answer = door.open(_decision())
    assert answer.outcome is DoorOutcome.DOOR_FAULT
    assert not answer.pulsed
    assert relay.let_go == 1
    assert "Input/output error" in answer.fault
    assert ("letting go failed too" in answer.fault) is stuck


def test_a_closed_door_is_locked_and_stays_so() -> None:
    """In the middle of a pulse."""
    door, relay, clock = _door()
    door.open(_decision())
    clock.advance(0.2)
    door.close()
    assert not relay.active
    assert door.open(_decision(captured_s=0.2, frame=2)).outcome is DoorOutcome.CLOSED
    assert relay.pulses[-1].end_s == 0.2
    door.close()


@pytest.mark.parametrize("age_s", [0.0, -1.0, 1.01, math.nan, math.inf])
def test_an_age_limit_beyond_one_second_is_refused(age_s: float) -> None:
    """Whatever the configuration let through."""
    clock = ManualClock()
    with pytest.raises(DoorError):
        DoorController(SimulatedRelay(clock, max_pulse_s=10), clock, DoorConfig(), max_frame_age_s=age_s)


def test_a_pulse_beyond_the_maximum_is_refused_at_the_start() -> None:
    """Not shortened in silence, and not first when somebody stands at the door."""
    clock = ManualClock()
    with pytest.raises(DoorError):
        DoorController(
            SimulatedRelay(clock, max_pulse_s=10), clock, DoorConfig(pulse_s=5, max_pulse_s=4), max_frame_age_s=0.5
        )


def test_what_is_remembered_of_used_decisions_stays_small() -> None:
    """A device runs for years."""
    door, _, clock = _door()
    for frame in range(200):
        door.open(_decision(captured_s=clock.monotonic(), frame=frame))
        clock.advance(0.1)
    assert len(door._used) <= 7


_steps = st.lists(
    st.tuples(
        st.floats(min_value=0, max_value=4),
        st.sampled_from(list(Reason)) | st.just(Reason.GRANTED),
        st.floats(min_value=-1, max_value=2) | st.just(math.nan) | st.just(0.0),
        st.integers(min_value=0, max_value=3),
    ),
    max_size=30,
)


@settings(deadline=None)
@given(_steps)
def test_no_sequence_of_decisions_pulses_wrongly_or_leaves_the_door_open(
    steps: list[tuple[float, Reason, float, int]],
) -> None:
    """Each pulse stands on an unused grant on a fresh frame, and ends within the maximum of it."""
    door, relay, clock = _door()
    used: set[tuple[int, float]] = set()
    released_s = -math.inf
    for pause_s, reason, age_s, frame in steps:
        clock.advance(pause_s)
        now_s = clock.monotonic()
        was_locked = not relay.active
        decision = _decision(captured_s=now_s - age_s, reason=reason, frame=frame)
        answer = door.open(decision)
        if answer.pulsed:
            assert reason is Reason.GRANTED
            assert 0 <= now_s - decision.captured_s <= _MAX_AGE_S
            assert (frame, decision.decided_s) not in used
            used.add((frame, decision.decided_s))
            released_s = now_s if was_locked else released_s
            assert relay.active
        if relay.active:
            assert now_s - released_s < 10
        assert all(pulse.end_s <= released_s + 10 + 1e-9 for pulse in relay.pulses)
    clock.advance(10)
    assert not relay.active
