"""Threads, their watch, and an orderly stop.

    capture   owns the camera, keeps only the newest frame
    gate      vision, decision, door; also runs what other threads ask of people and gallery, between two frames
    control   the socket

The thread that calls :meth:`Daemon.run` only waits: for a stop, for the end of a recording, or for the death of a
thread, which is never survived silently.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

from device.app.control_socket import ControlSocket
from device.app.ledger import Ledger
from device.app.mailbox import Mailbox
from device.app.visit import Doorkeeper
from device.audit.records import CameraChanged, Started, Stopped
from device.camera.capture import CameraHealth, CaptureLoop
from device.camera.slot import FrameSlot
from device.camera.watch import CameraState
from device.door.controller import DoorController, DoorState
from device.errors import CameraError, DoorwardError, FullError
from device.interfaces import Clock, Signals
from device.types import Decision, Signal

_log = logging.getLogger(__name__)

#: In these states nobody is before the camera any more, as far as anyone can know.
_BLIND = frozenset({CameraState.LOST, CameraState.FROZEN, CameraState.WRONG_SIZE})
#: How long a stop waits for each thread.
JOIN_S = 5.0
#: How long the gate waits for a frame before it looks after its mailbox and the camera's state.
_TAKE_S = 0.1
#: So many frames in a row that raised: the daemon is broken and says so by ending.
_MAX_FAILURES = 10


@dataclass(frozen=True, slots=True)
class Parts:
    """What a daemon is made of; ``device/wiring`` puts it together."""

    clock: Clock
    ledger: Ledger
    doorkeeper: Doorkeeper
    door: DoorController
    signals: Signals
    slot: FrameSlot
    capture: CaptureLoop
    mailbox: Mailbox
    control: ControlSocket
    threshold: float
    """Cosine from which two faces match."""
    about: str
    """One line on what is running, for the log and the audit."""


class Daemon:
    """The running appliance.

    Args:
        parts: What it is made of.
        stop: Ends every thread; shared with what waits inside the parts.
        on_decision: Told about each decision after the door has moved or not; must not block.
        on_ready: Told once the socket takes requests and the threads run.
    """

    def __init__(
        self,
        parts: Parts,
        *,
        stop: threading.Event,
        on_decision: Callable[[Decision], None] = lambda _: None,
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        self._parts = parts
        self._on_decision = on_decision
        self._on_ready = on_ready
        self._stop = stop
        # Not an event: setting one in a signal handler can wait for a lock that the interrupted main thread holds.
        self._ends: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._failure: BaseException | None = None
        self._cause = "end_of_stream"
        self.decisions = 0

    @property
    def camera(self) -> CameraHealth:
        """How the camera is."""
        return self._parts.capture.health()

    @property
    def door_state(self) -> DoorState:
        """Whether the relay is driven."""
        return self._parts.door.state

    @property
    def threshold(self) -> float:
        """Cosine from which two faces match."""
        return self._parts.threshold

    @property
    def about(self) -> str:
        """One line on what is running."""
        return self._parts.about

    def stop(self, *, cause: str = "asked") -> None:
        """Ask for an orderly stop; safe in a signal handler. ``cause`` is a stable word for the audit."""
        self._cause = cause
        self._ends.put(None)

    def run(self) -> None:
        """Run until stopped or until the source ends. Raises what killed a thread, after everything was let go."""
        parts = self._parts
        threads = (
            threading.Thread(target=self._guarded(parts.capture.run), name="capture", daemon=True),
            threading.Thread(target=self._guarded(self._gate), name="gate", daemon=True),
        )
        self._note_ordinary(Started(parts.about))
        try:
            parts.control.start()
            for thread in threads:
                thread.start()
            _log.info("ready: %s", parts.about)
            self._on_ready()
            self._ends.get()
        finally:
            self._shut_down(threads)
        if self._failure is not None:
            raise self._failure

    # -- the gate ------------------------------------------------------------------------------------------------------

    def _gate(self) -> None:
        parts = self._parts
        failures = 0
        seen: CameraHealth | None = None
        while not self._stop.is_set():
            frame = parts.slot.take(timeout_s=_TAKE_S)
            parts.mailbox.run_pending()
            seen = self._watch_camera(seen)
            if frame is None:
                if parts.slot.ended:
                    break
                continue
            try:
                self._report(parts.doorkeeper.attend(frame))
                failures = 0
            except Exception:
                # Locked, and nothing of this visit survives; a fault that stays ends the daemon.
                _log.exception("a frame could not be dealt with")
                parts.doorkeeper.forget()
                failures += 1
                if failures >= _MAX_FAILURES:
                    raise
            finally:
                parts.slot.done()
        self._report(parts.doorkeeper.dismiss())
        health = parts.capture.health()
        if not self._stop.is_set() and health.state is not CameraState.ENDED:
            raise CameraError(health.fault or f"{health.description} broke off", hint="check camera.source")
        self._ends.put(None)

    def _watch_camera(self, seen: CameraHealth | None) -> CameraHealth:
        parts = self._parts
        health = parts.capture.health()
        if seen is None or health.state is not seen.state:
            if seen is not None:  # the capture loop has logged it
                self._note_camera(health)
            if health.state in _BLIND:
                self._report(parts.doorkeeper.dismiss())
        return health

    def _note_camera(self, health: CameraHealth) -> None:
        try:
            self._parts.ledger.record(CameraChanged(str(health.state)), urgent=False)
        except DoorwardError as exc:
            # Ordinary entries stop before the reserve is touched; grants can still be written, so the door goes on.
            _log.error("the camera's state could not be audited: %s", exc.message)

    def _report(self, decision: Decision | None) -> None:
        if decision is not None:
            self.decisions += 1
            self._on_decision(decision)

    # -- beginning and end ---------------------------------------------------------------------------------------------

    def _guarded(self, body: Callable[[], None]) -> Callable[[], None]:
        def guarded() -> None:
            try:
                body()
            except BaseException as exc:  # noqa: BLE001  # the main thread raises it again
                self._failure = self._failure or exc
                name = threading.current_thread().name
                if isinstance(exc, DoorwardError):  # said on purpose: where in the program does not matter
                    _log.critical("thread %s: %s", name, exc.message)
                else:
                    _log.critical("thread %s: %r", name, exc, exc_info=exc)
                self.stop(cause="error")

        return guarded

    def _shut_down(self, threads: tuple[threading.Thread, ...]) -> None:
        """In reverse order; each part is let go whatever happened to the others."""
        parts = self._parts
        self._stop.set()
        parts.mailbox.close()
        parts.slot.close()
        for thread in threads:
            if thread.ident is not None:
                thread.join(JOIN_S)
                if thread.is_alive():
                    self._failure = self._failure or DoorwardError(f"thread {thread.name} did not stop")
        for let_go in (parts.control.stop, parts.door.close, self._say_goodbye, parts.signals.close):
            self._guarded(let_go)()

    def _say_goodbye(self) -> None:
        self._parts.signals.show(Signal.IDLE)
        self._note_ordinary(Stopped(self._cause if self._failure is None else "error"))

    def _note_ordinary(self, record: Started | Stopped) -> None:
        """Write a start or stop, unless there is only the reserve left, which is the grants': restarts would eat it up.

        Raises:
            StateError: It could not be written for another reason than room.
        """
        try:
            self._parts.ledger.record(record, urgent=False)
        except FullError as exc:
            _log.error("%s could not be audited: %s", record.kind, exc.message)
