"""The audit trail for other programs: CSV for spreadsheets, JSON lines for machines."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from typing import Any, TextIO

from device.errors import AuditError
from device.types import AuditEntry

COLUMNS = (
    "seq",
    "kind",
    "wall",
    "wall_trusted",
    "monotonic_s",
    "boot_id",
    "outcome",
    "person",
    "name",
    "data",
    "personal",
    "hash",
)
#: A cell that begins so is a formula to a spreadsheet (OWASP, CSV injection); a name is text of somebody's choosing.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def write_csv(entries: Iterable[AuditEntry], stream: TextIO) -> int:
    """Write a header and one line per entry, return the number of entries. Raises AuditError."""
    writer = csv.writer(stream)
    writer.writerow(COLUMNS)
    count = 0
    for entry in entries:
        body, personal = _parse(entry)
        data = body.get("data")
        facts = data if isinstance(data, dict) else {}
        row = (
            entry.seq,
            body.get("kind"),
            body.get("wall"),
            body.get("wall_trusted"),
            body.get("monotonic_s"),
            body.get("boot_id"),
            next((facts[key] for key in ("reason", "outcome", "event", "state", "cause") if key in facts), ""),
            _shown(personal, "person") or _shown(personal, "claimed"),
            _shown(personal, "name"),
            json.dumps(data, sort_keys=True, ensure_ascii=False),
            "erased" if personal is None else json.dumps(personal, sort_keys=True, ensure_ascii=False),
            entry.hash.hex(),
        )
        writer.writerow([safe_cell(value) for value in row])
        count += 1
    return count


def write_json_lines(entries: Iterable[AuditEntry], stream: TextIO) -> int:
    """Write one JSON object per entry and line, return the number of entries. Raises AuditError.

    ``body`` and ``personal`` are strings, byte for byte what was hashed: the chain can be verified from the export.
    """
    count = 0
    for entry in entries:
        line = {
            "seq": entry.seq,
            "body": entry.body.decode(),
            "hash": entry.hash.hex(),
            "personal": None if entry.personal is None else entry.personal.decode(),
            "salt": None if entry.salt is None else entry.salt.hex(),
        }
        stream.write(json.dumps(line, ensure_ascii=False) + "\n")
        count += 1
    return count


def entry_object(entry: AuditEntry) -> dict[str, Any]:
    """An entry as one object for printing: the body's fields, ``seq``, ``hash`` and ``personal``. Raises AuditError."""
    body, personal = _parse(entry)
    return {"seq": entry.seq, **body, "personal": personal, "hash": entry.hash.hex()}


def _parse(entry: AuditEntry) -> tuple[dict[str, Any], dict[str, Any] | None]:
    try:
        body = json.loads(entry.body)
        personal = None if entry.personal is None else json.loads(entry.personal)
    except (ValueError, RecursionError) as exc:
        raise _unreadable(entry) from exc
    if not isinstance(body, dict) or not isinstance(personal, dict | None):
        raise _unreadable(entry)
    # None means erased; an entry about nobody has nothing to erase.
    return body, {} if personal is None and body.get("commitment") is None else personal


def _unreadable(entry: AuditEntry) -> AuditError:
    return AuditError(f"audit entry {entry.seq} is not readable", hint="run `doorward audit verify`")


def _shown(personal: dict[str, Any] | None, key: str) -> str:
    value = None if personal is None else personal.get(key)
    return value if isinstance(value, str) else ""


def safe_cell(value: object) -> object:
    """The value for a CSV cell: text that a spreadsheet would take for a formula gets an apostrophe before it."""
    if isinstance(value, str) and value.lstrip(" \x00\u00a0").startswith(_FORMULA_STARTS):
        return "'" + value
    return value
