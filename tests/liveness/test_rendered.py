"""Rendered visitors and prints before the real models: what the challenge is for, end to end."""

from __future__ import annotations

import random

import numpy as np
import pytest

from device.config import LivenessConfig
from device.sim.attacks.cutout import CutoutParameters, PrintCutout
from device.sim.attacks.papers import (
    BentParameters,
    FlexParameters,
    PrintBent,
    PrintFlex,
    PrintRolled,
    RolledParameters,
)
from device.sim.camera import Visitor, door_lens
from device.types import LivenessState, Reason, Signal
from device.vision.liveness.planarity import Planarity, PlanarityGate
from device.vision.liveness.prompts import PromptCourses
from tests.liveness.conftest import Stage

LEFT, RIGHT, UP, DOWN = Signal.TURN_LEFT, Signal.TURN_RIGHT, Signal.LOOK_UP, Signal.LOOK_DOWN
#: Together every direction, twice over.
COURSES = ((LEFT, DOWN, RIGHT), (UP, LEFT, DOWN), (RIGHT, UP, LEFT))
#: Cosine of a false match rate of 1e-5 for chip and mirrored chip.
MATCH = 0.9547
#: Homography residual, in inter-ocular distances, from which a face is not flat.
FLAT = LivenessConfig().min_residual


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[Planarity]:
    """What the gate says, turn by turn."""
    noted: list[Planarity] = []
    judge = PlanarityGate.judge

    def noting(self: PlanarityGate, *, vouched_s: float, until_s: float) -> Planarity:
        noted.append(judge(self, vouched_s=vouched_s, until_s=until_s))
        return noted[-1]

    monkeypatch.setattr(PlanarityGate, "judge", noting)
    return noted


def curved(stage: Stage, kind: str, *, seed: int = 0) -> Visitor:
    """A print of Obama that is not flat."""
    portrait, lens = stage.portraits["obama"], door_lens()
    if kind == "bent":
        return PrintBent(portrait, lens=lens, parameters=BentParameters(), seed=seed)
    if kind == "flexed":
        return PrintFlex(portrait, lens=lens, parameters=FlexParameters(), seed=seed)
    if kind == "rolled":
        return PrintRolled(portrait, lens=lens, parameters=RolledParameters(), seed=seed)
    return PrintCutout(portrait, stage.portraits["biden"], lens=lens, parameters=CutoutParameters(), seed=seed)


@pytest.mark.parametrize("name", ["obama", "obama3", "biden"])
@pytest.mark.parametrize("course", COURSES)
def test_a_rendered_visitor_is_proven_in_every_direction(
    stage: Stage, judged: list[Planarity], name: str, course: tuple[Signal, ...]
) -> None:
    """With room to both limits of the gate in each turn."""
    status = stage.play(stage.visitor(name, seed=2), course=course).status
    assert status is not None
    assert status.state is LivenessState.PROVEN
    assert [step.prompt for step in status.evidence.steps] == list(course)
    for step in status.evidence.steps:
        assert step.residual is not None
        assert step.residual > 1.2 * LivenessConfig().min_residual
    assert len(judged) == len(course)
    for found in judged:
        assert found.parallax is not None
        assert found.error is not None
        assert found.parallax - found.error > 1.2 * LivenessConfig().min_parallax


@pytest.mark.parametrize("prompt", [LEFT, RIGHT, UP, DOWN])
@pytest.mark.parametrize("kind", ["bent", "flexed", "rolled", "mask"])
def test_a_print_that_is_not_flat_is_not_live_either(
    stage: Stage, judged: list[Planarity], kind: str, prompt: Signal
) -> None:
    """The homography alone would take most of these for heads; what the mesh believes to be a nose gives them away."""
    status = stage.play(curved(stage, kind), course=(prompt,)).status
    assert status is not None
    assert (status.state, status.reason) == (LivenessState.FAILED, Reason.NOT_LIVE)
    (step,) = status.evidence.steps
    assert step.outcome == "planar"
    assert step.angle_deg >= LivenessConfig().turn_deg
    assert step.residual is not None
    assert step.residual >= FLAT or (kind, prompt) == ("bent", UP)
    (found,) = judged
    assert found.parallax is not None
    assert found.parallax < 0.6 * LivenessConfig().min_parallax


@pytest.mark.parametrize("kind", ["bent", "flexed", "rolled"])
def test_with_the_homography_alone_the_same_prints_are_proven(stage: Stage, kind: str) -> None:
    """The control: nothing else in the challenge keeps them out."""
    status = stage.play(curved(stage, kind), course=(LEFT, DOWN), switched_off=True).status
    assert status is not None
    assert status.state is LivenessState.PROVEN
    assert all(step.residual is not None and step.residual >= FLAT for step in status.evidence.steps)


@pytest.mark.parametrize("prompt", [LEFT, RIGHT, UP, DOWN])
@pytest.mark.parametrize("seed", range(2))
def test_a_print_is_not_live_in_any_direction(stage: Stage, prompt: Signal, seed: int) -> None:
    """Its tilt fools the mesh: the angle passes. The corners do not."""
    status = stage.play(stage.print_of("obama", seed=seed), course=(prompt,)).status
    assert status is not None
    assert (status.state, status.reason) == (LivenessState.FAILED, Reason.NOT_LIVE)
    (step,) = status.evidence.steps
    assert step.outcome == "planar"
    assert step.angle_deg >= LivenessConfig().turn_deg
    assert step.residual is not None
    assert step.residual < LivenessConfig().min_residual


@pytest.mark.parametrize("course", COURSES)
def test_without_the_planarity_gate_the_same_print_is_proven(stage: Stage, course: tuple[Signal, ...]) -> None:
    """The control: nothing else in the challenge keeps this print out."""
    status = stage.play(stage.print_of("obama", seed=0), course=course, switched_off=True).status
    assert status is not None
    assert status.state is LivenessState.PROVEN


@pytest.mark.parametrize("seed", range(3))
def test_a_print_is_never_proven_whatever_is_asked(stage: Stage, seed: int) -> None:
    """Of any of the photographs."""
    courses = PromptCourses(random.Random(seed))  # noqa: S311  # repeatable
    for name in ("obama2", "obama3", "biden"):
        status = stage.play(stage.print_of(name, seed=seed), course=courses.draw(3)).status
        assert status is not None
        assert status.state is not LivenessState.PROVEN


@pytest.mark.parametrize("who", ["obama", "obama2", "obama3"])
def test_a_rendered_visitor_still_looks_like_the_person(stage: Stage, who: str) -> None:
    """Near-frontal frames match the mean of the other two photographs at FMR 1e-5; a stranger's are far."""

    def template(*names: str) -> np.ndarray:
        vectors = []
        for name in names:
            landmarks = stage.landmarks[name]
            vectors.append(stage.models.embedder.embed(stage.photos[name], landmarks).vector)
        mean = np.mean(vectors, axis=0)
        return np.asarray(mean / np.linalg.norm(mean))

    enrolled = template(*({"obama", "obama2", "obama3"} - {who}))
    seen = stage.play(stage.visitor(who), course=(LEFT,), compare=True).near_frontal
    assert len(seen) >= 5
    assert np.median([vector @ enrolled for vector in seen]) >= MATCH
    stranger = stage.play(stage.visitor("biden"), course=(LEFT,), compare=True).near_frontal
    assert max(vector @ enrolled for vector in stranger) < 0.9


def test_the_gate_of_a_door_has_no_switch() -> None:
    """A test switches it off by bringing another object; the object itself cannot be told."""
    assert {name for name in vars(PlanarityGate) if not name.startswith("_")} == {"add", "clear", "judge"}
