"""A recorder without models, for processes of its own."""

from __future__ import annotations

import os
from dataclasses import dataclass

from device.errors import ModelError, PackError
from export_tools.pad.trace import About, Trace
from tests.pad.made import made


@dataclass(frozen=True)
class Numbered:
    """Something to be recorded."""

    number: int

    @property
    def name(self) -> str:
        """Of its trace."""
        return About.name_of("live", self.number)


@dataclass(frozen=True)
class Hand:
    """Makes traces; fails, ends its process, or cannot even begin where it is told to.

    Attributes:
        fails: Numbers that cannot be recorded.
        ends: Numbers at which the process ends.
        opens: Whether the models can be loaded.
    """

    fails: frozenset[int] = frozenset()
    ends: frozenset[int] = frozenset()
    opens: bool = True

    def __call__(self) -> Hand:
        """Load the models."""
        if not self.opens:
            raise PackError("there is no pack", reason="missing")
        return self

    def record(self, item: Numbered, /) -> Trace:
        """Make a trace."""
        if item.number in self.ends:
            os._exit(1)
        if item.number in self.fails:
            raise ModelError("broken")
        return made(number=item.number, fps=10)
