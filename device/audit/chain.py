"""The hash chain: commitments to personal fields, links, verification. Bytes in, verdict out.

An entry's hash vouches for its body and for everything before it. Personal fields are not in the body: the body holds
SHA-256 over them and a random salt, so that field and salt can be erased and the chain still verifies. Each erasure is
an entry that says how many were erased: if more are, somebody erased in silence. A chain alone does not show that
everything was recomputed or that the end was cut off; an :class:`Anchor` kept elsewhere does, up to itself: entries
after the last anchor can be cut off unseen.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from device.audit.canonical import JsonObject, canonical_json
from device.errors import AuditError
from device.types import AuditEntry, Word

SALT_BYTES = 32
#: Kind of the entries that say in ``data.entries`` how many were erased.
ERASURE = "erasure"

_EVENT_DOMAIN = b"doorward-evt-v1"
_PERSONAL_DOMAIN = b"doorward-personal-v1"
_GENESIS_DOMAIN = b"doorward-genesis-v1"


@dataclass(frozen=True, slots=True)
class Anchor:
    """A point of the chain that somebody vouches for: number of an entry and its hash (32 bytes)."""

    seq: int
    hash: bytes


#: Where every chain begins.
GENESIS = Anchor(seq=0, hash=hashlib.sha256(_GENESIS_DOMAIN).digest())


class Fault(Word):
    """What is wrong with a chain."""

    GAP = "gap"
    ALTERED_BODY = "altered_body"
    WRONG_HASH = "wrong_hash"
    COMMITMENT_MISMATCH = "commitment_mismatch"
    TRUNCATED = "truncated"
    REWRITTEN = "rewritten"
    ERASED_UNRECORDED = "erased_unrecorded"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of checking a chain.

    Attributes:
        entries: How many entries are sound, counted from the start.
        erased: How many of them had personal fields that were erased.
        head: Last sound entry.
        fault: What is wrong first; None when nothing is.
        seq: Number of the first bad (or missing) entry, of the first erased one where too many are; None when nothing
            is wrong.
        detail: One sentence for people; empty when nothing is wrong.
    """

    entries: int
    erased: int
    head: Anchor
    fault: Fault | None = None
    seq: int | None = None
    detail: str = ""

    @property
    def sound(self) -> bool:
        """Whether everything verified."""
        return self.fault is None


def commitment(*, salt: bytes, personal: bytes) -> bytes:
    """SHA-256 over domain, salt (32 bytes) and the canonical personal fields. Raises AuditError for another salt."""
    if len(salt) != SALT_BYTES:
        raise AuditError(f"a salt has {SALT_BYTES} bytes, not {len(salt)}")
    return hashlib.sha256(_PERSONAL_DOMAIN + salt + personal).digest()


def link(*, seq: int, previous: bytes, body: bytes) -> bytes:
    """Hash of an entry: SHA-256(domain, seq as 8 bytes big-endian, previous hash, SHA-256(body))."""
    return hashlib.sha256(_EVENT_DOMAIN + seq.to_bytes(8, "big") + previous + hashlib.sha256(body).digest()).digest()


def seal(body: JsonObject, *, personal: JsonObject, salt: bytes, previous: Anchor) -> AuditEntry:
    """Make the entry that follows ``previous``.

    Args:
        body: What the chain vouches for; must not contain the key ``commitment``.
        personal: Personal fields; empty where there are none.
        salt: 32 fresh random bytes.
        previous: The chain's end.

    Raises:
        AuditError: No canonical form.
    """
    if "commitment" in body:
        raise AuditError("the commitment is not the caller's to write")
    private = canonical_json(personal) if personal else None
    tag = None if private is None else commitment(salt=salt, personal=private).hex()
    raw = canonical_json({**body, "commitment": tag})
    seq = previous.seq + 1
    return AuditEntry(
        seq=seq,
        body=raw,
        hash=link(seq=seq, previous=previous.hash, body=raw),
        personal=private,
        salt=None if private is None else salt,
    )


