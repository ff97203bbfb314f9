"""People in folders, compared as the door compares: templates of several photographs, attempts of one or many frames.

Of a person's photographs (:mod:`export_tools.evaluate.people`) the first usable ones make the template, each further
one is an attempt; the frames of an attempt are compared in their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from device.errors import EnrolmentError, UsageError
from device.gallery.template import mean_template
from device.types import Embedding
from export_tools.evaluate.embeddings import Embeddings, FaceSource
from export_tools.evaluate.people import LAYOUT, PersonFolder
from export_tools.sources.download import Reporter, Silent

#: So many of the most alike strangers are told: a picture in the wrong folder stands among them.
_TOLD: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What the scores were made of.

    Attributes:
        people: Folders.
        enrolled: People with enough usable photographs for a template.
        pictures: Files.
        without_face: Pictures in which no face was found.
        refused: Pictures with a face that the door would not compare.
        attempts: Attempts that were compared.
        too_short: Attempts with fewer usable frames than votes are asked for; not compared.
    """

    people: int
    enrolled: int
    pictures: int
    without_face: int
    refused: int
    attempts: int
    too_short: int


@dataclass(frozen=True, slots=True)
class Alike:
    """An attempt and the stranger that it looks most like."""

    attempt: str
    person: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scores:
    """Every attempt against every template.

    Attributes:
        impostor: (n,) float64, cosines of attempts against templates of other people.
        impostor_people: (n, 2) who came and whose template it was, as numbers of people.
        genuine: (m,) float64, cosines of attempts against the own template.
        counts: What they were made of.
        most_alike: The highest impostor scores, highest first.
    """

    impostor: NDArray[np.float64]
    impostor_people: NDArray[np.int64]
    genuine: NDArray[np.float64]
    counts: Counts
    most_alike: tuple[Alike, ...]


def score_people(
    people: Sequence[PersonFolder],
    *,
    faces: FaceSource,
    photos: int,
    votes: int,
    window: int,
    reporter: Reporter | None = None,
) -> Scores:
    """Compare every attempt with every template, by the door's rule.

    Args:
        people: Whose pictures.
        faces: What turns pictures into embeddings.
        photos: Photographs per template.
        votes: So many frames must match ...
        window: ... among so many consecutive usable ones.
        reporter: Who is told how far it is.

    Raises:
        UsageError: No template, no attempt, or no attempt of another person than the enrolled ones.
        EnrolmentError: Somebody's photographs show different people.
        PhotoError, ModelError: Files that are no pictures; a model failed.
    """
    files = [file for person in people for file in person.pictures]
    found = faces.embed(files, reporter=reporter or Silent())
    row_of = {file: row for row, file in enumerate(files)}
    templates: list[NDArray[np.float32]] = []
    enrolled: list[int] = []
    attempts: list[_Attempt] = []
    too_short = 0
    for number, person in enumerate(people):
        usable = [row for row in (row_of[file] for file in person.photos) if _comparable(found, row)]
        probes = usable
        if len(usable) >= photos:
            templates.append(_template(person.name, found.vectors[usable[:photos]], model=faces.source.embedder))
            enrolled.append(number)
            probes = usable[photos:]
        rows = [[row] for row in probes]
        rows += [
            [row for row in (row_of[file] for file in part) if _comparable(found, row)] for part in person.attempts
        ]
        attempts += [_Attempt(number, part) for part in rows if len(part) >= votes]
        too_short += sum(len(part) < votes for part in rows)
    counts = Counts(
        people=len(people),
        enrolled=len(enrolled),
        pictures=len(files),
        without_face=int(np.count_nonzero(~found.found)),
        refused=int(np.count_nonzero(found.found & ~found.usable)),
        attempts=len(attempts),
        too_short=too_short,
    )
    _require_enough(counts, photos=photos, votes=votes)
    matrix = np.stack([attempt_scores(found.vectors[each.rows] @ np.stack(templates).T, votes=votes, window=window)
                       for each in attempts]).astype(np.float64)  # fmt: skip
    owners = np.array(enrolled, np.int64)
    comers = np.array([each.person for each in attempts], np.int64)
    strange = comers[:, np.newaxis] != owners
    if not strange.any():
        raise UsageError("every attempt is of the one person who has a template: no stranger is compared", hint=LAYOUT)
    who, whom = np.nonzero(strange)
    impostor = matrix[strange]
    highest = np.argsort(-impostor, kind="stable")[:_TOLD]
    return Scores(
        impostor=impostor,
        impostor_people=np.stack([comers[who], owners[whom]], axis=1),
        genuine=matrix[~strange],
        counts=counts,
        most_alike=tuple(
            Alike(
                attempt=_name(files[attempts[who[place]].rows[0]], people[comers[who[place]]]),
                person=people[owners[whom[place]]].name,
                score=float(impostor[place]),
            )
            for place in highest
        ),
    )


def attempt_scores(similarities: NDArray[np.float32], *, votes: int, window: int) -> NDArray[np.float32]:
    """The greatest threshold at which an attempt still matches: ``votes`` of ``window`` consecutive frames reach it.

    At the door (:func:`device.access.votes.tally`) the first frames count before the window is full; so they do here.
    That nobody else may be named in between, and by how much the best must beat the next, is left out: both only deny.

    Args:
        similarities: (frames, templates), at least ``votes`` frames.
        votes: So many frames ...
        window: ... of so many.

    Returns:
        (templates,)
    """
    best = np.full(similarities.shape[1], -np.inf, np.float32)
    for end in range(votes, len(similarities) + 1):
        part = similarities[max(0, end - window) : end]
        place = len(part) - votes
        np.maximum(best, np.partition(part, place, axis=0)[place], out=best)
    return best


@dataclass(frozen=True, slots=True)
class _Attempt:
    person: int
    rows: list[int]


def _comparable(found: Embeddings, row: int) -> bool:
    return bool(found.found[row] and found.usable[row])


def _template(name: str, vectors: NDArray[np.float32], *, model: str) -> NDArray[np.float32]:
    try:
        return mean_template([Embedding(vector=vector, model=model) for vector in vectors]).vector
    except EnrolmentError as exc:
        raise EnrolmentError(f"{name}: {exc.message}", reason=exc.reason, hint=exc.hint) from exc


def _require_enough(counts: Counts, *, photos: int, votes: int) -> None:
    if not counts.enrolled:
        raise UsageError(
            f"nobody has {photos} usable photographs: no template ({counts.without_face} pictures without a face,"
            f" {counts.refused} not good enough)",
            hint="add photographs, or lower --photos",
        )
    if not counts.attempts:
        raise UsageError(
            f"no attempt has {votes} usable frames ({counts.too_short} have fewer): nothing is compared",
            hint=f"add pictures beyond the templates', or lower --votes; {LAYOUT}",
        )


def _name(file: Path, person: PersonFolder) -> str:
    """Of an attempt: person and picture, or person and folder of frames."""
    return f"{person.name}/{file.name}" if file in person.photos else f"{person.name}/{file.parent.name}"
