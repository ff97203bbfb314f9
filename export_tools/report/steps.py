"""Progress of a measurement."""

from __future__ import annotations

from typing import Protocol


class Steps(Protocol):
    """Who is told how far a measurement is."""

    def begin(self, total: int) -> None:
        """So many steps will come."""

    def step(self, what: str) -> None:
        """The next one begins."""

    def end(self) -> None:
        """No more will come."""


class NoSteps:
    """Tells nobody."""

    def begin(self, total: int) -> None:
        """Nothing."""

    def step(self, what: str) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""
