"""The visits of the fault table: filmed once before a healthy door, shown again while one thing in it is broken.

A film goes on for as long as a healthy door needed, and longer than any time-out of a visit: what a fault only delays
would be let in, and no visit ends because the film does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from device.config import parse_config
from device.types import Frame
from device.wiring.models import adopt_pack
from tests.scenarios.conftest import Appliance
from tests.scenarios.faulty import Moment
from tests.scenarios.filmed import House, Outcome, Staying

PEOPLE = ("obama2.jpg", "obama3.jpg")
#: A turn that is never answered or never taken back ends a visit after 3 s, a face not found again after 3.5 s.
AFTERWARDS_S = 3.7


@dataclass(frozen=True)
class Visit:
    """A house, a film of the enrolled person, one of a stranger, and how the healthy door saw the first."""

    house: House
    film: list[Frame]
    seen: Outcome
    stranger: list[Frame]

    @property
    def granted_s(self) -> float:
        """When the healthy door opened."""
        return self.seen.decisions[0].decided_s

    @property
    def alone_s(self) -> float:
        """How long the healthy door needed from its first comparison on."""
        return self.granted_s - self.at(Moment.COMPARED)

    def at(self, moment: Moment) -> float:
        """When the healthy door had come so far."""
        return self.seen.board.moments[moment]

    def replay(self, film: Sequence[Frame] | None = None, **parts: Any) -> Outcome:
        """The same visit, or another film, to its end."""
        return self.house.replay(self.film if film is None else film, **parts)


def doors(*names: str) -> pytest.MarkDecorator:
    """Each of these visits in turn."""
    return pytest.mark.parametrize("visit", names or ("door", "plus"), indirect=True)


def _visit(house: House, photos: dict[str, bytes], *, granted_s: float, stranger: bool = True) -> Visit:
    """Film the visit; ``granted_s`` is when it is to be granted, about."""
    seconds = granted_s + AFTERWARDS_S
    film, seen = house.film([Staying(house.visitor(photos["obama.jpg"]))], seconds=seconds)
    assert seen.decisions[0].decided_s <= granted_s, "the control: the film goes on long enough"
    other = house.film([Staying(house.visitor(photos["biden.jpg"]))], seconds=seconds)[0] if stranger else []
    return Visit(house, film, seen, other)


def _house(source: Path, folder: Path, pack: str, photos: dict[str, bytes]) -> House:
    words = f"camera: {{source: scene, pace: fast}}\nmodels: {{pack: {pack}}}"
    config = parse_config(words.encode(), origin="scenario")
    adopt_pack(source, folder, config)
    person = Appliance(folder, config).enrol("Barack", {name: photos[name] for name in PEOPLE})
    return House(folder, config, person)


@pytest.fixture(scope="session")
def door(tmp_path_factory: pytest.TempPathFactory, door_state: Path, demo_photos: dict[str, bytes]) -> Visit:
    """Three head turns before the pack ``door``."""
    house = _house(door_state, tmp_path_factory.mktemp("faults") / "door", "door", demo_photos)
    return _visit(house, demo_photos, granted_s=6.6)


@pytest.fixture(scope="session")
def plus(tmp_path_factory: pytest.TempPathFactory, door_plus_state: Path, demo_photos: dict[str, bytes]) -> Visit:
    """A second before the pack ``door-plus``: nothing is asked."""
    house = _house(door_plus_state, tmp_path_factory.mktemp("faults") / "plus", "door-plus", demo_photos)
    return _visit(house, demo_photos, granted_s=1.2)


@pytest.fixture(scope="session")
def high(plus: Visit, demo_photos: dict[str, bytes]) -> Visit:
    """Three head turns while the passive networks go on: level ``high``."""
    house = replace(plus.house.with_level("high"), seed=3)
    return _visit(house, demo_photos, granted_s=7.4, stranger=False)


@pytest.fixture
def visit(request: pytest.FixtureRequest) -> Visit:
    """The one that a case names."""
    made: Visit = request.getfixturevalue(request.param)
    return made
