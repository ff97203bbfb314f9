"""Who is enrolled and who comes, as folders of pictures name them: one folder per person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from device.errors import NotFoundError, UsageError
from export_tools.evaluate.files import pictures_of


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Who is enrolled, and who comes.

    Attributes:
        gallery: Photographs by person, those of the template.
        probes: Pictures by person; people who are not in the gallery are strangers.
    """

    gallery: Mapping[str, tuple[Path, ...]]
    probes: Mapping[str, tuple[Path, ...]]


def read_people(*, gallery: Path, probes: Path, photos: int) -> People:
    """One folder per person below ``gallery`` and below ``probes``; same name, same person.

    Args:
        gallery: Of each person the first ``photos`` pictures by name are enrolled.
        probes: Pictures of enrolled people and of strangers.
        photos: At most so many photographs per template.

    Raises:
        NotFoundError: A folder is not there or holds nobody.
        UsageError: A picture is in both, or there are no probes of enrolled people or none of strangers.
    """
    if photos < 1:
        raise UsageError("a template needs one photograph at least", hint="--photos 3 is a good number")
    people = People(
        gallery={name: files[:photos] for name, files in _folders(gallery).items()}, probes=_folders(probes)
    )
    enrolled = {file.resolve() for files in people.gallery.values() for file in files}
    both = [file for files in people.probes.values() for file in files if file.resolve() in enrolled]
    if both:
        raise UsageError(
            f"{len(both)} pictures are enrolled and compared with themselves, the first is {both[0]}",
            hint="keep the pictures of the gallery out of the folder of probes",
        )
    known = sum(name in people.gallery for name in people.probes)
    if known in (0, len(people.probes)):
        who = "of enrolled people" if known == 0 else "of people who are not enrolled"
        raise UsageError(
            f"{probes} holds no pictures {who}", hint="name the folders of a person alike in gallery and probes"
        )
    return people


def _folders(folder: Path) -> dict[str, tuple[Path, ...]]:
    """Pictures by person. Raises NotFoundError."""
    try:
        inside = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    except OSError as exc:
        raise NotFoundError(f"cannot read the folder {folder}: {exc.strerror}", hint="check the path") from exc
    people = {entry.name: pictures_of(entry) for entry in inside}
    people = {name: files for name, files in people.items() if files}
    if not people:
        raise NotFoundError(
            f"{folder} holds no pictures", hint="one folder per person is wanted, with the pictures in it"
        )
    return people
