"""The prompt board: what is shown, since when, and who else is told."""

from __future__ import annotations

from device.sim.clock import ManualClock
from device.sim.signals import PromptBoard
from device.types import Signal


class Log:
    """Signals that remember."""

    def __init__(self) -> None:
        self.shown: list[Signal] = []
        self.closed = 0

    def show(self, signal: Signal) -> None:
        """Note it."""
        self.shown.append(signal)

    def close(self) -> None:
        """Count it."""
        self.closed += 1


def test_the_board_remembers_since_when() -> None:
    """Showing the same again changes nothing, and tells nobody."""
    clock, log = ManualClock(), Log()
    board = PromptBoard(clock=clock, forward=log)
    assert board.current is Signal.IDLE
    for _ in range(3):
        clock.advance(1)
        board.show(Signal.TURN_LEFT)
    assert (board.current, board.since_s) == (Signal.TURN_LEFT, 1.0)
    clock.advance(1)
    board.show(Signal.LOOK_STRAIGHT)
    assert (board.current, board.since_s) == (Signal.LOOK_STRAIGHT, 4.0)
    assert log.shown == [Signal.TURN_LEFT, Signal.LOOK_STRAIGHT]


def test_a_closed_board_shows_nothing() -> None:
    """And closes what it forwarded to; without anybody to forward to it is complete."""
    clock, log = ManualClock(), Log()
    for board in (PromptBoard(clock=clock, forward=log), PromptBoard(clock=clock)):
        board.show(Signal.GRANTED)
        board.close()
        assert board.current is Signal.IDLE
    assert log.closed == 1
