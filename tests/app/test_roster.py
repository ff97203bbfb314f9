"""The enrolled: one truth in the database, one cache in RAM, no difference between them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from device.app.roster import Roster
from device.errors import FullError, ModelError, NotFoundError, StateError, UsageError
from device.gallery.exact import ExactIndex
from device.gallery.template import mean_template
from device.types import Embedding

MODEL, DIMENSION = "test-embedder-1", 128


def unit(seed: int, *, model: str = MODEL) -> Embedding:
    vector = np.random.default_rng(seed).standard_normal(DIMENSION)
    return Embedding(vector=(vector / np.linalg.norm(vector)).astype(np.float32), model=model)


def test_whoever_is_enrolled_is_found_at_once_and_after_a_restart(state: Any) -> None:
    """The index follows each change; a new roster over the same database finds the same."""
    ada, bob = state.enrol("Ada", 1), state.enrol("Bob", 2)
    assert state.roster.search(unit(1))[0].person == ada
    assert state.roster.search(unit(2))[0].person == bob
    again = Roster(
        state.database,
        state.ledger,
        make_index=lambda: ExactIndex(dimension=DIMENSION, model=MODEL),
        clock=state.clock,
    )
    assert again.search(unit(2))[0].person == bob
    assert [person.name for person in again.list()] == ["Ada", "Bob"]


def test_search_is_over_means_not_over_single_photographs(state: Any) -> None:
    """Three photographs give their mean one place in the index: one candidate per person."""
    singles = (unit(1), unit(2), unit(3))
    mean = mean_template(singles)
    handle = state.roster.enrol("Ada", singles=singles, mean=mean).handle
    (found,) = state.roster.search(unit(1), k=5)
    assert found.person == handle
    assert found.similarity == pytest.approx(float(unit(1).vector @ mean.vector), abs=1e-5)


def test_the_removed_are_gone_from_table_index_files_and_audit(state: Any) -> None:
    """Erasure in one transaction; the chain still verifies, the name is nowhere."""
    ada, bob = state.enrol("Ada Distinctive-Name", 1), state.enrol("Bob", 2)
    person, erased = state.roster.remove(ada, by_uid=1000)
    assert (person.name, erased) == ("Ada Distinctive-Name", 2)
    assert [each.person for each in state.roster.search(unit(1), k=5)] == [bob]
    assert state.roster.person(ada) is None
    entries = list(state.ledger.entries())
    assert not any(
        b"Distinctive" in (entry.personal or b"") or ada.encode() in (entry.personal or b"") for entry in entries
    )
    assert not any(b"Distinctive" in entry.body or ada.encode() in entry.body for entry in entries)
    assert state.ledger.verify().sound
    with pytest.raises(NotFoundError):
        state.roster.remove(ada)


def test_the_disabled_are_found_but_marked(state: Any) -> None:
    """Who is disabled must be told apart from a stranger, and cannot be enrolled again under another name."""
    ada = state.enrol("Ada", 1)
    assert state.roster.set_enabled(ada, enabled=False).enabled is False
    assert state.roster.search(unit(1))[0].person == ada
    assert state.roster.person(ada).enabled is False


def test_validity_is_written_and_lifted(state: Any) -> None:
    """Both ends, and no end again."""
    ada = state.enrol("Ada", 1)
    begin = datetime(2026, 2, 1, tzinfo=timezone.utc)
    person = state.roster.set_validity(ada, valid_from=begin, valid_until=begin + timedelta(days=1))
    assert (person.valid_from, person.valid_until) == (begin, begin + timedelta(days=1))
    assert state.roster.set_validity(ada, valid_from=None, valid_until=None).valid_from is None
    with pytest.raises(UsageError):
        state.roster.set_validity(ada, valid_from=begin, valid_until=begin - timedelta(days=1))


def test_every_change_has_its_entry(state: Any) -> None:
    """Enrolled, changed, changed, removed, erased: in this order."""
    ada = state.enrol("Ada", 1)
    state.roster.set_enabled(ada, enabled=False)
    state.roster.set_validity(ada, valid_from=None, valid_until=None)
    state.roster.remove(ada)
    bodies = [entry.body for entry in state.ledger.entries()]
    assert [
        word in body
        for word, body in zip((b"enrolled", b"changed", b"changed", b"removed", b"erasure"), bodies, strict=True)
    ] == [True] * 5


def test_a_change_that_cannot_be_audited_does_not_happen(state: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No entry, no enrolment, no removal: table and index stay as they were."""
    ada = state.enrol("Ada", 1)

    def full(*_: object, **__: object) -> None:
        raise FullError("quota")

    monkeypatch.setattr(state.ledger, "record", full)
    with pytest.raises(FullError):
        state.enrol("Bob", 2)
    with pytest.raises(FullError):
        state.roster.remove(ada)
    state.roster.reload()
    assert [person.handle for person in state.roster.list()] == [ada]
    assert len(state.roster.search(unit(2), k=5)) == 1


