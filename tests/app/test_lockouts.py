"""What the door remembers about faces that failed, visit by visit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from device.types import LivenessState, Reason, Signal
from tests.app.conftest import near, unit
from tests.app.doorway import ADA, STRANGER, Doorway, Plan, ScriptedProof, Someone, doorway

FAILED = LivenessState.FAILED
#: A picture of Ada on a telephone.
SPOOF = near(ADA, cosine=0.99)


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Doorway]:
    with doorway(tmp_path / "state") as made:
        yield made


def veto(door: Doorway, *, track: int = 1, looks: object = SPOOF) -> None:
    """A spoof that the networks recognise before anything is asked."""
    door.plans.append(ScriptedProof(Plan(asks=99, ends=4, state=FAILED, reason=Reason.VETOED)))
    decision = door.watch(Someone(looks, track=track))  # type: ignore[arg-type]
    assert decision is not None
    assert decision.reason is Reason.VETOED


def fail(door: Doorway, looks: object, *, track: int) -> Reason:
    """A face that fails its challenge."""
    door.plans.append(ScriptedProof(Plan(ends=4, state=FAILED, reason=Reason.NOT_LIVE)))
    decision = door.watch(Someone(looks, track=track))  # type: ignore[arg-type]
    assert decision is not None
    return decision.reason


def test_a_vetoed_face_is_denied_and_its_veto_is_audited(door: Doorway) -> None:
    veto(door)
    assert door.board.shown[-1] is Signal.DENIED
    assert [entry["data"]["reason"] for entry in door.entries("decision")] == ["vetoed"]


def test_a_spoof_that_leaves_and_returns_does_not_start_afresh(door: Doorway) -> None:
    """On a new track, after ten seconds, with a proof that would pass: locked out, told to wait, audited once."""
    veto(door)
    door.frame()
    door.clock.advance(10)
    decision = door.watch(Someone(SPOOF, track=2))
    assert decision is not None
    assert decision.reason is Reason.LOCKED_OUT
    assert door.board.shown[-1] is Signal.WAIT
    assert door.watch(Someone(SPOOF, track=2), frames=200) is None
    assert [entry["data"]["reason"] for entry in door.entries("decision")] == ["vetoed", "locked_out"]


def test_the_same_face_is_judged_again_when_its_lock_has_ended(door: Doorway) -> None:
    """The control: the person whose picture it was waits half a minute, not for ever."""
    veto(door)
    door.frame()
    door.clock.advance(31)
    decision = door.watch(Someone(track=3))
    assert decision is not None
    assert decision.granted


def test_each_further_veto_locks_for_longer(door: Doorway) -> None:
    veto(door)
    door.frame()
    door.clock.advance(31)
    veto(door, track=2)
    door.frame()
    door.clock.advance(31)
    decision = door.watch(Someone(SPOOF, track=3))
    assert decision is not None
    assert decision.reason is Reason.LOCKED_OUT


def test_somebody_else_is_not_concerned_by_a_lock(door: Doorway) -> None:
    """A stranger's spoof was vetoed; Ada comes in a second later, at the very same place."""
    veto(door, looks=STRANGER)
    door.frame(after_s=1.05)
    decision = door.watch(Someone(track=2))
    assert decision is not None
    assert decision.granted


def test_many_vetoes_do_not_lock_the_door(door: Doorway) -> None:
    """Whoever shows pictures to a door does not keep people out."""
    for number in range(8):
        veto(door, track=10 + number, looks=unit(500 + number))
        door.frame(after_s=1.1)
    decision = door.watch(Someone(track=50))
    assert decision is not None
    assert decision.granted


def test_what_appears_at_the_place_of_a_vetoed_face_waits_a_moment(door: Doorway) -> None:
    """A picture that is tilted has another embedding: it is held to be the same until it was away for a second."""
    veto(door, looks=unit(500))
    proofs = len(door.proofs)
    for _ in range(15):
        assert door.frame(Someone(unit(501), track=2)) is None
    assert len(door.proofs) == proofs
    assert door.board.shown[-1] is Signal.WAIT


def test_three_failed_challenges_lock_the_face_and_not_the_door(door: Doorway) -> None:
    assert [fail(door, STRANGER, track=number) for number in range(3)] == [Reason.NOT_LIVE] * 3
    assert fail(door, STRANGER, track=3) is Reason.LOCKED_OUT
    door.plans.clear()
    decision = door.watch(Someone(track=50))
    assert decision is not None
    assert decision.granted


def test_who_failed_a_challenge_owes_one_when_coming_back(door: Doorway) -> None:
    fail(door, ADA, track=1)
    door.watch(Someone(track=2), frames=12)
    assert door.proofs[-1].owed[-1]
    assert not door.proofs[0].owed[-1]


def test_a_grant_clears_what_was_remembered_about_the_face(door: Doorway) -> None:
    fail(door, ADA, track=1)
    decision = door.watch(Someone(track=2))
    assert decision is not None
    assert decision.granted
    door.frame(after_s=10)
    door.watch(Someone(track=3), frames=12)
    assert not door.proofs[-1].owed[-1]


def test_a_camera_that_repeats_its_picture_shows_nobody(door: Doorway) -> None:
    """Nothing is compared and nothing is proven on a picture that was looked at before."""
    from device.types import Frame
    from tests.app.doorway import picture

    door.frame(Someone())
    embedded = len(door.vision.embedded)
    for number in range(1, 100):
        door.clock.advance(0.05)
        assert door.attend(Frame(picture(0), door.clock.monotonic(), number), Someone()) is None
    assert len(door.vision.embedded) == embedded
