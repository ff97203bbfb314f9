"""Recording many presentations: some processes, each with models of its own; what is done is kept at once.

Processes, since rendering holds Python's lock. An interrupted run loses the presentations in hand and nothing else:
the next one goes on where it stopped.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from typing import Protocol, TypeVar

from device.errors import DoorwardError, ModelError, UsageError
from export_tools.evaluate.files import told
from export_tools.pad.cache import TraceCache
from export_tools.pad.trace import Trace, TraceError
from export_tools.sources.download import Reporter


class Named(Protocol):
    """Something to be recorded; can be handed to another process."""

    @property
    def name(self) -> str:
        """Of its trace."""


Item_contra = TypeVar("Item_contra", bound=Named, contravariant=True)
Item = TypeVar("Item", bound=Named)


class Recorder(Protocol[Item_contra]):
    """Records one presentation after the other."""

    def record(self, item: Item_contra, /) -> Trace:
        """Record one. Raises DoorwardError."""


def record_all(
    items: Sequence[Item],
    *,
    open_recorder: Callable[[], Recorder[Item]],
    cache: TraceCache,
    workers: int,
    reporter: Reporter,
) -> None:
    """See that the cache has every trace.

    Args:
        items: What is to be recorded; what the cache has already is left out.
        open_recorder: Loads the models; can be handed to another process.
        cache: Where the traces are kept.
        workers: Processes; with one, this process records itself.
        reporter: Who is told how far it is.

    Raises:
        UsageError: Fewer than one worker.
        DoorwardError: The recorder cannot be opened, or a trace cannot be kept.
        ModelError: Presentations that could not be recorded; all of them are counted, the first are named. Everything
            else was recorded.
    """
    if workers < 1:
        raise UsageError(f"{workers} workers cannot work", hint="give one per processor core")
    missing = [item for item in items if not _is_kept(cache, item.name, reporter)]
    total, done = len(items), len(items) - len(missing)
    faults: list[str] = []
    run = _here if workers == 1 or len(missing) <= 1 else _elsewhere
    reporter.begin("presentations", total=total, done=done)
    try:
        for fault in run(missing, open_recorder, cache, min(workers, len(missing))):
            done += 1
            if fault is not None:
                faults.append(fault)
            reporter.at(done)
    finally:
        reporter.end()
    if faults:
        raise ModelError(f"of {total} presentations some cannot be recorded: {told(faults, 'presentation')}")


def _is_kept(cache: TraceCache, name: str, reporter: Reporter) -> bool:
    """Whether the cache has a sound trace; what is not sound is told, and made anew."""
    try:
        return cache.get(name) is not None
    except TraceError as exc:
        reporter.note(f"{exc.message}; it is made anew")
        return False


def _kept(item: Item, recorder: Recorder[Item], keep: Callable[[Trace], None]) -> str | None:
    """Record one presentation; what is wrong with it, None for nothing."""
    try:
        trace = recorder.record(item)
    except DoorwardError as exc:
        return f"{item.name}: {exc.message}"
    keep(trace)
    return None


def _here(
    items: Sequence[Item], open_recorder: Callable[[], Recorder[Item]], cache: TraceCache, _: int
) -> Iterator[str | None]:
    if not items:
        return
    recorder = open_recorder()
    for item in items:
        yield _kept(item, recorder, cache.put)


def _elsewhere(
    items: Sequence[Item], open_recorder: Callable[[], Recorder[Item]], cache: TraceCache, workers: int
) -> Iterator[str | None]:
    waiting = iter(items)
    with _crew(open_recorder, cache, workers) as lines:
        busy = [line for line in lines if _hand_over(line, waiting)]
        while busy:
            for line in wait(busy):
                if not isinstance(line, Connection):
                    continue
                yield _answer(line)
                if not _hand_over(line, waiting):
                    busy.remove(line)


def _hand_over(line: Connection, waiting: Iterator[Item]) -> bool:
    """Give a process its next presentation; False when there is none left."""
    item = next(waiting, None)
    if item is not None:
        with _process_lives():
            line.send(item)
    return item is not None


def _answer(line: Connection) -> str | None:
    with _process_lives():
        answer = line.recv()
    if isinstance(answer, DoorwardError):
        raise answer
    return None if answer is None else str(answer)


@contextmanager
def _process_lives() -> Iterator[None]:
    try:
        yield
    except (EOFError, ConnectionError) as exc:
        raise ModelError("a recording process has ended by itself", hint="give fewer workers, or more memory") from exc


@contextmanager
def _crew(open_recorder: Callable[[], Recorder[Item]], cache: TraceCache, workers: int) -> Iterator[list[Connection]]:
    """Processes that record until the end of the block, each behind a line of its own."""
    context = multiprocessing.get_context("spawn")
    processes, lines = [], []
    try:
        for number in range(workers):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_work, args=(theirs, open_recorder, cache), name=f"record-{number}", daemon=True
            )
            process.start()
            theirs.close()
            processes.append(process)
            lines.append(ours)
        yield lines
    finally:
        for line in lines:
            line.close()
        for process in processes:
            process.terminate()
            process.join()


def _work(line: Connection, open_recorder: Callable[[], Recorder[Item]], cache: TraceCache) -> None:
    """A process: record what comes down the line until it is closed."""
    # An interrupt from the keyboard reaches every process of the terminal; the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    departure = _Departure()
    signal.signal(signal.SIGTERM, departure.asked)

    def keep(trace: Trace) -> None:
        with departure.put_off():
            cache.put(trace)

    try:
        recorder = open_recorder()
        while True:
            line.send(_kept(line.recv(), recorder, keep))
    except EOFError:
        return
    except DoorwardError as exc:
        line.send(exc)


class _Departure:
    """The end of a process: at once, but not while a trace is written, which would leave templates half-written."""

    def __init__(self) -> None:
        self._put_off = self._asked = False

    def asked(self, *_: object) -> None:
        """Somebody wants this process to end."""
        self._asked = True
        if not self._put_off:
            raise SystemExit

    @contextmanager
    def put_off(self) -> Iterator[None]:
        """Stay until the end of the block."""
        self._put_off = True
        try:
            yield
        finally:
            self._put_off = False
            if self._asked:
                raise SystemExit
