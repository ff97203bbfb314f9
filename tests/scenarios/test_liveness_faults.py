"""Whatever breaks between a living, enrolled person and the relay: the door stays shut, and says why.

Each case is a visit that a healthy door grants, shown once more to the whole daemon while one thing in it is broken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from device.audit.records import DecisionMade
from device.config import parse_config
from device.errors import ModelError, PackError
from device.sim.camera import Visitor, door_lens
from device.sim.clock import ManualClock
from device.sim.paper import PrintedPhoto
from device.sim.visitor import Walk
from device.types import Doubt, Frame, Image, Reason, Signal
from device.wiring.models import adopt_pack
from tests.scenarios.conftest import Appliance
from tests.scenarios.faulty import Board, Broken, Fault, Late, Moment, Unseen
from tests.scenarios.filmed import House, Outcome, Staying

# What a broken network answers may be anything; numpy says so, and the door must deny it.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

PEOPLE = ("obama2.jpg", "obama3.jpg")
LOUD = ("raising", "crashing", "cut", "flat", "silent")
DOOR, PLUS = ("detector", "landmarks", "embedder"), ("pad_close", "pad_wide")


@dataclass(frozen=True)
class Visit:
    """A house, a film of the enrolled person, and how the healthy door saw it."""

    house: House
    film: list[Frame]
    seen: Outcome
    stranger: list[Frame]

    @property
    def granted_s(self) -> float:
        """When the healthy door opened."""
        return self.seen.decisions[0].decided_s

    def at(self, moment: Moment) -> float:
        """When the healthy door had come so far."""
        return self.seen.board.moments[moment]

    def replay(self, film: Sequence[Frame] | None = None, **parts: Any) -> Outcome:
        """The same visit, no longer than a healthy door needed."""
        film = self.film if film is None else film
        return self.house.replay([each for each in film if each.captured_s <= self.granted_s + 0.2], **parts)


def _visit(house: House, photos: dict[str, bytes], *, seconds: float, stranger_s: float) -> Visit:
    film, seen = house.film([Staying(house.visitor(photos["obama.jpg"]))], seconds=seconds)
    stranger, _ = house.film([Staying(house.visitor(photos["biden.jpg"]))], seconds=stranger_s)
    return Visit(house, film, seen, stranger)


def _house(source: Path, folder: Path, pack: str, photos: dict[str, bytes]) -> House:
    words = f"camera: {{source: scene, pace: fast}}\nmodels: {{pack: {pack}}}"
    config = parse_config(words.encode(), origin="scenario")
    adopt_pack(source, folder, config)
    person = Appliance(folder, config).enrol("Barack", {name: photos[name] for name in PEOPLE})
    return House(folder, config, person)


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, door_state: Path, demo_photos: dict[str, bytes]) -> Visit:
    """Three head turns before the pack ``door``."""
    house = _house(door_state, tmp_path_factory.mktemp("faults") / "door", "door", demo_photos)
    return _visit(house, demo_photos, seconds=7.0, stranger_s=7.4)


@pytest.fixture(scope="module")
def plus(tmp_path_factory: pytest.TempPathFactory, door_plus_state: Path, demo_photos: dict[str, bytes]) -> Visit:
    """A second before the pack ``door-plus``: nothing is asked."""
    house = _house(door_plus_state, tmp_path_factory.mktemp("faults") / "plus", "door-plus", demo_photos)
    return _visit(house, demo_photos, seconds=2.2, stranger_s=2.2)


@pytest.fixture(scope="module")
def high(plus: Visit, demo_photos: dict[str, bytes]) -> Visit:
    """Three head turns while the passive networks go on: level ``high``."""
    house = replace(plus.house.with_level("high"), seed=3)
    film, seen = house.film([Staying(house.visitor(demo_photos["obama.jpg"]))], seconds=7.6)
    return Visit(house, film, seen, [])


@pytest.fixture
def visit(request: pytest.FixtureRequest) -> Visit:
    """The one that a case names."""
    made: Visit = request.getfixturevalue(request.param)
    return made


def doors(*names: str) -> pytest.MarkDecorator:
    """Each of these visits in turn."""
    return pytest.mark.parametrize("visit", names or ("door", "plus"), indirect=True)


# ---- The control


@doors("door", "plus", "high")
def test_the_healthy_door_lets_this_visitor_in(visit: Visit) -> None:
    """The control of every case below: the film as it is opens the door, once, on record, and in every replay."""
    for outcome in (visit.seen, visit.replay()):
        assert [decision.person for decision in outcome.decisions] == [visit.house.person]
        assert len(outcome.pulses) == 1
        assert outcome.opened
        assert outcome.error is None


@doors()
def test_the_healthy_door_knows_the_stranger_for_one(visit: Visit) -> None:
    """The control of the swaps: alive, and nobody."""
    outcome = visit.house.replay(visit.stranger)
    assert outcome.reasons[:1] == [Reason.NO_MATCH]
    assert not outcome.opened


# ---- Networks


@pytest.mark.parametrize(
    ("visit", "role"),
    [*(("door", role) for role in DOOR), *(("plus", role) for role in (*DOOR, *PLUS))],
    indirect=["visit"],
)
def test_a_pack_without_one_of_its_files_opens_no_daemon(visit: Visit, role: str, tmp_path: Path) -> None:
    """The daemon says which, and never looks at a frame."""
    outcome = visit.house.without_file(role, tmp_path / "house").replay(visit.film)
    assert isinstance(outcome.error, PackError)
    assert outcome.decisions == []
    assert not outcome.opened


def _loud() -> Iterator[Fault]:
    for kind in LOUD:
        yield from (Fault("detector", kind, Moment.COMPARED), Fault("landmarks", kind, Moment.COMPARED))
    yield from (Fault("landmarks", kind, moment) for kind in ("nan", "inf") for moment in (Moment.START, Moment.TURNED))
    yield from (Fault(role, "raising", Moment.START) for role in ("detector", "landmarks"))
    yield from (Fault(role, "crashing", Moment.TURNED) for role in DOOR)


@doors("door")
@pytest.mark.parametrize("fault", list(_loud()), ids=str)
def test_a_network_that_every_frame_needs_ends_the_daemon_with_its_error(visit: Visit, fault: Fault) -> None:
    """Ten frames in a row, then whoever watches over the daemon must know."""
    outcome = visit.replay(faults=[fault])
    assert not outcome.opened
    assert outcome.sessions[fault.role].broken >= 10
    assert isinstance(outcome.error, RuntimeError if fault.kind == "crashing" else ModelError)
    assert outcome.entries[-1]["data"]["cause"] == "error"


@pytest.mark.parametrize("kind", ["raising", "crashing", "nan", "inf", "zeros", "cut", "silent"])
@doors("door", "high")
def test_a_mesh_that_fails_between_proof_and_decision_opens_nothing(visit: Visit, kind: str) -> None:
    """One frame lies between them, and needs it."""
    outcome = visit.replay(faults=[Fault("landmarks", kind, Moment.PROVEN)])
    assert outcome.board.reached(Moment.PROVEN), "the control: it had come so far"
    assert outcome.sessions["landmarks"].broken >= 1
    assert not outcome.opened


def _denied() -> Iterator[tuple[str, Fault]]:
    kinds = ("raising", "nan", "inf", "zeros", "cut", "flat", "silent")
    for kind in kinds:
        yield "door", Fault("embedder", kind)
        for role in PLUS:
            yield "plus", Fault(role, kind)
    for role in PLUS:
        yield from (("plus", Fault(role, kind, Moment.COMPARED, 2)) for kind in ("raising", "nan", "stuck", "half"))
        yield from (("plus", Fault(role, kind)) for kind in ("stuck", "deaf", "half"))
        yield from (("high", Fault(role, kind, Moment.TURNED)) for kind in ("raising", "nan", "stuck"))
    for kind in ("raising", "nan", "zeros", "cut"):
        yield "door", Fault("embedder", kind, Moment.TURNED)
        yield "plus", Fault("embedder", kind, Moment.COMPARED, 2)


@pytest.mark.parametrize(
    ("visit", "fault"), [pytest.param(*each, id=f"{each[0]}-{each[1]}") for each in _denied()], indirect=["visit"]
)
def test_a_network_that_fails_during_a_visit_is_a_denial_that_says_so(visit: Visit, fault: Fault) -> None:
    """``model_error``, and the daemon goes on."""
    outcome = visit.replay(faults=[fault])
    assert not outcome.opened
    assert set(outcome.reasons) == {Reason.MODEL_ERROR}
    assert outcome.sessions[fault.role].broken >= 1
    assert outcome.error is None


@pytest.mark.parametrize("moment", [Moment.START, Moment.COMPARED, Moment.TURNED], ids=lambda moment: moment.name)
@pytest.mark.parametrize("kind", ["zeros", "deaf", "stuck"])
@doors("door")
def test_a_mesh_that_does_not_follow_proves_nothing(visit: Visit, kind: str, moment: Moment) -> None:
    """No face, or one that never turns."""
    outcome = visit.replay(faults=[Fault("landmarks", kind, moment)])
    assert not outcome.opened
    assert outcome.sessions["landmarks"].broken >= 1
    assert set(outcome.reasons) <= {
        Reason.LEFT,
        Reason.NO_RESPONSE,
        Reason.FACE_CHANGED,
        Reason.LEFT,
        Reason.NOT_NEAREST,
    }


@pytest.mark.parametrize("kind", ["nan", "inf", "zeros", "deaf"])
@doors()
def test_a_detector_that_finds_nobody_lets_nobody_in(visit: Visit, kind: str) -> None:
    """From the beginning on: no face, no visit, no entry."""
    outcome = visit.replay(faults=[Fault("detector", kind)])
    assert not outcome.opened
    assert outcome.decisions == []
    assert outcome.sessions["detector"].broken > 1


@pytest.mark.parametrize("kind", ["nan", "inf", "zeros", "deaf", "stuck"])
@doors("door")
def test_a_detector_that_goes_blind_in_mid_challenge_is_noticed(visit: Visit, kind: str) -> None:
    """Whoever joins would not be seen: nobody could say that one person is there, and that it is the nearest."""
    assert not visit.replay(faults=[Fault("detector", kind, Moment.ASKED)]).opened


@doors()
def test_an_embedder_that_says_the_same_of_everybody_lets_no_stranger_in(visit: Visit) -> None:
    """Stuck at what it said of the last visitor, who was enrolled."""
    outcome = visit.house.replay(visit.stranger, faults=[Fault("embedder", "stuck")])
    assert outcome.sessions["embedder"].broken > 1
    assert not outcome.opened


@doors()
def test_an_embedder_that_gets_stuck_in_mid_visit_is_noticed(visit: Visit) -> None:
    """From there on nothing vouches for the face any more."""
    fault = Fault("embedder", "stuck", Moment.COMPARED, 2)
    assert not visit.replay(faults=[fault]).opened


@doors()
def test_an_embedder_that_does_not_look_matches_nobody(visit: Visit) -> None:
    """Its input is never filled: the same answer to everybody, like nobody enrolled."""
    outcome = visit.replay(faults=[Fault("embedder", "deaf")])
    assert not outcome.opened


# ---- Networks replaced by ones that find everybody alive: nothing can tell, so this is what still stands then


@pytest.mark.parametrize(("level", "opens"), [("convenience", True), ("standard", False), ("high", False)])
def test_two_optimists_and_a_print(plus: Visit, demo_photos: dict[str, bytes], level: str, opens: bool) -> None:
    """Where looking alive is enough the print is in: only the pack's seal stands before that.

    At ``standard`` what else is wrong with the picture (here its edges) makes the door ask; at ``high`` a picture with
    edges is not even asked, and one without would be.
    """
    house, faults = plus.house.with_level(level), [Fault(role, "optimist") for role in PLUS]
    outcome = house.film([_print(house, demo_photos["obama.jpg"])], seconds=4.5, faults=faults)[1]
    assert outcome.opened is opens
    assert outcome.reasons[0] in ([Reason.GRANTED] if opens else [Reason.NOT_LIVE, Reason.UNDECIDED])


def test_the_healthy_pair_vetoes_this_print(plus: Visit, demo_photos: dict[str, bytes]) -> None:
    """The control, at the level at which the optimists let it in; and one optimist alone is outvoted."""
    house = plus.house.with_level("convenience")
    paper = _print(house, demo_photos["obama.jpg"])
    film, outcome = house.film([paper], seconds=2.0)
    assert outcome.reasons[:1] == [Reason.VETOED]
    for role in PLUS:
        assert not house.replay(film, faults=[Fault(role, "optimist")]).opened


def _print(house: House, photo: bytes) -> Visitor:
    camera = house.config.camera
    walk = Walk(0.5, 0.4, 0.02, 0.2, patience_s=99.0)
    lens = door_lens(camera.width, camera.height)
    return Staying(PrintedPhoto(house.portrait(photo), lens=lens, seed=0, walk=walk))


# ---- Camera

#: How a visit ends whose pictures do not go on.
ENDED = (Reason.LEFT, Reason.FACE_CHANGED, Reason.LIVENESS_ERROR, Reason.NO_RESPONSE, Reason.WRONG_RESPONSE)

CameraFault = Callable[[list[Frame], float], list[Frame]]


def _until(film: Sequence[Frame], at_s: float) -> int:
    """How many frames of a film were taken up to this time."""
    return sum(frame.captured_s <= at_s for frame in film)


def _still(
    film: Sequence[Frame], at_s: float, change: Callable[[Image, int], Image] = lambda image, _: image
) -> list[Frame]:
    """A camera that hands out one picture for ever from a time on; ``change`` may touch up each."""
    stands = _until(film, at_s)
    last = film[stands - 1].image
    return [
        frame if number < stands else replace(frame, image=change(last.copy(), number))
        for number, frame in enumerate(film)
    ]


def _frozen(film: list[Frame], at_s: float) -> list[Frame]:
    return _still(film, at_s)


def _frozen_but_for_its_clock(film: list[Frame], at_s: float) -> list[Frame]:
    def tick(image: Image, number: int) -> Image:
        image[:16, :64] = number % 256
        return image

    return _still(film, at_s, tick)


def _silent(film: list[Frame], at_s: float) -> list[Frame]:
    return [frame for frame in film if not at_s < frame.captured_s <= at_s + 0.36]


def _back_in_time(film: list[Frame], at_s: float) -> list[Frame]:
    return [replace(frame, captured_s=frame.captured_s - 0.5 * (frame.captured_s > at_s)) for frame in film]


def _no_time(film: list[Frame], at_s: float) -> list[Frame]:
    return [replace(frame, captured_s=min(frame.captured_s, at_s)) for frame in film]


def _black(film: list[Frame], at_s: float) -> list[Frame]:
    grain = np.random.default_rng(1)
    return _still(film, at_s, lambda image, _: grain.integers(0, 3, image.shape, np.uint8))


def _smaller(film: list[Frame], at_s: float) -> list[Frame]:
    stands = _until(film, at_s)
    small = [
        replace(frame, image=np.ascontiguousarray(cv2.resize(frame.image, None, fx=0.5, fy=0.5))) for frame in film
    ]
    return film[:stands] + small[stands:]


CAMERA_FAULTS = (_frozen, _frozen_but_for_its_clock, _silent, _back_in_time, _no_time, _black, _smaller)


@pytest.mark.parametrize("fault", CAMERA_FAULTS)
@pytest.mark.parametrize("phase", ["asked", "held", "back"])
@doors("door")
def test_a_camera_that_fails_in_mid_challenge_opens_nothing(visit: Visit, phase: str, fault: CameraFault) -> None:
    """After a prompt, while the turn is held, and on the way back."""
    at_s = {
        "asked": visit.at(Moment.ASKED) + 0.2,
        "held": visit.at(Moment.TURNED) - 0.1,
        "back": visit.at(Moment.TURNED) + 0.2,
    }[phase]
    outcome = visit.replay(fault(visit.film, at_s))
    assert not outcome.opened
    assert outcome.reasons
    assert outcome.reasons[0] in ENDED
    assert outcome.error is None


@pytest.mark.parametrize("fault", CAMERA_FAULTS)
@doors("door", "high")
def test_a_camera_that_fails_between_proof_and_decision_opens_nothing(visit: Visit, fault: CameraFault) -> None:
    """From the frame after the last that the proof saw."""
    outcome = visit.replay(fault(visit.film, visit.at(Moment.PROVEN)))
    assert outcome.board.reached(Moment.PROVEN), "the control: it had come so far"
    assert not outcome.opened
    assert outcome.error is None


@pytest.mark.parametrize("fault", CAMERA_FAULTS)
@doors("plus")
def test_a_camera_that_fails_between_passive_samples_opens_nothing(visit: Visit, fault: CameraFault) -> None:
    """Until a healthy one had been enough."""
    film = fault(visit.film, visit.at(Moment.COMPARED) + 0.4)[: _until(visit.film, visit.granted_s)]
    outcome = visit.house.replay(film)
    assert not outcome.opened
    assert outcome.error is None


@doors()
def test_pictures_that_come_too_late_open_nothing(visit: Visit) -> None:
    """Each 0.6 s old when it has been looked at: a slow board, a queue in a driver."""
    outcome = visit.replay(late_s=0.6)
    assert not outcome.opened
    assert outcome.reasons == [Reason.STALE_FRAME]


# ---- People


def _cut(first: Sequence[Frame], then: Sequence[Frame], at_s: float) -> list[Frame]:
    """One person until a time, the other one at the same place from the next frame on."""
    stands = _until(first, at_s)
    return [*first[:stands], *then[stands:]]


def _turn_by_turn(one: Sequence[Frame], other: Sequence[Frame], *, frames: int) -> list[Frame]:
    return [pair[(number // frames) % 2] for number, pair in enumerate(zip(one, other, strict=False))]


@pytest.mark.parametrize("phase", ["rest", "asked", "held", "back", "proven"])
@pytest.mark.parametrize("leaves", ["enrolled", "stranger"])
@doors("door")
def test_whoever_answers_is_whoever_is_let_in(visit: Visit, phase: str, leaves: str) -> None:
    """The other one takes the place from one frame to the next, in mid-challenge."""
    at_s = {
        "rest": visit.at(Moment.ASKED) - 0.1,
        "asked": visit.at(Moment.ASKED) + 0.3,
        "held": visit.at(Moment.TURNED) - 0.1,
        "back": visit.at(Moment.TURNED) + 0.6,
        "proven": visit.at(Moment.PROVEN) - 0.05,
    }[phase]
    pair = (visit.film, visit.stranger) if leaves == "enrolled" else (visit.stranger, visit.film)
    assert not visit.replay(_cut(*pair, at_s)).opened


@pytest.mark.parametrize("frames", [1, 3, 6])
@doors()
def test_two_who_change_places_are_nobody(visit: Visit, frames: int) -> None:
    """Every so many frames."""
    assert not visit.house.replay(_turn_by_turn(visit.film, visit.stranger, frames=frames)).opened


@pytest.mark.parametrize("before_s", [0.05, 0.15, 0.3, 0.6])
@doors("plus")
def test_a_stranger_who_takes_the_place_before_the_decision_stays_outside(visit: Visit, before_s: float) -> None:
    """Between two passive samples, and between the last one and the decision."""
    film = _cut(visit.film, visit.stranger, visit.granted_s - before_s)
    outcome = visit.house.replay(film)
    assert not outcome.opened


@pytest.mark.parametrize("before_s", [0.05, 0.15, 0.3, 0.6])
@doors("plus")
def test_what_a_stranger_proved_is_not_the_next_ones(visit: Visit, before_s: float) -> None:
    """Who is enrolled and comes in a stranger's place is let in on samples of the own face alone."""
    changed_s = visit.granted_s - before_s
    outcome = visit.house.replay(_cut(visit.stranger, visit.film, changed_s))
    assert outcome.reasons == [Reason.GRANTED], "the control: alive and enrolled"
    alone_s = visit.granted_s - visit.at(Moment.COMPARED)
    assert outcome.decisions[0].decided_s - changed_s >= alone_s - 0.1


