"""The enrolled and their templates, as rows."""

from __future__ import annotations

import re
import secrets
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timezone

import numpy as np

from device.errors import CorruptError, NotFoundError, UsageError
from device.store.database import Database, Unit
from device.store.driver import Row
from device.types import Embedding, Person, Word

MAX_NAME_CHARACTERS = 200
MAX_PHOTOS = 100
#: Templates are unit vectors; float32 rounding over 512 dimensions stays below 1e-6, so this only tells a mistake.
_UNIT_TOLERANCE = 1e-3
_MAX_DIMENSION = 4096
_HANDLE = re.compile(r"[0-9a-f]{32}")
_HANDLE_PREFIX = re.compile(r"[0-9a-f]{4,32}")

_PERSON = """
    SELECT handle, name, enabled, valid_from, valid_until, enrolled_at,
        (SELECT count(DISTINCT photo) FROM templates WHERE person = handle AND kind = 'single'),
        (SELECT group_concat(model, char(10))
            FROM (SELECT DISTINCT model FROM templates WHERE person = handle ORDER BY model))
    FROM people
"""


class TemplateKind(Word):
    """Where a template comes from: one photograph, or the mean of all of them."""

    SINGLE = "single"
    MEAN = "mean"


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """One stored template.

    Attributes:
        person: Handle.
        kind: Single or mean.
        photo: Number of the photograph, 1..n; 0 for the mean.
        embedding: (D,) float32 of length 1 and its model id.
    """

    person: str
    kind: TemplateKind
    photo: int
    embedding: Embedding


def new_handle() -> str:
    """A random handle: 128 bits as 32 hex digits."""
    return secrets.token_hex(16)


def insert_person(unit: Unit, person: Person, *, singles: tuple[Embedding, ...], mean: Embedding) -> None:
    """Add somebody with one template per photograph and their mean, all of one model.

    ``person.photos`` and ``person.models`` are derived from the templates when read and not looked at here.

    Raises:
        UsageError: Name, handle, times or a vector cannot be stored; nothing was written.
        StateError: The handle exists already.
    """
    _check_person(person)
    _check_templates(singles, mean=mean)
    unit.execute(
        "INSERT INTO people (handle, name, enabled, valid_from, valid_until, enrolled_at) VALUES (?, ?, ?, ?, ?, ?)",
        person.handle,
        person.name,
        int(person.enabled),
        _text(person.valid_from),
        _text(person.valid_until),
        _text(person.enrolled_at),
    )
    _insert_templates(unit, person.handle, singles=singles, mean=mean)


def replace_templates(unit: Unit, handle: str, *, singles: tuple[Embedding, ...], mean: Embedding) -> None:
    """Put new templates of one model in the place of the old ones of that model.

    Raises:
        NotFoundError: Nobody has this handle.
        UsageError: A vector cannot be stored.
    """
    _check_templates(singles, mean=mean)
    get_person(unit, handle)
    unit.erase_traces()
    unit.execute("DELETE FROM templates WHERE person = ? AND model = ?", handle, mean.model)
    _insert_templates(unit, handle, singles=singles, mean=mean)


def drop_other_templates(unit: Unit, handle: str, *, keep: str) -> None:
    """Erase somebody's templates of every model but ``keep``.

    Raises:
        UsageError: There is none of ``keep``: the person could not be recognised by anything any more.
    """
    if keep not in get_person(unit, handle).models:
        raise UsageError(f"person {handle[:8]} has no template of {keep}", hint="enrol that person anew first")
    unit.erase_traces()
    unit.execute("DELETE FROM templates WHERE person = ? AND model <> ?", handle, keep)


def update_person(unit: Unit, person: Person) -> None:
    """Write name, enabled, valid_from and valid_until of somebody known. Raises NotFoundError, UsageError."""
    _check_person(person)
    unit.erase_traces()
    changed = unit.execute(
        "UPDATE people SET name = ?, enabled = ?, valid_from = ?, valid_until = ? WHERE handle = ?",
        person.name,
        int(person.enabled),
        _text(person.valid_from),
        _text(person.valid_until),
        person.handle,
    )
    if not changed:
        raise _nobody(person.handle)


def remove_person(unit: Unit, handle: str) -> Person:
    """Remove somebody with all templates and, after the commit, every trace in the files; return who it was.

    What the audit tells about the person is erased with :meth:`device.app.ledger.Ledger.erase_person`.

    Raises:
        NotFoundError: Nobody has this handle.
    """
    person = get_person(unit, handle)
    unit.erase_traces()
    unit.execute("DELETE FROM templates WHERE person = ?", handle)
    unit.execute("DELETE FROM people WHERE handle = ?", handle)
    return person


def get_person(source: Unit | Database, handle: str) -> Person:
    """The person with this handle. Raises NotFoundError."""
    rows = source.rows(_PERSON + "WHERE handle = ?", handle) if _HANDLE.fullmatch(handle) else []
    if not rows:
        raise _nobody(handle)
    return _person(rows[0])


def list_people(source: Unit | Database) -> tuple[Person, ...]:
    """Everybody, ordered by name and handle."""
    return tuple(_person(row) for row in source.rows(_PERSON + "ORDER BY name, handle"))


def count_people(source: Unit | Database) -> int:
    """How many are enrolled."""
    return int(source.rows("SELECT count(*) FROM people")[0][0])


