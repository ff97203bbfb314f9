"""Jobs of other threads for the gate: one thread owns vision, people and gallery, so none of them needs a lock."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import TypeVar

from device.errors import BusyError

T = TypeVar("T")


class Mailbox:
    """A bounded queue of jobs, each with a future."""

    def __init__(self, *, limit: int = 16, timeout_s: float = 30.0) -> None:
        self._jobs: queue.Queue[tuple[Callable[[], object], Future[object]]] = queue.Queue(limit)
        self._timeout_s = timeout_s
        self._closed = threading.Event()

    def call(self, job: Callable[[], T]) -> T:
        """Run ``job`` on the gate thread; return its result or raise its exception, BusyError when it cannot be run."""
        future: Future[object] = Future()
        if self._closed.is_set():
            raise BusyError("the daemon is stopping")
        try:
            self._jobs.put_nowait((job, future))
        except queue.Full as exc:
            raise BusyError("the gate has too much to do", hint="try again in a moment") from exc
        try:
            return future.result(self._timeout_s)  # type: ignore[return-value]  # the result of this very job
        except FutureTimeout as exc:
            # A job that has not begun will not run behind the caller's back later.
            future.cancel()
            raise BusyError("the gate did not answer in time", hint="`doorward status` tells what it is doing") from exc

    def run_pending(self) -> None:
        """Do the job that has waited longest; called by the gate between two frames.

        One only: clients who ask again as soon as they are answered must not keep the gate from the next frame.
        """
        while True:
            try:
                job, future = self._jobs.get_nowait()
            except queue.Empty:
                return
            if future.set_running_or_notify_cancel():
                break
        try:
            future.set_result(job())
        except BaseException as exc:  # noqa: BLE001  # it belongs to whoever asked
            future.set_exception(exc)

    def close(self) -> None:
        """Take no more jobs and refuse those that wait."""
        self._closed.set()
        while True:
            try:
                _, future = self._jobs.get_nowait()
            except queue.Empty:
                return
            if future.set_running_or_notify_cancel():
                future.set_exception(BusyError("the daemon is stopping"))