@dataclass(frozen=True)
class Joined:
    """Somebody, and somebody else beside who comes later."""

    visitor: Visitor
    other: Visitor
    from_s: float

    def draw(self, canvas: Image, *, now_s: float, prompt: Signal, since_s: float) -> bool:
        """The nearer one last."""
        if now_s >= self.from_s:
            self.other.draw(canvas, now_s=now_s, prompt=Signal.IDLE, since_s=0.0)
        return self.visitor.draw(canvas, now_s=now_s, prompt=prompt, since_s=since_s)


def test_a_stranger_beside_the_visitor_makes_the_door_ask(plus: Visit, demo_photos: dict[str, bytes]) -> None:
    """Two faces, one of them enrolled and alive: the networks are not enough, and nobody turns the head."""
    house = plus.house
    beside = house.visitor(demo_photos["biden.jpg"], walk=Walk(0.72, 0.72, 0.3, 1e6, patience_s=99.0), seed=1)
    scene = Joined(Staying(house.visitor(demo_photos["obama.jpg"])), beside, 0.0)
    _, outcome = house.film([scene], seconds=6.0, board=lambda clock: Unseen(clock=clock))
    assert not outcome.opened
    assert outcome.reasons[:1] == [Reason.NO_RESPONSE]
    evidence = outcome.decisions[0].liveness
    assert evidence is not None
    assert Doubt.SEVERAL_FACES in evidence.doubts


