"""The passive networks' answers about one face as a sequential test: accept, veto, or not decided yet. Pure."""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import dataclass
from itertools import islice
from statistics import median
from typing import Final

from device.access.doubts import BLINDING, DOUBTED, DULLING
from device.errors import ModelError
from device.types import Doubt, PassiveVerdict

#: Fewer answers than this, however good, are no reason to ask anything.
HOPEFUL: Final = 3


@dataclass(frozen=True, slots=True)
class PassiveRules:
    """The sequential test; see ``LivenessConfig`` for the meaning of each number.

    Attributes:
        samples: K, odd.
        accept: Median P(live) from which the face is live.
        veto: Median P(live) up to which it is a spoof.
        max_gap_s: Samples further apart do not belong to one proof.
        heeded: Doubts that keep a frame from speaking for life.
    """

    samples: int
    accept: float
    veto: float
    max_gap_s: float
    heeded: frozenset[Doubt] = frozenset(Doubt) - DULLING


class PassiveTest:
    """The passive networks' answers about one face, in order: their median over K frames, as soon as it is settled.

    Once more than half of K answers lie beyond a limit, the median will, whatever the others are: told so early, the
    same verdict comes after 0.7 s instead of 1.3 s (K = 11, 7.5 answers per second).

    A gap between two answers voids what was gathered for acceptance, since another face could have been there; it does
    not void what speaks for a veto, since turning away must not help a spoof.
    """

    def __init__(self, rules: PassiveRules) -> None:
        self._rules = rules
        self._last: deque[tuple[float, float, frozenset[Doubt]]] = deque(maxlen=rules.samples)
        self._run = 0
        self._doubts: frozenset[Doubt] = frozenset()
        self._clear: deque[float] | None = None
        self.samples = self.live = 0
        self.lived_s: float | None = None  # of the last answer that spoke for life

    def add(self, captured_s: float, live: float, doubts: frozenset[Doubt]) -> None:
        """Take one frame's answer. Raises ModelError for what is no probability or no later than the last."""
        if not 0.0 <= live <= 1.0:
            raise ModelError(f"the passive networks answered {live}, which is no probability")
        if not (math.isfinite(captured_s) and (not self._last or captured_s > self._last[-1][0])):
            raise ModelError(f"a passive sample of {captured_s} s does not follow the last one")
        joined = bool(self._last) and captured_s - self._last[-1][0] <= self._rules.max_gap_s
        self._run = self._run + 1 if joined else 1
        self._last.append((captured_s, live, doubts))
        counts = Counter(doubt for _, _, raised in self._last for doubt in raised)
        self._doubts = frozenset(doubt for doubt, count in counts.items() if count >= DOUBTED)
        self.samples += 1
        if self._lives(live, doubts):
            self.live += 1
            self.lived_s = captured_s
        if self._clear is not None and not doubts & BLINDING:
            self._clear.append(live)

    def ask(self) -> None:
        """Head turns are asked from now on: what the networks say to those who answer is remembered by itself."""
        self._clear = deque(maxlen=self._rules.samples)

    @property
    def clear(self) -> tuple[float, ...]:
        """The last K answers since head turns were asked, of pictures that do not blind the networks."""
        return tuple(self._clear or ())

    def _lives(self, live: float, doubts: frozenset[Doubt]) -> bool:
        """Whether an answer speaks for life."""
        return live >= self._rules.accept and not doubts & self._rules.heeded

    @property
    def median(self) -> float | None:
        """P(live) over the last K answers, or over fewer while there are fewer; None before the first."""
        return median(live for _, live, _ in self._last) if self._last else None

    @property
    def verdict(self) -> PassiveVerdict:
        """What the last K answers say."""
        rules, most = self._rules, self._rules.samples // 2 + 1
        if sum(live <= rules.veto and not doubts & BLINDING for _, live, doubts in self._last) >= most:
            return PassiveVerdict.SPOOF
        unbroken = islice(self._last, max(0, len(self._last) - self._run), None)
        if sum(self._lives(live, doubts) for _, live, doubts in unbroken) >= most:
            return PassiveVerdict.LIVE
        return PassiveVerdict.GATHERING if len(self._last) < rules.samples else PassiveVerdict.UNDECIDED

    @property
    def doubts(self) -> frozenset[Doubt]:
        """Every doubt that enough of the last K frames raised."""
        return self._doubts

    @property
    def hopeful(self) -> bool:
        """Whether there are some answers, and every one spoke for life."""
        return HOPEFUL <= self.samples == self.live

    @property
    def sampled_s(self) -> float | None:
        """Time of the last answer."""
        return self._last[-1][0] if self._last else None

    @property
    def since_s(self) -> float | None:
        """Time of the first of the last K answers."""
        return self._last[0][0] if self._last else None
