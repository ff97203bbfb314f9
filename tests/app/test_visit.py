"""The rules of a visit, from the first frame of a face to the door; vision and proof of life are scripted."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from device.door.controller import DoorOutcome
from device.errors import DoorError, FullError, ModelError, StateError
from device.types import Embedding, Frame, LivenessState, LivenessStatus, QualityReason, Reason, Signal
from tests.app.conftest import near, unit
from tests.app.doorway import (
    ADA,
    ADA_ENROLLED,
    FRAME_S,
    SAME_FACE,
    STRANGER,
    Doorway,
    Plan,
    ScriptedProof,
    Someone,
    doorway,
    picture,
)

FAILED = LivenessState.FAILED
#: Shipped: 3 votes of 5, one comparison each 0.12 s (every third frame here).
VOTES = 3


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Doorway]:
    """A door before which nobody stands yet."""
    with doorway(tmp_path / "state") as made:
        yield made


# ---- The way in


def test_whoever_is_alive_and_known_is_let_in_once(door: Doorway) -> None:
    """One grant, one pulse, and the person is told."""
    decision = door.watch(Someone())
    assert decision is not None
    assert decision.granted
    assert decision.person == decision.claimed == door.ada
    assert decision.votes >= VOTES
    assert len(door.relay.pulses) == 1
    assert door.board.shown[-1] is Signal.GRANTED


def test_the_grant_is_committed_before_the_relay_moves(door: Doorway) -> None:
    """Another connection to the database sees the grant, on the same frame, at the moment of the pulse."""
    decision = door.watch(Someone())
    assert decision is not None
    last = door.relay.saw[-1]
    assert last["kind"] == "decision"
    assert last["data"]["granted"] is True
    assert last["data"]["frame_number"] == decision.frame_number
    assert last["data"]["track"] == decision.track
    assert [entry["kind"] for entry in door.entries("decision", "door")] == ["decision", "door"]


def test_the_order_of_a_visit_never_changes(door: Doorway) -> None:
    """Compared before sampled, sampled before decided, nobody told before the door has answered."""
    door.watch(Someone())
    assert Signal.GRANTED not in door.board.shown[:-1]
    assert door.vision.embedded[0] == 1
    assert door.proofs[0].samples > door.vision.embedded.count(1)


def test_nobody_is_let_in_before_the_proof_is_complete(door: Doorway) -> None:
    """However many votes there are."""
    door.plans.append(ScriptedProof(Plan(ends=200)))
    assert door.watch(Someone(), frames=200) is None
    assert not door.relay.pulses


def test_proven_alive_is_not_enough_without_the_votes(door: Doorway) -> None:
    """A proof that ends at once still waits for three votes that lie inside it."""
    door.plans.append(ScriptedProof(Plan(asks=0, ends=0)))
    decision = door.watch(Someone())
    assert decision is not None
    assert decision.granted
    assert decision.votes == VOTES
    # votes on the 1st, 4th and 7th frame, the last confirmed by the 8th
    assert door.proofs[0].samples == 8


def test_a_stranger_who_is_alive_is_denied_with_the_best_similarity_on_record(door: Doorway) -> None:
    """No match, nobody claimed, a denial that is audited without a name."""
    decision = door.watch(Someone(STRANGER))
    assert decision is not None
    assert decision.reason is Reason.NO_MATCH
    assert decision.claimed is None
    assert decision.similarity is not None
    (entry,) = door.entries("decision", "door")
    assert entry["data"]["reason"] == "no_match"
    assert not entry["personal"]
    assert door.board.shown[-1] is Signal.DENIED


def test_somebody_known_who_fails_the_proof_is_denied_and_on_record_as_claimed(door: Doorway) -> None:
    """The reason is the proof's own; the claim is for the audit."""
    door.plans.append(ScriptedProof(Plan(ends=14, state=FAILED, reason=Reason.NOT_LIVE)))
    decision = door.watch(Someone())
    assert decision is not None
    assert decision.reason is Reason.NOT_LIVE
    assert decision.claimed == door.ada
    assert decision.person is None
    assert door.entries("decision")[0]["personal"]["claimed"] == door.ada
    assert not door.relay.pulses


@pytest.mark.parametrize("reason", [None, Reason.GRANTED])
def test_a_failure_that_gives_no_reason_is_an_error_of_the_proof(door: Doorway, reason: Reason | None) -> None:
    """Even one that says granted."""
    door.plans.append(ScriptedProof(Plan(ends=14, state=FAILED, reason=reason)))
    decision = door.watch(Someone())
    assert decision is not None
    assert decision.reason is Reason.LIVENESS_ERROR
    assert not door.relay.pulses


