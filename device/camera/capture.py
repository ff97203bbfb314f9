"""The capture thread's work: own the camera, keep the newest frame in the slot, open a lost camera from nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from device.camera.slot import FrameSlot
from device.camera.watch import CameraState, CameraWatch
from device.config import CameraConfig
from device.errors import CameraError
from device.interfaces import Clock, FrameSource
from device.types import Frame

_log = logging.getLogger(__name__)

#: States in which a camera is opened again although it delivers.
_BROKEN = frozenset({CameraState.FROZEN, CameraState.WRONG_SIZE})
#: Weight of the newest interval in the frame rate: settles over some twenty frames.
_FPS_WEIGHT = 0.1


class StopSignal(Protocol):
    """What tells the thread to stop: ``threading.Event``."""

    def is_set(self) -> bool:
        """Whether to stop."""

    def wait(self, timeout: float | None = None) -> bool:
        """Pause, or less when it is time to stop."""


@dataclass(frozen=True, slots=True)
class CameraHealth:
    """How the camera is; readable from any thread.

    Attributes:
        description: What it is, for people, without passwords.
        state: As told by the watch; ``lost`` also while a read hangs.
        age_s: Since the last frame arrived, None before the first.
        fps: Frames per second over the last twenty or so; 0 while none come.
        frames: That arrived.
        dropped: Of those, replaced before anybody looked at them.
        reopened: How often it was opened again.
        fault: What the camera last complained about, empty once it is good again.
    """

    description: str
    state: CameraState
    age_s: float | None
    fps: float
    frames: int
    dropped: int
    reopened: int
    fault: str


class CaptureLoop:
    """Reads one source until it ends or the daemon stops; run it in a thread of its own.

    A camera that is lost, frozen or changes its size is closed and opened again, with growing pauses, and its frames
    are withheld until it is good. A recording or scene (``reopen`` False) is played once, every frame of it: an error
    ends it. To end the loop, set ``stop`` and close the slot.

    Args:
        source: Opened, read and closed by this loop alone.
        slot: Where frames go; closed when the loop ends.
        clock: Monotonic time.
        config: Limits of the watch.
        stop: Ends the loop at the next frame or pause.
        reopen: Whether the source is a camera (``SourceKind.camera``).
        same_size: Whether all frames must have one size.
        on_change: Told each new state, in this thread; must not raise.
    """

    def __init__(
        self,
        source: FrameSource,
        slot: FrameSlot,
        clock: Clock,
        config: CameraConfig,
        *,
        stop: StopSignal,
        reopen: bool,
        same_size: bool = True,
        on_change: Callable[[CameraHealth], None] | None = None,
    ) -> None:
        self._source = source
        self._slot = slot
        self._clock = clock
        self._lost_after_s = config.lost_after_s
        self._watch = CameraWatch(config, same_size=same_size)
        self._stop = stop
        self._reopen = reopen
        self._on_change = on_change
        # Written by the capture thread, read by others: single values, each replaced as a whole.
        self._state = CameraState.STARTING
        self._opened_s = clock.monotonic()
        self._heard_s: float | None = None
        self._interval_s: float | None = None
        self._frames = 0
        self._reopened = 0
        self._fault = ""

    def health(self) -> CameraHealth:
        """A snapshot, as of now; also from other threads while a read hangs."""
        now_s = self._clock.monotonic()
        state, heard_s, interval_s = self._state, self._heard_s, self._interval_s
        silent_s = now_s - max(self._opened_s, heard_s if heard_s is not None else self._opened_s)
        if state is not CameraState.ENDED and not silent_s < self._lost_after_s:
            state = CameraState.LOST
        return CameraHealth(
            description=self._source.description,
            state=state,
            age_s=None if heard_s is None else now_s - heard_s,
            fps=1 / interval_s if interval_s and state not in (CameraState.LOST, CameraState.ENDED) else 0.0,
            frames=self._frames,
            dropped=self._slot.dropped,
            reopened=self._reopened,
            fault=self._fault,
        )

    def run(self) -> None:
        """The thread's body. Returns at the end of the stream, at stop, or when a recording fails; never raises."""
        try:
            while not self._stop.is_set():
                if self._play() or not self._reopen or self._stop.is_set():
                    return
                self._stop.wait(self._watch.next_reopen_s())
                self._reopened += 1
        finally:
            self._slot.close()

    def _play(self) -> bool:
        """Open, read until something is wrong, close. Returns whether the stream has ended by itself."""
        try:
            self._opened_s = self._clock.monotonic()
            self._watch.opened(self._opened_s)
            self._source.open()
            self._opened_s = self._clock.monotonic()
            self._watch.opened(self._opened_s)
            return self._read_all()
        except CameraError as exc:
            self._lose(exc)
        except Exception as exc:  # noqa: BLE001  # a driver's exception must not end the thread in silence
            self._lose(CameraError(f"{self._source.description} failed: {type(exc).__name__}: {exc}", hint=""))
        finally:
            self._close()
        return False

    def _read_all(self) -> bool:
        while not self._stop.is_set():
            frame = self._source.read()
            if frame is None:
                self._show(self._watch.ended())
                return True
            now_s = self._clock.monotonic()
            state = self._watch.observe(now_s, frame)
            self._count(now_s)
            if state is CameraState.OK:
                self._fault = ""
            elif state in _BROKEN:
                self._fault = f"{self._source.description} is {state}"
            if state is not CameraState.STARTING:  # what was lost is lost until it is good
                self._show(state)
            if self._reopen and state in _BROKEN:
                self._slot.clear()
                return False
            if state is CameraState.OK or not self._reopen:
                self._give(frame)
        return False

    def _give(self, frame: Frame) -> None:
        if self._source.live:
            self._slot.put(frame)
        else:
            self._slot.hand_over(frame)

    def _count(self, now_s: float) -> None:
        if self._heard_s is not None and now_s > self._heard_s:
            newest_s = now_s - self._heard_s
            last_s = self._interval_s
            self._interval_s = newest_s if last_s is None else last_s + _FPS_WEIGHT * (newest_s - last_s)
        self._heard_s = now_s
        self._frames += 1

    def _lose(self, error: CameraError) -> None:
        self._fault = error.message
        self._interval_s = None
        self._show(self._watch.lost())

    def _close(self) -> None:
        try:
            self._source.close()
        except Exception:  # noqa: BLE001  # a camera that cannot even be closed is opened again all the same
            _log.exception("closing %s failed", self._source.description)

    def _show(self, state: CameraState) -> None:
        if state is self._state:
            return
        self._state = state
        _log.log(
            logging.INFO if state in (CameraState.OK, CameraState.STARTING, CameraState.ENDED) else logging.WARNING,
            "%s: %s %s",
            self._source.description,
            state,
            self._fault,
        )
        if self._on_change is not None:
            self._on_change(self.health())
