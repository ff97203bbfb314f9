"""Three people in eight recorded office clips: each is claimed in the clips that were not enrolled, nobody is confused.

Nobody in these clips turns the head when asked. A door without passive networks stays shut and says why; who it was is
a claim. A door with them lets these people in, as they would have come in, without asking anything.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from device.clock import SystemClock
from device.config import EnrolmentConfig
from device.store.people import insert_person, new_handle
from device.types import Embedding, Person, Reason
from device.wiring.models import open_pack
from device.wiring.state import open_state
from tests.gallery.distractors import distractors
from tests.scenarios.conftest import Appliance

#: One clip of each person is enrolled, the others are watched.
ENROLLED = {"A": "again", "B": "bird", "C": "book"}
WATCHED = {"help": "A", "no": "A", "yes": "A", "thanks": "B", "learn": "C"}
STRANGERS = ("female", "male", "female-and-male")
#: Faces in these clips are 53 to 73 pixels wide: the gates of an enrolment photograph would refuse every frame.
SMALL_FACES = EnrolmentConfig(min_face_px=50.0, min_sharpness=3.5)


@pytest.fixture(params=["appliance", "plus_appliance"], ids=["door", "door-plus"])
def office(request: pytest.FixtureRequest, shared: Path) -> tuple[Appliance, dict[str, str]]:
    """With either pack: A, B and C, each from five frames of one clip, among 1,000 templates of nobody."""
    appliance: Appliance = request.getfixturevalue(request.param)
    _enrol_nobodies(appliance, 1000)
    gallery = appliance.config.gallery.model_copy(update={"enrolment": SMALL_FACES})
    small_faces = appliance.config.model_copy(update={"gallery": gallery})
    handles = {}
    for name, clip in ENROLLED.items():
        frames = _frames(shared / "clips" / f"intel_asl_{clip}.mkv")
        handles[name] = appliance.enrol(name, frames, config=small_faces)
    return appliance, handles


def test_each_person_is_claimed_in_every_other_clip_within_a_second(
    office: tuple[Appliance, dict[str, str]], shared: Path
) -> None:
    """The right person among 1,003, from votes of a track; without passive networks the door stays shut."""
    appliance, handles = office
    for clip, who in WATCHED.items():
        decisions = appliance.watch(shared / "clips" / f"intel_asl_{clip}.mkv")
        claimed = {decision.claimed for decision in decisions if decision.claimed is not None}
        assert claimed == {handles[who]}, clip
        decision = next(each for each in decisions if each.claimed is not None)
        if appliance.config.models.pack == "door":
            assert decision.reason in (Reason.LEFT, Reason.NO_RESPONSE, Reason.WRONG_RESPONSE, Reason.NOT_LIVE), clip
        assert decision.claimed_s is not None
        assert decision.first_usable_s is not None
        assert decision.claimed_s - decision.first_usable_s <= 1.0, clip


@pytest.mark.parametrize("office", ["plus_appliance"], indirect=True, ids=["door-plus"])
def test_with_passive_networks_each_person_comes_in_within_a_second_and_is_asked_nothing(
    office: tuple[Appliance, dict[str, str]], shared: Path
) -> None:
    """From the first usable frame to the frame that is decided on; five people at their desks, five grants."""
    appliance, handles = office
    for clip, who in WATCHED.items():
        (decision,) = (
            each for each in appliance.watch(shared / "clips" / f"intel_asl_{clip}.mkv") if each.claimed is not None
        )
        assert (decision.reason, decision.person) == (Reason.GRANTED, handles[who]), clip
        assert decision.liveness is not None
        assert decision.liveness.method == "passive"
        assert decision.first_usable_s is not None
        assert decision.captured_s - decision.first_usable_s <= 1.0, clip


@pytest.mark.parametrize("clip", STRANGERS)
def test_people_who_are_not_enrolled_are_never_claimed(
    office: tuple[Appliance, dict[str, str]], shared: Path, clip: str
) -> None:
    """The woman and the man who turn their heads are strangers: at the door, and to whoever looks at the recording."""
    appliance, _ = office
    recording = shared / "clips" / f"intel_head-pose-face-detection-{clip}.gif"
    decisions = appliance.watch(recording)
    assert all(decision.claimed is None and not decision.granted for decision in decisions)
    assert decisions or clip != "male", "who is seen for five seconds is decided about"
    findings = appliance.identify(recording)
    assert sum(finding.votes for finding in findings) >= 5, "the control: faces were compared"
    assert {finding.person for finding in findings} == {None}


def test_people_seen_from_above_lead_to_no_decision(office: tuple[Appliance, dict[str, str]], shared: Path) -> None:
    """No face, no visit, no entry."""
    appliance, _ = office
    assert appliance.watch(shared / "clips" / "intel_one-by-one-person-detection.mp4") == []


def _frames(clip: Path, *, count: int = 5, step: int = 8) -> dict[str, bytes]:
    """Every eighth frame from the first on, as PNG."""
    video = cv2.VideoCapture(str(clip))
    found: dict[str, bytes] = {}
    number = 0
    while len(found) < count:
        done, frame = video.read()
        assert done, f"{clip} is too short"
        if number % step == 0:
            found[f"frame-{number}.png"] = cv2.imencode(".png", frame)[1].tobytes()
        number += 1
    video.release()
    return found


def _enrol_nobodies(appliance: Appliance, count: int) -> None:
    clock = SystemClock()
    with open_state(appliance.state, appliance.config, clock=clock, create=True) as state:
        pack = open_pack(appliance.state, appliance.config, state.keys)
        model = pack.manifest.models["embedder"].model_id
        with state.database.unit() as unit:
            for number, vector in enumerate(distractors(count, seed=7)):
                template = Embedding(vector=vector, model=model)
                nobody = Person(
                    handle=new_handle(), name=f"nobody {number}", enabled=True, valid_from=None, valid_until=None,
                    enrolled_at=clock.wall(), photos=1, models=(model,),
                )  # fmt: skip
                insert_person(unit, nobody, singles=(template,), mean=template)
