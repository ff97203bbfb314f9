"""What counts as a blink, sample by sample, and what never does."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from device.types import Pose
from device.vision.liveness.blink import CLOSED_RATIO, LEARN_S, MAX_BLINK_S, MAX_GAP_S, OPEN_RATIO, BlinkCounter

STRAIGHT = Pose(0.0, 0.0, 0.0)
FPS = 30
OPEN = 0.25


def feed(
    counter: BlinkCounter,
    values: list[float],
    *,
    begin_s: float = 0.0,
    pose: Callable[[int], Pose] = lambda _: STRAIGHT,
    face_px: float = 150.0,
    fps: float = FPS,
) -> float:
    """Feed openings one frame apart; the time of the next one."""
    for number, value in enumerate(values):
        counter.add(begin_s + number / fps, value, pose=pose(number), face_px=face_px)
    return begin_s + len(values) / fps


def looking(seconds: float = 1.0) -> list[float]:
    """Open eyes."""
    return [OPEN] * round(seconds * FPS)


def closing(*, closed: int = 4, depth: float = 0.3, lids: int = 2) -> list[float]:
    """Lids that go down in ``lids`` frames, stay for ``closed`` frames and come up as fast; then open eyes."""
    down = np.linspace(1.0, depth, lids + 1)[1:-1].tolist()
    return [OPEN * share for share in [*down, *[depth] * closed, *down[::-1]]] + looking(0.2)


def count(values: list[float], **how: object) -> int:
    """The blinks of one run of openings."""
    counter = BlinkCounter()
    feed(counter, values, **how)  # type: ignore[arg-type]
    return counter.blinks


# ---- What counts


@given(
    closed=st.integers(2, 8), depth=st.floats(0.0, 0.6), lids=st.integers(1, 4), fps=st.sampled_from([25, 30, 50, 60])
)
def test_a_closing_and_reopening_counts_once(closed: int, depth: float, lids: int, fps: int) -> None:
    """At any speed of camera and lids within a blink's time."""
    assume((closed + 2 * lids) / fps < MAX_BLINK_S)
    values = [*looking(2.0), *closing(closed=closed, depth=depth, lids=lids)]
    assert count(values, fps=fps) == 1


@given(eye=st.floats(0.05, 0.6), blinks=st.integers(0, 5))
def test_each_blink_counts_whatever_the_eye(eye: float, blinks: int) -> None:
    """Narrow and wide eyes alike: only the share of the own open eye matters."""
    values = [*looking(), *itertools.chain.from_iterable([*closing(), *looking()] for _ in range(blinks))]
    assert count([value * eye / OPEN for value in values]) == blinks


def test_a_blink_before_the_open_eye_is_known_does_not_count() -> None:
    """Half a second of open eyes first."""
    early = round((LEARN_S - 0.1) * FPS)
    assert count([*[OPEN] * early, *closing()]) == 0
    assert count([*[OPEN] * (early + 6), *closing()]) == 1


# ---- What never counts


@given(st.lists(st.floats(-0.02, 0.02), min_size=60, max_size=200), st.floats(0.12, 0.4))
def test_a_photograph_measured_with_noise_never_counts(noise: list[float], eye: float) -> None:
    """Up to a sixth of the opening, either way."""
    assert count([eye * (1 + value / 0.12) for value in noise]) == 0


@given(at=st.lists(st.integers(20, 200), min_size=1, max_size=20), value=st.floats(0.0, 0.6))
def test_single_noisy_samples_never_count(at: list[int], value: float) -> None:
    """However low, as long as an open eye lies between."""
    values = looking(8.0)
    for place in at:
        if OPEN == values[place - 1] == values[place + 1]:
            values[place] = value * OPEN
    assert count(values) == 0


@given(down_s=st.floats(0.7, 10.0), depth=st.floats(0.0, 0.6), up_s=st.floats(0.03, 5.0))
def test_a_slow_drift_never_counts(down_s: float, depth: float, up_s: float) -> None:
    """Somebody looks down, a print is lowered, light changes: down slowly, up at any speed."""
    down = np.linspace(1.0, depth, round(down_s * FPS)).tolist()
    up = np.linspace(depth, 1.0, max(round(up_s * FPS), 2)).tolist()
    assert count([*looking(), *[OPEN * share for share in [*down, *up]], *looking(0.3)]) == 0


@given(st.integers(math.ceil(MAX_BLINK_S * FPS) + 1, 200))
def test_eyes_that_stay_closed_never_count(closed: int) -> None:
    """A hand before the eyes, a nap, a look at the floor."""
    assert count([*looking(), *closing(closed=closed)]) == 0


