"""The GPIO relay on gpiozero's mock pins; a fresh factory per test."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import pytest
from gpiozero.pins.mock import MockFactory, MockPin  # type: ignore[import-untyped]

from device.door.gpiozero_relay import GpioRelay
from device.errors import DoorError

_PIN = 17


class _StubbornPin(MockPin):  # type: ignore[misc]  # gpiozero has no types
    """A pin whose writes fail when told to, and that tells when it was switched off."""

    def __init__(self, factory: MockFactory, info: object) -> None:
        super().__init__(factory, info)
        self.failing: set[bool] = set()
        self.failed = threading.Event()
        self.off = threading.Event()

    def _set_state(self, value: bool) -> None:
        if bool(value) in self.failing:
            self.failed.set()
            raise OSError(5, "Input/output error")
        super()._set_state(value)
        if not value:
            self.off.set()


@pytest.fixture
def factory() -> Iterator[MockFactory]:
    """Mock pins."""
    made = MockFactory(pin_class=_StubbornPin)
    yield made
    made.reset()


@pytest.fixture
def relay(factory: MockFactory) -> Iterator[GpioRelay]:
    """A relay that is energised by a high level."""
    made = GpioRelay(_PIN, active_high=True, max_pulse_s=10, factory=factory)
    yield made
    factory.pin(_PIN).failing.clear()
    made.close()


@pytest.mark.parametrize("active_high", [True, False])
def test_the_line_is_off_from_the_first_moment_whatever_off_means(factory: MockFactory, *, active_high: bool) -> None:
    """It is never driven on the way to its first state, and left off when closed."""
    relay = GpioRelay(_PIN, active_high=active_high, max_pulse_s=10, factory=factory)
    pin = factory.pin(_PIN)
    assert pin.function == "output"
    assert bool(pin.state) is not active_high
    relay.pulse(5)
    assert bool(pin.state) is active_high
    relay.release()
    assert bool(pin.state) is not active_high
    relay.close()
    assert pin.function == "input"


def test_the_line_falls_although_nobody_calls_again(relay: GpioRelay, factory: MockFactory) -> None:
    """A thread of its own lets go."""
    pin = factory.pin(_PIN)
    pin.off.clear()
    relay.pulse(0.02)
    assert pin.off.wait(10)
    assert not relay.active


def test_a_later_pulse_extends_without_a_gap(relay: GpioRelay, factory: MockFactory) -> None:
    """The line does not fall in between."""
    pin = factory.pin(_PIN)
    relay.pulse(5)
    pin.clear_states()
    pin.off.clear()
    relay.pulse(0.05)
    assert pin.off.wait(10)
    assert [bool(entry.state) for entry in pin.states] == [True, False]


def test_a_line_that_cannot_be_driven_is_an_error_and_is_let_go(relay: GpioRelay, factory: MockFactory) -> None:
    """The driver's exception comes back as ours."""
    pin = factory.pin(_PIN)
    pin.failing.add(True)
    pin.off.clear()
    with pytest.raises(DoorError, match="cannot drive") as refused:
        relay.pulse(1)
    assert refused.value.hint
    assert pin.off.is_set()
    assert not relay.active
    pin.failing.clear()
    relay.pulse(5)
    assert relay.active


def test_a_line_that_does_not_let_go_is_tried_again_until_it_does(relay: GpioRelay, factory: MockFactory) -> None:
    """One failed write must not leave the door open."""
    pin = factory.pin(_PIN)
    pin.failing.add(False)
    relay.pulse(0.02)
    assert pin.failed.wait(10)
    pin.failed.clear()
    assert pin.failed.wait(10)
    with pytest.raises(DoorError, match="could not be let go"):
        relay.pulse(1)
    with pytest.raises(DoorError, match="cannot let go"):
        relay.release()
    pin.off.clear()
    pin.failing.clear()
    assert pin.off.wait(10)
    assert not relay.active
    relay.pulse(5)
    assert relay.active


def test_a_line_in_use_is_an_error(relay: GpioRelay, factory: MockFactory) -> None:
    """Two relays on one line cannot be meant."""
    with pytest.raises(DoorError, match="GPIO 17") as refused:
        GpioRelay(_PIN, active_high=True, max_pulse_s=10, factory=factory)
    assert refused.value.hint


def test_a_line_that_does_not_exist_is_an_error(factory: MockFactory) -> None:
    """BCM 63 is on no header."""
    with pytest.raises(DoorError):
        GpioRelay(63, active_high=True, max_pulse_s=10, factory=factory)


def test_without_a_gpio_driver_there_is_no_relay_and_no_mock_either(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where the environment asks gpiozero for its mock: a door that only seems to move is worse than none."""
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "mock")
    monkeypatch.setitem(sys.modules, "lgpio", None)
    monkeypatch.delitem(sys.modules, "gpiozero.pins.lgpio", raising=False)
    with pytest.raises(DoorError, match="driver is missing") as refused:
        GpioRelay(_PIN, active_high=True, max_pulse_s=10)
    assert "doorward[pi]" in refused.value.hint


def test_its_thread_has_a_name_and_ends_with_it(factory: MockFactory) -> None:
    """So that a stack dump says whose it is."""
    relay = GpioRelay(_PIN, active_high=True, max_pulse_s=10, factory=factory)
    threads = [thread for thread in threading.enumerate() if thread.name == "relay-release"]
    assert threads
    relay.close()
    assert not any(thread.is_alive() for thread in threads)
