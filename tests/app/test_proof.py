"""The proof of life of one track: networks, policy and challenge joined so that nothing fails open."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.access.doubts import CueLimits
from device.access.liveness import Level, LivenessRules, Move, Ruling
from device.access.passive_test import PassiveRules
from device.app.proof import LivenessProof
from device.config import LivenessConfig
from device.errors import ModelError
from device.types import (
    Box,
    Cues,
    Doubt,
    Face,
    Frame,
    LivenessEvidence,
    LivenessState,
    LivenessStatus,
    PassiveVerdict,
    Pose,
    Quality,
    Reason,
    Scene,
    Signal,
    StepEvidence,
)
from device.vision.liveness.challenge import HeadTurnChallenge
from tests.liveness.conftest import OBEDIENT, StubGate

FINE = Cues(
    live=0.95, faces=1, bezel=0.0, burnt=0.0, chroma=30.0, brightness=120.0, noise=0.01, context=4.0, sharpness=80.0
)
SPOOF = replace(FINE, live=0.02)
UNSURE = replace(FINE, live=0.5)
RULES = LivenessRules(
    level=Level.STANDARD,
    passive=PassiveRules(samples=5, accept=0.8, veto=0.2, max_gap_s=0.33),
    within_s=3.0,
    max_yaw_deg=15.0,
    max_roll_deg=20.0,
    steps=3,
    steps_undecided=2,
    limits=CueLimits(bezel=2.0, burnt=0.3, chroma=4.0, brightness=60.0, noise=0.03, context=2.0, sharpness=6.0),
)


@dataclass
class Reader:
    """Tells what the test says, by default one and the same."""

    tells: Any = FINE
    passive: bool = True
    asked: int = 0

    def read(self, scene: Scene, face: Face) -> Cues:  # noqa: ARG002  # the reader's own signature
        """The next answer, or an exception."""
        self.asked += 1
        told = self.tells[min(self.asked, len(self.tells)) - 1] if isinstance(self.tells, list) else self.tells
        if isinstance(told, Exception):
            raise told
        assert isinstance(told, Cues)
        return told


@dataclass
class Turns:
    """A challenge that passes after so many frames, or fails."""

    steps: int
    frames: int = 20
    state: LivenessState = LivenessState.PROVEN
    seen: int = 0
    since_s: float | None = None

    def observe(self, frame: Frame, face: Face, *, vouched_s: float) -> LivenessStatus:  # noqa: ARG002  # as above
        """One frame."""
        self.seen += 1
        self.since_s = face.captured_s if self.since_s is None else self.since_s
        over = self.seen >= self.frames
        state = self.state if over else LivenessState.PENDING
        steps = tuple(StepEvidence(Signal.LOOK_UP, "open", 0.0, None, None) for _ in range(self.steps))
        return LivenessStatus(
            state=state,
            reason=Reason.NOT_LIVE if state is LivenessState.FAILED else None,
            signal=Signal.LOOK_UP,
            sampled_s=face.captured_s,
            since_s=self.since_s,
            lived_s=face.captured_s,
            evidence=LivenessEvidence("head_turn", self.seen, steps),
        )


@dataclass
class Stand:
    """Somebody before a proof, frame by frame; every 4th frame of 30 per second is compared."""

    reader: Reader = field(default_factory=Reader)
    rules: LivenessRules = RULES
    turns: LivenessState = LivenessState.PROVEN
    frames: int = 20
    owes: bool = False
    now_s: float = 10.0
    number: int = 0
    track: int = 1
    yaw_deg: float = 0.0
    roll_deg: float = 0.0
    begun: list[Turns] = field(default_factory=list)
    policy: Any = None
    eyes: Any = None

    def __post_init__(self) -> None:
        def challenge(steps: int) -> Turns:
            self.begun.append(Turns(steps, frames=self.frames, state=self.turns))
            return self.begun[-1]

        more = {} if self.policy is None else {"policy": self.policy}
        self.proof = LivenessProof(self.rules, reader=self.reader, challenge=challenge, eyes=self.eyes, **more)

    def frame(self, *, after_s: float = 1 / 30, compared: bool | None = None) -> LivenessStatus:
        """One more."""
        self.now_s += after_s
        self.number += 1
        compared = self.number % 4 == 0 if compared is None else compared
        scene, face = seen(self.now_s, self.number, track=self.track, yaw_deg=self.yaw_deg, roll_deg=self.roll_deg)
        vouched_s = self.now_s if compared else self.now_s - 0.1
        return self.proof.observe(scene, face, vouched_s=vouched_s, owes_challenge=self.owes)

    def stay(self, frames: int) -> None:
        """So many frames, whatever they lead to."""
        for _ in range(frames):
            self.frame()

    def watch(self, seconds: float) -> LivenessStatus:
        """Until it is over, at most so long."""
        end_s = self.now_s + seconds
        status = self.frame()
        while status.state is LivenessState.PENDING and self.now_s < end_s:
            status = self.frame()
        return status


def seen(
    now_s: float, number: int, *, track: int = 1, yaw_deg: float = 0.0, roll_deg: float = 0.0
) -> tuple[Scene, Face]:
    """A frame with one face."""
    frame = Frame(np.zeros((2, 2, 3), np.uint8), now_s, number)
    face = Face(
        track=track,
        frame_number=number,
        captured_s=now_s,
        box=Box(0, 0, 100, 130),
        landmarks=np.zeros((468, 3), np.float32),
        presence=1.0,
        pose=Pose(yaw_deg, 0.0, roll_deg),
        quality=Quality(face_px=100, sharpness=80, brightness=120, contrast=40, clipped=0.0, reasons=()),
    )
    return Scene(frame, (face,)), face


# ---- The passive way


def test_whoever_looks_alive_is_asked_nothing() -> None:
    """Three compared frames of K = 5; the proof rests on the first of them, and nobody is asked anything."""
    stand = Stand()
    status = stand.watch(3.0)
    assert status.state is LivenessState.PROVEN
    assert status.signal is Signal.CHECKING
    assert stand.begun == []
    assert stand.now_s == pytest.approx(10 + 12 / 30)
    assert status.since_s == pytest.approx(10 + 4 / 30)
    assert status.evidence.method == "passive"
    assert status.evidence.passive is not None
    assert status.evidence.passive.verdict is PassiveVerdict.LIVE
    assert status.evidence.passive.median == 0.95


def test_a_spoof_is_vetoed_and_never_asked() -> None:
    stand = Stand(Reader(SPOOF))
    status = stand.watch(3.0)
    assert (status.state, status.reason) == (LivenessState.FAILED, Reason.VETOED)
    assert stand.begun == []


def test_a_veto_is_final() -> None:
    """However alive the face looks afterwards."""
    stand = Stand(Reader([SPOOF] * 5 + [FINE] * 99))
    stand.watch(3.0)
    for _ in range(200):
        assert stand.frame().reason is Reason.VETOED


def test_whom_the_networks_cannot_decide_is_asked_after_three_seconds() -> None:
    stand = Stand(Reader(UNSURE))
    while not stand.begun:
        assert stand.frame().state is LivenessState.PENDING
    assert stand.now_s - 10.0 == pytest.approx(3.0, abs=0.15)
    assert stand.begun[0].steps == 2
    assert stand.watch(3.0).state is LivenessState.PROVEN


def test_what_was_accepted_is_taken_back_when_the_networks_change_their_mind() -> None:
    """The median of the last five, at any time."""
    stand = Stand(Reader([FINE] * 5 + [SPOOF] * 99))
    assert stand.watch(3.0).state is LivenessState.PROVEN
    found = [stand.frame().state for _ in range(30)]
    assert found[-1] is LivenessState.FAILED
    assert LivenessState.PROVEN not in found[found.index(LivenessState.FAILED) :]


LEANING = [{"yaw_deg": 15.0}, {"yaw_deg": -20.0}, {"roll_deg": 20.0}, {"roll_deg": -25.0}, {"roll_deg": math.nan}]


@pytest.mark.parametrize("pose", LEANING, ids=str)
def test_a_face_that_turns_or_leans_away_is_not_sampled_and_not_accepted(pose: dict[str, float]) -> None:
    """At 40 degrees half of the replays look alive: what the networks would say of it is never asked."""
    stand = Stand(**pose)  # type: ignore[arg-type]  # fields by name
    for _ in range(60):
        assert stand.frame().state is LivenessState.PENDING
    assert stand.reader.asked == 0


@pytest.mark.parametrize("pose", LEANING[:4], ids=str)
def test_without_the_near_frontal_gate_the_same_face_is_accepted(pose: dict[str, float]) -> None:
    """The control, for each side of the gate alone."""
    side = "max_roll_deg" if "roll_deg" in pose else "max_yaw_deg"
    stand = Stand(rules=replace(RULES, **{side: 60.0}), **pose)  # type: ignore[arg-type]  # fields by name
    assert stand.watch(3.0).state is LivenessState.PROVEN
    assert stand.begun == []


def test_a_face_just_within_the_near_frontal_gate_is_judged() -> None:
    assert Stand(yaw_deg=14.9, roll_deg=-19.9).watch(3.0).state is LivenessState.PROVEN


def test_a_frame_that_was_not_compared_is_not_sampled() -> None:
    """What is judged is what was compared: a face cannot be exchanged in between."""
    stand = Stand()
    for _ in range(60):
        assert stand.frame(compared=False).state is LivenessState.PENDING
    assert stand.reader.asked == 0


def test_who_owes_a_challenge_is_asked_although_alive() -> None:
    stand = Stand(owes=True)
    stand.watch(1.0)
    assert [turns.steps for turns in stand.begun] == [2]


@pytest.mark.parametrize(
    ("change", "doubt"),
    [({"bezel": 9.0}, Doubt.BEZEL), ({"faces": 2}, Doubt.SEVERAL_FACES)],
)
def test_a_doubt_asks_for_three_turns_and_stands_in_the_evidence(change: dict[str, Any], doubt: Doubt) -> None:
    stand = Stand(Reader(replace(FINE, **change)))
    status = stand.watch(5.0)
    assert [turns.steps for turns in stand.begun] == [3]
    assert status.state is LivenessState.PROVEN
    assert status.evidence.method == "passive+head_turn"
    assert doubt in status.evidence.doubts


GREY = replace(FINE, chroma=0.0)


def test_where_the_networks_are_blind_nobody_comes_in_by_head_turns_alone() -> None:
    """Whoever holds a grey screen before the camera chooses so; after three seconds it is refused, with its doubt."""
    stand = Stand(Reader(GREY))
    status = stand.watch(5.0)
    assert (status.state, status.reason) == (LivenessState.FAILED, Reason.POOR_QUALITY)
    assert stand.begun == []
    assert status.evidence.doubts == (Doubt.GREY,)
    assert stand.now_s - 10.0 == pytest.approx(3.0, abs=0.15)


def test_a_moment_of_blindness_costs_nothing() -> None:
    """Blurred while walking up, sharp after that."""
    stand = Stand(Reader([replace(FINE, sharpness=1.0)] * 4 + [FINE] * 99))
    assert stand.watch(3.0).state is LivenessState.PROVEN
    assert stand.begun == []


def test_where_an_owner_accepts_the_risk_the_blind_networks_leave_it_to_head_turns() -> None:
    stand = Stand(Reader(GREY), rules=replace(RULES, turns_suffice=True))
    assert stand.watch(5.0).state is LivenessState.PROVEN
    assert [turns.steps for turns in stand.begun] == [3]


def test_a_face_that_leans_away_from_the_networks_is_refused_and_not_asked() -> None:
    """Turned by 20 degrees it would be compared, but never judged."""
    stand = Stand(Reader(SPOOF), yaw_deg=20.0)
    status = stand.watch(5.0)
    assert (status.state, status.reason) == (LivenessState.FAILED, Reason.POOR_QUALITY)
    assert stand.begun == []


def test_somebody_restless_whose_few_answers_all_spoke_for_life_is_asked_for_three_turns() -> None:
    """Now here, now there: too few answers in one run for the networks, none against."""
    stand = Stand(rules=replace(RULES, passive=replace(RULES.passive, samples=11)))
    for number in range(120):
        stand.yaw_deg = 0.0 if number % 40 < 5 else 18.0
        stand.frame()
    assert [turns.steps for turns in stand.begun] == [3]


def test_a_camera_on_a_network_always_asks() -> None:
    """A recorded entry that is played back looks as alive as it was."""
    stand = Stand(rules=replace(RULES, always_ask=True))
    stand.watch(2.0)
    assert [turns.steps for turns in stand.begun] == [2]


def test_at_level_high_the_undecided_are_refused() -> None:
    """Both proofs, or none."""
    stand = Stand(Reader(UNSURE), rules=replace(RULES, level=Level.HIGH, turns_suffice=True))
    status = stand.watch(5.0)
    assert (status.state, status.reason) == (LivenessState.FAILED, Reason.UNDECIDED)
    assert stand.begun == []


def test_only_frames_that_spoke_for_life_themselves_are_told_as_such() -> None:
    """Six of eleven settle the median; the others among them speak for nobody."""
    stand = Stand(Reader([FINE, FINE, SPOOF, FINE, FINE, SPOOF]))
    lived = []
    for _ in range(24):
        status = stand.frame()
        lived.append(status.lived_s == stand.now_s)
    assert [lived[n] for n in range(3, 24, 4)] == [True, True, False, True, True, False]


# ---- Challenge and networks together


def test_a_veto_outlives_an_answered_challenge() -> None:
    """Undecided first, then recognised as a spoof while it answers, or after."""
    for before in (25, 27):
        stand = Stand(Reader([UNSURE] * before + [SPOOF] * 99))
        status = stand.watch(6.0)
        for _ in range(60):
            status = stand.frame()
        assert stand.begun
        assert (status.state, status.reason) == (LivenessState.FAILED, Reason.VETOED)


def test_a_failed_challenge_is_final_whatever_the_networks_say() -> None:
    stand = Stand(Reader([UNSURE] * 24 + [FINE] * 99), turns=LivenessState.FAILED)
    status = stand.watch(6.0)
    assert (status.state, status.reason) == (LivenessState.FAILED, Reason.NOT_LIVE)
    for _ in range(60):
        assert stand.frame().state is LivenessState.FAILED


def test_without_the_networks_every_visit_is_a_challenge_of_three() -> None:
    """And nothing is measured."""
    stand = Stand(Reader(passive=False))
    status = stand.watch(3.0)
    assert [turns.steps for turns in stand.begun] == [3]
    assert stand.reader.asked == 0
    assert status.evidence.passive is None
    assert status.evidence.method == "head_turn"


def test_at_level_high_nobody_comes_in_without_a_challenge() -> None:
    stand = Stand(rules=replace(RULES, level=Level.HIGH))
    stand.watch(3.0)
    assert [turns.steps for turns in stand.begun] == [3]


def test_at_level_high_the_light_must_not_go_out_during_the_challenge() -> None:
    """A picture that blinds the networks takes one of two proofs away."""
    dark = replace(FINE, brightness=10.0)
    stand = Stand(Reader([FINE] * 3 + [dark] * 99), rules=replace(RULES, level=Level.HIGH))
    assert stand.watch(3.0).reason is Reason.POOR_QUALITY


#: What may be done to a picture that the networks would veto, once they were undecided and head turns are asked.
BLINDED: dict[str, dict[str, Any]] = {
    "dark": {"brightness": 10.0},
    "burnt": {"burnt": 0.9},
    "grey": {"chroma": 1.0},
    "filled": {"context": 1.5},
    "blurred": {"sharpness": 4.0},
    "noisy": {"noise": 0.2},
}


@pytest.mark.parametrize("how", BLINDED)
def test_who_blinds_the_networks_once_head_turns_are_asked_is_not_proven_by_them(how: str) -> None:
    """Their veto is void in such pictures: the answered challenge is not enough."""
    stand = Stand(Reader([UNSURE] * 24 + [replace(SPOOF, **BLINDED[how])] * 99))
    status = stand.watch(8.0)
    assert stand.begun
    assert (status.state, status.reason) == (LivenessState.FAILED, Reason.POOR_QUALITY)


@pytest.mark.parametrize("how", BLINDED)
def test_a_blinded_moment_of_a_living_face_during_the_challenge_costs_nothing(how: str) -> None:
    """The control: a turning head is blurred for a frame or two."""
    stand = Stand(Reader([UNSURE] * 24 + [replace(UNSURE, **BLINDED[how])] * 2 + [UNSURE] * 99), frames=60)
    status = stand.watch(8.0)
    assert (status.state, status.reason) == (LivenessState.PROVEN, None)


def test_where_an_owner_accepts_the_risk_a_blinded_challenge_is_enough() -> None:
    """And at convenience, which says the same."""
    dark = replace(UNSURE, brightness=10.0)
    stand = Stand(Reader([UNSURE] * 24 + [dark] * 99), rules=replace(RULES, turns_suffice=True))
    assert stand.watch(8.0).state is LivenessState.PROVEN


def test_few_clear_answers_that_look_like_a_spoof_veto_a_completed_challenge() -> None:
    """The window of K is full of answers from before: those since the prompts speak for themselves."""
    rules = replace(RULES, passive=replace(RULES.passive, samples=21))
    stand = Stand(Reader([UNSURE] * 24 + [SPOOF] * 99), rules=rules)
    status = stand.watch(8.0)
    assert (status.state, status.reason) == (LivenessState.FAILED, Reason.VETOED)


def answers_leaning(roll_deg: float) -> tuple[LivenessStatus, int]:
    """An undecided face that answers every prompt of a real challenge, leaning so far once it is asked.

    Returns:
        How it ends, and how many answers the networks gave after the first prompt could be shown.
    """
    reader, signal, since_s = Reader(UNSURE), Signal.LOOK_STRAIGHT, 0.0
    proof = LivenessProof(
        RULES,
        reader=reader,
        challenge=lambda steps: HeadTurnChallenge(
            LivenessConfig(), gate=StubGate(), prompts=tuple(OBEDIENT)[:steps], spares=0
        ),
    )
    vouched_s, asked = -math.inf, 0
    status: LivenessStatus | None = None
    for number in range(1, 30 * 20):
        now_s = 10.0 + number / 30
        challenged = status is not None and "head_turn" in status.evidence.method
        asked = asked if challenged else reader.asked
        yaw, pitch = OBEDIENT.get(signal, (0.0, 0.0)) if now_s - since_s > 0.7 else (0.0, 0.0)
        scene, face = seen(now_s, number)
        face = replace(face, pose=Pose(yaw, pitch, roll_deg if challenged else 0.0))
        if number % 4 == 0 and max(abs(yaw), abs(pitch)) <= 15:
            vouched_s = now_s
        status = proof.observe(scene, face, vouched_s=vouched_s)
        if status.signal is not signal:
            signal, since_s = status.signal, now_s
        if status.state is not LivenessState.PENDING:
            break
    assert status is not None
    return status, reader.asked - asked


@pytest.mark.parametrize("roll_deg", [22.0, 30.0, -25.0, math.nan])
def test_who_leans_away_from_the_networks_once_asked_answers_no_prompt(roll_deg: float) -> None:
    """A telephone that is tilted is compared as before, but no longer judged."""
    status, answers = answers_leaning(roll_deg)
    assert answers == 0
    assert status.state is not LivenessState.PROVEN
    assert not status.evidence.steps


def test_who_stays_upright_answers_them_and_is_judged_all_the_while() -> None:
    """The control."""
    status, answers = answers_leaning(5.0)
    assert status.state is LivenessState.PROVEN
    assert answers > 10


def test_frames_that_the_networks_did_not_judge_name_nobody_during_a_challenge() -> None:
    stand = Stand(Reader([UNSURE] * 99))
    while not stand.begun:
        stand.frame()
    judged = stand.frame(compared=True)
    assert judged.lived_s == stand.now_s
    stand.roll_deg = 25.0
    assert stand.frame(compared=True).lived_s != stand.now_s


def test_a_restless_face_that_owes_a_challenge_does_not_get_one_for_three_good_answers() -> None:
    """Else hiding from the networks would pay each time."""
    stand = Stand(Reader([FINE] * 99), owes=True)
    stand.stay(12)
    stand.yaw_deg = 16.0
    status = stand.watch(5.0)
    assert stand.reader.asked < RULES.passive.samples
    assert (status.state, status.reason) == (LivenessState.FAILED, Reason.POOR_QUALITY)


# ---- What breaks


@pytest.mark.parametrize(
    "answer",
    [ModelError("broken"), replace(FINE, live=math.nan), replace(FINE, live=None), replace(FINE, live=1.5)],
)
@pytest.mark.parametrize("good", [0, 4, 30])
def test_a_network_that_breaks_is_an_error_and_never_a_proof(answer: Any, good: int) -> None:
    """At the first frame, before the verdict, after the acceptance."""
    stand = Stand(Reader([FINE] * good + [answer] * 99))
    with pytest.raises(ModelError):
        stand.stay(400)


def test_another_track_is_another_face() -> None:
    stand = Stand()
    stand.watch(3.0)
    stand.track = 2
    assert stand.frame().reason is Reason.FACE_CHANGED


@pytest.mark.parametrize("after_s", [0.0, -0.1, math.nan])
def test_time_that_does_not_advance_is_an_error(after_s: float) -> None:
    stand = Stand()
    stand.frame()
    status = stand.frame(after_s=after_s)
    assert (status.state, status.reason) == (LivenessState.FAILED, Reason.LIVENESS_ERROR)


def test_a_face_of_another_frame_is_an_error() -> None:
    stand = Stand()
    scene, _ = seen(20.0, 7)
    _, face = seen(20.0, 8)
    assert stand.proof.observe(scene, face, vouched_s=20.0).reason is Reason.LIVENESS_ERROR


def test_a_policy_that_refuses_without_a_reason_refuses_all_the_same() -> None:
    stand = Stand(policy=lambda *_: Ruling(Move.REFUSE))
    assert stand.frame().reason is Reason.LIVENESS_ERROR


kinds = st.sampled_from([FINE, UNSURE, SPOOF, replace(FINE, bezel=9.0), replace(FINE, chroma=0.0)])


@given(
    st.lists(st.tuples(kinds, st.floats(0.02, 0.6), st.booleans(), st.floats(-30, 30)), max_size=80),
    st.sampled_from(list(Level)),
)
def test_proven_always_rests_on_k_live_answers_or_on_a_passed_challenge(
    frames: list[tuple[Cues, float, bool, float]], level: Level
) -> None:
    """Whatever comes, in whatever order."""
    reader = Reader()
    stand = Stand(reader, rules=replace(RULES, level=level))
    for cues, after_s, compared, yaw_deg in frames:
        reader.tells, stand.yaw_deg = cues, yaw_deg
        status = stand.frame(after_s=after_s, compared=compared)
        if status.state is LivenessState.PROVEN:
            passive = status.evidence.passive
            assert passive is not None
            assert passive.verdict is not PassiveVerdict.SPOOF
            challenged = bool(stand.begun) and stand.begun[-1].seen >= stand.begun[-1].frames
            assert challenged or (passive.verdict is PassiveVerdict.LIVE and level is not Level.HIGH)


# ---- Blinks


@dataclass
class Eyes:
    """Blinks at every tenth frame."""

    seen: int = 0

    @property
    def blinks(self) -> int:
        """So far."""
        return self.seen // 10

    def look(self, frame: Frame, face: Face) -> None:  # noqa: ARG002  # the watch's own signature
        """One frame."""
        self.seen += 1


def test_blinks_stand_in_the_evidence_and_decide_nothing() -> None:
    """However often somebody blinks: a spoof is vetoed, an undecided face is asked, at the same time as without."""
    for reader in (Reader(SPOOF), Reader(UNSURE)):
        found = []
        for eyes in (None, Eyes()):
            reader.asked = 0
            stand = Stand(reader, eyes=eyes)
            status = stand.watch(4.0)
            found.append((status.state, status.reason, len(stand.begun), stand.now_s))
            assert status.evidence.blinks == (None if eyes is None else eyes.blinks)
        assert found[0] == found[1]
