"""What everything promises that talks to the person at the door. To add another, add a case to ``CASES``."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from device.door.signals import ConsoleSignals
from device.interfaces import Signals
from device.sim.clock import ManualClock
from device.sim.signals import PromptBoard
from device.types import Signal

CASES: dict[str, Callable[[], Signals]] = {
    "console": lambda: ConsoleSignals(Console(file=io.StringIO())),
    "simulated": lambda: PromptBoard(clock=ManualClock()),
}


@pytest.fixture(params=list(CASES.values()), ids=list(CASES))
def signals(request: pytest.FixtureRequest) -> Signals:
    """Each kind in turn."""
    made: Signals = request.param()
    return made


@pytest.mark.parametrize("signal", list(Signal))
def test_every_signal_can_be_shown_again_and_again(signals: Signals, signal: Signal) -> None:
    """A signal without a picture or sound would be an exception in the middle of a visit."""
    signals.show(signal)
    signals.show(signal)
    signals.close()


def test_closing_is_harmless_before_and_twice(signals: Signals) -> None:
    """The end of the daemon closes everything."""
    signals.close()
    signals.close()