def verify(entries: Iterable[AuditEntry], *, anchor: Anchor | None = None, root: Anchor = GENESIS) -> Verdict:
    """Check a chain from its root; stops at the first fault.

    More erased entries than the chain's own erasures account for are a fault; fewer are none, because somebody may be
    erased while the entries are being read. From a later root nothing can be said about erasures.

    Args:
        entries: In order of their numbers, beginning after ``root``, up to the chain's end.
        anchor: A point of the chain known from elsewhere: shows truncation below it and rewriting of all before it.
        root: Where the chain begins.
    """
    head = root
    erased = 0
    recorded = 0
    first_erased = 0
    count = 0
    waiting = iter(entries)
    entry = next(waiting, None)
    while entry is not None:
        following = next(waiting, None)
        fault = _check_entry(entry, head=head, following=following, anchor=anchor)
        if fault is not None:
            return Verdict(count, erased, head, fault[0], head.seq + 1, fault[1])
        head = Anchor(entry.seq, entry.hash)
        count += 1
        body = _object(entry.body)
        if entry.personal is None and _declared(body) is not None:
            erased += 1
            first_erased = first_erased or entry.seq
        recorded += _erasures(body)
        entry = following
    if anchor is not None and anchor.seq > head.seq:
        return Verdict(
            count, erased, head, Fault.TRUNCATED, head.seq + 1, f"entries up to {anchor.seq} are known to have existed"
        )
    if erased > recorded and root == GENESIS:
        return Verdict(
            count,
            erased,
            head,
            Fault.ERASED_UNRECORDED,
            first_erased,
            f"{erased} entries were erased, the chain's erasures account for {recorded}",
        )
    return Verdict(count, erased, head)


def _check_entry(
    entry: AuditEntry, *, head: Anchor, following: AuditEntry | None, anchor: Anchor | None
) -> tuple[Fault, str] | None:
    if entry.seq != head.seq + 1:
        return Fault.GAP, f"entry {entry.seq} follows entry {head.seq}"
    if not hmac.compare_digest(link(seq=entry.seq, previous=head.hash, body=entry.body), entry.hash):
        vouched = anchor is not None and anchor.seq == entry.seq and anchor.hash == entry.hash
        if following is not None:
            vouched |= link(seq=following.seq, previous=entry.hash, body=following.body) == following.hash
        if vouched:
            return (
                Fault.ALTERED_BODY,
                "the entry's hash is the one that was chained, its body or what stood before it is not",
            )
        return Fault.WRONG_HASH, "the entry's hash belongs neither to its body nor to its place"
    if anchor is not None and anchor.seq == entry.seq and anchor.hash != entry.hash:
        return Fault.REWRITTEN, "the chain is consistent, but it is not the one that was anchored"
    if (entry.personal is None) != (entry.salt is None):
        return Fault.COMMITMENT_MISMATCH, "personal fields and salt do not go together"
    if entry.personal is not None and entry.salt is not None:
        declared = _declared(_object(entry.body))
        made = commitment(salt=entry.salt, personal=entry.personal).hex() if len(entry.salt) == SALT_BYTES else ""
        if declared is None or not hmac.compare_digest(made, declared):
            return Fault.COMMITMENT_MISMATCH, "the personal fields are not those that were committed to"
    return None


def _object(body: bytes) -> dict[str, Any]:
    # Called on bodies whose hash was right: what is no object was written by another program.
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _declared(body: dict[str, Any]) -> str | None:
    tag = body.get("commitment")
    return tag if isinstance(tag, str) and tag.isascii() else None


def _erasures(body: dict[str, Any]) -> int:
    """How many entries this one says were erased."""
    data = body.get("data")
    number = data.get("entries") if body.get("kind") == ERASURE and isinstance(data, dict) else None
    return number if type(number) is int and number > 0 else 0
