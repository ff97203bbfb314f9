"""The verbs over a real encrypted store: what they tell, what they change, what they leave alone."""

from __future__ import annotations

import io
import json
import threading
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from device.app.control_socket import ControlSocket
from device.app.frames import AttachedFile, read_reply, request_parts
from device.app.requests import (
    AuditExportRequest,
    AuditListRequest,
    AuditVerifyRequest,
    CheckRequest,
    EnrollRequest,
    PeopleExportRequest,
    PeopleListRequest,
    PeopleRemoveRequest,
    PeopleSetRequest,
    PeopleShowRequest,
    SearchRequest,
    StatusRequest,
    Validity,
)
from device.errors import BusyError, EnrolmentError, ModelError, NotFoundError, PhotoError, UsageError
from device.types import Embedding

MODEL = "test-embedder-1"


def unit(seed: int) -> Embedding:
    vector = np.random.default_rng(seed).standard_normal(128)
    return Embedding(vector=(vector / np.linalg.norm(vector)).astype(np.float32), model=MODEL)


def photograph(number: int, name: str = "a.png") -> AttachedFile:
    """A PNG whose every pixel is ``number``: what it shows is agreed with the fake eyes."""
    buffer = io.BytesIO()
    Pillow.new("RGB", (64, 64), (number, number, number)).save(buffer, "PNG")
    return AttachedFile(name, buffer.getvalue())


def test_every_answer_is_json(state: Any) -> None:
    """Whatever a verb returns goes over the socket as it is."""
    state.enrol("Ada", 1)
    state.eyes.portrait(50, unit(9))
    for request, files in (
        (StatusRequest(), ()),
        (PeopleListRequest(), ()),
        (PeopleShowRequest(who="Ada"), ()),
        (PeopleExportRequest(who="Ada"), ()),
        (PeopleSetRequest(who="Ada", enabled=False), ()),
        (EnrollRequest(name="Bob"), (photograph(50),)),
        (SearchRequest.of(unit(1).vector, model=MODEL, k=5), ()),
        (CheckRequest(), ()),
        (AuditListRequest(), ()),
        (AuditExportRequest(), ()),
        (AuditVerifyRequest(), ()),
        (PeopleRemoveRequest(who="Ada"), ()),
    ):
        answer = state.verbs.answer(request, files, by_uid=1000)
        assert json.loads(json.dumps(answer, allow_nan=False)) == answer


def test_enrolment_from_photographs(state: Any) -> None:
    """Bytes in, a person out, with validity; found by search afterwards."""
    state.eyes.portrait(50, unit(9))
    until = datetime(2026, 12, 31, tzinfo=timezone.utc)
    told = state.verbs.answer(EnrollRequest(name="Ada", valid_until=until), (photograph(50),), by_uid=1000)
    assert told["person"]["name"] == "Ada"
    assert told["person"]["valid_until"] == "2026-12-31T00:00:00+00:00"
    assert told["warnings"] == []
    found = state.verbs.answer(SearchRequest.of(unit(9).vector, model=MODEL))
    assert found["candidates"][0]["handle"] == told["person"]["handle"]
    assert (found["threshold"], found["margin"]) == (0.9547, 0.02)


def test_one_bad_photograph_changes_nothing(state: Any) -> None:
    """The last of three has no face: no person, no entry in the audit, the old index."""
    state.eyes.portrait(50, unit(9))
    state.eyes.portrait(51, unit(9))
    state.eyes.shows(52)
    before = state.ledger.head()
    files = tuple(photograph(number, f"{number}.png") for number in (50, 51, 52))
    with pytest.raises(EnrolmentError, match=r"52\.png"):
        state.verbs.answer(EnrollRequest(name="Ada"), files)
    with pytest.raises(PhotoError, match=r"x\.jpg"):
        state.verbs.answer(EnrollRequest(name="Ada"), (photograph(50), AttachedFile("x.jpg", b"no picture")))
    with pytest.raises(UsageError):
        state.verbs.answer(EnrollRequest(name="Ada"))
    assert state.ledger.head() == before
    assert state.roster.list() == ()


