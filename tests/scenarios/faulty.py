"""What misbehaves in the fault table: networks, signals, films, and the answers that broken networks give."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from device.errors import ModelError
from device.interfaces import InferenceSession
from device.sim.clock import ManualClock
from device.sim.signals import PromptBoard
from device.types import Frame, Signal

Tensor = NDArray[np.float32]
Answer = tuple[Tensor, ...]

TURNS: Final = frozenset({Signal.TURN_LEFT, Signal.TURN_RIGHT, Signal.LOOK_UP, Signal.LOOK_DOWN})


class Moment(IntEnum):
    """How far a visit has come, as the person at the door sees it."""

    START = 0
    COMPARED = 1
    ASKED = 2
    TURNED = 3
    PROVEN = 4


class Board(PromptBoard):
    """Signals that the visitors react to, and that remember when each moment of the visit was reached."""

    def __init__(self, *, clock: ManualClock) -> None:
        super().__init__(clock=clock)
        self._told_by = clock
        self.shown: list[Signal] = []
        self.moments: dict[Moment, float] = {Moment.START: clock.monotonic()}

    def show(self, signal: Signal) -> None:
        """Show it to whoever stands there."""
        self._reach(signal)
        if not self.shown or self.shown[-1] is not signal:
            self.shown.append(signal)
        super().show(signal)

    def reached(self, moment: Moment) -> bool:
        """Whether the visit has come so far."""
        return moment in self.moments

    def _reach(self, signal: Signal) -> None:
        asked = Moment.ASKED in self.moments
        moment = {
            Signal.CHECKING: Moment.PROVEN if asked else Moment.COMPARED,
            Signal.LOOK_STRAIGHT: Moment.TURNED if asked else Moment.COMPARED,
        }.get(signal, Moment.ASKED if signal in TURNS else None)
        if moment is not None:
            self.moments.setdefault(moment, self._told_by.monotonic())


class Unseen(Board):
    """A display that is dark: everything is accepted, nobody sees it."""

    def show(self, signal: Signal) -> None:
        """Told to the test, not to the visitor."""
        self._reach(signal)


class Broken(Board):
    """A display whose driver raises, from a moment on."""

    def __init__(self, *, clock: ManualClock, since: Moment) -> None:
        super().__init__(clock=clock)
        self._since = since

    def show(self, signal: Signal) -> None:
        """Raises OSError once the moment is there."""
        self._reach(signal)
        if self._since in self.moments:
            raise OSError("the display does not answer")
        super().show(signal)


class Late(Board):
    """A display that shows everything so many seconds late: what is new waits until it is asked for again."""

    def __init__(self, *, clock: ManualClock, late_s: float) -> None:
        super().__init__(clock=clock)
        self._late_s = late_s
        self._waiting: list[tuple[float, Signal]] = []

    def show(self, signal: Signal) -> None:
        """Remember it, and show what is old enough."""
        now_s = self._told_by.monotonic()
        if not self._waiting or self._waiting[-1][1] is not signal:
            self._waiting.append((now_s, signal))
        for since_s, waiting in self._waiting:
            if now_s - since_s >= self._late_s:
                super().show(waiting)
        self._waiting = [each for each in self._waiting if now_s - each[0] < self._late_s] or self._waiting[-1:]


# ---- Films


def until(film: Sequence[Frame], at_s: float) -> int:
    """How many frames of a film were taken up to this time."""
    return sum(frame.captured_s <= at_s for frame in film)


# ---- Networks


class Remembering:
    """A healthy network that computes each answer once, for all tests that show it the same pictures."""

    def __init__(self, session: InferenceSession) -> None:
        self._session = session
        self._answers: dict[bytes, Answer] = {}
        self.last: Answer = ()

    @property
    def model(self) -> str:
        """Id of the model."""
        return self._session.model

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of the model."""
        return self._session.input_shape

    def run(self, tensor: Tensor) -> Answer:
        """The model's answer."""
        key = hashlib.blake2b(tensor.data, digest_size=16).digest()
        answer = self._answers.get(key)
        if answer is None:
            answer = self._answers[key] = tuple(part.copy() for part in self._session.run(tensor))
        self.last = answer
        # Copies: whoever gets them may write into them.
        return tuple(part.copy() for part in answer)

    def close(self) -> None:
        """Stays loaded: others use it too."""


