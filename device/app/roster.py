"""The enrolled people: the table in the database joined with the search index in RAM.

The database is the truth, the index a cache of it: each change is one transaction with its audit entry, then the index
is built anew. A cache that could not be built is dropped, so that nobody who was removed is ever found in an old one.
Used by one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from device.app.ledger import Ledger
from device.audit.records import PersonEvent, PersonRecord
from device.errors import ModelError, NotFoundError, StateError, UsageError
from device.interfaces import Clock, GalleryIndex
from device.store.database import Database
from device.store.people import (
    Template,
    TemplateKind,
    drop_other_templates,
    find_people,
    get_person,
    insert_person,
    list_people,
    list_templates,
    new_handle,
    remove_person,
    replace_templates,
    update_person,
)
from device.types import Candidate, Embedding, Person

#: Pairs grow with the square, and the door waits meanwhile: 2,000 people are 2 million, some 0.05 s.
_MAX_PAIRED = 2000
_BLOCK = 512


class Roster:
    """Who is enrolled, and who is near a face.

    Args:
        database: The open database.
        ledger: Where changes are recorded.
        make_index: Makes an empty search structure for the model in use; templates of another model are never put into
            it. None where no pack can be used: people can be shown and removed, nothing can be searched.
        clock: Its wall side dates enrolments.

    Raises:
        StateError: The database cannot be read.
        ModelError: Stored templates do not fit the model.
    """

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        *,
        make_index: Callable[[], GalleryIndex] | None,
        clock: Clock,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._make_index = make_index
        self._clock = clock
        self._model = None if make_index is None else make_index().model
        self._index: GalleryIndex | None = None
        self._people: dict[str, Person] = {}
        self.reload()

    @property
    def model(self) -> str | None:
        """Id of the embedding model in use."""
        return self._model

    def reload(self) -> None:
        """Build people and index from the database; until that has worked nothing is found. See the constructor."""
        self._index = None
        self._people = {}
        people = {person.handle: person for person in list_people(self._database)}
        if self._make_index is not None:
            index = self._make_index()
            means = list_templates(self._database, model=index.model, kind=TemplateKind.MEAN)
            index.build(_matrix(means, dimension=index.dimension), [each.person for each in means])
            self._index = index
        self._people = people

    # -- reading -------------------------------------------------------------------------------------------------------

    def search(self, embedding: Embedding, *, k: int = 2) -> tuple[Candidate, ...]:
        """The ``k`` people nearest to a probe, best first; whether they are enabled is looked at later.

        Raises:
            ModelError: The probe is not a finite unit vector of the gallery's model and dimension.
            StateError: There is no gallery to search.
        """
        if self._index is None:
            raise StateError("the gallery is not loaded", hint="see `doorward check`")
        return self._index.search(embedding, k=k)

    def person(self, handle: str) -> Person | None:
        """The person with this handle; None when nobody has it."""
        return self._people.get(handle)

    def list(self) -> tuple[Person, ...]:
        """Everybody, ordered by name."""
        return tuple(self._people.values())

    def needs_template(self) -> tuple[Person, ...]:
        """Everybody without a template of the model in use: they must be enrolled anew to be recognised."""
        return tuple(person for person in self._people.values() if self._model not in person.models)

    def find(self, who: str) -> Person:
        """The one person with this name, or whose handle begins so (4 digits or more).

        Raises:
            NotFoundError: Nobody.
            UsageError: More than one; the message lists their handles.
        """
        found = find_people(self._database, who)
        if not found:
            raise NotFoundError(f"nobody is enrolled as {who!r}", hint="`doorward people list` shows who is")
        if len(found) > 1:
            some = ", ".join(f"{person.handle[:8]} ({person.name})" for person in found[:5])
            raise UsageError(
                f"{who!r} means {len(found)} people: {some}{' ...' if len(found) > 5 else ''}",
                hint="give the handle, as many digits as make it unique",
            )
        return found[0]

    def templates(self, handle: str) -> tuple[Template, ...]:
        """Everything stored about one person's face, of all models."""
        person = get_person(self._database, handle)
        return tuple(
            template
            for model in person.models
            for template in list_templates(self._database, model=model, person=handle)
        )

    def closest_pair(self) -> tuple[Person, Person, float] | None:
        """The two people who are most alike, with their cosine; None with fewer than two or more than 2,000."""
        if self._model is None:
            return None
        means = list_templates(self._database, model=self._model, kind=TemplateKind.MEAN)
        if not 2 <= len(means) <= _MAX_PAIRED:
            return None
        matrix = _matrix(means, dimension=means[0].embedding.vector.size)
        best = (-2.0, 0, 0)
        for start in range(0, len(means), _BLOCK):
            scores = matrix[start : start + _BLOCK] @ matrix.T
            rows = np.arange(scores.shape[0])
            scores[rows, rows + start] = -2.0
            place = int(np.argmax(scores))
            row, column = divmod(place, scores.shape[1])
            best = max(best, (float(scores[row, column]), start + row, column))
        return self._people[means[best[1]].person], self._people[means[best[2]].person], best[0]

    # -- changing ------------------------------------------------------------------------------------------------------

    def enrol(
        self,
        name: str,
        *,
        singles: tuple[Embedding, ...],
        mean: Embedding,
        valid_from: datetime | None = None,
        valid_until: datetime | None = None,
        by_uid: int | None = None,
    ) -> Person:
        """Add somebody with one template per photograph and their mean.

        Raises:
            UsageError: Name, validity or vectors cannot be stored, or are of another model than the one in use.
            StateError: It could not be committed; nothing has changed.
        """
        self._require_in_use(mean)
        planned = Person(
            handle=new_handle(),
            name=name,
            enabled=True,
            valid_from=valid_from,
            valid_until=valid_until,
            enrolled_at=self._clock.wall(),
            photos=len(singles),
            models=(mean.model,),
        )
        with self._database.unit() as unit:
            insert_person(unit, planned, singles=singles, mean=mean)
            person = get_person(unit, planned.handle)
            self._ledger.record(PersonRecord(PersonEvent.ENROLLED, person, by_uid=by_uid), urgent=False)
        self.reload()
        return person

    def reenrol(
        self, handle: str, *, singles: tuple[Embedding, ...], mean: Embedding, by_uid: int | None = None
    ) -> Person:
        """Put new templates in the place of somebody's templates of the model in use; those of other models stay.

        Raises:
            NotFoundError: Nobody has this handle.
            UsageError: The vectors cannot be stored, or are of another model than the one in use.
            StateError: It could not be committed; nothing has changed.
        """
        self._require_in_use(mean)
        with self._database.unit() as unit:
            replace_templates(unit, handle, singles=singles, mean=mean)
            person = get_person(unit, handle)
            self._ledger.record(PersonRecord(PersonEvent.REPLACED, person, by_uid=by_uid), urgent=False)
        self.reload()
        return person

    def drop_old_templates(self, *, by_uid: int | None = None) -> tuple[Person, ...]:
        """Erase the templates of other models, of everybody who has one of the model in use; whose they were.

        Whoever waits to be enrolled anew keeps what there is: going back to the old model must stay possible.

        Raises:
            StateError: There is no model in use, or it could not be committed; nothing has changed.
        """
        model = self._model
        if model is None:
            raise StateError("without a pack no template is known to be old", hint="see `doorward check`")
        affected = [person for person in self._people.values() if model in person.models and len(person.models) > 1]
        dropped = []
        with self._database.unit() as unit:
            for each in affected:
                drop_other_templates(unit, each.handle, keep=model)
                person = get_person(unit, each.handle)
                self._ledger.record(PersonRecord(PersonEvent.CHANGED, person, by_uid=by_uid), urgent=False)
                dropped.append(person)
        self.reload()
        return tuple(dropped)

    def remove(self, handle: str, *, by_uid: int | None = None) -> tuple[Person, int]:
        """Erase somebody: rows, templates, index, the personal fields of all audit entries; how many entries.

        Raises:
            NotFoundError: Nobody has this handle.
            StateError: It could not be committed; nothing has changed.
        """
        with self._database.unit(urgent=True) as unit:
            person = remove_person(unit, handle)
            self._ledger.record(PersonRecord(PersonEvent.REMOVED, person, by_uid=by_uid), urgent=True)
            erased = self._ledger.erase_person(handle, by_uid=by_uid)
        self.reload()
        return person, erased

    def set_enabled(self, handle: str, *, enabled: bool, by_uid: int | None = None) -> Person:
        """Let somebody in again, or no longer. Raises NotFoundError, StateError."""
        return self._change(get_person(self._database, handle), by_uid=by_uid, enabled=enabled)

    def set_validity(
        self, handle: str, *, valid_from: datetime | None, valid_until: datetime | None, by_uid: int | None = None
    ) -> Person:
        """Change from when until when somebody is let in. Raises NotFoundError, UsageError, StateError."""
        person = get_person(self._database, handle)
        return self._change(
            replace(person, valid_from=valid_from, valid_until=valid_until), by_uid=by_uid, enabled=person.enabled
        )

    def _change(self, wanted: Person, *, enabled: bool, by_uid: int | None) -> Person:
        # Urgent: shutting somebody out must work when ordinary entries no longer fit.
        with self._database.unit(urgent=not enabled) as unit:
            update_person(unit, replace(wanted, enabled=enabled))
            person = get_person(unit, wanted.handle)
            self._ledger.record(PersonRecord(PersonEvent.CHANGED, person, by_uid=by_uid), urgent=not enabled)
        self.reload()
        return person

    def _require_in_use(self, mean: Embedding) -> None:
        if mean.model != self._model:
            raise UsageError(f"the template is of model {mean.model}, in use is {self._model}", hint="enrol anew")


def _matrix(templates: tuple[Template, ...], *, dimension: int) -> NDArray[np.float32]:
    """Vectors as (N, D) float32. Raises ModelError when one has another length."""
    matrix = np.empty((len(templates), dimension), np.float32)
    for row, template in zip(matrix, templates, strict=True):
        if template.embedding.vector.shape != row.shape:
            raise ModelError(
                f"a template of person {template.person[:8]} has {template.embedding.vector.size} dimensions"
                f" instead of {dimension}",
                hint="remove and enrol that person again",
            )
        row[:] = template.embedding.vector
    return matrix