def test_photographs_are_separate_jobs_for_the_gate(state: Any) -> None:
    """The door is attended to between two photographs, and decoding does not happen on its thread."""
    jobs = []

    def gate(job: Any) -> Any:
        jobs.append(job)
        return job()

    state.verbs._run_on_gate = gate
    for number in (50, 51, 52):
        state.eyes.portrait(number, unit(9))
    state.verbs.answer(EnrollRequest(name="Ada"), tuple(photograph(number) for number in (50, 51, 52)))
    assert len(jobs) == 5


def test_one_photograph_given_twice_is_not_two(state: Any) -> None:
    """It would count as two that agree; both files are named, and nothing has changed."""
    state.eyes.portrait(50, unit(9))
    first = photograph(50)
    with pytest.raises(EnrolmentError, match=r"copy\.png and .* are the same") as refused:
        state.verbs.answer(EnrollRequest(name="Ada"), (first, AttachedFile("copy.png", first.content)))
    assert refused.value.reason == "same_photo"
    assert not state.verbs.answer(PeopleListRequest())["people"]


def test_a_busy_gate_changes_nothing(state: Any) -> None:
    """What the gate cannot run is an error, not half a change."""

    def gate(_: Any) -> Any:
        raise BusyError("the gate is busy")

    state.enrol("Ada", 1)
    state.verbs._run_on_gate = gate
    for request in (PeopleRemoveRequest(who="Ada"), PeopleSetRequest(who="Ada", enabled=False)):
        with pytest.raises(BusyError):
            state.verbs.answer(request)
    assert state.roster.find("Ada").enabled


def test_the_right_of_access_gives_everything_and_only_the_own(state: Any) -> None:
    """Own row, own vectors (bit for bit), own events; nothing about anybody else."""
    ada = state.enrol("Ada", 1)
    bob = state.enrol("Bob", 2)
    state.roster.set_enabled(ada, enabled=False, by_uid=1000)
    told = state.verbs.answer(PeopleExportRequest(who="Ada"))
    assert told["person"]["handle"] == ada
    assert {each["kind"] for each in told["templates"]} == {"mean", "single"}
    import base64

    vector = np.frombuffer(base64.b64decode(told["templates"][0]["vector_float32_base64"]), "<f4")
    np.testing.assert_array_equal(vector, unit(1).vector)
    assert [event["data"]["event"] for event in told["events"]] == ["enrolled", "changed"]
    assert bob not in json.dumps(told)
    assert "Bob" not in json.dumps(told)


def test_erasure_leaves_the_chain_sound_and_the_person_nowhere(state: Any) -> None:
    """Through the verb: rows, index, personal fields."""
    state.enrol("Ada Distinctive", 1)
    told = state.verbs.answer(PeopleRemoveRequest(who="Ada Distinctive"), by_uid=1000)
    assert told["audit_entries"] == 2
    assert state.verbs.answer(AuditVerifyRequest())["sound"]
    assert "Distinctive" not in json.dumps(state.verbs.answer(AuditExportRequest()))
    with pytest.raises(NotFoundError):
        state.verbs.answer(PeopleShowRequest(who="Ada Distinctive"))
    assert b"Distinctive" not in b"".join(path.read_bytes() for path in state.directory.iterdir())


def test_who_asked_stands_in_the_audit(state: Any) -> None:
    """The peer's uid, as the kernel told it."""
    state.enrol("Ada", 1)
    state.verbs.answer(PeopleSetRequest(who="Ada", enabled=False), by_uid=4242)
    assert state.verbs.answer(AuditListRequest(newest=True, limit=1))["entries"][0]["data"]["by_uid"] == 4242


def test_a_change_is_of_one_thing(state: Any) -> None:
    """Nothing, or two things at once, is a mistake of the caller."""
    state.enrol("Ada", 1)
    validity = Validity(valid_from=None, valid_until=None)
    for request in (PeopleSetRequest(who="Ada"), PeopleSetRequest(who="Ada", enabled=True, validity=validity)):
        with pytest.raises(UsageError):
            state.verbs.answer(request)


def test_an_embedding_of_another_model_or_size_is_refused(state: Any) -> None:
    """Never compared, never cut to length."""
    state.enrol("Ada", 1)
    with pytest.raises(UsageError, match="model"):
        state.verbs.answer(SearchRequest.of(unit(1).vector, model="another"))
    with pytest.raises(ModelError):
        state.verbs.answer(SearchRequest.of(unit(1).vector[:64], model=MODEL))


