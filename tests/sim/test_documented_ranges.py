"""The ranges that attacks are drawn from are those in which their classes say that they make sense."""

from __future__ import annotations

import inspect
import re

import pytest

from device.sim.attacks.catalogue import Catalogue, Species
from device.sim.attacks.cutout import CutoutParameters
from device.sim.attacks.papers import (
    BentParameters,
    FlexParameters,
    PrintParameters,
    RolledParameters,
    TiltParameters,
)

#: ``name: what it is; usual, low..high``; subclasses leave out what it is.
_LINE = re.compile(r"^\s+(\w+): (?:[^;\n]*; )?-?[\d.]+, (-?\d+(?:\.\d+)?)\.\.(-?\d+(?:\.\d+)?)", re.MULTILINE)
SPECIES = {
    "print_jitter": PrintParameters,
    "print_tilt": TiltParameters,
    "print_bent": BentParameters,
    "print_flex": FlexParameters,
    "print_rolled": RolledParameters,
    "print_cutout": CutoutParameters,
}


def documented(kind: type) -> dict[str, tuple[float, float]]:
    """The range behind each field; a subclass's own counts."""
    found: dict[str, tuple[float, float]] = {}
    for each in reversed(inspect.getmro(kind)):
        found |= {name: (float(low), float(high)) for name, low, high in _LINE.findall(each.__doc__ or "")}
    return found


@pytest.mark.parametrize("species", SPECIES)
def test_attacks_are_drawn_from_where_they_make_sense(species: str) -> None:
    """A mask whose wearer turns less than the mesh can see would never be judged, and never pass."""
    ranges, told = Catalogue.load().ranges(Species(species)), documented(SPECIES[species])
    assert len(told) >= 5
    for name, (low, high) in told.items():
        drawn = getattr(ranges, name)
        assert low <= drawn[0] <= drawn[1] <= high, (name, drawn)
