"""Studios with the real models, and traces of catalogued presentations."""

from __future__ import annotations

from pathlib import Path

import pytest

from device.config import Config
from export_tools.pad.studio import Photo, StudioPlan

PEOPLE = {"obama.jpg": "obama", "obama2.jpg": "obama", "biden.jpg": "biden"}


def plan_of(state: Path, pack: str, photos: dict[str, bytes]) -> StudioPlan:
    """A studio before one pack, with the people of the demo."""
    config = Config.model_validate({"models": {"pack": pack}})
    return StudioPlan(state, config, {name: Photo(who, photos[name]) for name, who in PEOPLE.items()})


@pytest.fixture(scope="session")
def door_plan(door_state: Path, demo_photos: dict[str, bytes]) -> StudioPlan:
    """Before the pack ``door``, which has no passive networks."""
    return plan_of(door_state, "door", demo_photos)


@pytest.fixture(scope="session")
def plus_plan(door_plus_state: Path, demo_photos: dict[str, bytes]) -> StudioPlan:
    """Before the pack ``door-plus``."""
    return plan_of(door_plus_state, "door-plus", demo_photos)