def test_the_record_of_a_grant_is_that_of_a_frame_that_named_the_person(door: Doorway) -> None:
    """The last compared frame may have named nobody: on record is the newest vote for the person."""
    bob = near(ADA_ENROLLED, cosine=0.94, seed=7)
    door.roster.enrol("Bob", singles=(bob,), mean=bob)
    # Between both, a little nearer to Ada: too near to Bob to name anybody.
    between = 1.02 * ADA_ENROLLED.vector + bob.vector
    nobody = replace(bob, vector=(between / np.linalg.norm(between)).astype(np.float32))
    # The vote for Bob, before anything was asked, keeps Ada's from settling until it leaves the window; then two frames
    # name nobody.
    door.plans.append(ScriptedProof(Plan(asks=1, ends=4)))
    looks = [bob, *[ADA_ENROLLED] * 3, *[nobody] * 3]
    decision = None
    for number in range(3 * len(looks)):
        decision = decision or door.frame(Someone(looks[number // 3]))
    assert decision is not None
    assert decision.granted, decision.reason
    assert decision.similarity == pytest.approx(1.0, abs=1e-5)
    assert decision.frame_number == 9
    assert door.entries("decision")[0]["data"]["similarity"] == pytest.approx(1.0, abs=1e-5)


# ---- No audit, no door


def test_without_the_audit_the_door_stays_shut(door: Doorway) -> None:
    """A ledger that cannot write: denied as audit_unavailable, nobody let in, the person is told."""
    door.ledger.fails = FullError("full")
    decision = door.watch(Someone())
    assert decision is not None
    assert decision.reason is Reason.AUDIT_UNAVAILABLE
    assert decision.person is None
    assert not door.relay.pulses
    assert door.board.shown[-1] is Signal.DENIED


def test_a_full_database_keeps_the_door_shut(tmp_path: Path) -> None:
    """Not even the reserve is left: the grant cannot be written, so there is none."""
    with doorway(tmp_path / "state") as door:
        page = door.database.space().used_pages
        door.database._quota_pages = page
        decision = door.watch(Someone(), frames=60)
        visits = 0
        while decision is not None and decision.reason is not Reason.AUDIT_UNAVAILABLE and visits < 400:
            visits += 1
            door.clock.advance(10)
            decision = door.watch(Someone(track=visits + 1))
        assert decision is not None
        assert decision.reason is Reason.AUDIT_UNAVAILABLE
        pulses = len(door.relay.pulses)
        grants = sum(entry["data"]["granted"] for entry in door.entries("decision"))
        assert pulses <= grants


def test_a_closed_database_keeps_the_door_shut(door: Doorway) -> None:
    """The database is gone in the middle of a visit."""
    door.relay.look = False
    for _ in range(10):
        assert door.frame(Someone()) is None
    door.database.close()
    decision = door.watch(Someone())
    assert decision is not None
    assert decision.reason is Reason.AUDIT_UNAVAILABLE
    assert not door.relay.pulses


def test_a_denial_that_cannot_be_audited_is_still_a_denial(door: Doorway, caplog: pytest.LogCaptureFixture) -> None:
    """With its own reason, and an error in the log."""
    door.ledger.fails = StateError("broken")
    with caplog.at_level(logging.ERROR):
        decision = door.watch(Someone(STRANGER))
    assert decision is not None
    assert decision.reason is Reason.NO_MATCH
    assert "could not be audited" in caplog.text


def test_an_error_nobody_foresaw_leaves_the_door_shut(door: Doorway) -> None:
    """It is raised, not swallowed; the relay has not moved; the next visitor begins from nothing."""
    door.ledger.fails = RuntimeError("a mistake")
    with pytest.raises(RuntimeError):
        door.watch(Someone())
    assert not door.relay.pulses
    door.ledger.fails = None
    door.keeper.forget()
    decision = door.watch(Someone(track=2))
    assert decision is not None
    assert decision.granted


# ---- The door's own answer


def test_a_relay_that_fails_is_a_denial_on_record(door: Doorway) -> None:
    """door_fault, nobody let in."""
    door.relay.broken = DoorError("no current")
    decision = door.watch(Someone())
    assert decision is not None
    assert decision.reason is Reason.DOOR_FAULT
    assert decision.person is None
    answer = door.entries("door")[0]["data"]
    assert answer["pulsed"] is False
    assert "no current" in answer["fault"]
    assert door.board.shown[-1] is Signal.DENIED


def test_a_door_that_is_being_closed_opens_for_nobody(door: Doorway) -> None:
    """The daemon stops while somebody is granted: a denial, not a mistake of the program."""
    door.keeper._door.close()
    decision = door.watch(Someone())
    assert decision is not None
    assert not decision.granted
    assert decision.reason is Reason.DOOR_FAULT
    assert door.entries("door")[0]["data"]["outcome"] == DoorOutcome.CLOSED


def test_whoever_was_not_let_in_is_not_told_to_have_been(door: Doorway) -> None:
    """The cool-down of a person begins with a pulse, not with a grant that the door refused."""
    door.relay.broken = DoorError("no current")
    door.watch(Someone())
    door.relay.broken = None
    decision = door.watch(Someone(track=2))
    assert decision is not None
    assert decision.reason is Reason.GRANTED


# ---- Fresh


def test_a_comparison_that_takes_too_long_makes_the_frame_stale(tmp_path: Path) -> None:
    """No pulse from a frame older than half a second."""
    with doorway(tmp_path / "state", compare_every_s=0.0) as door:
        for _ in range(14):
            assert door.frame(Someone()) is None
        door.vision.during_embed = lambda: door.clock.advance(0.6)
        decision = door.frame(Someone())
        assert decision is not None
        assert decision.reason is Reason.STALE_FRAME
        assert not door.relay.pulses
        assert [entry["kind"] for entry in door.entries("decision", "door")] == ["decision"]


def test_a_commit_that_takes_too_long_makes_the_frame_stale(door: Doorway) -> None:
    """The door looks at the clock again after the commit; the refusal is audited too."""
    door.ledger.slow, door.ledger.takes_s = door.clock, 0.6
    decision = door.watch(Someone())
    assert decision is not None
    assert decision.reason is Reason.STALE_FRAME
    assert decision.person is None
    assert not door.relay.pulses
    grant, answer = door.entries("decision", "door")
    assert grant["data"]["granted"] is True
    assert answer["data"]["outcome"] == "stale_frame"
    assert answer["data"]["pulsed"] is False


def test_a_frame_that_came_late_opens_nothing(door: Doorway) -> None:
    """Each frame is a second old when it is looked at."""
    for number in range(60):
        door.clock.advance(FRAME_S)
        frame = Frame(picture(door.number), door.clock.monotonic() - 1.0, number)
        decision = door.attend(frame, Someone())
        if decision is not None:
            break
    assert door.decisions[-1].reason is Reason.STALE_FRAME
    assert not door.relay.pulses


# ---- One face throughout


def test_another_face_after_something_was_asked_ends_the_visit(door: Doorway) -> None:
    """A swap after the proof has begun: neither vouched for nor voted on, and after a while face_changed."""
    for _ in range(5):
        assert door.frame(Someone(STRANGER)) is None
    decision = door.watch(Someone(ADA), frames=70)
    assert decision is not None
    assert decision.reason is Reason.FACE_CHANGED
    assert decision.claimed is None
    assert not door.relay.pulses


def test_another_face_before_anything_was_asked_begins_anew(door: Doorway) -> None:
    """First somebody else, then Ada, on one track: nothing of the first look counts, the proof begins again."""
    door.plans.append(ScriptedProof(Plan(asks=30, ends=40)))
    for _ in range(9):
        assert door.frame(Someone(STRANGER)) is None
    decision = door.watch(Someone(ADA))
    assert decision is not None
    assert decision.granted
    assert len(door.proofs) == 2
    assert door.proofs[1].samples >= 15
    assert decision.votes <= door.vision.embedded.count(1) - 3


def test_a_face_that_differs_for_a_moment_neither_vouches_nor_votes(door: Doorway) -> None:
    """One bad look in the middle: the proof is told of the last good one, and the visit goes on."""
    for _ in range(9):
        assert door.frame(Someone()) is None
    for _ in range(3):
        assert door.frame(Someone(STRANGER)) is None
    vouched = door.proofs[0].vouched_s
    assert vouched[-1] == vouched[-4]
    decision = door.watch(Someone())
    assert decision is not None
    assert decision.granted
    assert decision.votes == door.vision.embedded.count(1) - 1


def test_the_proof_is_told_which_frames_were_vouched_for(door: Doorway) -> None:
    """The very frame's time where it was compared and agreed, an earlier one where it was not."""
    times = []
    for _ in range(7):
        door.frame(Someone())
        times.append(door.clock.monotonic())
    assert door.proofs[0].vouched_s == [times[0]] * 3 + [times[3]] * 3 + [times[6]]


def test_a_face_that_turned_away_for_good_is_another_one(door: Doorway) -> None:
    """Asked, turned, never compared again: after three and a half seconds nobody knows whose head that is."""
    door.plans.append(ScriptedProof(Plan(ends=10_000)))
    for _ in range(4):
        door.frame(Someone())
    decision = door.watch(Someone(yaw_deg=40.0), frames=80)
    assert decision is not None
    assert decision.reason is Reason.FACE_CHANGED


def test_a_proven_face_that_turned_away_is_another_one_much_sooner(door: Doorway) -> None:
    """Nothing more is asked that it would have to turn for: 0.7 s instead of three and a half."""
    door.plans.append(ScriptedProof(Plan(asks=0, ends=0)))
    door.frame(Someone())
    vouched_s = door.clock.monotonic()
    door.frame(Someone(yaw_deg=40.0))
    assert door.proofs[0].last is not None
    assert door.proofs[0].last.state is LivenessState.PROVEN
    decision = door.watch(Someone(yaw_deg=40.0), frames=80)
    assert decision is not None
    assert decision.reason is Reason.FACE_CHANGED
    assert decision.decided_s - vouched_s == pytest.approx(0.7, abs=1.5 * FRAME_S)


@pytest.mark.parametrize(("agrees_with", "reason"), [("asked", Reason.GRANTED), ("first", Reason.FACE_CHANGED)])
def test_answers_are_held_to_the_look_that_was_asked_and_not_to_the_first(
    door: Doorway, agrees_with: str, reason: Reason
) -> None:
    """A first look from afar is a poor one, and may have been chosen to agree with two faces."""
    afar, later = near(ADA_ENROLLED, cosine=0.94), near(ADA_ENROLLED, cosine=0.97, seed=7)
    answers = later if agrees_with == "asked" else near(afar, cosine=0.97, seed=8)
    looks = {"asked": ADA_ENROLLED, "first": afar}
    for name, look in looks.items():
        agrees = float(look.vector @ answers.vector) >= SAME_FACE
        assert agrees is (name == agrees_with), "the control: it agrees with one of the two"
    door.plans.append(ScriptedProof(Plan(asks=3, ends=60)))
    for look in [afar] * 3 + [ADA_ENROLLED] * 3:
        assert door.frame(Someone(look)) is None
    decision = door.watch(Someone(answers), frames=120)
    assert decision is not None
    assert decision.reason is reason


def test_an_embedding_of_another_model_is_never_compared(door: Doorway) -> None:
    """An error of the model, and nobody is let in."""
    assert door.frame(Someone()) is None
    foreign = Embedding(vector=ADA.vector, model="another-model")
    decision = door.watch(Someone(foreign))
    assert decision is not None
    assert decision.reason is Reason.MODEL_ERROR
    assert not door.relay.pulses


def test_votes_and_proof_never_carry_over_to_another_track(door: Doorway) -> None:
    """The face goes on under a new number: everything that was known is void."""
    for _ in range(13):
        assert door.frame(Someone(track=1)) is None
    assert door.decisions == []
    first = door.frame(Someone(track=2))
    assert first is not None
    assert first.reason is Reason.LEFT
    for _ in range(13):
        assert door.frame(Someone(track=2)) is None
    assert len(door.proofs) == 2
    decision = door.watch(Someone(track=2))
    assert decision is not None
    assert decision.granted
    assert door.proofs[1].samples >= 15


def test_a_gap_between_samples_takes_the_votes_with_it(door: Doorway) -> None:
    """Votes before a gap of more than a third of a second are nobody's; the ones after it are counted from nothing."""
    renewed: dict[int, Callable[[LivenessStatus], LivenessStatus]] = {
        number: lambda status: replace(status, proven_s=status.sampled_s) for number in range(500)
    }
    door.plans.append(ScriptedProof(Plan(asks=0, ends=0), renewed))
    for _ in range(5):
        assert door.frame(Someone()) is None
    assert door.frame(Someone(), after_s=0.4) is None
    since = door.vision.embedded.count(1)
    decision = door.watch(Someone())
    assert decision is not None
    assert decision.granted
    assert decision.votes <= door.vision.embedded.count(1) - since + 1


def test_a_sample_that_was_not_accepted_confirms_no_vote(door: Doorway) -> None:
    """The proof does not take the samples after the first: no vote lies between two of them."""
    script: dict[int, Callable[[LivenessStatus], LivenessStatus]] = {
        number: lambda status: replace(status, sampled_s=FRAME_S) for number in range(1, 500)
    }
    door.plans.append(ScriptedProof(Plan(asks=0, ends=3), script))
    decision = door.watch(Someone(), frames=450)
    assert decision is not None
    assert not decision.granted
    assert decision.votes == 0


def test_a_face_that_is_never_good_enough_ends_as_poor_quality(door: Doorway) -> None:
    """After the patience of a visit, with what was wrong; nothing was compared and nothing asked."""
    decision = door.watch(Someone(reasons=(QualityReason.TOO_DARK,)), frames=450)
    assert decision is not None
    assert decision.reason is Reason.POOR_QUALITY
    assert decision.quality == (QualityReason.TOO_DARK,)
    assert door.vision.embedded == []
    assert door.proofs[0].samples == 0
    assert set(door.board.shown[:-1]) == {Signal.TOO_DARK}


def test_patience_ends_a_visit_that_comes_to_nothing(door: Doorway) -> None:
    """A proof that never ends: no_response after twenty seconds."""
    door.plans.append(ScriptedProof(Plan(ends=10_000)))
    decision = door.watch(Someone(), frames=500)
    assert decision is not None
    assert decision.reason is Reason.NO_RESPONSE
    assert decision.decided_s - FRAME_S == pytest.approx(20.0, abs=2 * FRAME_S)


# ---- Whose visit it is


def test_somebody_known_behind_a_nearer_stranger_never_opens_the_door(door: Doorway) -> None:
    """The stranger is the candidate; the known face is not even compared."""
    known, nearer = Someone(track=1, width=80), Someone(STRANGER, track=2, width=120)
    decision = door.watch(known, nearer)
    assert decision is not None
    assert decision.reason is Reason.NO_MATCH
    assert decision.track == 2
    door.watch(known, nearer, frames=80)
    assert set(door.vision.embedded) == {2}
    assert not door.relay.pulses


def test_whoever_steps_in_front_ends_the_visit(door: Doorway) -> None:
    """not_nearest, although the person behind had nearly proven everything."""
    for _ in range(13):
        assert door.frame(Someone()) is None
    decision = door.frame(Someone(), Someone(STRANGER, track=2, width=150))
    assert decision is not None
    assert decision.reason is Reason.NOT_NEAREST
    assert decision.track == 1
    assert not door.relay.pulses


def test_somebody_a_little_nearer_keeps_the_candidate_outside(door: Doorway) -> None:
    """Not near enough to take over, near enough that nobody can tell who walks in."""
    decision = door.watch(Someone(width=100), Someone(STRANGER, track=2, width=110))
    assert decision is not None
    assert decision.track == 2 or decision.reason is Reason.NOT_NEAREST
    decision = door.watch(Someone(width=100), Someone(STRANGER, track=2, width=110))
    assert not door.relay.pulses


def test_two_people_equally_near_keep_the_door_shut(door: Doorway) -> None:
    """As wide counts as in front."""
    door.watch(Someone(width=100), Someone(STRANGER, track=2, width=100), frames=300)
    assert not door.relay.pulses


def test_a_face_that_is_away_for_a_moment_is_waited_for(door: Doorway) -> None:
    """Hidden for less than 0.7 s: nothing is decided; longer: left."""
    for _ in range(5):
        door.frame(Someone())
    assert door.frame() is None
    assert door.frame() is None
    for _ in range(40):
        decision = door.frame()
        if decision is not None:
            break
    assert decision is not None
    assert decision.reason is Reason.LEFT
    assert decision.decided_s - door.decisions[0].captured_s >= 0.7 - FRAME_S


# ---- Coming and going


def test_a_passer_by_leaves_no_trace(door: Doorway) -> None:
    """Neither asked nor recognised: no decision, no entry, no word."""
    before = door.ledger.head()
    door.frame(Someone(STRANGER))
    for _ in range(40):
        assert door.frame() is None
    assert door.ledger.head() == before
    assert Signal.DENIED not in door.board.shown
    assert door.board.shown[-1] is Signal.IDLE


def test_whoever_was_asked_and_leaves_is_on_record(door: Doorway) -> None:
    """left, with the evidence so far."""
    for _ in range(6):
        door.frame(Someone(STRANGER))
    door.watch()
    (entry,) = door.entries("decision")
    assert entry["data"]["reason"] == "left"
    assert entry["data"]["liveness"]["steps"][0]["outcome"] == "open"


def test_the_same_track_rests_after_a_decision(door: Doorway) -> None:
    """Five seconds in which nothing new begins, then a new visit from nothing."""
    assert door.watch(Someone(STRANGER)) is not None
    compared = len(door.vision.embedded)
    assert door.watch(Someone(STRANGER), frames=90) is None
    assert len(door.vision.embedded) == compared
    assert door.watch(Someone(STRANGER), frames=60) is not None
    assert len(door.proofs) == 2


def test_a_person_cools_down_on_any_track(door: Doorway) -> None:
    """Let in a moment ago: a second face of the same person is denied, later it is let in again."""
    assert door.watch(Someone()) is not None
    decision = door.watch(Someone(track=2))
    assert decision is not None
    assert decision.reason is Reason.COOL_DOWN
    assert decision.claimed == door.ada
    assert len(door.relay.pulses) == 1
    door.clock.advance(10)
    decision = door.watch(Someone(track=3))
    assert decision is not None
    assert decision.granted
    assert len(door.relay.pulses) == 2


def test_a_stream_that_ends_dismisses_the_visitor(door: Doorway) -> None:
    """left; vision forgets its tracks."""
    for _ in range(6):
        door.frame(Someone())
    decision = door.keeper.dismiss()
    assert decision is not None
    assert decision.reason is Reason.LEFT
    assert door.vision.resets == 1
    assert door.keeper.dismiss() is None


def test_nobody_is_prompted_by_a_door_that_sees_nothing(door: Doorway) -> None:
    """The stream ends before anything was asked: the last prompt does not stay."""
    door.frame(Someone())
    prompted = len(door.board.shown)
    assert Signal.IDLE not in door.board.shown
    assert door.keeper.dismiss() is None
    assert door.board.shown[prompted:] == [Signal.IDLE]


# ---- A pause after too many failures


def test_after_five_failed_proofs_nobody_is_asked_for_a_while(door: Doorway) -> None:
    """Whoever comes, known or not, is told to wait; then the door is in use again."""
    _fail(door, times=5)
    asked = len(door.proofs)
    shown = len(door.board.shown)
    for _ in range(40):
        assert door.frame(Someone(track=50)) is None
    assert len(door.proofs) == asked
    assert set(door.board.shown[shown:]) == {Signal.WAIT}
    door.clock.advance(30)
    decision = door.watch(Someone(track=50))
    assert decision is not None
    assert decision.granted


def test_the_pause_doubles_with_each_further_failure(door: Doorway) -> None:
    """Trying again is never free."""
    _fail(door, times=5)
    door.clock.advance(31)
    _fail(door, times=1, first=20)
    door.clock.advance(31)
    assert door.watch(Someone(track=50), frames=10) is None
    assert door.board.shown[-1] is Signal.WAIT
    door.clock.advance(30)
    decision = door.watch(Someone(track=50))
    assert decision is not None
    assert decision.granted


def test_a_strangers_passed_proof_neither_adds_to_the_count_nor_wipes_it(door: Doorway) -> None:
    """Otherwise one honest turn of an own head would pay for four more replays."""
    _fail(door, times=4)
    decision = door.watch(Someone(STRANGER, track=30))
    assert decision is not None
    assert decision.reason is Reason.NO_MATCH
    _fail(door, times=1, first=31)
    assert door.watch(Someone(track=50), frames=10) is None
    assert door.board.shown[-1] is Signal.WAIT


def test_a_grant_forgives_one_failure(door: Doorway) -> None:
    """A misunderstanding before it, not four replays: with the next two the door pauses."""
    _fail(door, times=4)
    decision = door.watch(Someone(track=30))
    assert decision is not None
    assert decision.granted
    door.clock.advance(60)
    _fail(door, times=1, first=31)
    assert door.watch(Someone(STRANGER, track=40)) is not None
    _fail(door, times=1, first=41)
    assert door.watch(Someone(track=50), frames=10) is None
    assert door.board.shown[-1] is Signal.WAIT


def test_a_doorway_without_anybody_does_not_say_wait(door: Doorway) -> None:
    """The pause is for those who come."""
    _fail(door, times=5)
    door.frame()
    assert door.board.shown[-1] is Signal.IDLE


def _fail(door: Doorway, *, times: int, first: int = 10) -> None:
    for number in range(times):
        door.plans.append(ScriptedProof(Plan(ends=4, state=FAILED, reason=Reason.NOT_LIVE)))
        # Each a face of its own: how often one face may fail is another rule.
        decision = door.watch(Someone(unit(1000 + door.number), track=first + number))
        assert decision is not None
        assert decision.reason is Reason.NOT_LIVE


# ---- What breaks


def test_a_model_that_fails_ends_the_visit_and_not_the_door(door: Doorway, caplog: pytest.LogCaptureFixture) -> None:
    """model_error; whoever comes next is attended to."""
    decision = door.watch(Someone(ModelError("nonsense")))
    assert decision is not None
    assert decision.reason is Reason.MODEL_ERROR
    assert door.entries("decision")[0]["data"]["reason"] == "model_error"
    decision = door.watch(Someone(track=2))
    assert decision is not None
    assert decision.granted


def test_a_detector_that_fails_is_an_exception_and_the_door_stays_shut(door: Doorway) -> None:
    """Nothing was seen, so nothing can be decided."""
    door.vision.blind = ModelError("nonsense")
    with pytest.raises(ModelError):
        door.frame(Someone())
    assert not door.relay.pulses


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0])
def test_an_embedding_that_is_no_direction_never_opens_the_door(door: Doorway, value: float) -> None:
    """NaN, infinite, zero: an error of the model or a face that changed, never a grant."""
    broken = Embedding(vector=np.full(128, value, np.float32), model=ADA.model)
    with np.errstate(all="ignore"):
        first = door.watch(Someone(broken))
        door.clock.advance(10)
        for _ in range(8):
            door.frame(Someone(track=2))
        second = door.watch(Someone(broken, track=2))
    assert first is not None
    assert first.reason is Reason.MODEL_ERROR
    assert second is not None
    assert second.reason in (Reason.MODEL_ERROR, Reason.FACE_CHANGED)
    assert not door.relay.pulses


def test_an_embedding_of_the_wrong_dimension_never_opens_the_door(door: Doorway) -> None:
    """Nor does it end the door: the first one of a visit, and one in the middle of it."""
    short = Embedding(vector=ADA.vector[:64], model=ADA.model)
    first = door.watch(Someone(short))
    assert first is not None
    assert first.reason is Reason.MODEL_ERROR
    assert door.frame(Someone(track=2)) is None
    second = door.watch(Someone(short, track=2))
    assert second is not None
    assert second.reason in (Reason.MODEL_ERROR, Reason.FACE_CHANGED)
    assert not door.relay.pulses


@pytest.mark.parametrize("yaw_deg", [math.nan, math.inf])
def test_a_pose_that_is_no_number_is_not_compared(door: Doorway, yaw_deg: float) -> None:
    """After the first comparison a turned face is left alone, and a face turned by NaN is turned."""
    door.frame(Someone())
    door.watch(Someone(yaw_deg=yaw_deg))
    assert len(door.vision.embedded) == 1
    assert not door.relay.pulses


def test_a_frame_without_a_time_opens_nothing(door: Doorway) -> None:
    """NaN is neither fresh nor between two samples."""
    for number in range(60):
        door.attend(Frame(picture(door.number), math.nan, number), Someone())
    assert not door.relay.pulses


@pytest.mark.parametrize("sampled_s", [math.nan, None, -math.inf, math.inf])
def test_a_sample_without_a_time_confirms_nothing(door: Doorway, sampled_s: float | None) -> None:
    """A proof that cannot say when it looked vouches for no frame."""
    script: dict[int, Callable[[LivenessStatus], LivenessStatus]] = {
        number: lambda status: replace(status, sampled_s=sampled_s) for number in range(500)
    }
    door.plans.append(ScriptedProof(Plan(asks=0, ends=3), script))
    door.watch(Someone(), frames=450)
    assert not door.relay.pulses


# ---- Changes meanwhile


@pytest.mark.parametrize("change", ["remove", "disable", "expire"])
def test_whoever_is_shut_out_during_the_visit_stays_outside(door: Doorway, change: str) -> None:
    """The record at the moment of the decision counts."""
    for _ in range(12):
        assert door.frame(Someone()) is None
    if change == "remove":
        door.roster.remove(door.ada)
    elif change == "disable":
        door.roster.set_enabled(door.ada, enabled=False)
    else:
        door.roster.set_validity(door.ada, valid_from=None, valid_until=door.clock.wall() - timedelta(hours=1))
    decision = door.watch(Someone())
    assert decision is not None
    assert (
        decision.reason
        in {
            "remove": (Reason.UNKNOWN_PERSON, Reason.NO_MATCH, Reason.UNSETTLED),
            "disable": (Reason.DISABLED,),
            "expire": (Reason.EXPIRED,),
        }[change]
    )
    assert not door.relay.pulses


def test_whoever_was_erased_during_the_visit_is_not_written_into_the_log_again(door: Doorway) -> None:
    """The handle was erased from every entry; the entry of the visit that was going on must not bring it back."""
    door.plans.append(ScriptedProof(Plan(asks=0, ends=12, state=FAILED, reason=Reason.NOT_LIVE)))
    for _ in range(12):
        assert door.frame(Someone()) is None
    door.roster.remove(door.ada)
    decision = door.watch(Someone())
    assert decision is not None
    assert decision.claimed == door.ada
    assert door.entries("decision")[0]["data"]["reason"] == "not_live"
    assert all(door.ada not in str(entry) for entry in door.entries())


# ---- Alive before known


@pytest.mark.parametrize(
    "stays",
    [3, 9, 10, 12, 13, 30],
    ids=lambda frames: f"{frames} frames",
)
@pytest.mark.parametrize("ends", ["leaves", "stepped_in_front", "fails", "asked_late"])
def test_what_can_be_seen_before_the_proof_does_not_depend_on_who_it_is(tmp_path: Path, stays: int, ends: str) -> None:
    """Two visits, known and unknown, signal by signal: the same words at the same frames."""
    plan = {
        "leaves": Plan(ends=1000),
        "stepped_in_front": Plan(ends=1000),
        "fails": Plan(ends=stays, state=FAILED, reason=Reason.NOT_LIVE),
        "asked_late": Plan(asks=500, ends=1000),
    }[ends]
    seen = []
    for who, looks in (("known", ADA), ("unknown", STRANGER)):
        with doorway(tmp_path / who, plans=[ScriptedProof(plan), ScriptedProof(plan), ScriptedProof(plan)]) as door:
            # Each frame's signals, so that a word that comes a frame later is seen too.
            story: list[list[Signal]] = []

            def show(*there: Someone, door: Doorway = door, story: list[list[Signal]] = story) -> None:
                before = len(door.board.shown)
                door.frame(*there)
                story.append(door.board.shown[before:])

            for _ in range(stays):
                show(Someone(looks))
            if ends == "stepped_in_front":
                for _ in range(4):
                    show(Someone(looks), Someone(unit(5), track=2, width=200))
            else:
                for _ in range(20):
                    show()
            for _ in range(30):
                show(Someone(looks))
            seen.append(_without_repeats(story))
    assert seen[0] == seen[1]


# ---- The property


_LOOKS = {
    "ada": ADA,
    "stranger": STRANGER,
    "bob": unit(7),
    "nan": Embedding(np.full(128, np.nan, np.float32), ADA.model),
}
_STEP = st.fixed_dictionaries(
    {
        "track": st.sampled_from([1, 1, 1, 1, 1, 1, 1, 2]),
        "looks": st.sampled_from(["ada", "ada", "ada", "ada", "ada", "ada", "stranger", "nan"]),
        "frames": st.integers(1, 20),
        "pause_s": st.sampled_from([0.05, 0.05, 0.05, 0.05, 0.1, 0.34, 0.6, 6.0]),
        "other": st.sampled_from([0, 0, 0, 0, 60, 110, 200]),
        "usable": st.sampled_from([True, True, True, False]),
        "present": st.sampled_from([True, True, True, True, False]),
        "lag_s": st.sampled_from([0.0, 0.0, 0.0, 0.3, 0.55, 2.0]),
    }
)


_USUAL = {
    "track": 1, "looks": "ada", "frames": 20, "pause_s": 0.05,
    "other": 0, "usable": True, "present": True, "lag_s": 0.0,
}  # fmt: skip


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    steps=st.lists(_STEP, min_size=1, max_size=8),
    plans=st.lists(
        st.builds(
            Plan,
            asks=st.integers(0, 3),
            ends=st.integers(0, 25),
            state=st.sampled_from([LivenessState.PROVEN, LivenessState.PROVEN, FAILED, LivenessState.PENDING]),
            reason=st.sampled_from([None, Reason.NOT_LIVE, Reason.GRANTED]),
        ),
        max_size=4,
    ),
    broken=st.sampled_from([None, None, None, "audit", "relay", "slow_audit"]),
)
@example(steps=[_USUAL], plans=[], broken=None)
@example(steps=[_USUAL, {**_USUAL, "pause_s": 6.0}, {**_USUAL, "track": 2}], plans=[Plan(ends=0)], broken="slow_audit")
def test_whatever_happens_a_pulse_has_everything_behind_it(
    tmp_path_factory: pytest.TempPathFactory, steps: list[dict[str, Any]], plans: list[Plan], broken: str | None
) -> None:
    """Committed grant of the same frame, liveness proven, three votes, a fresh frame, nobody nearer."""
    with doorway(tmp_path_factory.mktemp("door"), plans=[ScriptedProof(plan) for plan in plans]) as door:
        if broken == "audit":
            door.ledger.fails = FullError("full")
        elif broken == "relay":
            door.relay.broken = DoorError("no current")
        elif broken == "slow_audit":
            door.ledger.slow, door.ledger.takes_s = door.clock, 0.3
        door.relay.look = False
        pulsed_at: list[tuple[float, dict[str, Any]]] = []
        plain = door.relay.pulse

        def pulse(duration_s: float) -> None:
            assert not door.database._connection.in_transaction
            pulsed_at.append((door.clock.monotonic(), door.entries("decision")[-1]["data"]))
            plain(duration_s)

        door.relay.pulse = pulse  # type: ignore[method-assign]
        seen: dict[int, str] = {}
        for step in steps:
            for _ in range(step["frames"]):
                _play(door, step, seen)
        for now_s, entry in pulsed_at:
            assert entry["granted"] is True
            assert entry["votes"] >= VOTES
            assert entry["similarity"] >= entry["threshold"]
            assert 0 <= now_s - entry["captured_s"] <= 0.5
            assert entry["liveness"]["steps"][-1]["outcome"] == "passed"
        granted = [made for made in door.decisions if made.granted]
        assert [made.frame_number for made in granted] == [
            entry["frame_number"] for _, entry in pulsed_at if broken != "relay"
        ]
        assert broken not in ("audit", "relay") or not granted
        assert all(made.person == door.ada for made in granted)


