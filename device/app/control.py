"""What may be asked of the appliance, one method per verb; each returns what JSON can hold.

The same object answers the control socket of a running daemon and a command that holds the state lock itself. What
touches people, gallery or vision runs on the thread that owns them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any, Protocol, TypeVar

from device.app.answers import Json, about, enrolment_json, person_json, raw_entry, template_json, within
from device.app.enrolment import Enroller, EnrolmentResult, Portrait, require_different
from device.app.frames import AttachedFile
from device.app.ledger import Ledger
from device.app.requests import (
    MAX_PAGE,
    AuditExportRequest,
    AuditListRequest,
    AuditVerifyRequest,
    CheckRequest,
    EnrollRequest,
    PeopleDropOldRequest,
    PeopleExportRequest,
    PeopleListRequest,
    PeopleReenrollRequest,
    PeopleRemoveRequest,
    PeopleSetRequest,
    PeopleShowRequest,
    Request,
    SearchRequest,
    StatusRequest,
    unpack_vector,
)
from device.app.roster import Roster
from device.audit.export import entry_object
from device.audit.records import RelayTested
from device.camera.photo import decode_photo
from device.errors import UsageError
from device.store.database import Database
from device.types import AuditEntry, Embedding

T = TypeVar("T")

#: Entries looked through for one answer; a filter that finds nothing must not occupy the daemon.
_MAX_SCANNED = 20_000


#: A database of this size is looked through in well under half a second on a small board (8 MiB: 2,048 pages).
_MAX_LIVE_BYTES = 8 * 2**20


class RunOnGate(Protocol):
    """Runs a job on the thread that owns vision and gallery, and waits for it."""

    def __call__(self, job: Callable[[], T], /) -> T:
        """Return the job's result or raise its exception; BusyError when it cannot be run."""


