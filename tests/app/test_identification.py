"""Naming faces in pictures and videos by the door's own rules; nobody's life is proven, nothing is opened."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

from device.app.identification import Criteria, Finding, VideoIdentifier, identify_picture
from device.types import Candidate, Embedding, Frame, QualityReason, Reason
from tests.app.conftest import unit
from tests.app.doorway import ADA, STRANGER, ScriptedVision, Someone

CRITERIA = Criteria(threshold=0.9547, margin=0.02, votes=3, vote_window=5, compare_every_s=0.12)
BOB = unit(7)
_PICTURE = np.zeros((48, 64, 3), np.uint8)


def search(probe: Embedding) -> tuple[Candidate, ...]:
    """Ada and Bob are known."""
    scores = {"ada": float(ADA.vector @ probe.vector), "bob": float(BOB.vector @ probe.vector)}
    return tuple(Candidate(who, scores[who]) for who in sorted(scores, key=lambda who: -scores[who]))


def follow(*story: Someone | None) -> tuple[Finding, ...]:
    """Each for one comparison's time."""
    vision = ScriptedVision()
    identifier = VideoIdentifier(cast("Any", vision), search=search, criteria=CRITERIA)
    for number, someone in enumerate(story):
        vision.there = () if someone is None else (someone,)
        list(identifier.see(Frame(_PICTURE, number * 0.13, number)))
    return identifier.findings()


def test_a_track_is_named_once_its_votes_agree() -> None:
    """Three of five; two are not enough."""
    (found,) = follow(*[Someone(ADA)] * 3)
    assert found.person == "ada"
    assert found.reason is None
    assert found.votes == 3
    assert found.last_s == pytest.approx(0.26)
    (found,) = follow(*[Someone(ADA)] * 2)
    assert found.person is None
    assert found.reason is Reason.UNSETTLED


def test_a_track_that_names_two_people_names_nobody() -> None:
    """However often each."""
    (found,) = follow(*[Someone(ADA)] * 5, *[Someone(BOB)] * 5)
    assert found.person is None
    assert found.reason is Reason.UNSETTLED


def test_somebody_named_early_stays_named() -> None:
    """Later frames that name nobody take nothing back."""
    (found,) = follow(*[Someone(ADA)] * 4, *[Someone(STRANGER)] * 6)
    assert found.person == "ada"


def test_a_stranger_is_no_match_and_a_blurred_face_is_poor() -> None:
    """Two reasons, two tracks."""
    stranger, blurred = follow(Someone(STRANGER), None, Someone(ADA, track=2, reasons=(QualityReason.BLURRED,)))
    assert stranger.reason is Reason.NO_MATCH
    assert blurred.reason is Reason.POOR_QUALITY
    assert blurred.votes == 0
    assert blurred.quality == (QualityReason.BLURRED,)


def test_a_long_track_is_judged_in_no_time() -> None:
    """An hour of one face: only windows of five are looked at."""
    (found,) = follow(*[Someone(STRANGER)] * 20_000)
    assert found.votes == 20_000
    assert found.reason is Reason.NO_MATCH


def test_a_picture_names_by_one_look() -> None:
    """Threshold and margin as at the door; the quality is told, the face compared all the same."""
    vision = ScriptedVision()
    people = (Someone(ADA, track=0, width=90), Someone(STRANGER, track=1, reasons=(QualityReason.TOO_DARK,)))
    faces = [someone.face(Frame(_PICTURE, 0.0, 0)) for someone in people]
    looks = iter(people)
    found = identify_picture(
        _PICTURE,
        find_faces=lambda _: tuple(faces),
        embed=lambda *_: cast("Embedding", next(looks).looks),
        search=search,
        criteria=CRITERIA,
    )
    assert [each.person for each in found] == ["ada", None]
    assert found[0].margin is not None
    assert found[1].quality == (QualityReason.TOO_DARK,)
    assert vision.resets == 0


def test_without_anybody_enrolled_there_is_nothing_to_tell() -> None:
    """No similarity, no margin, no name."""
    vision = ScriptedVision()
    identifier = VideoIdentifier(cast("Any", vision), search=lambda _: (), criteria=CRITERIA)
    vision.there = (Someone(ADA),)
    list(identifier.see(Frame(_PICTURE, 0.0, 0)))
    (found,) = identifier.findings()
    assert (found.person, found.similarity, found.margin, found.reason) == (None, None, None, Reason.NO_MATCH)
