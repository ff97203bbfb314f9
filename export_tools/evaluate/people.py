"""Pictures of people in folders: one folder per person, and no picture that stands on both sides of a comparison.

Layout: ``DIR/person/*.jpg`` are photographs of one person, in the order of their names; ``DIR/person/attempt/*.jpg``
are the frames of one attempt, in their order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from device.errors import NotFoundError, UsageError
from export_tools.evaluate.files import pictures_of, refuse
from export_tools.evaluate.worker import read_bytes

LAYOUT: Final = "photographs in DIR/person/, frames of one attempt in DIR/person/attempt/"
_ONCE: Final = "leave each picture with one person, once"


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonFolder:
    """One person: photographs, and attempts of several frames each."""

    name: str
    photos: tuple[Path, ...]
    attempts: tuple[tuple[Path, ...], ...] = ()

    @property
    def pictures(self) -> tuple[Path, ...]:
        """All of them."""
        return (*self.photos, *(frame for attempt in self.attempts for frame in attempt))


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSet:
    """Who is enrolled, and who comes.

    Attributes:
        gallery: Photographs by person, those of the template.
        probes: Pictures by person; people who are not in the gallery are strangers.
    """

    gallery: Mapping[str, tuple[Path, ...]]
    probes: Mapping[str, tuple[Path, ...]]

    @property
    def people(self) -> tuple[PersonFolder, ...]:
        """Everybody, with the pictures of both sides."""
        names = dict.fromkeys((*self.gallery, *self.probes))
        return tuple(
            PersonFolder(name=name, photos=(*self.gallery.get(name, ()), *self.probes.get(name, ()))) for name in names
        )


def read_people(folder: Path) -> tuple[PersonFolder, ...]:
    """The people below a folder, by name; hidden entries are left out.

    Raises:
        NotFoundError: No such folder.
        UsageError: Fewer than two people, or pictures that belong to nobody.
    """
    people = _read(folder)
    if len(people) < 2:
        raise UsageError(
            f"{folder} has pictures of {len(people)} people; strangers are needed to be told apart", hint=LAYOUT
        )
    return people


def read_open_set(*, gallery: Path, probes: Path, photos: int) -> OpenSet:
    """One folder per person below ``gallery`` and below ``probes``; same name, same person.

    Args:
        gallery: Of each person the first ``photos`` pictures by name are enrolled.
        probes: Pictures of enrolled people and of strangers.
        photos: At most so many photographs per template.

    Raises:
        NotFoundError: A folder is not there or holds nobody.
        UsageError: A file is in both, pictures belong to nobody, or there are no probes of enrolled people or none of
            strangers.
    """
    if photos < 1:
        raise UsageError("a template needs one photograph at least", hint="--photos 3 is a good number")
    found = OpenSet(gallery={name: files[:photos] for name, files in _photos(gallery).items()}, probes=_photos(probes))
    enrolled = {file.resolve() for files in found.gallery.values() for file in files}
    both = [file for files in found.probes.values() for file in files if file.resolve() in enrolled]
    if both:
        raise UsageError(
            f"{len(both)} pictures are enrolled and compared with themselves, the first is {both[0]}",
            hint="keep the pictures of the gallery out of the folder of probes",
        )
    known = sum(name in found.gallery for name in found.probes)
    if known in (0, len(found.probes)):
        who = "of enrolled people" if known == 0 else "of people who are not enrolled"
        raise UsageError(
            f"{probes} holds no pictures {who}", hint="name the folders of a person alike in gallery and probes"
        )
    return found


def require_distinct(people: Sequence[PersonFolder], *, hint: str = _ONCE) -> None:
    """Refuse a picture that stands for two people, and a photograph that one person has twice, under whatever name.

    Raises:
        UsageError: Which; all are counted.
        PhotoError: A file cannot be read.
    """
    owners = {file: person.name for person in people for file in person.pictures}
    photos = {file for person in people for file in person.photos}
    # Frames of one attempt may be equal: a camera that stands still.
    problems = [
        f"{file} is the same picture as {first}"
        for file, first in repeats(owners)
        if owners[file] != owners[first] or (file in photos and first in photos)
    ]
    if problems:
        raise refuse("the set of pictures", problems, hint=hint)


def repeats(files: Iterable[Path]) -> Iterator[tuple[Path, Path]]:
    """Files whose bytes came before, each with the first that has them. Raises PhotoError."""
    seen: dict[bytes, Path] = {}
    for file in files:
        first = seen.setdefault(hashlib.sha256(read_bytes(file)).digest(), file)
        if first != file:
            yield file, first


def _photos(folder: Path) -> dict[str, tuple[Path, ...]]:
    people = {person.name: person.photos for person in _read(folder) if person.photos}
    if not people:
        raise NotFoundError(
            f"{folder} holds no pictures", hint="one folder per person is wanted, with the pictures in it"
        )
    return people


def _read(folder: Path) -> tuple[PersonFolder, ...]:
    if not folder.is_dir():
        raise NotFoundError(f"the folder of pictures {folder} does not exist", hint="check the path")
    if stray := pictures_of(folder):
        raise UsageError(f"{stray[0]} belongs to no person ({len(stray)} such pictures)", hint=LAYOUT)
    people = []
    for entry in _folders(folder):
        photos = pictures_of(entry)
        attempts = tuple(frames for inner in _folders(entry) if (frames := pictures_of(inner)))
        if photos or attempts:
            people.append(PersonFolder(name=entry.name, photos=photos, attempts=attempts))
    return tuple(people)


def _folders(folder: Path) -> Iterator[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as exc:
        raise NotFoundError(f"cannot read the folder {folder}: {exc.strerror}", hint="check the path") from exc
    return (entry for entry in entries if entry.is_dir() and not entry.name.startswith("."))
