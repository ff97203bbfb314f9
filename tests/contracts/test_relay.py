"""What every relay promises. To put another relay under the promises, add a case to ``CASES``."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from gpiozero.pins.mock import MockFactory, MockPin  # type: ignore[import-untyped]

from device.door.gpiozero_relay import GpioRelay
from device.errors import DoorError
from device.interfaces import Relay
from device.sim.clock import ManualClock
from device.sim.relay import SimulatedRelay

_MAX_PULSE_S = 10.0


class WatchedPin(MockPin):  # type: ignore[misc]  # gpiozero has no types
    """A mock pin that tells when it falls to low after it was high."""

    low = threading.Event()

    def _change_state(self, value: bool) -> bool:
        changed: bool = super()._change_state(value)
        if value:
            self.low.clear()
        elif changed:
            self.low.set()
        return changed


@dataclass(frozen=True)
class Case:
    """A relay, and how to let the time of a short pulse pass."""

    relay: Relay
    short_s: float
    let_it_pass: Callable[[], None]


def _simulated() -> Iterator[Case]:
    clock = ManualClock()
    yield Case(SimulatedRelay(clock, max_pulse_s=_MAX_PULSE_S), 1.0, lambda: clock.advance(1.0))


def _gpio() -> Iterator[Case]:
    factory = MockFactory(pin_class=WatchedPin)
    relay = GpioRelay(17, active_high=True, max_pulse_s=_MAX_PULSE_S, factory=factory)

    def wait() -> None:
        # The line falls by itself; nobody calls the relay meanwhile.
        assert WatchedPin.low.wait(10)

    yield Case(relay, 0.02, wait)
    relay.close()
    factory.reset()


CASES: dict[str, Callable[[], Iterator[Case]]] = {"simulated": _simulated, "gpiozero": _gpio}


@pytest.fixture(params=list(CASES.values()), ids=list(CASES))
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    """Each relay in turn."""
    yield from request.param()


def test_a_new_relay_is_off(case: Case) -> None:
    """Nothing moves at the start."""
    assert not case.relay.active
    assert case.relay.description
    assert isinstance(case.relay.simulated, bool)


def test_a_pulse_ends_by_itself(case: Case) -> None:
    """Nobody has to come back for it."""
    case.relay.pulse(case.short_s)
    case.let_it_pass()
    assert not case.relay.active


def test_a_pulse_drives_the_line_at_once_and_release_ends_it(case: Case) -> None:
    """Long before its own end."""
    states = []
    case.relay.pulse(_MAX_PULSE_S)
    states.append(case.relay.active)
    for _ in range(2):
        case.relay.release()
        states.append(case.relay.active)
    assert states == [True, False, False]


def test_a_second_pulse_replaces_the_end_of_the_first(case: Case) -> None:
    """A shorter one as well as a longer one."""
    case.relay.pulse(_MAX_PULSE_S)
    case.relay.pulse(case.short_s)
    case.let_it_pass()
    assert not case.relay.active


@pytest.mark.parametrize("duration_s", [0.0, -1.0, _MAX_PULSE_S + 1e-9, math.inf, math.nan])
def test_what_is_no_bounded_pulse_is_refused_and_moves_nothing(case: Case, duration_s: float) -> None:
    """Zero, negative, longer than the maximum, endless, not a number."""
    with pytest.raises(DoorError) as refused:
        case.relay.pulse(duration_s)
    assert refused.value.hint
    assert not case.relay.active


def test_closing_lets_go_and_ends_the_relay(case: Case) -> None:
    """A closed relay drives nothing any more; closing twice is harmless."""
    case.relay.pulse(_MAX_PULSE_S)
    case.relay.close()
    assert not case.relay.active
    with pytest.raises(DoorError):
        case.relay.pulse(case.short_s)
    assert not case.relay.active
    case.relay.release()
    case.relay.close()
