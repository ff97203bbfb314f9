"""The capture loop: a lost camera is opened anew, a recording is played once, no fault ends in silence."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest

from device.camera.capture import CameraHealth, CaptureLoop
from device.camera.slot import FrameSlot
from device.camera.watch import CameraState
from device.config import CameraConfig
from device.errors import CameraError
from device.sim.clock import ManualClock
from device.types import Frame, Image

_CONFIG = CameraConfig(lost_after_s=3.0, frozen_after_s=2.0, reopen_s=1.0)


class _Stop:
    """Stops after so many pauses; a pause moves the clock."""

    def __init__(self, clock: ManualClock, *, pauses: int = 1000) -> None:
        self._clock = clock
        self._left = pauses
        self.pauses: list[float] = []

    def is_set(self) -> bool:
        return self._left <= 0

    def wait(self, timeout: float | None = None) -> bool:
        self.pauses.append(timeout or 0.0)
        self._clock.advance(timeout or 0.0)
        self._left -= 1
        return self.is_set()


class _Source:
    """Plays a script, a tenth of a second per line: pictures, exceptions, None for the end."""

    description = "scripted camera"

    def __init__(self, clock: ManualClock, script: list[Image | Exception | None], *, live: bool = True) -> None:
        self.live = live
        self.story: list[str] = []
        self.opening: list[Exception | None] = []
        self.fail_close: Exception | None = None
        self.before_read: Callable[[], None] = lambda: None
        self._clock = clock
        self._script = script
        self._number = 0

    def open(self) -> None:
        self.story.append("open")
        error = self.opening.pop(0) if self.opening else None
        if error is not None:
            raise error

    def read(self) -> Frame | None:
        self.before_read()
        self._clock.advance(0.1)
        line = self._script.pop(0)
        if isinstance(line, Exception):
            raise line
        if line is None:
            return None
        self._number += 1
        return Frame(image=line, captured_s=self._clock.monotonic(), number=self._number - 1)

    def close(self) -> None:
        self.story.append("close")
        if self.fail_close is not None:
            raise self.fail_close


def _moving(count: int) -> list[Image | Exception | None]:
    return [np.random.default_rng(seed).integers(60, 200, (48, 64, 3), dtype=np.uint8) for seed in range(count)]


def _still(count: int) -> list[Image | Exception | None]:
    return [np.full((48, 64, 3), 100, np.uint8)] * count


def _run(
    source: _Source, clock: ManualClock, *, reopen: bool = True, pauses: int = 1000
) -> tuple[CaptureLoop, FrameSlot, _Stop, list[CameraHealth]]:
    stop, slot, seen = _Stop(clock, pauses=pauses), FrameSlot(), list[CameraHealth]()
    loop = CaptureLoop(source, slot, clock, _CONFIG, stop=stop, reopen=reopen, on_change=seen.append)
    loop.run()
    return loop, slot, stop, seen


def test_a_recording_ends_and_closes_the_slot() -> None:
    """Everything is released, and the last frame can still be taken."""
    clock = ManualClock()
    source = _Source(clock, [*_moving(5), None])
    loop, slot, _, seen = _run(source, clock, reopen=False)
    assert source.story == ["open", "close"]
    health = loop.health()
    assert (health.state, health.frames, health.dropped, health.fault) == (CameraState.ENDED, 5, 4, "")
    assert [entry.state for entry in seen] == [CameraState.OK, CameraState.ENDED]
    frame = slot.take(0)
    assert frame is not None
    assert frame.number == 4
    assert slot.ended


def test_a_recording_is_played_with_every_frame_from_the_first() -> None:
    """Unlike a camera it need not prove first that it is good; each frame is dealt with before the next is read."""
    clock = ManualClock()
    slot = FrameSlot()
    source = _Source(clock, [*_still(30), None], live=False)
    loop = CaptureLoop(source, slot, clock, _CONFIG, stop=_Stop(clock), reopen=False)
    thread = threading.Thread(target=loop.run, daemon=True)
    thread.start()
    numbers = []
    while (frame := slot.take(10)) is not None:
        assert frame.captured_s == clock.monotonic()
        numbers.append(frame.number)
    thread.join(10)
    assert numbers == list(range(30))
    assert slot.dropped == 0


def test_a_lost_camera_is_closed_and_opened_again_with_growing_pauses() -> None:
    """Opening in vain doubles the pause; being good again starts it anew."""
    clock = ManualClock()
    lost = CameraError("camera is lost", hint="check its cable")
    source = _Source(clock, [*_moving(5), lost, *_moving(5), lost, *_moving(1)])
    source.opening = [None, lost, lost, None]
    loop, slot, stop, seen = _run(source, clock, pauses=4)
    assert stop.pauses == [1, 2, 4, 1]
    assert source.story == ["open", "close"] * 4
    assert [entry.state for entry in seen] == [CameraState.OK, CameraState.LOST, CameraState.OK, CameraState.LOST]
    assert loop.health().reopened == 4
    assert loop.health().fault == "camera is lost"
    slot.take(0)
    assert slot.ended


def test_a_frozen_camera_is_opened_again_and_its_frames_are_withheld() -> None:
    """What lies in the slot is dropped too; until it moves again the camera counts as frozen."""
    clock = ManualClock()
    source = _Source(clock, [*_moving(5), *_still(30), *_still(30), *_moving(60)])
    stop, slot = _Stop(clock, pauses=2), FrameSlot()
    states: list[CameraState] = []

    def look(health: CameraHealth) -> None:
        states.append(health.state)
        if health.state is CameraState.FROZEN:
            assert health.fault == "scripted camera is frozen"

    loop = CaptureLoop(source, slot, clock, _CONFIG, stop=stop, reopen=True, on_change=look)
    loop.run()
    assert states == [CameraState.OK, CameraState.FROZEN]
    assert source.story == ["open", "close"] * 2
    assert slot.take(0) is None
    assert slot.ended
    assert stop.pauses == [1, 2]


def test_a_cameras_first_frames_are_withheld_until_it_is_good() -> None:
    """Three of them, a tenth of a second."""
    clock = ManualClock()
    source = _Source(clock, [*_moving(2), CameraError("lost")])
    _, slot, _, _ = _run(source, clock, pauses=1)
    assert slot.take(0) is None


def test_a_frozen_recording_is_told_but_played_on() -> None:
    """Somebody recorded a still picture: that is what there is to see."""
    clock = ManualClock()
    source = _Source(clock, [*_still(40), None])
    loop, slot, _, seen = _run(source, clock, reopen=False)
    assert [entry.state for entry in seen] == [CameraState.FROZEN, CameraState.ENDED]
    assert loop.health().frames == 40
    assert slot.take(0) is not None


def test_an_error_ends_a_recording_as_lost_not_as_ended() -> None:
    """It is not begun again, and nobody takes it for complete."""
    clock = ManualClock()
    source = _Source(clock, [*_moving(3), CameraError("01.png is cut off")])
    loop, slot, stop, _ = _run(source, clock, reopen=False)
    slot.take(0)
    assert slot.ended
    assert stop.pauses == []
    assert (loop.health().state, loop.health().fault) == (CameraState.LOST, "01.png is cut off")


@pytest.mark.parametrize("error", [OSError(19, "No such device"), RuntimeError("driver"), MemoryError()])
def test_no_exception_of_a_driver_ends_the_thread(error: Exception) -> None:
    """It is a lost camera like any other, and the fault names it."""
    clock = ManualClock()
    source = _Source(clock, [*_moving(3), error, *_moving(3), CameraError("lost")])
    source.fail_close = error
    loop, _, stop, _ = _run(source, clock, pauses=1)
    assert len(stop.pauses) == 1
    assert loop.health().state is CameraState.LOST
    assert type(error).__name__ in loop.health().fault


def test_health_tells_a_read_that_hangs() -> None:
    """Asked from another thread, while the capture thread sits in the driver."""
    clock = ManualClock()
    stop, slot = threading.Event(), FrameSlot()
    source = _Source(clock, [*_moving(20), None])
    hanging, go_on = threading.Event(), threading.Event()
    reads = iter(range(1000))

    def hang_late() -> None:
        if next(reads) == 10:
            hanging.set()
            assert go_on.wait(10)

    source.before_read = hang_late
    loop = CaptureLoop(source, slot, clock, _CONFIG, stop=stop, reopen=True)
    thread = threading.Thread(target=loop.run, daemon=True)
    thread.start()
    assert hanging.wait(10)
    before = loop.health()
    clock.advance(3.1)
    after = loop.health()
    stop.set()
    go_on.set()
    thread.join(10)
    assert before.state is CameraState.OK
    assert before.age_s == 0
    assert before.fps == pytest.approx(10)
    assert after.state is CameraState.LOST
    assert after.age_s == pytest.approx(3.1)
    assert after.fps == 0


def test_stop_ends_it_and_closes_the_camera() -> None:
    """At the next frame, although a recording may wait for a taker that has gone."""
    clock = ManualClock()
    stop, slot = threading.Event(), FrameSlot()
    source = _Source(clock, _moving(20), live=False)
    loop = CaptureLoop(source, slot, clock, _CONFIG, stop=stop, reopen=False)
    thread = threading.Thread(target=loop.run, daemon=True)
    thread.start()
    assert slot.take(10) is not None
    stop.set()
    slot.close()
    thread.join(10)
    assert not thread.is_alive()
    assert source.story == ["open", "close"]