def _without_repeats(story: list[list[Signal]]) -> list[Signal]:
    """What is on show after each frame: showing the same again changes nothing."""
    current, told = Signal.IDLE, []
    for shown in story:
        current = shown[-1] if shown else current
        told.append(current)
    return told


def _play(door: Doorway, step: dict[str, Any], seen: dict[int, str]) -> None:
    there = []
    if step["present"]:
        reasons = () if step["usable"] else (QualityReason.BLURRED,)
        there.append(Someone(_LOOKS[step["looks"]], track=step["track"], reasons=reasons))
    if step["other"]:
        there.append(Someone(_LOOKS["bob"], track=9, width=step["other"]))
    seen[door.number] = step["looks"]
    door.clock.advance(step["pause_s"])
    captured_s = max(door.clock.monotonic() - step["lag_s"], 0.0)
    frame = Frame(picture(door.number), captured_s, door.number)
    with np.errstate(all="ignore"):
        decision = door.attend(frame, *there)
    if decision is not None and decision.granted:
        proof = next(proof for proof in reversed(door.proofs) if proof.last is not None)
        assert proof.last is not None
        assert proof.last.state is LivenessState.PROVEN
        # Whoever is let in stands alone in front, and is whom the embedder saw in the frame that is on record.
        assert step["present"]
        assert step["other"] < 100
        assert seen[decision.frame_number] == "ada"


def test_nobody_is_left_with_a_prompt_when_the_face_hangs_behind_a_clock_that_runs(door: Doorway) -> None:
    """A stream that shows its own time: the picture is never the same, the face is. It counts as having left."""
    door.plans.append(ScriptedProof(Plan(asks=2, ends=999)))
    door.watch(Someone(), frames=8)
    assert door.board.shown[-1] is Signal.TURN_LEFT
    decision = None
    for number in range(100, 160):
        image = np.zeros((48, 64, 3), np.uint8)
        image[0] = number
        door.clock.advance(FRAME_S)
        decision = decision or door.attend(Frame(image, door.clock.monotonic(), number), Someone())
    assert decision is not None
    assert decision.reason is Reason.LEFT
    assert Signal.TURN_LEFT not in door.board.shown[-1:]
    door.frame(after_s=6)
    door.watch(Someone(track=2), frames=6)
    assert door.proofs[-1].owed[-1]
