"""Walks are counted by the entries of a sound audit log, and by nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.app.pad_log import EarlierWalks, Trace, earlier_walks, find_report
from device.audit.canonical import canonical_json
from device.audit.chain import GENESIS, Anchor, seal
from device.audit.entry import Moment, Record, entry_body
from device.audit.pad_record import PadStarted, PadTested, SpeciesCount
from device.audit.records import RequestRefused
from device.errors import AuditError
from device.types import AuditEntry

MOMENT = Moment(boot_id="boot", monotonic_s=1.0, wall=datetime(2026, 1, 5, tzinfo=timezone.utc), wall_trusted=True)


def start(*, simulated: bool = False) -> PadStarted:
    """Of a walk with one print."""
    return PadStarted(
        by_uid=1000,
        simulated=simulated,
        pack="door",
        level="standard",
        planned=(("print", 1),),
        config_sha256="c" * 64,
    )


def end(start_seq: int, *, simulated: bool = False, begun: int = 1, report: str | None = "0" * 64) -> PadTested:
    """Of the walk with this start."""
    return PadTested(
        start_seq=start_seq,
        by_uid=1000,
        simulated=simulated,
        complete=report is not None,
        pack="door",
        level="standard",
        begun=begun,
        counts=(SpeciesCount("print", 1, 0, 1),) if report is not None else (),
        report_sha256=report,
    )


def chained(records: Sequence[Record]) -> list[AuditEntry]:
    """A sound log."""
    head, entries = GENESIS, list[AuditEntry]()
    for record in records:
        body = entry_body(record, moment=MOMENT)
        entries.append(seal(body, personal=record.personal(), salt=bytes(32), previous=head))
        head = Anchor(entries[-1].seq, entries[-1].hash)
    return entries


def test_an_empty_log_has_no_walks() -> None:
    """The first one is number 1."""
    assert earlier_walks([], simulated=False) == EarlierWalks(0, 0, 0, ())


def test_walks_by_hand() -> None:
    """One was killed, one left a report, one ended before its first try; other entries lie between."""
    entries = chained(
        [start(), RequestRefused("x"), start(), end(3), RequestRefused("y"), start(), end(6, begun=0, report=None)]
    )
    assert earlier_walks(entries, simulated=False) == EarlierWalks(3, 1, 1, (SpeciesCount("print", 1, 0, 1),))


def test_rendered_walks_and_real_ones_are_counted_apart() -> None:
    """A show says nothing about a door."""
    entries = chained([start(simulated=True), start(), end(1, simulated=True)])
    assert earlier_walks(entries, simulated=False) == EarlierWalks(1, 0, 0, ())
    assert earlier_walks(entries, simulated=True).reported == 1


def test_ends_from_before_starts_were_recorded_are_walks_with_a_report() -> None:
    """They are not forgotten."""
    body: dict[str, Any] = dict(entry_body(end(1), moment=MOMENT))
    body["data"] = {key: value for key, value in body["data"].items() if key not in ("start_seq", "begun")}
    old = seal(body, personal={}, salt=bytes(32), previous=GENESIS)
    assert earlier_walks([old], simulated=False) == EarlierWalks(1, 1, 0, (SpeciesCount("print", 1, 0, 1),))


@given(st.lists(st.sampled_from(["killed", "reported", "untried", "broken"]), max_size=8))
def test_every_start_counts_whatever_became_of_it(fates: list[str]) -> None:
    """Neither more nor fewer."""
    records: list[Record] = []
    for fate in fates:
        records.append(start())
        if fate != "killed":
            report = "0" * 64 if fate == "reported" else None
            records.append(end(len(records), begun=int(fate != "untried"), report=report))
    found = earlier_walks(chained(records), simulated=False)
    assert (found.begun, found.reported, found.untried) == (
        len(fates),
        fates.count("reported"),
        fates.count("untried"),
    )


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_an_entry_that_was_taken_out_or_altered_ends_the_count(gone: int) -> None:
    """The attack: a killed walk's start removed, or made another kind of entry."""
    entries = chained([start(), start(), end(2), RequestRefused("x")])
    with pytest.raises(AuditError, match="broken"):
        earlier_walks(entries[:gone] + entries[gone + 1 :], simulated=False)
    entries[gone] = replace(entries[gone], body=entries[gone].body.replace(b'"pad_test', b'"bad_test'))
    with pytest.raises(AuditError, match="broken"):
        earlier_walks(entries, simulated=False)


def test_a_report_is_found_by_its_bytes_alone() -> None:
    """Not by another's, nor in another kind of entry."""
    sha256 = "a" * 64
    held = {"kind": "pad_test", "data": {"report_sha256": sha256}}
    assert find_report([{"kind": "decision"}, held], sha256=sha256) is Trace.FOUND
    assert find_report([held], sha256="b" * 64) is Trace.NOT_FOUND
    assert find_report([{**held, "kind": "pad_test_start"}, {"kind": "pad_test"}], sha256=sha256) is Trace.NOT_FOUND
    assert find_report([], sha256=sha256) is Trace.NOT_FOUND


def test_a_start_tells_the_plan_and_nobody() -> None:
    """It has a canonical form, and nothing personal."""
    entry = start()
    assert b'"planned":[{"species":"print","tries":1}]' in canonical_json(entry.body())
    assert (entry.personal(), entry.person) == ({}, None)
