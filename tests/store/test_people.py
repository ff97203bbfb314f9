"""The enrolled and their templates."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.errors import CorruptError, NotFoundError, StateError, UsageError
from device.store.people import (
    TemplateKind,
    clean_name,
    count_people,
    find_people,
    get_person,
    insert_person,
    list_people,
    list_templates,
    remove_person,
    replace_templates,
    update_person,
)
from device.types import Embedding
from tests.store.conftest import OpenStore
from tests.store.samples import MODEL, embedding, enrolled, person

_NOON = datetime(2026, 6, 1, 12, tzinfo=timezone(timedelta(hours=2)))


def test_a_person_comes_back_as_stored(open_store: OpenStore) -> None:
    """Every field, times in UTC."""
    database = open_store()
    somebody = replace(person(), enabled=False, valid_from=_NOON, valid_until=_NOON + timedelta(days=1))
    with database.unit() as unit:
        insert_person(unit, somebody, singles=(embedding(1), embedding(2)), mean=embedding(3))
    assert get_person(database, somebody.handle) == somebody
    assert list_people(database) == (somebody,)
    assert count_people(database) == 1


def test_templates_come_back_bit_for_bit(open_store: OpenStore) -> None:
    """Mean first, then the photographs in order."""
    database = open_store()
    somebody = enrolled(database, seed=10)
    mean, first, second = list_templates(database, model=MODEL)
    assert (mean.kind, mean.photo, mean.person) == (TemplateKind.MEAN, 0, somebody.handle)
    assert [(each.kind, each.photo) for each in (first, second)] == [(TemplateKind.SINGLE, 1), (TemplateKind.SINGLE, 2)]
    assert np.array_equal(first.embedding.vector, embedding(10).vector)
    assert np.array_equal(mean.embedding.vector, embedding(12).vector)
    assert [each.photo for each in list_templates(database, model=MODEL, kind=TemplateKind.MEAN)] == [0]


def test_templates_of_another_model_are_never_among_those_asked_for(open_store: OpenStore) -> None:
    """Vectors of different models are not compared."""
    database = open_store()
    somebody = enrolled(database)
    other = embedding(5, model="other@2", dimension=512)
    with database.unit() as unit:
        replace_templates(unit, somebody.handle, singles=(other,), mean=other)
    assert {each.embedding.model for each in list_templates(database, model=MODEL)} == {MODEL}
    assert [each.embedding.vector.size for each in list_templates(database, model="other@2")] == [512, 512]
    assert get_person(database, somebody.handle).models == ("other@2", MODEL)
    assert get_person(database, somebody.handle).photos == 2


def test_replacing_templates_leaves_none_of_the_old_ones(open_store: OpenStore) -> None:
    """Enrolled anew with one photograph instead of two."""
    database = open_store()
    somebody = enrolled(database)
    with database.unit() as unit:
        replace_templates(unit, somebody.handle, singles=(embedding(50),), mean=embedding(50))
    assert len(list_templates(database, model=MODEL)) == 2
    assert get_person(database, somebody.handle).photos == 1


def test_removing_takes_everything_of_that_person_and_nobody_else(open_store: OpenStore) -> None:
    """Removal really removes."""
    database = open_store()
    ada, bob = enrolled(database, "Ada"), enrolled(database, "Bob", seed=20)
    with database.unit() as unit:
        assert remove_person(unit, ada.handle).name == "Ada"
    assert [each.handle for each in list_people(database)] == [bob.handle]
    assert {each.person for each in list_templates(database, model=MODEL)} == {bob.handle}


def test_people_are_found_by_name_or_by_the_first_digits_of_the_handle(open_store: OpenStore) -> None:
    """Two of one name are both found; three digits are too few."""
    database = open_store()
    first, second = enrolled(database, "Ada"), enrolled(database, "Ada", seed=20)
    assert {each.handle for each in find_people(database, "Ada")} == {first.handle, second.handle}
    assert find_people(database, first.handle[:8]) == (get_person(database, first.handle),)
    assert find_people(database, first.handle[:3]) == ()
    assert find_people(database, "ada") == ()


@pytest.mark.parametrize("text", ["*", "????", "' OR 1=1 --", "", "\ud800", "[0-9]*", "%"])
def test_no_text_finds_people_it_does_not_name(open_store: OpenStore, text: str) -> None:
    """Neither patterns nor quotes nor broken text."""
    database = open_store()
    enrolled(database)
    assert find_people(database, text) == ()


def test_changing_nobody_is_not_found(open_store: OpenStore) -> None:
    """Each way to address a person."""
    database = open_store()
    for change in (
        lambda unit: update_person(unit, person()),
        lambda unit: remove_person(unit, "f" * 32),
        lambda unit: remove_person(unit, "no handle at all"),
        lambda unit: replace_templates(unit, "f" * 32, singles=(embedding(1),), mean=embedding(1)),
    ):
        with pytest.raises(NotFoundError), database.unit() as unit:
            change(unit)


def test_a_person_can_be_disabled_and_limited_in_time(open_store: OpenStore) -> None:
    """Templates stay."""
    database = open_store()
    somebody = enrolled(database)
    with database.unit() as unit:
        update_person(unit, replace(somebody, enabled=False, valid_until=_NOON))
    changed = get_person(database, somebody.handle)
    assert (changed.enabled, changed.valid_until, changed.photos) == (False, _NOON, 2)


def test_a_handle_given_twice_is_refused_and_changes_nothing(open_store: OpenStore) -> None:
    """Handles are who people are."""
    database = open_store()
    somebody = enrolled(database)
    with pytest.raises(StateError), database.unit() as unit:
        insert_person(unit, replace(somebody, name="Eve"), singles=(embedding(1),), mean=embedding(1))
    assert get_person(database, somebody.handle).name == "Ada Lovelace"


def _vector(values: list[float]) -> Embedding:
    return Embedding(vector=np.array(values, dtype=np.float32), model=MODEL)


@pytest.mark.parametrize(
    "bad",
    [
        _vector([float("nan")] * 4),
        _vector([float("inf"), 0, 0, 0]),
        _vector([0, 0, 0, 0]),
        _vector([0.5, 0, 0, 0]),
        _vector([1.01, 0, 0, 0]),
        _vector([]),
        Embedding(vector=np.eye(4, dtype=np.float32), model=MODEL),
        Embedding(vector=np.array([1, 0, 0, 0], dtype=np.float64), model=MODEL),
        Embedding(vector=np.array([1, 0, 0, 0], dtype=np.float32), model="other"),
        Embedding(vector=np.array([1, 0, 0], dtype=np.float32), model=MODEL),
    ],
    ids=["nan", "inf", "zero", "short", "long", "empty", "matrix", "float64", "other model", "other dimension"],
)
def test_a_vector_that_is_no_unit_vector_of_the_model_is_never_stored(open_store: OpenStore, bad: Embedding) -> None:
    """Neither as a single template nor as the mean of good ones."""
    database = open_store()
    good = _vector([1, 0, 0, 0])
    with pytest.raises(UsageError), database.unit() as unit:
        insert_person(unit, person(), singles=(good, bad), mean=good)
    if bad.vector.shape != good.vector.shape or bad.model != MODEL or bad.vector.dtype != np.float32:
        return
    with pytest.raises(UsageError), database.unit() as unit:
        insert_person(unit, person(), singles=(good,), mean=bad)
    assert count_people(database) == 0


def test_a_stored_vector_that_is_no_unit_vector_is_never_handed_out(open_store: OpenStore) -> None:
    """Written by a faulty program: named, not compared."""
    database = open_store()
    somebody = enrolled(database)
    with database.unit() as unit:
        unit.execute("UPDATE templates SET vector = zeroblob(512)")
    with pytest.raises(CorruptError, match=somebody.handle[:8]):
        list_templates(database, model=MODEL)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE templates SET dimension = 64",
        "UPDATE templates SET kind = 'double'",
        "UPDATE templates SET photo = 0",
        "UPDATE templates SET person = 'nobody'",
        "UPDATE templates SET vector = 'text'",
        "UPDATE people SET handle = 'short'",
        "UPDATE people SET enabled = 2",
        "UPDATE people SET name = ''",
        "UPDATE people SET valid_from = '2027', valid_until = '2026'",
    ],
)
def test_the_tables_themselves_refuse_nonsense(open_store: OpenStore, statement: str) -> None:
    """Whatever the program around them does."""
    database = open_store()
    enrolled(database)
    with pytest.raises(StateError), database.unit() as unit:
        unit.execute(statement)


@pytest.mark.parametrize(
    "name", ["", "  ", "x" * 201, "a\nb", "a\x1b[31m", "\u202eevil", "a\x00b", "\ud800", "a\u2028b", " Ada "]
)
def test_a_name_that_could_forge_a_line_is_never_stored(open_store: OpenStore, name: str) -> None:
    """Terminal escapes, line breaks, direction overrides, broken text, blanks at the ends."""
    database = open_store()
    with pytest.raises(UsageError), database.unit() as unit:
        insert_person(unit, person(name), singles=(embedding(1),), mean=embedding(1))


@settings(deadline=None)
@given(st.text(max_size=250))
def test_cleaning_a_name_twice_is_cleaning_it_once(text: str) -> None:
    """What is accepted is stable and printable."""
    try:
        name = clean_name(text)
    except UsageError:
        return
    assert clean_name(name) == name
    assert 1 <= len(name) <= 200


def test_names_are_compared_in_one_unicode_form(open_store: OpenStore) -> None:
    """An umlaut typed in two ways is one name."""
    database = open_store()
    somebody = enrolled(database, clean_name("Ju\u0308rgen"))
    assert [each.handle for each in find_people(database, "J\u00fcrgen")] == [somebody.handle]


def test_times_without_zone_and_validity_in_reverse_are_refused(open_store: OpenStore) -> None:
    """A schedule that means something else on another machine."""
    database = open_store()
    naive = datetime(2026, 1, 1)  # noqa: DTZ001
    for bad in (
        replace(person(), valid_from=naive),
        replace(person(), valid_from=_NOON, valid_until=_NOON - timedelta(seconds=1)),
        replace(person(), handle="A" * 32),
    ):
        with pytest.raises(UsageError), database.unit() as unit:
            insert_person(unit, bad, singles=(embedding(1),), mean=embedding(1))
