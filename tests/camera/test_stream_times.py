"""A network camera's pictures are as old as they are, not as young as their arrival."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.camera.stream_times import LATE_FOR_S, LATE_S, StreamTimes
from device.errors import CameraError


def test_the_picture_after_a_stall_is_as_old_as_the_stall() -> None:
    """The camera went on taking pictures, the network kept them for four seconds."""
    times = StreamTimes("camera")
    assert times.captured_s(0.04, now_s=100.0) == 100.0
    assert times.captured_s(0.08, now_s=104.04) == pytest.approx(100.04)


def test_the_queue_after_a_stall_grows_younger_as_it_is_read() -> None:
    """Read faster than it grows, it ends at pictures of now."""
    times = StreamTimes("camera")
    times.captured_s(0.0, now_s=100.0)
    ages = [104.0 + 0.01 * n - times.captured_s(0.04 * n, now_s=104.0 + 0.01 * n) for n in range(1, 134)]
    assert ages == sorted(ages, reverse=True)
    assert ages[0] == pytest.approx(3.97)
    assert ages[-1] == pytest.approx(0.01, abs=0.005)


def test_the_burst_that_some_servers_begin_with_does_not_make_later_pictures_old() -> None:
    """From the last key picture on, all at once: the first ones are old, and are told so as soon as it can be known."""
    times = StreamTimes("camera")
    for number in range(50):
        times.captured_s(0.04 * number, now_s=100.0)
    assert times.captured_s(2.0, now_s=100.04) == pytest.approx(100.04)


@pytest.mark.parametrize("media_s", [1.0, 0.5, 0.0, math.nan, math.inf, -math.inf])
def test_a_picture_without_a_later_time_is_an_error(media_s: float) -> None:
    """OpenCV tells 0 where FFmpeg knows none; a time that stands still or goes back proves nothing."""
    times = StreamTimes("camera rtsp://door/...")
    times.captured_s(1.0, now_s=100.0)
    with pytest.raises(CameraError, match="does not tell when") as refused:
        times.captured_s(media_s, now_s=100.04)
    assert refused.value.hint


def test_a_stream_that_lags_for_good_is_given_up() -> None:
    """Meanwhile its pictures are told as old as they are; opening it again is what heals it."""
    times = StreamTimes("camera")
    times.captured_s(0.0, now_s=100.0)
    given_up_s = _given_up(times, from_s=104.0, step_s=0.04, media_s=lambda now_s: now_s - 103.96, oldest_s=3.97)
    assert given_up_s == pytest.approx(100.0 + LATE_FOR_S, abs=0.1)


def test_a_camera_whose_clock_is_slow_is_opened_again_before_its_pictures_count_as_stale() -> None:
    """Quartz that differs by 100 parts in a million; without that, the door would stay shut from then on for ever."""
    times = StreamTimes("camera")
    given_up_s = _given_up(
        times, from_s=1.0, step_s=1.0, media_s=lambda now_s: now_s * (1 - 1e-4), oldest_s=LATE_S + 0.01
    )
    assert given_up_s == pytest.approx(LATE_S / 1e-4 + LATE_FOR_S, abs=5)


def _given_up(
    times: StreamTimes, *, from_s: float, step_s: float, media_s: Callable[[float], float], oldest_s: float
) -> float:
    """When the stream was given up; until then no picture was older than ``oldest_s``."""
    for step in range(10_000):
        now_s = from_s + step * step_s
        try:
            captured_s = times.captured_s(media_s(now_s), now_s=now_s)
        except CameraError:
            return now_s
        assert now_s - captured_s <= oldest_s
    return math.inf


def test_a_camera_whose_clock_is_fast_is_followed() -> None:
    """Its pictures never come from the future, and never grow old."""
    times = StreamTimes("camera")
    for second in range(1, 20_000):
        assert times.captured_s(second * (1 + 1e-4), now_s=float(second)) == second


@given(st.lists(st.tuples(st.floats(0.001, 5), st.floats(0, 5)), min_size=1, max_size=40))
def test_no_picture_is_ever_told_younger_than_the_stream_proves(steps: list[tuple[float, float]]) -> None:
    """Against the definition: as late as it came after the soonest, and never from the future."""
    times = StreamTimes("camera")
    media_s, now_s, soonest_s = 0.0, 1000.0, math.inf
    for media_step_s, pause_s in steps:
        media_s += media_step_s
        now_s += pause_s
        soonest_s = min(soonest_s, now_s - media_s)
        try:
            captured_s = times.captured_s(media_s, now_s=now_s)
        except CameraError:
            return
        assert captured_s <= now_s
        assert captured_s == pytest.approx(media_s + soonest_s)
