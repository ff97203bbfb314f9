"""What the audit log says about walks: how many were begun at this device, and which of them left a report.

A report that pleases proves little where others were thrown away. The start of a walk is in the log before its first
try, so that whoever breaks a walk off, or cuts the power, leaves its start behind; the hash chain keeps it there.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from device.audit.chain import verify
from device.audit.pad_record import PadStarted, PadTested, SpeciesCount
from device.errors import AuditError
from device.types import AuditEntry, Word

#: What every entry about walks has in its bytes; others are not parsed.
_HINT = b'"kind":"pad_test'


class Trace(Word):
    """Whether the audit log knows a report."""

    FOUND = "found"
    NOT_FOUND = "not_found"
    NOT_AT_HAND = "not_at_hand"


@dataclass(frozen=True, slots=True)
class EarlierWalks:
    """The walks before this one, rendered ones or real ones.

    Attributes:
        begun: That were started.
        reported: Of them, those that ended with a report.
        untried: Of those without a report, those that ended before a first try.
        counts: The tries of all that came to an end, with and without a report.
    """

    begun: int
    reported: int
    untried: int
    counts: tuple[SpeciesCount, ...]


def earlier_walks(entries: Iterable[AuditEntry], *, simulated: bool) -> EarlierWalks:
    """Count the walks in an audit log.

    Args:
        entries: All of them, from the first one on; the chain is verified on the way.
        simulated: Whether rendered walks are counted, or real ones: neither says anything about the other.

    Raises:
        AuditError: The log is broken: what it counts would mean nothing.
    """
    # The end of each walk, by the number of the entry about its start.
    walks: dict[int, Mapping[str, Any] | None] = {}
    seen: list[AuditEntry] = []
    verdict = verify(_noting(entries, seen))
    if not verdict.sound:
        raise AuditError(
            f"the audit log is broken at entry {verdict.seq}: walks cannot be counted on it",
            hint="see `doorward audit verify`, and keep a copy of the state directory as it is",
        )
    for entry in seen:
        body = json.loads(entry.body)
        data = body["data"]
        if data.get("simulated") is not simulated:
            continue
        if body["kind"] == PadStarted.kind:
            walks[entry.seq] = None
        elif body["kind"] == PadTested.kind:
            # Ends from before starts were recorded name none: each is a walk of its own.
            walks[data.get("start_seq", entry.seq)] = data
    ends = [end for end in walks.values() if end is not None]
    return EarlierWalks(
        begun=len(walks),
        reported=sum(end["report_sha256"] is not None for end in ends),
        untried=sum(end.get("begun") == 0 for end in ends),
        counts=_sums(ends),
    )


def find_report(entries: Iterable[Mapping[str, Any]], *, sha256: str) -> Trace:
    """Whether the end of a walk that left this very report is among entries of an audit log.

    Args:
        entries: As ``doorward audit list --json`` prints them.
        sha256: Of the report's bytes.
    """
    for entry in entries:
        data = entry.get("data")
        if entry.get("kind") == PadTested.kind and isinstance(data, Mapping) and data.get("report_sha256") == sha256:
            return Trace.FOUND
    return Trace.NOT_FOUND


def _noting(entries: Iterable[AuditEntry], seen: list[AuditEntry]) -> Iterator[AuditEntry]:
    for entry in entries:
        if _HINT in entry.body:
            seen.append(entry)
        yield entry


def _sums(ends: Iterable[Mapping[str, Any]]) -> tuple[SpeciesCount, ...]:
    tries, silent, alive = Counter[str](), Counter[str](), Counter[str]()
    for end in ends:
        for row in end["tries"]:
            species = row["species"]
            tries[species] += row["tries"]
            silent[species] += row["no_response"]
            alive[species] += row["alive"]
    return tuple(SpeciesCount(name, tries[name], silent[name], alive[name]) for name in tries)