# ---- Prompts


def test_a_prompt_that_nobody_sees_opens_nothing(door: Visit, demo_photos: dict[str, bytes]) -> None:
    """The display is dark, its driver does not know."""
    visitor = Staying(door.house.visitor(demo_photos["obama.jpg"]))
    _, outcome = door.house.film([visitor], seconds=4.5, board=lambda clock: Unseen(clock=clock))
    assert not outcome.opened
    assert outcome.reasons[:1] == [Reason.NO_RESPONSE]


@pytest.mark.parametrize("late_s", [1.5, 2.7])
def test_prompts_that_come_too_late_open_nothing(door: Visit, demo_photos: dict[str, bytes], late_s: float) -> None:
    """The answer comes after its time, or to the prompt before."""
    visitor = Staying(door.house.visitor(demo_photos["obama.jpg"]))
    _, outcome = door.house.film([visitor], seconds=6.5, board=lambda clock: Late(clock=clock, late_s=late_s))
    assert not outcome.opened
    assert outcome.reasons[0] in (Reason.NO_RESPONSE, Reason.FACE_CHANGED, Reason.LEFT)


@pytest.mark.parametrize("since", [Moment.START, Moment.COMPARED, Moment.ASKED, Moment.TURNED, Moment.PROVEN])
@doors("door")
def test_signals_that_raise_end_the_daemon_and_open_nothing(visit: Visit, since: Moment) -> None:
    """A prompt that was not shown was not answered, whoever turned the head."""

    def broken(clock: ManualClock) -> Board:
        return Broken(clock=clock, since=since)

    outcome = visit.replay(board=broken)
    assert not outcome.opened
    assert isinstance(outcome.error, OSError)
    assert DecisionMade.kind not in [entry["kind"] for entry in outcome.entries if entry["data"].get("granted")]
