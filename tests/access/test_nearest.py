"""Whose visit it is when several faces are in the picture."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from device.access.nearest import candidate, is_nearest
from device.types import Box, Face, Frame, Pose, Quality, Scene


def _face(track: int, width: float) -> Face:
    return Face(
        track=track,
        frame_number=1,
        captured_s=0.0,
        box=Box(0, 0, width, width),
        landmarks=np.zeros((468, 3), np.float32),
        presence=1.0,
        pose=Pose(0, 0, 0),
        quality=Quality(width, 100, 128, 40, 0, ()),
    )


def _scene(*widths: float) -> Scene:
    frame = Frame(np.zeros((4, 4, 3), np.uint8), 0.0, 1)
    return Scene(frame, tuple(_face(track, width) for track, width in enumerate(widths)))


def test_an_empty_scene_has_no_candidate() -> None:
    """Nobody there, nobody to let in."""
    assert candidate(_scene(), current=None, takeover_ratio=1.15) is None


def test_a_slightly_wider_neighbour_does_not_take_the_visit_over() -> None:
    """Two people side by side do not make the visit flip from frame to frame."""
    chosen = candidate(_scene(100, 110), current=0, takeover_ratio=1.15)
    assert chosen is not None
    assert chosen.track == 0


def test_who_steps_clearly_in_front_takes_the_visit_over() -> None:
    """The nearer person is the candidate."""
    chosen = candidate(_scene(100, 116), current=0, takeover_ratio=1.15)
    assert chosen is not None
    assert chosen.track == 1


def test_a_known_face_behind_a_nearer_one_is_not_nearest() -> None:
    """As wide counts as in front."""
    scene = _scene(100, 100)
    assert not is_nearest(scene.faces[0], scene)
    assert is_nearest(scene.faces[0], _scene(100, 99))


@given(st.lists(st.floats(1, 1000), min_size=1, max_size=5), st.floats(1, 3))
def test_the_candidate_is_never_much_narrower_than_the_widest(widths: list[float], ratio: float) -> None:
    """Hysteresis is bounded by the ratio."""
    scene = _scene(*widths)
    chosen = candidate(scene, current=0, takeover_ratio=ratio)
    assert chosen is not None
    assert max(widths) < chosen.box.width * ratio or math.isclose(max(widths), chosen.box.width)