def test_eyes_that_never_reopen_do_not_count() -> None:
    """From an open photograph to a closed one."""
    assert count([*looking(), *[0.1 * OPEN] * 90]) == 0


def test_a_half_closed_eye_does_not_count() -> None:
    """Between the two ratios there is no evidence; a little lower there is."""
    assert count([*looking(), *closing(depth=(CLOSED_RATIO + OPEN_RATIO) / 2, lids=1)]) == 0
    assert count([*looking(), *closing(depth=CLOSED_RATIO - 0.01, lids=1)]) == 1


@given(place=st.integers(0, 6), gap=st.floats(MAX_GAP_S * 1.01, 5.0))
def test_a_gap_in_time_inside_a_blink_never_counts(place: int, gap: float) -> None:
    """Nobody knows what was seen meanwhile: an exchange of two photographs is no blink."""
    counter = BlinkCounter()
    values = closing()
    now_s = feed(counter, [*looking(), *values[:place]])
    feed(counter, values[place:], begin_s=now_s - 1 / FPS + gap)
    assert counter.blinks == 0


@given(fps=st.floats(5.0, 16.0))
def test_a_slow_camera_counts_nothing(fps: float) -> None:
    """A blink falls between its frames."""
    assert count([*looking(3.0), *closing()], fps=fps) == 0


@pytest.mark.parametrize("step_s", [0.0, -1 / 30, math.nan, math.inf])
def test_time_that_does_not_advance_counts_nothing(step_s: float) -> None:
    """Stopped, backward, no number."""
    counter = BlinkCounter()
    now_s = 0.0
    for value in [*looking(), *closing(), *looking()]:
        counter.add(now_s, value, pose=STRAIGHT, face_px=150.0)
        now_s += step_s
    assert counter.blinks == 0


@given(place=st.integers(0, 6), bad=st.sampled_from([math.nan, math.inf, -math.inf, -0.1]))
def test_what_is_no_opening_ends_the_evidence(place: int, bad: float) -> None:
    """Inside a blink; afterwards the open eye is learned anew, and the next blink counts."""
    values = closing()
    broken = [*values[:place], bad, *values[place:]]
    assert count([*looking(), *broken]) == 0
    assert count([*looking(), *broken, *looking(), *closing()]) == 1


@pytest.mark.parametrize(
    "pose", [Pose(30.0, 0, 0), Pose(-45.0, 0, 0), Pose(math.nan, 0, 0), Pose(0, math.nan, 0), Pose(0, math.inf, 0)]
)
def test_a_turned_head_counts_nothing(pose: Pose) -> None:
    """One eye is hidden then; nor does a pose that is no number."""
    assert count([*looking(), *closing()], pose=lambda _: pose) == 0


@pytest.mark.parametrize("face_px", [119.9, 0.0, -200.0, math.nan])
def test_a_small_face_counts_nothing(face_px: float) -> None:
    """Its lids are a pixel apart."""
    assert count([*looking(), *closing()], face_px=face_px) == 0


@pytest.mark.parametrize("axis", ["yaw", "pitch"])
@pytest.mark.parametrize(("moved_deg", "blinks"), [(3.9, 1), (4.2, 0), (-4.2, 0), (-15.0, 0)])
def test_eyes_that_close_while_the_head_moves_do_not_count(axis: str, moved_deg: float, blinks: int) -> None:
    """A nod narrows the eyes of a print; a blink at rest counts wherever the head points."""

    def pose(number: int) -> Pose:
        away = 10.0 + (moved_deg if number >= 32 else 0.0)
        return Pose(away, 0, 0) if axis == "yaw" else Pose(0, away, 0)

    assert count([*looking(), *closing()], pose=pose) == blinks


@given(
    st.lists(
        st.tuples(
            st.floats(allow_nan=True, allow_infinity=True),
            st.floats(allow_nan=True, allow_infinity=True),
            st.floats(allow_nan=True, allow_infinity=True),
            st.floats(allow_nan=True, allow_infinity=True),
        ),
        max_size=60,
    )
)
def test_no_numbers_break_the_counter(samples: list[tuple[float, float, float, float]]) -> None:
    """Whatever comes: no exception, and too few samples for a blink."""
    counter = BlinkCounter()
    for captured_s, openness, angle, face_px in samples:
        counter.add(captured_s, openness, pose=Pose(angle, angle, angle), face_px=face_px)
    assert counter.blinks == 0
