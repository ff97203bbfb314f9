"""What an evaluation presents to the door: which numbers of which species, or which clips."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import Final

from device.camera.sources import VIDEO_SUFFIXES
from device.errors import UsageError
from device.sim.attacks.catalogue import Half, Species
from export_tools.evaluate.presentations import Presentation
from export_tools.pad.attempt import LIVE
from export_tools.pad.studio import Photo, Recorded, Simulated

#: The demo's photographs of whole faces; who is shown is drawn by place, so their order counts.
PHOTOS: Final = ("obama.jpg", "obama2.jpg", "obama3.jpg", "biden.jpg")
_NAME: Final = re.compile(r"[a-z0-9_]{1,40}")


def simulated_items(species: Sequence[Species], *, half: Half, count: int) -> tuple[Simulated, ...]:
    """The first ``count`` presentations of one half of each species."""
    return tuple(Simulated(species=each, number=number) for each in species for number in half.numbers(count))


def species_of(given: str | None) -> tuple[Species, ...]:
    """The species of the catalogue that were asked for by commas, all without a word. Raises UsageError."""
    if given is None:
        return tuple(Species)
    names = given.split(",")
    known = [str(each) for each in Species]
    if unknown := [name for name in names if name not in known]:
        raise UsageError(f"there is no simulated {', '.join(map(repr, unknown))}", hint=f"there are {', '.join(known)}")
    return tuple(each for each in Species if str(each) in names)


def recorded_items(presentations: Sequence[Presentation]) -> tuple[Recorded, ...]:
    """Clips of a manifest, numbered within their species.

    Raises:
        UsageError: A clip is made of pictures, which have no time; or a trace cannot have the name of an attack type.
    """
    found: list[Recorded] = []
    numbers: dict[str, int] = {}
    for each in presentations:
        species = LIVE if each.species is None else each.species
        if each.species == LIVE or not _NAME.fullmatch(species):
            raise UsageError(
                f"an attack type cannot be called {species!r} here",
                hint=f"small letters, digits and _, and not {LIVE!r}, which is bona fide",
            )
        file = each.files[0]
        if file.suffix.lower() not in VIDEO_SUFFIXES:
            raise UsageError(
                f"clip {each.clip!r} of {each.subject!r} is made of pictures, and the policy needs to know when each"
                " was taken",
                hint="give videos, or measure the networks alone with --networks-only",
            )
        numbers[species] = numbers.get(species, -1) + 1
        found.append(Recorded(file=file, species=species, number=numbers[species], subject=each.subject))
    return tuple(found)


def identity_of(photo: str) -> str:
    """Who a demo photograph shows: its name without suffix and number (``obama2.jpg`` is of ``obama``)."""
    return PurePath(photo).stem.rstrip("0123456789")


def as_photos(pictures: dict[str, bytes]) -> dict[str, Photo]:
    """The demo's photographs with whom they show."""
    return {name: Photo(identity=identity_of(name), data=data) for name, data in pictures.items()}