@dataclass(frozen=True)
class Fault:
    """What becomes of a network's answers.

    Attributes:
        role: Of the network in the pack.
        kind: A word of :data:`KINDS`.
        since: The moment of the visit from which on it is broken.
        after: So many further answers are still good.
    """

    role: str
    kind: str
    since: Moment = Moment.START
    after: int = 0

    def __str__(self) -> str:
        return "-".join([self.role, self.kind, self.since.name.lower(), *([str(self.after)] if self.after else [])])


@dataclass
class FaultySession:
    """A network that breaks.

    Attributes:
        healthy: What it was.
        fault: How it breaks, and when.
        reached: Whether the visit has come to a moment.
        last: The answer that a stuck one repeats until it has given one of its own.
    """

    healthy: Remembering
    fault: Fault
    reached: Callable[[Moment], bool]
    last: Answer
    calls: int = 0
    broken: int = field(default=0, init=False)

    @property
    def model(self) -> str:
        """Id of the model."""
        return self.healthy.model

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of the model."""
        return self.healthy.input_shape

    def run(self, tensor: Tensor) -> Answer:
        """The model's answer, or what it is now."""
        if self.reached(self.fault.since):
            self.calls += 1
        if self.calls <= self.fault.after:
            self.last = self.healthy.run(tensor)
            return self.last
        self.broken += 1
        return KINDS[self.fault.kind](self, tensor)

    def close(self) -> None:
        """Nothing to free."""


def _raising(session: FaultySession, _: Tensor) -> Answer:
    raise ModelError(f"model {session.model} failed: out of memory")


def _crashing(_: FaultySession, __: Tensor) -> Answer:
    raise RuntimeError("a driver's own exception")


def _filled(value: float) -> Callable[[FaultySession, Tensor], Answer]:
    def fill(session: FaultySession, tensor: Tensor) -> Answer:
        return tuple(np.full_like(part, value) for part in session.healthy.run(tensor))

    return fill


def _stuck(session: FaultySession, tensor: Tensor) -> Answer:
    rows = session.healthy.run(tensor)[0].shape[0]
    return tuple(part[:rows].copy() for part in session.last)


def _deaf(session: FaultySession, tensor: Tensor) -> Answer:
    """Its input is never filled: the answer to a grey picture."""
    return session.healthy.run(np.full_like(tensor, 0.5))


def _cut(session: FaultySession, tensor: Tensor) -> Answer:
    return tuple(np.ascontiguousarray(part[..., :-1]) for part in session.healthy.run(tensor))


def _flat(session: FaultySession, tensor: Tensor) -> Answer:
    return tuple(part.ravel() for part in session.healthy.run(tensor))


def _silent(_: FaultySession, __: Tensor) -> Answer:
    return ()


def _half(session: FaultySession, tensor: Tensor) -> Answer:
    return tuple(part * np.float32(0.5) for part in session.healthy.run(tensor))


def _optimist(session: FaultySession, tensor: Tensor) -> Answer:
    """A network replaced by one that finds everybody alive, never twice in the same words."""
    session.healthy.run(tensor)
    live = np.float32(1) - np.float32(1e-4) * np.float32(1 + session.broken % 97)
    rest = (np.float32(1) - live) / np.float32(2)
    return (np.array([[rest, live, rest]], np.float32),)


KINDS: Mapping[str, Callable[[FaultySession, Tensor], Answer]] = MappingProxyType(
    {
        "raising": _raising,
        "crashing": _crashing,
        "nan": _filled(np.nan),
        "inf": _filled(np.inf),
        "zeros": _filled(0.0),
        "stuck": _stuck,
        "deaf": _deaf,
        "cut": _cut,
        "flat": _flat,
        "silent": _silent,
        "half": _half,
        "optimist": _optimist,
    }
)
