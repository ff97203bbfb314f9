"""The audit trail in a spreadsheet and in another program."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.audit.canonical import JsonObject
from device.audit.chain import GENESIS, Anchor, seal, verify
from device.audit.export import COLUMNS, entry_object, write_csv, write_json_lines
from device.audit.records import DecisionMade
from device.errors import AuditError
from device.types import AuditEntry
from tests.audit.samples import HANDLE, NAME, decision


def _entry(name: str = NAME, *, previous: Anchor = GENESIS) -> AuditEntry:
    record = DecisionMade(decision(), name=name)
    body: JsonObject = {"kind": record.kind, "wall": "2026-01-05T09:00:00.000+00:00", "data": record.body()}
    return seal(body, personal=record.personal(), salt=b"\1" * 32, previous=previous)


def _rows(*entries: AuditEntry) -> list[dict[str, str]]:
    stream = io.StringIO(newline="")
    assert write_csv(entries, stream) == len(entries)
    stream.seek(0)
    return list(csv.DictReader(stream))


def test_a_line_tells_when_what_and_who() -> None:
    """The columns a person looks for."""
    row = _rows(_entry())[0]
    assert tuple(row) == COLUMNS
    assert (row["seq"], row["kind"], row["outcome"], row["person"], row["name"]) == (
        "1",
        "decision",
        "granted",
        HANDLE,
        NAME,
    )


@pytest.mark.parametrize(
    "name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\n=1", "=cmd|' /C calc'!A0", "\uff1d1+1"]
)
def test_a_name_is_never_a_formula(name: str) -> None:
    """It is shown as text, and the rest of the name is unchanged."""
    assert _rows(_entry(name))[0]["name"] == "'" + name


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=40))
def test_a_name_comes_through_csv_unchanged_but_for_the_quote(name: str) -> None:
    """Commas, quotes, line breaks."""
    assert _rows(_entry(name))[0]["name"] in (name, "'" + name)


def test_erased_fields_are_said_to_be_erased() -> None:
    """Told apart from an entry about nobody."""
    erased = replace(_entry(), personal=None, salt=None)
    about_nobody = seal({"kind": "stop"}, personal={}, salt=b"\1" * 32, previous=GENESIS)
    assert [row["personal"] for row in _rows(erased, about_nobody)] == ["erased", "{}"]
    assert entry_object(erased)["personal"] is None
    assert entry_object(about_nobody)["personal"] == {}


def test_the_chain_can_be_verified_from_the_json_lines_alone() -> None:
    """Body and personal fields are exported byte for byte."""
    first = _entry()
    second = _entry("Ünal\n", previous=Anchor(1, first.hash))
    stream = io.StringIO()
    assert write_json_lines((first, second), stream) == 2
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    read = tuple(
        AuditEntry(
            seq=line["seq"],
            body=line["body"].encode(),
            hash=bytes.fromhex(line["hash"]),
            personal=line["personal"].encode(),
            salt=bytes.fromhex(line["salt"]),
        )
        for line in lines
    )
    assert read == (first, second)
    assert verify(read).sound


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 5000])
def test_an_unreadable_entry_is_an_error_with_its_number(body: bytes) -> None:
    """Not a line that looks like nothing had happened."""
    broken = AuditEntry(seq=7, body=body, hash=b"\0" * 32, personal=None, salt=None)
    with pytest.raises(AuditError, match="7"):
        write_csv((broken,), io.StringIO())
