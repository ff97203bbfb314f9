"""After the embedder was changed: people enrolled anew, the old templates beside the new ones until they are erased."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from device.app.enrolment import Portrait
from device.app.requests import PeopleDropOldRequest, PeopleReenrollRequest, parse_header
from device.app.roster import Roster
from device.errors import ControlError, EnrolmentError, NotFoundError, StateError, UsageError
from device.store.people import (
    TemplateKind,
    drop_other_templates,
    insert_person,
    list_templates,
    new_handle,
    replace_templates,
)
from device.types import Embedding, Person
from tests.app.conftest import MODEL, face, near, unit
from tests.app.test_control import photograph

OLD = "old-embedder-1"


def old(seed: int) -> Embedding:
    """A template of the embedder that was replaced."""
    return unit(seed, model=OLD)


def enrolled_before(state: Any, name: str, seed: int) -> str:
    """Somebody with templates of the replaced embedder only; the handle."""
    person = Person(
        handle=new_handle(),
        name=name,
        enabled=False,
        valid_from=None,
        valid_until=None,
        enrolled_at=state.clock.wall(),
        photos=1,
        models=(OLD,),
    )
    with state.database.unit() as write:
        insert_person(write, person, singles=(old(seed),), mean=old(seed))
    state.roster.reload()
    return person.handle


def reenrol(state: Any, handle: str, *embeddings: Embedding, allow_duplicate: bool = False) -> Any:
    portraits = [Portrait(photo=f"{n}.jpg", face=face(), embedding=each) for n, each in enumerate(embeddings)]
    return state.enroller.reenrol(handle, portraits, allow_duplicate=allow_duplicate)


def test_new_templates_stand_beside_those_of_the_old_embedder(state: Any) -> None:
    """Found by the new ones at once; the old ones are there, and in no index; name and standing stay."""
    ada = enrolled_before(state, "Ada", 1)
    assert [person.handle for person in state.roster.needs_template()] == [ada]
    assert state.roster.search(unit(1)) == ()
    result = reenrol(state, ada, unit(5), near(unit(5), cosine=0.97))
    assert result.person.models == (OLD, state.roster.model)
    assert (result.person.name, result.person.enabled) == ("Ada", False)
    assert state.roster.needs_template() == ()
    (found,) = state.roster.search(unit(5))
    assert found.person == ada
    assert all(each.similarity < 0.5 for each in state.roster.search(unit(1)))
    (kept,) = list_templates(state.database, model=OLD, kind=TemplateKind.MEAN)
    assert np.array_equal(kept.embedding.vector, old(1).vector)


def test_templates_of_the_model_in_use_are_replaced(state: Any) -> None:
    """Nothing of the former photographs is left among them."""
    ada = state.enrol("Ada", 1)
    reenrol(state, ada, unit(5))
    assert len(state.roster.templates(ada)) == 2
    assert state.roster.search(unit(5))[0].similarity == pytest.approx(1, abs=1e-6)
    assert state.roster.search(unit(1))[0].similarity < 0.5


def test_a_new_enrolment_has_its_entry(state: Any) -> None:
    """Whose, by whom, and which models there are now."""
    ada = enrolled_before(state, "Ada", 1)
    state.roster.reenrol(ada, singles=(unit(5),), mean=unit(5), by_uid=1000)
    (entry,) = state.ledger.entries()
    assert b'"event":"replaced"' in entry.body
    assert b'"by_uid":1000' in entry.body
    assert entry.personal is not None
    assert ada.encode() in entry.personal


def test_somebody_elses_photographs_are_refused(state: Any) -> None:
    """From the door's own threshold on; oneself is no somebody else, and twins may be allowed."""
    bob = state.enrol("Bob", 5)
    ada = enrolled_before(state, "Ada", 1)
    with pytest.raises(EnrolmentError, match="already enrolled as Bob") as caught:
        reenrol(state, ada, near(unit(5), cosine=0.96))
    assert caught.value.reason == "already_enrolled"
    assert [person.handle for person in state.roster.needs_template()] == [ada]
    assert reenrol(state, bob, near(unit(5), cosine=0.97)).lookalikes == ()
    assert reenrol(state, ada, near(unit(5), cosine=0.96), allow_duplicate=True).lookalikes[0].person.handle == bob


def test_photographs_that_do_not_agree_change_nothing(state: Any) -> None:
    """The same rule as for an enrolment."""
    ada = enrolled_before(state, "Ada", 1)
    with pytest.raises(EnrolmentError) as caught:
        reenrol(state, ada, unit(5), unit(6))
    assert caught.value.reason == "not_same_person"
    with pytest.raises(UsageError):
        reenrol(state, ada)
    with pytest.raises(UsageError, match=OLD):
        state.roster.reenrol(ada, singles=(old(2),), mean=old(2))
    with pytest.raises(NotFoundError):
        reenrol(state, "0" * 32, unit(5))
    assert state.roster.person(ada).models == (OLD,)
    assert list(state.ledger.entries()) == []


