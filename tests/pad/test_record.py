"""What is recorded and played is what the door itself would have made of the presentation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from device.access.liveness import Level, rule
from device.sim.attacks.catalogue import Species
from device.types import Decision, Reason, Signal
from device.vision.liveness.planarity import PLANAR
from export_tools.pad.attempt import Attempt
from export_tools.pad.columns import CUES, DONE
from export_tools.pad.replay import run_attempt
from export_tools.pad.script import BEYOND_S, SPARES, STEPS, course, wait_then_ask
from export_tools.pad.settings import PolicySettings
from export_tools.pad.studio import Recorded, Simulated, Studio, StudioPlan
from export_tools.pad.trace import Ending, Trace
from tests.pad.conftest import PEOPLE
from tests.pad.live import Scene, decide_live

VISITOR, PRINT = Scene(), Scene(printed=True)


@pytest.fixture(scope="module")
def plain(door_plan: StudioPlan) -> Studio:
    """Without passive networks."""
    return door_plan.open()


@pytest.fixture(scope="module")
def plus(plus_plan: StudioPlan) -> Studio:
    """With them."""
    return plus_plan.open()


@pytest.fixture(scope="module")
def traced(plain: Studio) -> dict[Scene, Trace]:
    """Both scenes without networks."""
    return {scene: scene.record(plain) for scene in (VISITOR, PRINT)}


def timed(settings: PolicySettings) -> PolicySettings:
    """A policy that asks when the script does, for as many turns, whatever the networks say."""
    rules = settings.rules
    passive = replace(rules.passive, accept=2.0, veto=-1.0)
    within_s = rules.within_s + BEYOND_S
    rules = replace(rules, passive=passive, within_s=within_s, steps=STEPS, steps_undecided=STEPS)
    return replace(settings, rules=rules, policy=wait_then_ask)


def assert_same(attempt: Attempt, decision: Decision | None, *, granted: bool) -> None:
    """Reason, every step with its angle, time and residual, every sample, and the time it took."""
    assert decision is not None
    assert attempt.reason is decision.reason
    assert attempt.granted == decision.granted == granted
    assert attempt.evidence == decision.liveness
    assert decision.first_usable_s is not None
    assert attempt.decided_s == pytest.approx(decision.decided_s - decision.first_usable_s, abs=1e-5)


@pytest.mark.parametrize(("scene", "granted"), [(VISITOR, True), (PRINT, False)])
def test_without_networks_a_played_trace_is_what_the_door_decided(
    plain: Studio, traced: dict[Scene, Trace], scene: Scene, granted: bool
) -> None:
    trace = traced[scene]
    settings = timed(PolicySettings.of(plain.vision.config, plain.vision.pack))
    attempt = run_attempt(trace, settings, plain.enrolled(trace.about.photo))
    decision = decide_live(plain, scene, settings)
    assert_same(attempt, decision, granted=granted)
    assert attempt.evidence is not None
    assert all(step.residual is not None for step in attempt.evidence.steps)
    earlier = run_attempt(trace, replace(settings, policy=rule), plain.enrolled(trace.about.photo))
    assert earlier.reason is attempt.reason
    assert earlier.evidence is not None
    assert earlier.evidence.steps == attempt.evidence.steps, "asked seconds before, the same turns count the same"


@pytest.mark.parametrize(("scene", "reason"), [(VISITOR, Reason.GRANTED), (PRINT, Reason.VETOED)])
def test_with_networks_a_played_trace_is_what_the_door_decided(plus: Studio, scene: Scene, reason: Reason) -> None:
    """When asked as the script asks, and by the policy itself, which asks neither of them anything."""
    granted = reason is Reason.GRANTED
    trace = scene.record(plus)
    enrolled = plus.enrolled(trace.about.photo)
    settings = PolicySettings.of(plus.vision.config, plus.vision.pack)
    asked = run_attempt(trace, timed(settings), enrolled)
    assert_same(asked, decide_live(plus, scene, timed(settings)), granted=granted)
    assert asked.evidence is not None
    assert asked.evidence.steps
    assert asked.evidence.passive is not None
    attempt = run_attempt(trace, settings, enrolled)
    assert (attempt.challenged, attempt.reason) == (False, reason)
    assert_same(attempt, decide_live(plus, scene, settings), granted=granted)
    assert_sound(trace)


def assert_sound(trace: Trace) -> None:
    """A recording with networks has the cues of every compared frame, before and during the challenge."""
    frames = trace.frames
    assert trace.passive
    assert trace.turn_at is not None
    assert np.array_equal(frames.compared, frames.cued == DONE)
    assert frames.compared[: trace.turn_at].sum() >= 10
    assert frames.compared[trace.turn_at :].sum() >= 5
    live = frames.cues[:, CUES.index("live")]
    assert ((live >= 0) & (live <= 1)).all()
    assert np.isfinite(frames.cues).all()
    since = np.flatnonzero(frames.compared)[0]
    assert frames.captured_s[trace.turn_at] - frames.captured_s[since] >= 3.0 + BEYOND_S


def test_every_turn_of_a_print_is_judged_although_the_first_would_end_the_visit(
    plain: Studio, traced: dict[Scene, Trace]
) -> None:
    trace = traced[PRINT]
    settings = PolicySettings.of(plain.vision.config, plain.vision.pack)
    assert len(trace.frames.findings) >= 1
    stopped = run_attempt(trace, settings, None)
    assert stopped.evidence is not None
    assert [step.outcome for step in stopped.evidence.steps] == [PLANAR]
    control = run_attempt(trace, replace(settings, planarity=False), None)
    assert control.evidence is not None
    assert len(control.evidence.steps) >= 2


def test_recording_twice_gives_the_same_trace(plain: Studio, traced: dict[Scene, Trace]) -> None:
    """Control of everything above: a scene can be repeated."""
    one, other = traced[PRINT], PRINT.record(plain)
    assert np.array_equal(one.frames.geometry, other.frames.geometry)
    assert np.array_equal(one.frames.findings, other.frames.findings, equal_nan=True)


def test_a_recorded_clip_of_somebody_living_is_never_vetoed(plus: Studio, shared: Path) -> None:
    item = Recorded(shared / "clips" / "intel_asl_help.mkv", "live", 0, "A")
    trace = plus.record(item)
    assert not trace.about.answers
    assert trace.ending is Ending.LEFT
    settings = PolicySettings.of(plus.vision.config, plus.vision.pack)
    for level in Level:
        rules = replace(settings.rules, level=level)
        assert run_attempt(trace, replace(settings, rules=rules), None).reason is not Reason.VETOED


def test_a_course_belongs_to_its_presentation() -> None:
    assert course(7) == course(7)
    courses = {course(seed) for seed in range(200)}
    assert len(courses) > 30
    assert {len(each) for each in courses} == {STEPS + SPARES}
    assert all(isinstance(prompt, Signal) for each in courses for prompt in each)


def test_a_person_is_enrolled_from_other_photographs_where_there_are_any(plain: Studio) -> None:
    model = plain.vision.embedder.model
    looks = {name: plain.enrolled(name) for name in plain.sitters}
    assert {name: each.person for name, each in looks.items()} == PEOPLE
    assert {each.template.model for each in looks.values()} == {model}
    # obama.jpg is presented to an enrolment from obama2.jpg and the other way round; biden.jpg has only itself.
    one, other = looks["obama.jpg"].template.vector, looks["obama2.jpg"].template.vector
    assert not np.array_equal(one, other)
    assert float(one @ other) > 0.93
    assert float(one @ looks["biden.jpg"].template.vector) < 0.9


def test_a_presentation_of_the_catalogue_is_recorded_under_its_name(plain: Studio) -> None:
    item = Simulated(Species.PRINT_JITTER, 0)
    trace = plain.record(item)
    assert trace.about.name == item.name == "print_jitter-00000"
    assert trace.about.subject == PEOPLE[trace.about.photo]
    assert trace.about.answers
    assert trace.turn_at is not None
