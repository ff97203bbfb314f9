"""The rules of the head-turn challenge, one by one, on heads without pictures."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.config import LivenessConfig
from device.types import LivenessState, LivenessStatus, Reason, Signal
from device.vision.liveness.planarity import PLANAR, SPATIAL, TOO_FEW_CORNERS
from device.vision.liveness.prompts import PromptCourses
from tests.liveness.conftest import OBEDIENT, OPPOSITE, StubGate, obey, person, sample

CONFIG = LivenessConfig()


def failed(status: LivenessStatus, reason: Reason) -> bool:
    """Whether it failed for this reason, and says so."""
    return status.state is LivenessState.FAILED and status.reason is reason and status.signal is Signal.DENIED


@pytest.mark.parametrize("seed", range(8))
def test_whoever_answers_every_prompt_is_proven(seed: int) -> None:
    """Three steps, each in its direction, with its evidence."""
    status = person(obey(), seed=seed).run()
    assert status.state is LivenessState.PROVEN
    assert status.reason is None
    assert status.signal is Signal.CHECKING
    assert [step.outcome for step in status.evidence.steps] == ["passed"] * CONFIG.steps
    assert all(step.angle_deg >= CONFIG.nod_deg for step in status.evidence.steps)


@pytest.mark.parametrize("seed", range(20))
def test_between_two_prompts_the_person_is_asked_to_look_straight(seed: int) -> None:
    """So that the same prompt once more is a new one."""
    config = LivenessConfig(steps=5)
    visitor = person(obey(), seed=seed, config=config)
    assert visitor.run().state is LivenessState.PROVEN
    prompts = [signal for signal in visitor.shown if signal in OBEDIENT]
    assert len(prompts) == 5
    assert [signal for signal in visitor.shown if signal not in OBEDIENT] == [Signal.LOOK_STRAIGHT] * 6 + [
        Signal.CHECKING
    ]


def test_all_four_prompts_are_drawn() -> None:
    """Over some seeds."""
    first = {person(obey(), seed=seed).run_until_prompt().signal for seed in range(40)}
    assert first == set(OBEDIENT)


def test_no_prompt_comes_before_the_head_has_rested_long_enough() -> None:
    """Half a second of baseline."""
    visitor = person(obey())
    start_s = visitor.now_s
    visitor.run_until_prompt()
    assert visitor.now_s - start_s >= CONFIG.baseline_s


def test_a_head_that_is_turned_or_restless_gets_no_baseline() -> None:
    """Neither far from frontal, nor swinging."""
    for behave in (lambda *_: (35.0, 0.0), lambda now_s, *_: (15.0 * math.sin(9 * now_s), 0.0)):
        status = person(behave).run(at_most_s=4)
        assert status.state is LivenessState.PENDING
        assert not status.evidence.steps


def test_angles_count_from_the_baseline() -> None:
    """A camera that sees the head 9 degrees from above asks for as much as any other."""

    def looking_up(size: float) -> bool:
        def behave(now_s: float, signal: Signal, since_s: float) -> tuple[float, float]:
            yaw, pitch = obey(size=size)(now_s, signal, since_s)
            return yaw + 5.0, pitch - 9.0

        return person(behave).run().state is LivenessState.PROVEN

    assert looking_up(21 / 28)
    assert not looking_up(16 / 28)


def test_no_answer_fails_with_no_response() -> None:
    """After three seconds."""
    visitor = person(lambda *_: (0.0, 0.0))
    visitor.run_until_prompt()
    asked_s = visitor.now_s
    assert failed(visitor.run(), Reason.NO_RESPONSE)
    assert visitor.now_s - asked_s == pytest.approx(CONFIG.answer_max_s, abs=0.1)


def test_a_turn_that_is_too_small_is_no_answer() -> None:
    """16 degrees, of 20 to the side and 17 up or down."""
    assert failed(person(obey(size=16 / 28)).run(), Reason.NO_RESPONSE)


def test_a_late_answer_is_no_answer() -> None:
    """3.1 seconds after the prompt."""
    assert failed(person(obey(after_s=3.1)).run(), Reason.NO_RESPONSE)


def test_an_answer_sooner_than_anybody_can_react_fails() -> None:
    """A recording does not wait for the prompt."""
    status = person(obey(after_s=0.05)).run()
    assert failed(status, Reason.WRONG_RESPONSE)
    assert status.evidence.steps[0].outcome == "wrong_direction"


def test_a_turn_begun_before_the_prompt_fails() -> None:
    """Whoever turned already did not turn because of the prompt."""
    visitor = person(lambda *_: (0.0, 0.0))
    status = visitor.run_until_prompt()
    pose = OBEDIENT[status.signal]
    for _ in range(20):
        status = visitor.step(pose=pose)
    assert failed(status, Reason.WRONG_RESPONSE)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("quarter", [False, True])
def test_a_wrong_direction_fails(seed: int, *, quarter: bool) -> None:
    """The opposite one, and one on the other axis."""

    def behave(now_s: float, signal: Signal, since_s: float) -> tuple[float, float]:
        if now_s - since_s < 0.6 or signal not in OBEDIENT:
            return 0.0, 0.0
        yaw, pitch = OBEDIENT[OPPOSITE[signal]]
        return (pitch, yaw) if quarter else (yaw, pitch)

    status = person(behave, seed=seed).run()
    assert failed(status, Reason.WRONG_RESPONSE)
    assert status.evidence.steps[0].outcome == "wrong_direction"


def test_a_turn_that_is_not_held_is_no_answer() -> None:
    """One frame of three is a slip of the mesh; two in a row are not 0.1 s."""
    visitor = person(lambda *_: (0.0, 0.0))
    prompt = visitor.run_until_prompt().signal
    for _ in range(10):
        visitor.step()
    for pose in [OBEDIENT[prompt], (0.0, 0.0), (0.0, 0.0)] * 5 + [OBEDIENT[prompt]] * 2:
        visitor.step(pose=pose)
    assert failed(visitor.run(), Reason.NO_RESPONSE)


def test_the_next_prompt_waits_until_the_head_is_back() -> None:
    """And whoever never comes back fails."""
    turned: list[tuple[float, float]] = []

    def behave(now_s: float, signal: Signal, since_s: float) -> tuple[float, float]:
        if signal in OBEDIENT and now_s - since_s >= 0.6:
            turned.append(OBEDIENT[signal])
        return turned[0] if turned else (0.0, 0.0)

    status = person(behave).run()
    assert failed(status, Reason.NO_RESPONSE)
    assert [step.outcome for step in status.evidence.steps] == ["passed"]


@pytest.mark.parametrize("verdict", [PLANAR, TOO_FEW_CORNERS])
def test_a_turn_that_is_not_spatial_is_not_live(verdict: str) -> None:
    """Flat, or nothing that says otherwise."""
    status = person(obey(), gate=StubGate(verdict)).run()
    assert failed(status, Reason.NOT_LIVE)
    assert status.evidence.steps[0].outcome == verdict


def test_a_turn_that_leaves_the_gate_undecided_is_replaced_by_a_spare_one() -> None:
    """Once; the steps that count are as many as without it."""
    gate = StubGate(TOO_FEW_CORNERS)
    visitor = person(obey(), gate=gate, spares=1)
    while visitor.step().evidence.steps[-1:] == () or gate.judged == 0:
        assert visitor.now_s < 20.0
    gate.verdict = SPATIAL
    status = visitor.run()
    assert status.state is LivenessState.PROVEN
    assert [step.outcome for step in status.evidence.steps] == [TOO_FEW_CORNERS] + ["passed"] * CONFIG.steps


def test_a_second_undecided_turn_fails_and_a_flat_one_at_once() -> None:
    """A spare turn is no second chance for a sheet."""
    undecided = person(obey(), gate=StubGate(TOO_FEW_CORNERS), spares=1).run()
    assert failed(undecided, Reason.NOT_LIVE)
    assert [step.outcome for step in undecided.evidence.steps] == [TOO_FEW_CORNERS] * 2
    flat = person(obey(), gate=StubGate(PLANAR), spares=1).run()
    assert failed(flat, Reason.NOT_LIVE)
    assert [step.outcome for step in flat.evidence.steps] == [PLANAR]


def test_a_spare_turn_is_not_asked_of_whoever_needs_none() -> None:
    status = person(obey(), spares=1).run()
    assert status.state is LivenessState.PROVEN
    assert len(status.evidence.steps) == CONFIG.steps


def test_nothing_is_asked_of_somebody_who_still_walks_up() -> None:
    """A face that grows by a quarter in half a second; once it stands, the baseline begins."""
    visitor = person(obey())
    for number in range(60):
        frame, face = sample(10.0 + number / 30, 0, 0, frame=number, width_px=60 * 1.016**number)
        assert not visitor.challenge.observe(frame, face, vouched_s=face.captured_s).evidence.steps
    for number in range(60, 80):
        frame, face = sample(10.0 + number / 30, 0, 0, frame=number, width_px=155)
        status = visitor.challenge.observe(frame, face, vouched_s=face.captured_s)
    assert status.evidence.steps


def test_a_head_that_comes_to_rest_elsewhere_has_a_new_baseline() -> None:
    """Whoever glanced aside while the first one was taken; ten degrees further, for half a second."""
    away = [0.0]

    def behave(now_s: float, signal: Signal, since_s: float) -> tuple[float, float]:
        yaw, pitch = obey()(now_s, signal, since_s)
        if signal in OBEDIENT and now_s - since_s >= 0.6:
            away[0] = 11.0
        return yaw + away[0], pitch

    assert person(behave).run().state is LivenessState.PROVEN


def test_a_head_that_is_held_where_it_was_asked_to_turn_to_does_not_rest_there() -> None:
    """The control: no new baseline so far from the old one."""
    turned: list[tuple[float, float]] = []

    def behave(now_s: float, signal: Signal, since_s: float) -> tuple[float, float]:
        if signal in OBEDIENT and now_s - since_s >= 0.6:
            yaw, pitch = OBEDIENT[signal]
            turned.append((yaw * 0.72, pitch * 0.6))
        return turned[0] if turned else (0.0, 0.0)

    assert failed(person(behave).run(), Reason.NO_RESPONSE)


def test_a_gate_that_breaks_denies() -> None:
    """As an error of its own, never as a proof."""
    assert failed(person(obey(), gate=StubGate("broken")).run(), Reason.LIVENESS_ERROR)


def test_the_gate_sees_only_turns_that_are_being_judged() -> None:
    """From the vouched frame on which it is asked to the held turn; nothing before, nothing on the way back."""
    gate = StubGate()
    visitor = person(obey(), gate=gate)
    visitor.run_until_prompt()
    assert gate.added == 1
    while visitor.step().signal is not Signal.LOOK_STRAIGHT:
        pass
    seen = gate.added
    assert seen > 0
    visitor.step()
    assert gate.added == seen
    assert gate.judged == 1


@pytest.mark.parametrize("pose", [(math.nan, 0.0), (0.0, math.inf)])
def test_a_pose_that_is_no_number_fails(pose: tuple[float, float]) -> None:
    """At any time."""
    for samples in (0, 5, 25):
        visitor = person(obey())
        for _ in range(samples):
            visitor.step()
        assert failed(visitor.step(pose=pose), Reason.LIVENESS_ERROR)


@pytest.mark.parametrize("dt_s", [0.0, -0.1, math.nan])
def test_time_that_does_not_advance_fails(dt_s: float) -> None:
    """The same frame twice, or an older one."""
    visitor = person(obey())
    visitor.step()
    assert failed(visitor.step(dt_s=dt_s), Reason.LIVENESS_ERROR)


def test_a_face_of_another_frame_fails() -> None:
    """The picture that is judged must be the one that was measured."""
    visitor = person(obey())
    frame, _ = sample(1.0, 0, 0, frame=1)
    _, face = sample(1.0, 0, 0, frame=2)
    assert failed(visitor.challenge.observe(frame, face, vouched_s=face.captured_s), Reason.LIVENESS_ERROR)


def test_a_gap_or_another_track_is_another_face() -> None:
    """Before the proof and after it."""
    for proven in (False, True):
        for gap in (False, True):
            visitor = person(obey())
            if proven:
                assert visitor.run().state is LivenessState.PROVEN
            else:
                visitor.step()
            visitor.track += 0 if gap else 1
            assert failed(visitor.step(dt_s=CONFIG.max_gap_s + 0.01 if gap else 0.03), Reason.FACE_CHANGED)


def test_a_proof_stands_while_samples_keep_coming() -> None:
    """However the head moves then."""
    visitor = person(obey())
    visitor.run()
    for number in range(100):
        assert visitor.step(pose=(number % 60 - 30.0, 0.0), dt_s=0.3).state is LivenessState.PROVEN
    assert visitor.step().sampled_s == visitor.now_s


def test_a_failure_is_final() -> None:
    """Nothing that comes after it counts, not even as a sample."""
    visitor = person(obey(), gate=StubGate(PLANAR))
    status = visitor.run()
    later = [visitor.step(pose=pose) for pose in [(0.0, 0.0)] * 60]
    assert all(each == status for each in later)


#: From one end to the other it is 16.8 degrees: a nod is 17, a turn 20.
angle = st.floats(-8.4, 8.4)
any_angle = st.one_of(st.floats(-60, 60), st.sampled_from([math.nan, math.inf, 25.0, -25.0, 0.0]))
pause = st.floats(0.02, 0.3)


@given(st.lists(st.tuples(pause, angle, angle), max_size=120), st.integers(0, 99))
def test_whoever_never_turns_is_never_proven(samples: list[tuple[float, float, float]], seed: int) -> None:
    """No movement within 8.4 degrees of frontal can be a nod from any baseline, whatever is asked."""
    visitor = person(obey(), seed=seed)
    for dt_s, yaw, pitch in samples:
        status = visitor.step(dt_s=dt_s, pose=(yaw, pitch))
        assert status.state is not LivenessState.PROVEN
        assert all(step.outcome != "passed" for step in status.evidence.steps)


@pytest.mark.parametrize(("rest_deg", "passes"), [(8.4, False), (8.6, True)])
def test_from_one_end_of_a_small_range_to_the_other_is_a_nod_once_it_is_17_degrees(
    rest_deg: float, *, passes: bool
) -> None:
    """The control of the range above: whoever rests a little lower and looks up a little is asked nothing less."""

    def behave(now_s: float, signal: Signal, since_s: float) -> tuple[float, float]:
        return 0.0, rest_deg if signal in OBEDIENT and now_s - since_s >= 0.6 else -rest_deg

    config = LivenessConfig(steps=2)
    seed = next(
        seed
        for seed in range(99)
        if PromptCourses(random.Random(seed)).draw(2) == (Signal.LOOK_UP,) * 2  # noqa: S311
    )
    assert (person(behave, seed=seed, config=config).run().state is LivenessState.PROVEN) is passes


@given(st.lists(st.tuples(pause, any_angle, any_angle), max_size=120), st.integers(0, 9))
def test_only_turns_in_the_asked_directions_prove(samples: list[tuple[float, float, float]], seed: int) -> None:
    """Whatever comes: proven means that every step passed, far enough, in time; failed stays failed."""
    visitor = person(obey(), seed=seed)
    before: LivenessStatus | None = None
    for dt_s, yaw, pitch in [(0.05, 0.0, 0.0)] * 11 + samples:
        status = visitor.step(dt_s=dt_s, pose=(yaw, pitch))
        if before is not None and before.state is LivenessState.FAILED:
            assert status == before
        if status.state is LivenessState.PROVEN:
            assert len(status.evidence.steps) == CONFIG.steps
            for step in status.evidence.steps:
                assert step.outcome == "passed"
                sideways = step.prompt in (Signal.TURN_LEFT, Signal.TURN_RIGHT)
                assert step.angle_deg >= (CONFIG.turn_deg if sideways else CONFIG.nod_deg)
                assert step.response_s is not None
                assert CONFIG.answer_min_s <= step.response_s <= CONFIG.answer_max_s
        before = status


@given(st.floats(0.0, 3.2), st.floats(0.0, 40.0), st.integers(0, 99))
def test_an_obedient_head_is_proven_within_the_limits_and_not_without(
    after_s: float, degrees: float, seed: int
) -> None:
    """20 degrees for a turn, 17 for a nod, between 0.5 and 3 seconds; the 0.1 s that a median blurs are left out."""
    visitor = person(obey(after_s=after_s, size=degrees / 28), seed=seed)
    status = visitor.run()
    nods = {Signal.LOOK_UP, Signal.LOOK_DOWN}
    limits = [CONFIG.nod_deg if step.prompt in nods else CONFIG.turn_deg for step in status.evidence.steps]
    if degrees >= max(limits) and CONFIG.answer_min_s <= after_s <= CONFIG.answer_max_s - 0.1:
        assert status.state is LivenessState.PROVEN
    elif degrees < max(limits) - 0.01 or after_s < CONFIG.answer_min_s - 0.1 or after_s > CONFIG.answer_max_s:
        assert status.state is LivenessState.FAILED
    passed = [limit for limit, step in zip(limits, status.evidence.steps, strict=True) if step.outcome == "passed"]
    assert all(degrees >= limit - 0.01 for limit in passed)


def test_nothing_is_asked_of_a_face_that_was_not_compared() -> None:
    """However long it rests: the first prompt waits for a frame that vouches for the face."""
    visitor = person(obey())
    for number in range(90):
        frame, face = sample(1.0 + number / 30, 0, 0, frame=number)
        status = visitor.challenge.observe(frame, face, vouched_s=-math.inf)
    assert status.evidence.steps == ()
    frame, face = sample(4.1, 0, 0, frame=90)
    assert visitor.challenge.observe(frame, face, vouched_s=4.1).signal in OBEDIENT


def test_a_turn_that_comes_back_as_somebody_else_is_not_followed_by_a_prompt() -> None:
    """Back at rest, but not vouched for any more: no next step, and the time runs out."""
    visitor = person(obey())
    while visitor.step().signal is not Signal.LOOK_STRAIGHT or not visitor.challenge.status.evidence.steps:
        assert visitor.now_s < 20.0
    vouched_s, number = visitor.vouched_s, visitor.frame
    for count in range(1, 120):
        frame, face = sample(visitor.now_s + count / 30, 0, 0, frame=number + count)
        status = visitor.challenge.observe(frame, face, vouched_s=vouched_s)
    assert len(status.evidence.steps) == 1
    assert failed(status, Reason.NO_RESPONSE)
