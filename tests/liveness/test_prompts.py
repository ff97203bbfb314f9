"""Which turns are asked: unknowable, and never the same course again."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.vision.liveness.prompts import PromptCourses
from device.vision.liveness.steps import ANSWERS


def courses(seed: int) -> PromptCourses:
    return PromptCourses(random.Random(seed))  # noqa: S311  # repeatable


@given(st.integers(), st.lists(st.integers(2, 5), min_size=2, max_size=30))
def test_no_course_begins_as_the_last_one_did(seed: int, lengths: list[int]) -> None:
    """Of whatever lengths: a recording of the last visit never answers this one."""
    door, drawn = courses(seed), []
    for steps in lengths:
        drawn.append(door.draw(steps))
        door.shown(drawn[-1])
    assert all(one[: len(other)] != other[: len(one)] for one, other in pairwise(drawn))


@given(st.integers(), st.integers(2, 5))
def test_a_course_has_its_length_and_only_prompts(seed: int, steps: int) -> None:
    course = courses(seed).draw(steps)
    assert len(course) == steps
    assert set(course) <= set(ANSWERS)


def test_every_course_of_two_is_drawn_and_none_much_more_often() -> None:
    """Sixteen of them; 6,000 draws give 375 each, with a standard deviation of 19."""
    door = courses(1)
    drawn = [door.draw(2) for _ in range(6000)]
    counts = [drawn.count(course) for course in set(drawn)]
    assert len(counts) == 16
    assert max(counts) < 470
    assert min(counts) > 280


@given(st.integers(), st.integers(0, 20))
def test_a_course_that_nobody_saw_does_not_make_room_for_the_last_one(seed: int, unseen: int) -> None:
    """Whoever provokes a challenge and leaves before its first prompt does not bring the last course back."""
    door = courses(seed)
    asked = door.draw(2)
    door.shown(asked)
    assert asked not in [door.draw(2) for _ in range(unseen)]


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_a_course_of_one_prompt_is_none(steps: int) -> None:
    with pytest.raises(ValueError, match="guessed"):
        courses(1).draw(steps)
