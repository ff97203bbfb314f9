"""Every way to tamper with the chain is named, or is the one that needs an anchor."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.audit.chain import GENESIS, Anchor, Fault, commitment, link, seal, verify
from device.errors import AuditError
from device.types import AuditEntry

Chain = tuple[AuditEntry, ...]


def _chain(count: int, *, start: Anchor = GENESIS, word: str = "entry") -> Chain:
    entries: list[AuditEntry] = []
    head = start
    for number in range(count):
        personal = {"name": f"Ada {number}"} if number % 2 else {}
        entry = seal({"n": number, "word": word}, personal=personal, salt=bytes([number % 256] * 32), previous=head)
        entries.append(entry)
        head = Anchor(entry.seq, entry.hash)
    return tuple(entries)


def _anchor(chain: Chain, seq: int) -> Anchor:
    return Anchor(seq, chain[seq - 1].hash)


def _with(chain: Chain, seq: int, entry: AuditEntry) -> Chain:
    return (*chain[: seq - 1], entry, *chain[seq:])


def test_an_untouched_chain_is_sound() -> None:
    """With and without anchor, empty and full."""
    chain = _chain(20)
    verdict = verify(chain, anchor=_anchor(chain, 15))
    assert verdict.sound
    assert (verdict.entries, verdict.erased, verdict.head) == (20, 0, _anchor(chain, 20))
    assert verify(()).sound
    assert verify(()).head == GENESIS


def test_the_hash_of_an_entry_is_fixed_for_ever() -> None:
    """A golden value: other programs verify our chains."""
    assert GENESIS.hash.hex() == "a9f293e97ae62ea07ca87f23c9d7e335c802f355424cd9466e09d599fc08dc39"
    assert (
        link(seq=1, previous=GENESIS.hash, body=b"{}").hex()
        == "61703762480b2de927843abd68109a75984ff3d16f778f2ec3078cff0edbd21b"
    )
    assert (
        commitment(salt=b"\1" * 32, personal=b'{"name":"Ada"}').hex()
        == "47fc6d0b168e03f753f7e2c99156246c5b274b32982eb5be01a54ff573cf3b67"
    )


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_byte_of_a_body_is_found_at_its_entry(seq: int, where: int, change: int) -> None:
    """Any byte, any entry."""
    chain = _chain(12)
    body = bytearray(chain[seq - 1].body)
    body[where % len(body)] ^= change
    verdict = verify(_with(chain, seq, replace(chain[seq - 1], body=bytes(body))), anchor=_anchor(chain, 12))
    assert (verdict.fault, verdict.seq, verdict.entries) == (Fault.ALTERED_BODY, seq, seq - 1)


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(0, 31), st.integers(1, 255))
def test_a_changed_hash_is_found_at_its_entry(seq: int, where: int, change: int) -> None:
    """Any byte, any entry."""
    chain = _chain(12)
    digest = bytearray(chain[seq - 1].hash)
    digest[where] ^= change
    verdict = verify(_with(chain, seq, replace(chain[seq - 1], hash=bytes(digest))))
    assert (verdict.fault, verdict.seq) == (Fault.WRONG_HASH, seq)


@settings(deadline=None)
@given(st.integers(1, 11))
def test_a_deleted_entry_leaves_a_gap(seq: int) -> None:
    """All but the last one, which is truncation."""
    chain = _chain(12)
    verdict = verify((*chain[: seq - 1], *chain[seq:]))
    assert (verdict.fault, verdict.seq) == (Fault.GAP, seq)


@settings(deadline=None)
@given(st.integers(1, 11))
def test_swapped_entries_are_found(seq: int) -> None:
    """With their numbers, and with the numbers put right."""
    chain = _chain(12)
    first, second = chain[seq - 1], chain[seq]
    assert verify((*chain[: seq - 1], second, first, *chain[seq + 1 :])).fault is Fault.GAP
    renumbered = (*chain[: seq - 1], replace(second, seq=seq), replace(first, seq=seq + 1), *chain[seq + 1 :])
    assert verify(renumbered).seq == seq


def test_an_entry_given_twice_is_found() -> None:
    """As a gap: the number is not the next one."""
    chain = _chain(3)
    assert verify((*chain, chain[2])).fault is Fault.GAP


@pytest.mark.parametrize("left", [0, 5, 9])
def test_truncation_below_the_anchor_is_found(left: int) -> None:
    """The anchor says how much there was."""
    chain = _chain(12)
    verdict = verify(chain[:left], anchor=_anchor(chain, 10))
    assert (verdict.fault, verdict.seq, verdict.entries) == (Fault.TRUNCATED, left + 1, left)


def test_truncation_above_the_anchor_is_not_found() -> None:
    """The stated limit: entries after the last anchor can be cut off unseen."""
    chain = _chain(12)
    assert verify(chain[:10], anchor=_anchor(chain, 10)).sound


@pytest.mark.parametrize("edited", [1, 5, 10])
def test_an_edit_with_all_hashes_recomputed_needs_the_anchor(edited: int) -> None:
    """Without: sound. With: rewritten."""
    chain = _chain(12)
    start = GENESIS if edited == 1 else _anchor(chain, edited - 1)
    forged = (*chain[: edited - 1], *_chain(13 - edited, start=start, word="forged"))
    assert verify(forged).sound
    assert verify(forged, anchor=_anchor(chain, 10)).fault is Fault.REWRITTEN


def test_a_deletion_with_all_hashes_recomputed_needs_the_anchor() -> None:
    """The shorter chain is truncated or rewritten."""
    chain = _chain(12)
    forged = _chain(11, word="forged")
    assert verify(forged).sound
    assert verify(forged, anchor=_anchor(chain, 11)).fault is Fault.REWRITTEN
    assert verify(forged, anchor=_anchor(chain, 12)).fault is Fault.TRUNCATED


def test_an_altered_last_entry_is_told_by_the_anchor() -> None:
    """Nothing follows that would vouch for its hash."""
    chain = _chain(3)
    forged = _with(chain, 3, replace(chain[2], body=b'{"n":99}'))
    assert verify(forged).fault is Fault.WRONG_HASH
    assert verify(forged, anchor=_anchor(chain, 3)).fault is Fault.ALTERED_BODY


@pytest.mark.parametrize(
    "change",
    [
        {"personal": b'{"name":"Eve"}'},
        {"salt": b"\xff" * 32},
        {"salt": b""},
        {"salt": None},
        {"personal": None},
        {"personal": b""},
    ],
    ids=str,
)
def test_personal_fields_that_were_not_committed_to_are_found(change: dict[str, bytes | None]) -> None:
    """Another name, another salt, one without the other."""
    chain = _chain(6)
    entry = replace(chain[3], **change)  # type: ignore[arg-type]
    verdict = verify(_with(chain, 4, entry))
    assert (verdict.fault, verdict.seq) == (Fault.COMMITMENT_MISMATCH, 4)


def test_personal_fields_cannot_be_added_to_an_entry_that_had_none() -> None:
    """Nobody is put at the scene afterwards."""
    chain = _chain(6)
    verdict = verify(_with(chain, 3, replace(chain[2], personal=b'{"name":"Eve"}', salt=b"\1" * 32)))
    assert (verdict.fault, verdict.seq) == (Fault.COMMITMENT_MISMATCH, 3)


def test_erased_entries_leave_the_chain_sound_and_are_counted() -> None:
    """Erasure takes the fields and the salt, the commitment stays."""
    chain = _erasure(_chain(6), count=3)
    erased = tuple(replace(entry, personal=None, salt=None) for entry in chain)
    verdict = verify(erased, anchor=_anchor(chain, 7))
    assert (verdict.sound, verdict.erased) == (True, 3)


def test_an_entry_that_was_erased_in_silence_is_found() -> None:
    """No anchor is needed: the chain itself tells how many were erased."""
    chain = _erasure(_chain(6), count=2)
    erased = tuple(replace(entry, personal=None, salt=None) for entry in chain)
    verdict = verify(erased)
    assert (verdict.fault, verdict.seq, verdict.entries, verdict.erased) == (Fault.ERASED_UNRECORDED, 2, 7, 3)
    assert verify(_with(_chain(6), 4, replace(_chain(6)[3], personal=None, salt=None))).seq == 4


def test_an_erasure_while_the_chain_is_read_is_no_fault() -> None:
    """The entries were read before they were erased, the erasure itself after it was recorded."""
    assert verify(_erasure(_chain(6), count=3)).sound


@pytest.mark.parametrize("count", [-3, True, "3", None, 3.0])
def test_an_erasure_of_another_form_accounts_for_nothing(count: object) -> None:
    """A number of entries is a number."""
    chain = _erasure(_chain(2), count=count)
    erased = tuple(replace(entry, personal=None, salt=None) for entry in chain)
    assert verify(erased).fault is Fault.ERASED_UNRECORDED


def _erasure(chain: Chain, *, count: object) -> Chain:
    body = {"kind": "erasure", "data": {"entries": count}}
    return (*chain, seal(body, personal={}, salt=b"", previous=_anchor(chain, len(chain))))  # type: ignore[arg-type]


def test_a_commitment_without_its_salt_tells_nothing_about_a_guessed_name() -> None:
    """The same name under another salt commits to something else."""
    assert commitment(salt=b"\1" * 32, personal=b"{}") != commitment(salt=b"\2" * 32, personal=b"{}")
    with pytest.raises(AuditError):
        commitment(salt=b"short", personal=b"{}")


def test_a_chain_can_be_checked_from_a_later_root() -> None:
    """Old entries were pruned; their last hash was kept."""
    chain = _chain(12)
    assert verify(chain[5:], root=_anchor(chain, 5)).sound
    assert verify(chain[5:], root=Anchor(5, b"\0" * 32)).seq == 6
    assert verify(chain[5:]).fault is Fault.GAP


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"{", b'{"commitment":5}', b"[" * 5000, b'{"commitment":"\xc3\xa9"}']
)
def test_a_body_of_another_form_is_no_reason_to_break(body: bytes) -> None:
    """Hashed correctly by another program: sound in itself, and committed to nothing."""
    entry = AuditEntry(seq=1, body=body, hash=link(seq=1, previous=GENESIS.hash, body=body), personal=None, salt=None)
    assert verify((entry,)).sound
    claimed = replace(entry, personal=b"{}", salt=b"\1" * 32)
    assert verify((claimed,)).fault is Fault.COMMITMENT_MISMATCH


def test_the_caller_cannot_write_the_commitment() -> None:
    """It is computed."""
    with pytest.raises(AuditError):
        seal({"commitment": "00"}, personal={}, salt=b"\1" * 32, previous=GENESIS)