def test_pages_join_to_the_whole_chain(state: Any) -> None:
    """Reading page by page gives every entry once and ends."""
    for seed in range(12):
        state.enrol(f"P{seed}", seed)
    seen: list[int] = []
    after: int | None = 0
    while after is not None:
        page = state.verbs.answer(AuditListRequest(after=after, limit=5))
        seen += [entry["seq"] for entry in page["entries"]]
        after = page["next"]
    assert seen == list(range(1, 13))
    newest = state.verbs.answer(AuditListRequest(newest=True, limit=3))
    assert [entry["seq"] for entry in newest["entries"]] == [10, 11, 12]
    assert newest["next"] is None


def test_an_empty_audit_is_an_empty_page(state: Any) -> None:
    """Nothing has happened yet."""
    assert state.verbs.answer(AuditListRequest()) == {"entries": [], "next": None}


def test_entries_are_filtered_by_wall_time(state: Any) -> None:
    """From, inclusive; until, exclusive."""
    begin = state.clock.wall()
    for seed in range(4):
        state.enrol(f"P{seed}", seed)
        state.clock.advance(3600)
    hour = timedelta(hours=1)
    page = state.verbs.answer(AuditListRequest(since=begin + hour, until=begin + 3 * hour))
    assert [entry["seq"] for entry in page["entries"]] == [2, 3]


def test_the_export_can_be_verified_elsewhere(state: Any) -> None:
    """Bodies, hashes, salts as stored: the chain verifies from the export alone."""
    from device.audit.chain import verify
    from device.types import AuditEntry

    state.enrol("Ada", 1)
    state.enrol("Bob", 2)
    state.verbs.answer(PeopleRemoveRequest(who="Bob"))
    entries = [
        AuditEntry(
            seq=each["seq"],
            body=each["body"].encode(),
            hash=bytes.fromhex(each["hash"]),
            personal=None if each["personal"] is None else each["personal"].encode(),
            salt=None if each["salt"] is None else bytes.fromhex(each["salt"]),
        )
        for each in state.verbs.answer(AuditExportRequest())["entries"]
    ]
    assert verify(entries).sound


def test_the_verbs_through_the_real_socket_from_several_threads(state: Any) -> None:
    """Socket, verbs and encrypted store together; four clients at once."""
    from device.app.mailbox import Mailbox

    mailbox = Mailbox()
    state.verbs._run_on_gate = mailbox.call
    stop = threading.Event()

    def gate() -> None:
        while not stop.wait(0.001):
            mailbox.run_pending()

    thread = threading.Thread(target=gate)
    thread.start()
    server = ControlSocket(
        state.directory,
        handle=lambda request, files, peer: state.verbs.answer(request, files, by_uid=peer.uid),
        refused=lambda *_: None,
        clock=state.clock,
    )
    server.start()
    state.eyes.portrait(50, unit(9))
    answers: list[Any] = []

    def ask(*parts: bytes) -> Any:
        import socket

        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(state.directory / "control.sock"))
            for part in parts:
                connection.sendall(part)
            raw = b""
            while chunk := connection.recv(65536):
                raw += chunk
        return read_reply(raw)

    try:
        told = ask(*request_parts(EnrollRequest(name="Ada"), files=(photograph(50),)))
        assert told["person"]["name"] == "Ada"
        parts = request_parts(PeopleListRequest(), files=())
        clients = [threading.Thread(target=lambda: answers.append(ask(*parts))) for _ in range(4)]
        for client in clients:
            client.start()
        for client in clients:
            client.join(10)
    finally:
        server.stop()
        stop.set()
        thread.join(5)
        mailbox.close()
    assert [answer["people"][0]["name"] for answer in answers] == ["Ada"] * 4


def test_a_running_door_does_not_wait_for_a_large_database_to_be_looked_through(
    state: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small or without a daemon: page by page; large while the door runs: not at all, and that is told."""
    assert state.verbs.answer(CheckRequest())["integrity"] == []
    state.verbs._health = lambda: {"pid": 1}
    assert state.verbs.answer(CheckRequest())["integrity"] == []
    monkeypatch.setattr("device.app.control._MAX_LIVE_BYTES", 0)
    assert state.verbs.answer(CheckRequest())["integrity"] is None
    state.verbs._health = dict
    assert state.verbs.answer(CheckRequest())["integrity"] == []