def find_people(source: Unit | Database, text: str) -> tuple[Person, ...]:
    """Everybody with exactly this name, or whose handle begins with ``text`` (4 hex digits or more)."""
    if not _is_text(text):
        return ()
    name = unicodedata.normalize("NFC", text)
    prefix = f"{text}*" if _HANDLE_PREFIX.fullmatch(text) else ""
    rows = source.rows(_PERSON + "WHERE name = ? OR handle GLOB ? ORDER BY name, handle", name, prefix)
    return tuple(_person(row) for row in rows)


def list_templates(
    source: Unit | Database, *, model: str, kind: TemplateKind | None = None, person: str | None = None
) -> tuple[Template, ...]:
    """Templates of one model, of one kind or person where asked for, ordered by person and photograph.

    Raises:
        CorruptError: A stored vector is not finite or not of unit length.
    """
    rows = source.rows(
        "SELECT person, kind, photo, model, vector FROM templates WHERE model = ?1"
        " AND (?2 IS NULL OR kind = ?2) AND (?3 IS NULL OR person = ?3) ORDER BY person, photo",
        model,
        None if kind is None else kind.value,
        person,
    )
    return tuple(_template(row) for row in rows)


def clean_name(text: str) -> str:
    """A name as it is stored: Unicode NFC, no blanks at the ends, no control characters. Raises UsageError."""
    name = unicodedata.normalize("NFC", text).strip() if _is_text(text) else ""
    # Cc, Cf, Zl, Zp ...: terminal escapes, direction overrides and line breaks would let a name forge a log line.
    clean = all(
        unicodedata.category(sign)[0] != "C" and unicodedata.category(sign) not in ("Zl", "Zp") for sign in name
    )
    if not name or len(name) > MAX_NAME_CHARACTERS or not clean:
        raise UsageError(
            "this name cannot be stored", hint=f"1 to {MAX_NAME_CHARACTERS} printable characters on one line"
        )
    return name


def _insert_templates(unit: Unit, handle: str, *, singles: tuple[Embedding, ...], mean: Embedding) -> None:
    for photo, embedding in enumerate((mean, *singles)):
        unit.execute(
            "INSERT INTO templates (person, kind, photo, model, dimension, vector) VALUES (?, ?, ?, ?, ?, ?)",
            handle,
            TemplateKind.SINGLE.value if photo else TemplateKind.MEAN.value,
            photo,
            embedding.model,
            embedding.vector.size,
            embedding.vector.astype("<f4").tobytes(),
        )


def _check_person(person: Person) -> None:
    if not _HANDLE.fullmatch(person.handle):
        raise UsageError("a handle has 32 hex digits", hint="make one with new_handle()")
    if clean_name(person.name) != person.name:
        raise UsageError("the name is not in the form in which names are stored", hint="use clean_name()")
    begin, end = person.valid_from, person.valid_until
    if any(time is not None and time.tzinfo is None for time in (begin, end, person.enrolled_at)):
        raise UsageError("a time without its zone cannot be stored", hint="write it as 2026-01-31T08:00+01:00")
    if begin is not None and end is not None and begin > end:
        raise UsageError("valid from is later than valid until", hint="swap the two")


def _check_templates(singles: tuple[Embedding, ...], *, mean: Embedding) -> None:
    if not 1 <= len(singles) <= MAX_PHOTOS:
        raise UsageError(f"{len(singles)} photographs cannot be enrolled", hint=f"give 1 to {MAX_PHOTOS}")
    for embedding in (mean, *singles):
        if embedding.model != mean.model or embedding.vector.shape != mean.vector.shape:
            raise UsageError("templates of different models cannot be enrolled together", hint="enrol anew")
        if embedding.vector.dtype != np.float32 or not _is_unit(embedding):
            raise UsageError("a template is not a finite unit vector of float32", hint="check the embedding model")


def _is_unit(embedding: Embedding) -> bool:
    vector = embedding.vector
    if vector.ndim != 1 or not 1 <= vector.size <= _MAX_DIMENSION:
        return False
    length = float(np.linalg.norm(vector.astype(np.float64)))
    return abs(length - 1.0) <= _UNIT_TOLERANCE  # False for NaN


def _template(row: Row) -> Template:
    vector = np.frombuffer(row[4], dtype="<f4").astype(np.float32)
    vector.setflags(write=False)
    template = Template(row[0], TemplateKind(row[1]), row[2], Embedding(vector=vector, model=row[3]))
    if not _is_unit(template.embedding):
        raise CorruptError(
            f"a template of person {template.person[:8]} is not a unit vector",
            hint="remove and enrol that person again",
        )
    return template


def _person(row: Row) -> Person:
    return Person(
        handle=row[0],
        name=row[1],
        enabled=bool(row[2]),
        valid_from=_time(row[3]),
        valid_until=_time(row[4]),
        enrolled_at=datetime.fromisoformat(row[5]),
        photos=row[6],
        models=tuple(row[7].split("\n")) if row[7] else (),
    )


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _text(time: datetime | None) -> str | None:
    # One width and zone, so that the table's own check may compare them as text.
    return None if time is None else time.astimezone(timezone.utc).isoformat(timespec="microseconds")


def _is_text(text: str) -> bool:
    # A lone surrogate (a broken command line argument) has no UTF-8 form.
    return not any("\ud800" <= sign <= "\udfff" for sign in text)


def _nobody(handle: str) -> NotFoundError:
    return NotFoundError(f"nobody is enrolled as {handle[:40]!r}", hint="`doorward people list` shows who is")
