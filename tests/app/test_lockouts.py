"""What the door remembers about faces that failed, visit by visit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from device.errors import ModelError
from device.types import LivenessState, LivenessStatus, PassiveEvidence, PassiveVerdict, QualityReason, Reason, Signal
from tests.app.conftest import near, unit
from tests.app.doorway import ADA, SAME_FACE, STRANGER, Doorway, Plan, ScriptedProof, Someone, doorway

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


@pytest.mark.parametrize("locked", [True, False])
def test_a_challenge_that_a_locked_or_vetoed_face_breaks_off_has_failed(door: Doorway, locked: bool) -> None:
    """Whoever does not like the first prompt holds up another face, or lets the networks veto: no free try either way.

    Five times, and the door pauses, whatever faces were used.
    """
    spoiler = unit(777)
    if locked:
        veto(door, track=90, looks=spoiler)
        door.frame(after_s=1.1)
    for number in range(5):
        door.plans.append(ScriptedProof(Plan(asks=2, ends=14, state=FAILED, reason=Reason.VETOED)))
        victim = unit(900 + number)
        door.watch(Someone(victim, track=number + 1), frames=6)
        decision = door.watch(Someone(spoiler if locked else victim, track=number + 1), frames=20)
        assert decision is not None
        assert decision.reason is (Reason.LOCKED_OUT if locked else Reason.VETOED)
        door.frame(after_s=1.1)
    door.plans.clear()
    assert door.watch(Someone(track=50), frames=20) is None
    assert door.board.shown[-1] is Signal.WAIT


def test_a_locked_face_that_comes_by_itself_is_no_failed_challenge(door: Doorway) -> None:
    """The control: nothing was asked, so the door does not pause."""
    veto(door, track=90, looks=STRANGER)
    for number in range(8):
        door.frame(after_s=1.1)
        door.watch(Someone(STRANGER, track=number + 1), frames=6)
    door.frame(after_s=1.1)
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


# ---- Undecided faces


def undecided(status: LivenessStatus) -> LivenessStatus:
    """Eleven answers of the networks, none of them for life."""
    passive = PassiveEvidence(PassiveVerdict.UNDECIDED, samples=11, live=0, median=0.5)
    return replace(status, evidence=replace(status.evidence, passive=passive))


def unsure() -> ScriptedProof:
    """Never asks, never ends."""
    return ScriptedProof(Plan(asks=999, ends=999), dict.fromkeys(range(1000), undecided))


def test_who_leaves_undecided_is_asked_when_coming_back(door: Doorway) -> None:
    """On a new track, the networks do not get a fresh start."""
    door.plans.append(unsure())
    door.watch(Someone(), frames=15)
    for _ in range(20):
        door.frame()
    door.watch(Someone(track=2), frames=10)
    assert [any(proof.owed) for proof in door.proofs] == [False, True]


def test_the_first_debt_lasts_for_a_minute_and_the_next_for_two(door: Doorway) -> None:
    """However many looks of the face are remembered, one unfinished proof is one."""
    track = 1
    for lasts_s in (60, 120):
        door.plans.append(unsure())
        door.watch(Someone(track=track), frames=15)
        door.frame(after_s=1.0)
        for waits_s, owed in ((lasts_s - 4, True), (4, False)):
            door.frame(after_s=waits_s)
            track += 1
            door.plans.append(ScriptedProof(Plan(asks=999, ends=999)))  # nothing speaks against it
            door.watch(Someone(track=track), frames=3)
            door.frame(after_s=1.0)
            assert any(door.proofs[-1].owed) is owed, (lasts_s, waits_s)
        track += 1


def test_another_face_held_up_for_one_frame_does_not_wash_an_undecided_one_clean(door: Doorway) -> None:
    """The visit starts anew, and both faces owe a challenge from then on."""
    door.plans += [unsure() for _ in range(3)]
    door.watch(Someone(), frames=12)
    door.watch(Someone(STRANGER), frames=4)
    door.watch(Someone(), frames=12)
    assert [proof.owed[-1] for proof in door.proofs] == [False, True, True]


def test_an_undecided_face_whose_proof_was_thrown_away_as_a_model_broke_owes_a_challenge(door: Doorway) -> None:
    """It turned aside for too long, and the comparison that was to begin anew failed."""
    door.plans += [unsure(), unsure()]
    door.watch(Someone(), frames=12)
    door.watch(Someone(yaw_deg=24.0, reasons=(QualityReason.TURNED,)), frames=75)
    decision = door.frame(Someone(ModelError("broken")))
    assert decision is not None
    assert decision.reason is Reason.MODEL_ERROR
    door.frame(after_s=6)
    door.plans.clear()
    door.watch(Someone(track=2), frames=6)
    assert door.proofs[-1].owed[-1]


def test_an_undecided_visit_that_patience_ended_leaves_a_debt(tmp_path: Path) -> None:
    with doorway(tmp_path / "state", patience_s=2.0) as door:
        door.plans.append(unsure())
        decision = door.watch(Someone(), frames=80)
        assert decision is not None
        assert decision.reason is Reason.NO_RESPONSE
        door.frame(after_s=6)
        door.watch(Someone(track=2), frames=10)
        assert door.proofs[-1].owed[-1]


def test_a_fault_in_mid_challenge_is_a_failed_challenge(door: Doorway) -> None:
    """Whoever can make the door stumble does not get a free try each time."""
    for number in range(3):
        door.plans.append(ScriptedProof(Plan(asks=0, ends=999)))
        door.watch(Someone(STRANGER, track=number + 1), frames=8)
        door.keeper.forget()
    decision = door.watch(Someone(STRANGER, track=9))
    assert decision is not None
    assert decision.reason is Reason.LOCKED_OUT


def test_the_last_look_of_a_vetoed_face_is_locked_with_the_first(door: Doorway) -> None:
    """A first look that was chosen to agree with both: the face that comes back is near the last one only."""
    between, returning = near(ADA, cosine=0.94), near(ADA, cosine=0.97, seed=7)
    assert float(between.vector @ ADA.vector) >= SAME_FACE
    assert float(returning.vector @ ADA.vector) >= SAME_FACE
    assert float(returning.vector @ between.vector) < SAME_FACE, "the control: the first look would not lock it"
    door.plans.append(ScriptedProof(Plan(asks=99, ends=8, state=FAILED, reason=Reason.VETOED)))
    door.frame(Someone(between))
    assert door.watch(Someone(ADA)) is not None
    door.frame(after_s=1.5)
    decision = door.watch(Someone(returning, track=2))
    assert decision is not None
    assert decision.reason is Reason.LOCKED_OUT


# ---- Who votes must be who lives


def test_frames_that_did_not_speak_for_life_name_nobody(door: Doorway) -> None:
    """A living look-alike is accepted, then the picture of somebody enrolled is held up: its frames do not vote."""

    def dead(status: LivenessStatus) -> LivenessStatus:
        return replace(status, lived_s=0.0)

    door.plans.append(ScriptedProof(Plan(asks=99, ends=2), dict.fromkeys(range(1000), dead)))
    decision = door.watch(Someone())
    assert decision is not None
    assert decision.reason is Reason.NO_MATCH
    assert decision.claimed is None