def test_templates_of_another_model_are_never_in_the_index(state: Any) -> None:
    """A new pack finds nobody until they are enrolled anew, and says who that is."""
    ada = state.enrol("Ada", 1)
    other = Roster(
        state.database,
        state.ledger,
        make_index=lambda: ExactIndex(dimension=DIMENSION, model="another"),
        clock=state.clock,
    )
    assert other.search(unit(1, model="another"), k=5) == ()
    assert [person.handle for person in other.needs_template()] == [ada]
    with pytest.raises(ModelError):
        other.search(unit(1))
    with pytest.raises(UsageError):
        other.enrol("Bob", singles=(unit(2),), mean=unit(2))


def test_without_a_pack_people_can_be_removed_but_not_searched(state: Any) -> None:
    """A damaged pack must not keep anybody's data from being erased."""
    ada = state.enrol("Ada", 1)
    bare = Roster(state.database, state.ledger, make_index=None, clock=state.clock)
    with pytest.raises(StateError):
        bare.search(unit(1))
    assert bare.find("Ada").handle == ada
    bare.remove(ada)
    assert bare.list() == ()


def test_a_cache_that_cannot_be_rebuilt_finds_nobody(state: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a removal whose rebuild failed the removed person is not found in the old index."""
    ada = state.enrol("Ada", 1)
    monkeypatch.setattr("device.app.roster.list_templates", lambda *_, **__: (_ for _ in ()).throw(StateError("disk")))
    with pytest.raises(StateError):
        state.roster.remove(ada)
    with pytest.raises(StateError):
        state.roster.search(unit(1))
    assert state.roster.person(ada) is None


def test_people_are_found_by_name_handle_and_beginning(state: Any) -> None:
    """Ambiguity and absence are errors that tell what to do."""
    ada, _ = state.enrol("Ada", 1), state.enrol("Bob", 2)
    state.enrol("Bob", 3)
    for who in ("Ada", ada, ada[:8]):
        assert state.roster.find(who).handle == ada
    with pytest.raises(UsageError, match="means 2 people"):
        state.roster.find("Bob")
    for who in ("Carol", "a", "%", "*", "", "f" * 33):
        with pytest.raises(NotFoundError):
            state.roster.find(who)


def test_the_closest_pair_is_the_closest(state: Any) -> None:
    """Against every pair, one by one."""
    assert state.roster.closest_pair() is None
    handles = [state.enrol(f"P{seed}", seed) for seed in range(30)]
    first, second, cosine = state.roster.closest_pair()
    pairs = {(a, b): float(unit(a).vector @ unit(b).vector) for a in range(30) for b in range(30) if a < b}
    (a, b), best = max(pairs.items(), key=lambda item: item[1])
    assert {first.handle, second.handle} == {handles[a], handles[b]}
    assert cosine == pytest.approx(best, abs=1e-6)