def test_old_templates_are_erased_of_those_only_who_have_new_ones(state: Any) -> None:
    """Who waits keeps them; each erasure has its entry; a second call finds nothing to do."""
    ada, bob = enrolled_before(state, "Ada", 1), enrolled_before(state, "Bob", 2)
    older = unit(3, model="older-embedder-1")
    with state.database.unit() as write:
        replace_templates(write, bob, singles=(older,), mean=older)
    state.roster.reload()
    reenrol(state, ada, unit(5))
    told = state.verbs.answer(PeopleDropOldRequest(), by_uid=7)
    assert [each["handle"] for each in told["people"]] == [ada]
    assert state.roster.person(ada).models == (state.roster.model,)
    assert state.roster.person(bob).models == (OLD, "older-embedder-1")
    assert state.roster.search(unit(5))[0].person == ada
    entries = list(state.ledger.entries())
    assert b'"event":"changed"' in entries[-1].body
    assert state.verbs.answer(PeopleDropOldRequest(), by_uid=7)["people"] == []
    assert len(list(state.ledger.entries())) == len(entries)
    assert state.ledger.verify().sound


def test_nobodys_last_templates_are_erased_as_old(state: Any) -> None:
    """The store itself refuses to leave a person with nothing to be recognised by."""
    ada = enrolled_before(state, "Ada", 1)
    with pytest.raises(UsageError), state.database.unit() as write:
        drop_other_templates(write, ada, keep=MODEL)
    assert state.roster.person(ada).models == (OLD,)
    assert len(state.roster.templates(ada)) == 2


def test_without_a_pack_no_template_is_old(state: Any) -> None:
    """Nothing is erased because nothing is in use."""
    enrolled_before(state, "Ada", 1)
    blind = Roster(state.database, state.ledger, make_index=None, clock=state.clock)
    with pytest.raises(StateError):
        blind.drop_old_templates()
    assert blind.list()[0].models == (OLD,)


def test_what_cannot_be_audited_does_not_happen(state: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither new templates nor the erasure of old ones."""
    ada, bob = enrolled_before(state, "Ada", 1), enrolled_before(state, "Bob", 2)
    reenrol(state, ada, unit(5))

    def fails(*_: object, **__: object) -> None:
        raise StateError("full")

    monkeypatch.setattr(state.ledger, "record", fails)
    with pytest.raises(StateError):
        reenrol(state, bob, unit(6))
    with pytest.raises(StateError):
        state.roster.drop_old_templates()
    state.roster.reload()
    assert state.roster.person(bob).models == (OLD,)
    assert OLD in state.roster.person(ada).models


def test_the_verb_judges_photographs_as_an_enrolment_does(state: Any) -> None:
    """By handle or name; nobody, no photograph, one given twice, one without a face: nothing changes."""
    ada = enrolled_before(state, "Ada", 1)
    state.eyes.portrait(7, unit(5))
    state.eyes.shows(8)
    good, empty = photograph(7), photograph(8, "b.png")
    with pytest.raises(NotFoundError):
        state.verbs.answer(PeopleReenrollRequest(who="Nobody"), [good])
    with pytest.raises(UsageError):
        state.verbs.answer(PeopleReenrollRequest(who="Ada"), [])
    for files in ([good, good], [good, empty]):
        with pytest.raises(EnrolmentError):
            state.verbs.answer(PeopleReenrollRequest(who="Ada"), files)
    assert state.roster.person(ada).models == (OLD,)
    told = state.verbs.answer(PeopleReenrollRequest(who=ada[:8]), [good], by_uid=7)
    assert told["person"]["ready"] is True
    assert told["not_compared"] == 0


def test_only_the_verbs_that_take_photographs_get_any() -> None:
    """On the wire: re-enrolling does, erasing old templates does not."""
    attached = b'"attachments": [{"name": "a.jpg", "size": 10}]}'
    taken = parse_header(b'{"protocol": 1, "request": {"verb": "people.reenroll", "who": "Ada"}, ' + attached)
    assert isinstance(taken.request, PeopleReenrollRequest)
    with pytest.raises(ControlError, match="attachments"):
        parse_header(b'{"protocol": 1, "request": {"verb": "people.drop_old"}, ' + attached)
    with pytest.raises(ControlError):
        parse_header(b'{"protocol": 1, "request": {"verb": "people.reenroll", "who": "Ada", "model": "x"}}')
