"""Lists of pairs in the format of LFW (Huang et al. 2007): who is compared with whom, and whether it is one person.

One pair per line, fields separated by tabs or blanks:

- ``name i j``: pictures i and j of one person;
- ``name i other j``: picture i of one person, picture j of another.

A first line ``10<TAB>300`` says: ten folds, each of 300 pairs of the first kind, then 300 of the second. A first line
``500`` says 500 of each without folds; without such a line every pair counts, without folds. Picture i of a person is
``name/name_0001.jpg`` below the folder of pictures, or ``name_0001.jpg`` in it, with any suffix that is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from device.camera.sources import PICTURE_SUFFIXES
from device.errors import NotFoundError, UsageError
from export_tools.evaluate.files import read_list, refuse, told
from export_tools.evaluate.people import repeats

_FORMAT: Final = "lines are `name i j` or `name i other j`, see https://vis-www.cs.umass.edu/lfw/README.txt"
_SUFFIXES: Final = (".jpg", *sorted(PICTURE_SUFFIXES - {".jpg"}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One picture of a person; ``number`` counts from 1."""

    person: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPair:
    """One line."""

    first: Shot
    second: Shot
    fold: int | None
    line: int

    @property
    def same(self) -> bool:
        """Whether it is one person."""
        return self.first.person == self.second.person


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two pictures that exist, with the truth about them."""

    first: Path
    second: Path
    people: tuple[str, str]
    fold: int | None = None

    @property
    def same(self) -> bool:
        """Whether it is one person."""
        return self.people[0] == self.people[1]


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """A list of pairs of existing pictures; ``name`` is what to call it."""

    name: str
    pairs: tuple[Pair, ...]

    @cached_property
    def pictures(self) -> tuple[Path, ...]:
        """Every picture once, in the order of first use."""
        return tuple(dict.fromkeys(file for pair in self.pairs for file in (pair.first, pair.second)))


def read_pairs(path: Path, *, images: Path) -> Pairs:
    """Read a list of pairs and find their pictures.

    Args:
        path: The list.
        images: The folder of pictures, one folder per person or all in one.

    Raises:
        NotFoundError: The list, the folder or pictures are not there; all that is missing is counted.
        UsageError: The list is malformed; faults are told with their line numbers.
    """
    listed = parse_pairs(read_list(path), name=str(path))
    if not images.is_dir():
        raise NotFoundError(f"the folder of pictures {images} does not exist", hint="check --images")
    return find_pictures(listed, name=str(path), images=images)


def require_distinct_pictures(pairs: Pairs) -> None:
    """Refuse pictures that are listed under several names.

    A picture against its own copy is no comparison, and one under the names of two people makes an impostor of nobody.

    Raises:
        UsageError: Which; all are counted.
        PhotoError: A file cannot be read.
    """
    problems = [f"{file} is the same picture as {first}" for file, first in repeats(pairs.pictures)]
    if problems:
        raise refuse(
            pairs.name,
            problems,
            hint="list each picture under one name, or take a public list as it is with --allow-duplicates",
        )


def parse_pairs(text: str, *, name: str) -> tuple[ListedPair, ...]:
    """The pairs of a list. Raises UsageError that tells every fault with its line."""
    rows = [(number, _fields(line)) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if not rows:
        raise UsageError(f"{name} holds no pair", hint=_FORMAT)
    problems: list[str] = []
    header = _header(rows[0][1])
    pairs = []
    for number, fields in rows[1:] if header else rows:
        found = _parse(fields, line=number)
        if isinstance(found, str):
            problems.append(f"line {number}: {found}")
        else:
            pairs.append(found)
    if header and not problems:
        pairs, problems = _folded(pairs, header)
    if problems:
        raise refuse(name, problems, hint=_FORMAT)
    return tuple(pairs)


def find_pictures(listed: tuple[ListedPair, ...], *, name: str, images: Path) -> Pairs:
    """The pictures of listed pairs. Raises NotFoundError that counts all that are missing."""
    shots = dict.fromkeys(shot for pair in listed for shot in (pair.first, pair.second))
    files = {shot: _find(shot, images) for shot in shots}
    missing = [f"{shot.person}_{shot.number:04d}" for shot, file in files.items() if file is None]
    if missing:
        raise NotFoundError(
            f"{name} names pictures that are not in {images}: {told(missing, 'picture')}",
            hint=f"they should be {images}/NAME/NAME_0001.jpg or {images}/NAME_0001.jpg",
        )
    found = {shot: file for shot, file in files.items() if file is not None}
    return Pairs(
        name=name,
        pairs=tuple(
            Pair(
                first=found[pair.first],
                second=found[pair.second],
                people=(pair.first.person, pair.second.person),
                fold=pair.fold,
            )
            for pair in listed
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    folds: int
    per_kind: int


def _fields(line: str) -> list[str]:
    """Between tabs where there are any, because names may hold blanks."""
    line = line.strip()
    return [field.strip() for field in line.split("\t")] if "\t" in line else line.split()


def _header(fields: list[str]) -> _Header | None:
    numbers = [int(field) for field in fields if field.isdecimal() and field.isascii() and len(field) < 10]
    if len(numbers) != len(fields) or len(fields) > 2:
        return None
    return _Header(folds=numbers[0] if len(numbers) == 2 else 1, per_kind=numbers[-1])


def _parse(fields: list[str], *, line: int) -> ListedPair | str:
    if len(fields) not in (3, 4):
        return f"{len(fields)} fields instead of 3 or 4"
    first_name, first_number, *rest = fields
    second_name, second_number = rest if len(rest) == 2 else (first_name, rest[0])
    if len(rest) == 2 and first_name == second_name:
        return f"{first_name} is compared with the same name as if it were somebody else"
    shots = []
    for person, text in ((first_name, first_number), (second_name, second_number)):
        if not person or "/" in person or "\\" in person or "\0" in person or person.startswith("."):
            return f"{person!r} is not a person's name"
        if not (text.isascii() and text.isdecimal() and len(text) < 10):
            return f"{text!r} is not the number of a picture"
        if int(text) < 1:
            return "picture 0: pictures are counted from 1"
        shots.append(Shot(person=person, number=int(text)))
    if shots[0] == shots[1]:
        return f"{shots[0].person} {shots[0].number} is compared with itself"
    return ListedPair(first=shots[0], second=shots[1], fold=None, line=line)


def _folded(pairs: list[ListedPair], header: _Header) -> tuple[list[ListedPair], list[str]]:
    """The same with their folds, and what does not add up."""
    size = 2 * header.per_kind
    if header.folds < 1 or header.per_kind < 1:
        return pairs, ["line 1: no folds, or no pairs in a fold"]
    if len(pairs) != header.folds * size:
        announced = f"{header.folds} x ({header.per_kind} + {header.per_kind}) = {header.folds * size} pairs"
        return pairs, [f"line 1 announces {announced}, the file holds {len(pairs)}"]
    problems = []
    folded = []
    for index, pair in enumerate(pairs):
        expected = index % size < header.per_kind
        if pair.same != expected:
            kind = "one person" if expected else "two people"
            problems.append(f"line {pair.line}: a pair of {kind} is due here in fold {index // size + 1}")
        fold = index // size + 1 if header.folds > 1 else None
        folded.append(ListedPair(first=pair.first, second=pair.second, fold=fold, line=pair.line))
    return folded, problems


def _find(shot: Shot, images: Path) -> Path | None:
    stem = f"{shot.person}_{shot.number:04d}"
    for suffix in _SUFFIXES:
        for file in (images / shot.person / f"{stem}{suffix}", images / f"{stem}{suffix}"):
            if file.is_file():
                return file
    return None
