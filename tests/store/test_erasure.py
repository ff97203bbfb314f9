"""Nothing of a removed person is left in any file, encrypted or not: the pages are decrypted and searched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from device.app.ledger import Ledger
from device.audit.records import DecisionMade, PersonEvent, PersonRecord
from device.keys import StateKeys
from device.sim.clock import ManualClock
from device.store.database import Database
from device.store.files import DATABASE_NAME
from device.store.people import remove_person, update_person
from device.types import Decision, Person, Reason
from tests.store.conftest import OpenStore
from tests.store.samples import embedding, enrolled

_PAGE = 4096
#: Per page: initialisation vector (16 bytes) and HMAC-SHA512 (64 bytes).
_RESERVED = 80
_NAME = "Wilhelmina Featherstonehaugh"


def _decrypted(page: bytes, *, key: bytes, first: bool) -> bytes:
    start, end = (16 if first else 0), _PAGE - _RESERVED
    vector = page[end : end + 16]
    return Cipher(algorithms.AES(key), modes.CBC(vector)).decryptor().update(page[start:end])


def _plain_pages(state: Path, *, key: bytes) -> Iterator[bytes]:
    raw = (state / DATABASE_NAME).read_bytes()
    for offset in range(0, len(raw), _PAGE):
        yield _decrypted(raw[offset : offset + _PAGE], key=key, first=offset == 0)
    log = (state / f"{DATABASE_NAME}-wal").read_bytes()
    for offset in range(32, len(log), 24 + _PAGE):
        number = int.from_bytes(log[offset : offset + 4], "big")
        yield _decrypted(log[offset + 24 : offset + 24 + _PAGE], key=key, first=number == 1)


def _found(state: Path, needles: dict[str, bytes], *, key: bytes) -> set[str]:
    pages = list(_plain_pages(state, key=key))
    raw = [path.read_bytes() for path in state.iterdir()]
    return {word for word, needle in needles.items() if any(needle in text for text in (*pages, *raw))}


def _needles(person: Person, *, seed: int) -> dict[str, bytes]:
    # Half of a vector: a rest of it counts as well.
    return {
        "name": person.name.encode(),
        "handle": person.handle.encode(),
        "single": embedding(seed).vector.tobytes()[64:320],
        "mean": embedding(seed + 2).vector.tobytes()[64:320],
    }


def _visit(person: Person) -> Decision:
    return Decision(
        reason=Reason.GRANTED,
        person=person.handle,
        claimed=person.handle,
        similarity=0.97,
        runner_up=0.8,
        votes=3,
        track=1,
        frame_number=10,
        captured_s=1.0,
        decided_s=1.1,
        first_usable_s=0.1,
        claimed_s=0.9,
        liveness=None,
    )


def _lived_in(database: Database) -> tuple[Person, Ledger]:
    ledger = Ledger(database, clock=ManualClock(), boot_id="boot")
    for number in range(30):
        enrolled(database, f"Neighbour {number}", seed=1000 + 3 * number)
    person = enrolled(database, _NAME, seed=7)
    ledger.record(PersonRecord(PersonEvent.ENROLLED, person), urgent=False)
    for _ in range(40):
        ledger.record(DecisionMade(_visit(person), name=person.name), urgent=True)
    return person, ledger


def test_before_removal_the_search_finds_what_it_looks_for(open_store: OpenStore, state: Path, keys: StateKeys) -> None:
    """The control: the decryption below is right, and nothing is found without the key."""
    person, _ = _lived_in(open_store())
    needles = _needles(person, seed=7)
    assert _found(state, needles, key=keys.database) == set(needles)
    assert _found(state, needles, key=b"\0" * 32) == set()


def test_after_removal_no_byte_of_the_person_is_in_any_file(
    open_store: OpenStore, state: Path, keys: StateKeys
) -> None:
    """Rows, index, freed space, the write-ahead log, and the audit entries about that person."""
    database = open_store()
    person, ledger = _lived_in(database)
    with database.unit(urgent=True) as unit:
        gone = remove_person(unit, person.handle)
        ledger.record(PersonRecord(PersonEvent.REMOVED, gone), urgent=True)
        assert ledger.erase_person(person.handle) == 42
    assert not database.scrub_pending
    assert _found(state, _needles(person, seed=7), key=keys.database) == set()
    verdict = ledger.verify()
    assert verdict.sound
    assert verdict.erased == 42
    assert database.integrity() == ()


def test_without_secure_delete_the_person_would_still_be_there(
    open_store: OpenStore, state: Path, keys: StateKeys
) -> None:
    """The control: it is this setting that removes, not luck."""
    database = open_store()
    person, ledger = _lived_in(database)
    database.rows("PRAGMA secure_delete = OFF")
    with database.unit(urgent=True) as unit:
        remove_person(unit, person.handle)
        ledger.erase_person(person.handle)
    assert _found(state, _needles(person, seed=7), key=keys.database)


def test_a_renamed_person_leaves_the_old_name_nowhere_but_in_the_audit(
    open_store: OpenStore, state: Path, keys: StateKeys
) -> None:
    """Here there is no audit entry: nowhere."""
    database = open_store()
    person = enrolled(database, _NAME)
    with database.unit() as unit:
        update_person(unit, Person(**{**{name: getattr(person, name) for name in person.__slots__}, "name": "Mina"}))
    assert _found(state, {"name": _NAME.encode()}, key=keys.database) == set()
