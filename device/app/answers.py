"""The verbs' answers as what JSON can hold: the one place that says which field has which name."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from device.app.enrolment import EnrolmentResult
from device.app.requests import pack_vector
from device.store.people import Template
from device.types import AuditEntry, Person

Json = dict[str, Any]


def within(shown: Json, *, since: datetime | None, until: datetime | None) -> bool:
    """Whether an entry's wall time lies from ``since`` on and before ``until``."""
    if since is None and until is None:
        return True
    try:
        wall = datetime.fromisoformat(shown["wall"])
    except (KeyError, TypeError, ValueError):
        return True  # an entry whose time cannot be read is shown, not hidden
    return (since is None or wall >= since) and (until is None or wall < until)


def about(shown: Json, handle: str) -> bool:
    """Whether an entry is about this person, let in or only claimed."""
    personal = shown["personal"]
    return isinstance(personal, dict) and handle in (personal.get("person"), personal.get("claimed"))


def raw_entry(entry: AuditEntry) -> Json:
    """An entry as stored, with what verifies it."""
    return {
        "seq": entry.seq,
        "body": entry.body.decode(),
        "hash": entry.hash.hex(),
        "personal": None if entry.personal is None else entry.personal.decode(),
        "salt": None if entry.salt is None else entry.salt.hex(),
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(timezone.utc).isoformat(timespec="seconds")


def person_json(person: Person, *, ready: bool) -> Json:
    """A person; ``ready`` when there is a template of the model in use."""
    return {
        "handle": person.handle,
        "name": person.name,
        "enabled": person.enabled,
        "valid_from": _time(person.valid_from),
        "valid_until": _time(person.valid_until),
        "enrolled_at": _time(person.enrolled_at),
        "photos": person.photos,
        "models": list(person.models),
        "ready": ready,
    }


def enrolment_json(result: EnrolmentResult) -> Json:
    """What an enrolment led to, warnings as sentences beside the values."""
    return {
        "person": person_json(result.person, ready=True),
        "agreement": result.agreement,
        "lookalikes": [
            {"handle": each.person.handle, "name": each.person.name, "similarity": each.similarity, "same": each.same}
            for each in result.lookalikes
        ],
        "namesakes": [each.handle for each in result.namesakes],
        "not_compared": result.not_compared,
        "warnings": list(_warnings(result)),
    }


def _warnings(result: EnrolmentResult) -> Iterator[str]:
    for each in result.lookalikes:
        what = "is already enrolled as" if each.same else "looks like"
        yield f"{what} {each.person.name} ({each.person.handle[:8]}), cosine {each.similarity:.3f}"
    for namesake in result.namesakes:
        yield f"somebody else is called {namesake.name} ({namesake.handle[:8]})"
    if result.not_compared:
        yield f"{result.not_compared} people have no template of this model and could not be compared"


def template_json(template: Template, *, vector: bool) -> Json:
    """A template; its numbers only for the person's own export."""
    told: Json = {
        "kind": str(template.kind),
        "photo": template.photo,
        "model": template.embedding.model,
        "dimension": int(template.embedding.vector.size),
    }
    if vector:
        told["vector_float32_base64"] = pack_vector(template.embedding.vector)
    return told
