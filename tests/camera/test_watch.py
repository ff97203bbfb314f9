"""Lost, frozen, black, of another size and ended are told apart, and none of them flickers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.camera.watch import CameraState, CameraWatch
from device.config import CameraConfig
from device.types import Frame, Image

_CONFIG = CameraConfig(lost_after_s=3.0, frozen_after_s=2.0, reopen_s=1.0)
_STEP_S = 0.1


def _noise(seed: int, *, height: int = 48, width: int = 64) -> Image:
    return np.random.default_rng(seed).integers(60, 200, (height, width, 3), dtype=np.uint8)


class _Film:
    """Feeds a watch with one picture every tenth of a second."""

    def __init__(self, *, same_size: bool = True) -> None:
        self.watch = CameraWatch(_CONFIG, same_size=same_size)
        self.now_s = 100.0
        self.number = 0
        self.watch.opened(self.now_s)

    def show(self, image: Image) -> CameraState:
        self.now_s += _STEP_S
        self.number += 1
        return self.watch.observe(self.now_s, Frame(image=image, captured_s=self.now_s, number=self.number))

    def play(self, seconds: float, image: Image | None = None) -> list[CameraState]:
        """The same picture for so long, or a moving one."""
        return [self.show(_noise(self.number) if image is None else image) for _ in range(round(seconds / _STEP_S))]

    def silence(self, seconds: float) -> CameraState:
        self.now_s += seconds
        return self.watch.observe(self.now_s, None)


def test_a_camera_is_good_after_three_moving_frames() -> None:
    """One may be a flicker."""
    film = _Film()
    assert film.play(0.4) == [CameraState.STARTING, CameraState.STARTING, CameraState.OK, CameraState.OK]


def test_silence_is_a_lost_camera_only_after_its_time() -> None:
    """From the last frame, or from the opening where none ever came."""
    film = _Film()
    film.play(1)
    assert film.silence(2.9) is CameraState.OK
    assert film.silence(0.2) is CameraState.LOST
    fresh = _Film()
    assert fresh.silence(2.9) is CameraState.STARTING
    assert fresh.silence(0.2) is CameraState.LOST


def test_identical_pixels_are_a_frozen_camera_only_after_their_time() -> None:
    """One moving frame in between starts the time anew."""
    film = _Film()
    film.play(1)
    still = _noise(999)
    assert set(film.play(1.9, still)) == {CameraState.OK}
    film.play(0.1)
    assert set(film.play(1.9, still)) == {CameraState.OK}
    assert film.play(0.5, still)[-1] is CameraState.FROZEN


def test_a_frozen_camera_is_good_again_after_three_moving_frames_in_a_row() -> None:
    """A picture that moves once and stands still again is frozen all the while."""
    film = _Film()
    film.play(1)
    still = _noise(999)
    film.play(3, still)
    assert film.play(0.1) == [CameraState.FROZEN]
    assert set(film.play(0.3, still)) == {CameraState.FROZEN}
    assert film.play(0.3) == [CameraState.FROZEN, CameraState.FROZEN, CameraState.OK]


def test_one_changed_sample_is_movement() -> None:
    """Noise of one grey level is enough."""
    film = _Film()
    image = _noise(1)
    for step in range(50):
        image[8, 8, 0] = 100 + step % 2
        state = film.show(image)
    assert state is CameraState.OK


@pytest.mark.parametrize("noisy", [False, True])
def test_a_covered_lens_is_black_not_frozen(*, noisy: bool) -> None:
    """Reopening would not help; with or without the sensor's noise."""
    film = _Film()
    film.play(1)
    dark = np.zeros((48, 64, 3), np.uint8)
    states = []
    for step in range(30):
        image = dark.copy()
        if noisy:
            image[8, 8] = step % 3
        states.append(film.show(image))
    assert set(states[:19]) == {CameraState.OK}
    assert states[-1] is CameraState.BLACK
    assert film.play(0.3)[-1] is CameraState.OK


def test_another_size_is_told_at_once_where_all_must_be_the_same() -> None:
    """A folder of pictures may mix."""
    film = _Film()
    film.play(1)
    assert film.show(_noise(1, width=32)) is CameraState.WRONG_SIZE
    assert film.play(0.3)[-1] is CameraState.OK
    mixed = _Film(same_size=False)
    mixed.play(1)
    assert mixed.show(_noise(1, width=32)) is CameraState.OK


def test_the_end_is_final_until_it_is_opened_again() -> None:
    """An ended stream does not become a lost camera."""
    film = _Film()
    film.play(1)
    assert film.watch.ended() is CameraState.ENDED
    assert film.silence(100) is CameraState.ENDED
    film.watch.opened(film.now_s)
    assert film.watch.state is CameraState.STARTING


def test_a_size_may_change_when_the_camera_is_opened_again() -> None:
    """The first frame sets it."""
    film = _Film()
    film.play(1)
    film.watch.opened(film.now_s)
    assert {film.show(_noise(seed, width=32)) for seed in range(3)} == {CameraState.STARTING, CameraState.OK}


def test_the_pause_before_reopening_doubles_to_thirty_seconds_and_begins_anew_once_good() -> None:
    """Good means three frames: a camera that comes and goes is not hammered."""
    film = _Film()
    pauses = [film.watch.next_reopen_s() for _ in range(7)]
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    film.watch.opened(film.now_s)
    film.play(0.2)
    assert film.watch.next_reopen_s() == 30
    film.play(0.3)
    assert film.watch.next_reopen_s() == 1


def test_a_pause_of_zero_is_no_busy_loop() -> None:
    """The configuration allows it."""
    watch = CameraWatch(CameraConfig(reopen_s=0), same_size=True)
    assert all(watch.next_reopen_s() > 0 for _ in range(3))


def test_a_time_that_is_no_number_counts_as_lost() -> None:
    """Denied by default."""
    film = _Film()
    film.play(1)
    assert film.watch.observe(math.nan, None) is CameraState.LOST


@settings(deadline=None)
@given(st.lists(st.sampled_from(["move", "still", "black", "small", "none"]), max_size=60))
def test_it_is_never_good_unless_it_was_seen_moving_lately(story: list[str]) -> None:
    """Whatever the camera does: good needs movement within the time to freeze or go black."""
    film = _Film()
    pictures = {"still": _noise(1), "black": np.zeros((48, 64, 3), np.uint8), "small": _noise(2, width=32)}
    moved_s = -math.inf
    last = ""
    for word in story:
        if word == "none":
            state = film.silence(_STEP_S)
        else:
            state = film.show(pictures.get(word, _noise(1000 + film.number)))
            if word in {"move", "small"} or last != word:
                moved_s = film.now_s
            last = word
        if state is CameraState.OK:
            assert film.now_s - moved_s <= 3.0 + 2 * _STEP_S