class ControlVerbs:
    """The verbs. Safe to call from several threads.

    Args:
        database: The open database.
        ledger: The audit trail.
        roster: The enrolled; touched on the gate thread only.
        enroller: Returns what judges photographs; called on the gate thread, once for each enrolment.
        threshold: Cosine from which the door takes two faces for the same; None where no pack can be used.
        margin: Cosine by which the best must beat the next.
        run_on_gate: The daemon's mailbox; ``lambda job: job()`` where no daemon runs.
        health: What the running daemon knows about itself, empty where none runs.
    """

    def __init__(
        self,
        *,
        database: Database,
        ledger: Ledger,
        roster: Roster,
        enroller: Callable[[], Enroller],
        threshold: float | None,
        margin: float,
        run_on_gate: RunOnGate,
        health: Callable[[], Mapping[str, Any]],
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._roster = roster
        self._enroller = enroller
        self._threshold = threshold
        self._margin = margin
        self._run_on_gate = run_on_gate
        self._health = health

    def answer(  # noqa: C901, PLR0912  # a table
        self, request: Request, files: Sequence[AttachedFile] = (), *, by_uid: int | None = None
    ) -> Any:
        """Do what is asked. Raises DoorwardError; then nothing has changed."""
        match request:
            case StatusRequest():
                return self.status()
            case PeopleListRequest():
                return self.people_list()
            case PeopleShowRequest():
                return self.people_show(request)
            case PeopleRemoveRequest():
                return self.people_remove(request, by_uid=by_uid)
            case PeopleExportRequest():
                return self.people_export(request)
            case PeopleSetRequest():
                return self.people_set(request, by_uid=by_uid)
            case EnrollRequest():
                return self.enroll(request, files, by_uid=by_uid)
            case PeopleReenrollRequest():
                return self.people_reenroll(request, files, by_uid=by_uid)
            case PeopleDropOldRequest():
                return self.people_drop_old(by_uid=by_uid)
            case SearchRequest():
                return self.search(request)
            case CheckRequest():
                return self.check()
            case AuditListRequest():
                return self.audit_list(request)
            case AuditExportRequest():
                return self.audit_export(request)
            case AuditVerifyRequest():
                return self.audit_verify()

    # -- status --------------------------------------------------------------------------------------------------------

    def status(self) -> Json:
        """How the appliance is doing: the daemon's own words, and what the state says."""
        health = dict(self._health())

        def gallery() -> Json:
            people = self._roster.list()
            return {
                "people": len(people),
                "enabled": sum(person.enabled for person in people),
                "needs_template": [person.handle for person in self._roster.needs_template()],
                "model": self._roster.model,
            }

        space = self._database.space()
        head = self._ledger.head()
        return {
            "daemon": health or None,
            "gallery": self._run_on_gate(gallery),
            "threshold": self._threshold,
            "audit": {"entries": head.seq, "head": head.hash.hex()},
            "database": {
                "used_share": round(space.share, 4),
                "used_bytes": space.used_pages * 4096,
                "quota_bytes": space.quota_pages * 4096,
                "reserve": space.ballast,
                "scrub_pending": self._database.scrub_pending,
            },
        }

    # -- people --------------------------------------------------------------------------------------------------------

    def people_list(self) -> Json:
        """Everybody."""

        def job() -> Json:
            waiting = {person.handle for person in self._roster.needs_template()}
            return {"people": [person_json(each, ready=each.handle not in waiting) for each in self._roster.list()]}

        return self._run_on_gate(job)

    def people_show(self, request: PeopleShowRequest) -> Json:
        """One person, with what is stored about the face (not the vectors)."""

        def job() -> Json:
            person = self._roster.find(request.who)
            templates = [template_json(each, vector=False) for each in self._roster.templates(person.handle)]
            return {**person_json(person, ready=self._roster.model in person.models), "templates": templates}

        return self._run_on_gate(job)

    def people_remove(self, request: PeopleRemoveRequest, *, by_uid: int | None = None) -> Json:
        """Erase one person."""

        def job() -> Json:
            person, erased = self._roster.remove(self._roster.find(request.who).handle, by_uid=by_uid)
            return {"handle": person.handle, "name": person.name, "photos": person.photos, "audit_entries": erased}

        return self._run_on_gate(job)

    def people_export(self, request: PeopleExportRequest) -> Json:
        """Everything that is stored about one person, for that person."""

        def job() -> Json:
            person = self._roster.find(request.who)
            templates = [template_json(each, vector=True) for each in self._roster.templates(person.handle)]
            return {"person": person_json(person, ready=self._roster.model in person.models), "templates": templates}

        told = self._run_on_gate(job)
        handle = told["person"]["handle"]
        told["events"] = [each for each in map(entry_object, self._ledger.entries()) if about(each, handle)]
        return told

    def people_set(self, request: PeopleSetRequest, *, by_uid: int | None = None) -> Json:
        """Change who is let in when."""
        if (request.enabled is None) == (request.validity is None):
            raise UsageError("change either `enabled` or the validity", hint="see `doorward people --help`")

        def job() -> Json:
            person = self._roster.find(request.who)
            if request.enabled is not None:
                person = self._roster.set_enabled(person.handle, enabled=request.enabled, by_uid=by_uid)
            if request.validity is not None:
                person = self._roster.set_validity(
                    person.handle,
                    valid_from=request.validity.valid_from,
                    valid_until=request.validity.valid_until,
                    by_uid=by_uid,
                )
            return person_json(person, ready=self._roster.model in person.models)

        return self._run_on_gate(job)

    # -- faces ---------------------------------------------------------------------------------------------------------

    def enroll(self, request: EnrollRequest, files: Sequence[AttachedFile], *, by_uid: int | None = None) -> Json:
        """Enrol a person."""
        enroller, portraits = self._portraits(files)

        def job() -> EnrolmentResult:
            return enroller.enrol(
                request.name,
                portraits,
                valid_from=request.valid_from,
                valid_until=request.valid_until,
                allow_duplicate=request.allow_duplicate,
                by_uid=by_uid,
            )

        return enrolment_json(self._run_on_gate(job))

    def people_reenroll(
        self, request: PeopleReenrollRequest, files: Sequence[AttachedFile], *, by_uid: int | None = None
    ) -> Json:
        """Enrol somebody anew for the model in use; the person is looked up before any photograph is judged."""
        handle = self._run_on_gate(lambda: self._roster.find(request.who)).handle
        enroller, portraits = self._portraits(files)

        def job() -> EnrolmentResult:
            return enroller.reenrol(handle, portraits, allow_duplicate=request.allow_duplicate, by_uid=by_uid)

        return enrolment_json(self._run_on_gate(job))

    def people_drop_old(self, *, by_uid: int | None = None) -> Json:
        """Erase templates that the model in use has made superfluous."""

        def job() -> Json:
            people = self._roster.drop_old_templates(by_uid=by_uid)
            return {"people": [person_json(each, ready=True) for each in people], "model": self._roster.model}

        return self._run_on_gate(job)

    def _portraits(self, files: Sequence[AttachedFile]) -> tuple[Enroller, list[Portrait]]:
        """Each photograph judged in a job of its own, so that the door is attended to in between."""
        if not files:
            raise UsageError("no photograph given", hint="give one to five, three is a good number")
        require_different(files)
        enroller = self._run_on_gate(self._enroller)
        portraits = []
        for file in files:
            image = decode_photo(file.content, name=file.name)
            portraits.append(self._run_on_gate(partial(enroller.portrait, image, photo=file.name)))
        return enroller, portraits

    def search(self, request: SearchRequest) -> Json:
        """Who is near an embedding."""
        probe = Embedding(vector=unpack_vector(request.vector), model=request.model)

        def job() -> list[Json]:
            if request.model != self._roster.model:
                raise UsageError(
                    f"the embedding is of model {request.model}, in use is {self._roster.model}",
                    hint="use the pack that the appliance uses",
                )
            people = [(each, self._roster.person(each.person)) for each in self._roster.search(probe, k=request.k)]
            return [
                {"handle": person.handle, "name": person.name, "similarity": each.similarity}
                for each, person in people
                if person is not None
            ]

        return {"candidates": self._run_on_gate(job), "threshold": self._threshold, "margin": self._margin}

    def check(self) -> Json:
        """What only whoever holds the state can test: every page of the database, and how far apart people are.

        ``integrity`` is None where a running door would have to wait too long for it.
        """

        def job() -> Json | None:
            pair = self._roster.closest_pair()
            if pair is None:
                return None
            one, other, similarity = pair
            return {"handles": [one.handle, other.handle], "names": [one.name, other.name], "similarity": similarity}

        # Looking through the pages keeps everybody else from the database: a running door waits for its audit entry.
        daemon = bool(self._health())
        large = self._database.space().used_pages * 4096 > _MAX_LIVE_BYTES
        integrity = None if daemon and large else list(self._database.integrity())
        return {"integrity": integrity, "closest_pair": self._run_on_gate(job)}

    def note_test_pulse(self, *, by_uid: int) -> None:
        """Record that an installer is about to pulse the relay; no verb of the socket. Raises StateError: no pulse."""
        self._ledger.record(RelayTested(by_uid=by_uid), urgent=True)

    # -- audit ---------------------------------------------------------------------------------------------------------

    def audit_list(self, request: AuditListRequest) -> Json:
        """A page of entries as objects; ``next`` is where the following one begins, None at the end."""
        after = max(request.after, self._ledger.head().seq - request.limit) if request.newest else request.after
        page = self._page(after=after, limit=request.limit, since=request.since, until=request.until)
        return {"entries": [shown for _, shown in page[0]], "next": page[1]}

    def audit_export(self, request: AuditExportRequest) -> Json:
        """A page of entries as stored, with what verifies them; see :meth:`audit_list`."""
        page = self._page(after=request.after, limit=request.limit, since=request.since, until=request.until)
        return {"entries": [raw_entry(entry) for entry, _ in page[0]], "next": page[1]}

    def audit_verify(self) -> Json:
        """Check the chain from its first entry to its last."""
        verdict = self._ledger.verify()
        return {
            "sound": verdict.sound,
            "entries": verdict.entries,
            "erased": verdict.erased,
            "head": {"seq": verdict.head.seq, "hash": verdict.head.hash.hex()},
            "fault": None if verdict.fault is None else str(verdict.fault),
            "seq": verdict.seq,
            "detail": verdict.detail,
        }

    def _page(
        self, *, after: int, limit: int, since: datetime | None, until: datetime | None
    ) -> tuple[list[tuple[AuditEntry, Json]], int | None]:
        found: list[tuple[AuditEntry, Json]] = []
        seen = after
        scanned = 0
        for entry in islice(self._ledger.entries(since=after, limit=_MAX_SCANNED), _MAX_SCANNED):
            seen = entry.seq
            scanned += 1
            shown = entry_object(entry)
            if within(shown, since=since, until=until):
                found.append((entry, shown))
            if len(found) >= min(limit, MAX_PAGE):
                break
        return found, seen if seen < self._ledger.head().seq and scanned else None
