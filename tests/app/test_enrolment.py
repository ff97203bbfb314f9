"""Photographs that may not be enrolled change nothing, and say why."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.app.enrolment import Portrait, _agreement
from device.errors import EnrolmentError, UsageError
from device.types import Box, Embedding, Face, Pose, Quality, QualityReason
from tests.app.conftest import near, unit


def face(*reasons: QualityReason, width: float = 200.0) -> Face:
    return Face(
        track=0,
        frame_number=0,
        captured_s=0.0,
        box=Box(10, 10, width, width),
        landmarks=np.zeros((468, 3), np.float32),
        presence=0.99,
        pose=Pose(31.0, 2.0, 3.0),
        quality=Quality(face_px=width, sharpness=7.0, brightness=120, contrast=40, clipped=0.0, reasons=reasons),
    )


def portrait(embedding: Embedding, photo: str) -> Portrait:
    return Portrait(photo=photo, face=face(), embedding=embedding)


def enrol(state: Any, name: str, *embeddings: Embedding, allow_duplicate: bool = False) -> Any:
    portraits = [portrait(each, f"{number}.jpg") for number, each in enumerate(embeddings)]
    return state.enroller.enrol(name, portraits, valid_from=None, valid_until=None, allow_duplicate=allow_duplicate)


def test_a_picture_without_a_face_is_rejected(state: Any) -> None:
    """Reason ``no_face``, with the file's name."""
    with pytest.raises(EnrolmentError, match=r"a\.jpg") as caught:
        state.enroller.portrait(state.eyes.shows(1), photo="a.jpg")
    assert caught.value.reason == "no_face"
    assert caught.value.hint


def test_two_faces_are_rejected_however_small_the_second(state: Any) -> None:
    """The largest is not simply taken: it may be the wrong person."""
    picture = state.eyes.shows(1, face(width=400), face(width=20))
    with pytest.raises(EnrolmentError, match="2 faces") as caught:
        state.enroller.portrait(picture, photo="a.jpg")
    assert caught.value.reason == "two_faces"


@pytest.mark.parametrize("reason", list(QualityReason))
def test_every_quality_reason_rejects_with_value_and_need(state: Any, reason: QualityReason) -> None:
    """Each reason that exists: the photograph, what was measured, a hint."""
    with pytest.raises(EnrolmentError) as caught:
        state.enroller.portrait(state.eyes.shows(1, face(reason)), photo="a.jpg")
    assert caught.value.reason == str(reason)
    assert caught.value.message.startswith("a.jpg: ")
    assert caught.value.hint


def test_all_that_is_wrong_is_told_at_once(state: Any) -> None:
    """Nobody should have to try three times."""
    picture = state.eyes.shows(1, face(QualityReason.BLURRED, QualityReason.TURNED))
    with pytest.raises(EnrolmentError) as caught:
        state.enroller.portrait(picture, photo="a.jpg")
    gates = state.enroller._rules.gates
    assert caught.value.message == (
        f"a.jpg: blurred, sharpness 7, needs {gates.min_sharpness:.0f};"
        f" turned 31° sideways, at most {gates.max_yaw_deg:.0f}°"
    )


def test_photographs_of_one_person_are_enrolled_with_their_mean(state: Any) -> None:
    """Singles and mean are stored, the agreement is told."""
    result = enrol(state, "Ada", unit(1), near(unit(1), cosine=0.97), near(unit(1), cosine=0.96, seed=5))
    assert result.person.photos == 3
    assert 0.9312 <= result.agreement < 1
    kinds = [str(each.kind) for each in state.roster.templates(result.person.handle)]
    assert sorted(kinds) == ["mean", "single", "single", "single"]


def test_the_odd_photograph_is_named(state: Any) -> None:
    """One of three shows somebody else: that one's name, and nobody is enrolled."""
    with pytest.raises(EnrolmentError, match=r"1\.jpg") as caught:
        enrol(state, "Ada", unit(1), near(unit(1), cosine=0.6), near(unit(1), cosine=0.97, seed=5))
    assert caught.value.reason == "not_same_person"
    assert state.roster.list() == ()


def test_of_two_that_disagree_both_are_named(state: Any) -> None:
    """Nobody knows which of them is wrong."""
    with pytest.raises(EnrolmentError, match=r"0\.jpg or 1\.jpg"):
        enrol(state, "Ada", unit(1), unit(2))


@given(st.floats(0.5, 1.0))
def test_agreement_is_the_bound_and_nothing_below(cosine: float) -> None:
    """Two photographs: accepted exactly from the bound on."""
    pair = [portrait(unit(1), "a"), portrait(near(unit(1), cosine=cosine), "b")]
    measured = float(pair[0].embedding.vector @ pair[1].embedding.vector)
    if measured >= 0.9312:
        assert _agreement(pair, least=0.9312) == pytest.approx(measured, abs=1e-6)
        return
    with pytest.raises(EnrolmentError):
        _agreement(pair, least=0.9312)


def test_a_face_that_is_enrolled_already_is_refused_under_another_name(state: Any) -> None:
    """From the door's own threshold on; the message names who it is."""
    enrol(state, "Ada", unit(1))
    with pytest.raises(EnrolmentError, match="already enrolled as Ada") as caught:
        enrol(state, "Eve", near(unit(1), cosine=0.96))
    assert caught.value.reason == "already_enrolled"
    assert [person.name for person in state.roster.list()] == ["Ada"]


def test_a_disabled_person_is_not_enrolled_again_unseen(state: Any) -> None:
    """Shut out, and back under another name: refused."""
    ada = enrol(state, "Ada", unit(1)).person
    state.roster.set_enabled(ada.handle, enabled=False)
    with pytest.raises(EnrolmentError, match="already enrolled"):
        enrol(state, "Eve", unit(1))


def test_twins_can_be_allowed_and_are_told(state: Any) -> None:
    """The override enrols, the result names the other."""
    enrol(state, "Ada", unit(1))
    result = enrol(state, "Eve", near(unit(1), cosine=0.96), allow_duplicate=True)
    assert [(each.person.name, each.same) for each in result.lookalikes] == [("Ada", True)]


def test_a_lookalike_is_a_warning(state: Any) -> None:
    """Between the loosest operating point and the door's threshold."""
    enrol(state, "Ada", unit(1))
    result = enrol(state, "Eve", near(unit(1), cosine=0.94))
    assert [(each.person.name, each.same) for each in result.lookalikes] == [("Ada", False)]
    assert enrol(state, "Bob", unit(7)).lookalikes == ()


def test_a_namesake_is_told(state: Any) -> None:
    """Two people may share a name; whoever enrols should know."""
    enrol(state, "Ada", unit(1))
    assert [each.name for each in enrol(state, "Ada", unit(2)).namesakes] == ["Ada"]


def test_nothing_is_not_enrolled(state: Any) -> None:
    """At least one photograph."""
    with pytest.raises(UsageError):
        enrol(state, "Ada")
