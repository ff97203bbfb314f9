"""Whatever breaks in a network between a living, enrolled person and the relay: the door stays shut, and says why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from device.errors import ModelError, PackError
from device.sim.camera import Visitor, door_lens
from device.sim.paper import PrintedPhoto
from device.sim.visitor import Walk
from device.types import Reason
from tests.scenarios.faults.conftest import Visit, doors
from tests.scenarios.faulty import Fault, Moment
from tests.scenarios.filmed import House, Outcome, Staying

# What a broken network answers may be anything; numpy says so, and the door must deny it.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

LOUD = ("raising", "crashing", "cut", "flat", "silent")
DOOR, PLUS = ("detector", "landmarks", "embedder"), ("pad_close", "pad_wide")


def ended_the_daemon(outcome: Outcome, kind: str = "raising") -> bool:
    """Whether the daemon gave up with the network's error, on record, and before anything was decided."""
    expected = RuntimeError if kind == "crashing" else ModelError
    return (
        isinstance(outcome.error, expected)
        and outcome.decisions == []
        and not outcome.opened
        and outcome.entries[-1]["data"]["cause"] == "error"
    )


# ---- The control


@doors("door", "plus", "high")
def test_the_healthy_door_lets_this_visitor_in(visit: Visit) -> None:
    """The control of every case of the table: the film opens the door, once, on record, and in every replay."""
    for outcome in (visit.seen, visit.replay()):
        assert [decision.person for decision in outcome.decisions] == [visit.house.person]
        assert len(outcome.pulses) == 1
        assert outcome.opened
        assert outcome.error is None


@doors()
def test_the_healthy_door_knows_the_stranger_for_one(visit: Visit) -> None:
    """The control of the swaps: alive, and nobody."""
    outcome = visit.replay(visit.stranger)
    assert outcome.reasons == [Reason.NO_MATCH]
    assert not outcome.opened


# ---- Networks that every frame needs


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
    assert outcome.sessions[fault.role].broken >= 10
    assert ended_the_daemon(outcome, fault.kind)


@pytest.mark.parametrize("kind", ["raising", "crashing", "nan", "inf", "zeros", "cut", "silent"])
@doors("door", "high")
def test_a_mesh_that_fails_between_proof_and_decision_opens_nothing(visit: Visit, kind: str) -> None:
    """One frame lies between them, and needs it."""
    outcome = visit.replay(faults=[Fault("landmarks", kind, Moment.PROVEN)])
    assert outcome.board.reached(Moment.PROVEN), "the control: it had come so far"
    assert ended_the_daemon(outcome, kind)


@pytest.mark.parametrize("moment", [Moment.START, Moment.COMPARED, Moment.TURNED], ids=lambda moment: moment.name)
@pytest.mark.parametrize("kind", ["zeros", "deaf", "stuck"])
@doors("door")
def test_a_mesh_that_does_not_follow_is_taken_for_broken(visit: Visit, kind: str, moment: Moment) -> None:
    """No face, or one that never turns, whatever is to be seen: the same answer over and over."""
    outcome = visit.replay(faults=[Fault("landmarks", kind, moment)])
    assert outcome.board.reached(moment)
    assert ended_the_daemon(outcome)


@pytest.mark.parametrize("kind", ["nan", "inf", "zeros", "deaf"])
@doors()
def test_a_detector_that_finds_nobody_is_taken_for_broken(visit: Visit, kind: str) -> None:
    """From the beginning on: no face, no visit, and in the end no daemon."""
    outcome = visit.replay(faults=[Fault("detector", kind)])
    assert outcome.sessions["detector"].broken > 1
    assert ended_the_daemon(outcome)


@pytest.mark.parametrize("kind", ["nan", "inf", "zeros", "deaf", "stuck"])
@doors("door")
def test_a_detector_that_goes_blind_in_mid_challenge_is_noticed(visit: Visit, kind: str) -> None:
    """Whoever joins would not be seen: nobody could say that one person is there, and that it is the nearest."""
    outcome = visit.replay(faults=[Fault("detector", kind, Moment.ASKED)])
    assert outcome.board.reached(Moment.ASKED)
    assert ended_the_daemon(outcome)


# ---- Networks that a visit needs


def _denied() -> Iterator[tuple[str, Fault]]:
    for kind in ("raising", "nan", "inf", "zeros", "cut", "flat", "silent", "deaf"):
        yield "door", Fault("embedder", kind)
    yield "plus", Fault("embedder", "deaf")
    for role in PLUS:
        yield from (("plus", Fault(role, kind)) for kind in ("raising", "nan", "inf", "zeros", "cut", "flat", "silent"))
        yield from (("plus", Fault(role, kind, Moment.COMPARED, 2)) for kind in ("raising", "nan", "stuck", "half"))
        yield from (("plus", Fault(role, kind)) for kind in ("stuck", "deaf", "half"))
        yield from (("high", Fault(role, kind, Moment.TURNED)) for kind in ("raising", "nan", "stuck"))
    for kind in ("raising", "nan", "zeros", "cut"):
        yield "door", Fault("embedder", kind, Moment.TURNED)
        yield "plus", Fault("embedder", kind, Moment.COMPARED, 2)
    yield from ((name, Fault("embedder", "stuck", Moment.COMPARED, 2)) for name in ("door", "plus"))


@pytest.mark.parametrize(
    ("visit", "fault"), [pytest.param(*each, id=f"{each[0]}-{each[1]}") for each in _denied()], indirect=["visit"]
)
def test_a_network_that_fails_during_a_visit_is_a_denial_that_says_so(visit: Visit, fault: Fault) -> None:
    """``model_error``, and the daemon goes on; so where it does not look, or repeats itself."""
    outcome = visit.replay(faults=[fault])
    assert not outcome.opened
    assert outcome.reasons
    assert set(outcome.reasons) == {Reason.MODEL_ERROR}
    assert outcome.sessions[fault.role].broken >= 1
    assert outcome.error is None


@doors()
def test_an_embedder_that_says_the_same_of_everybody_lets_no_stranger_in(visit: Visit) -> None:
    """Stuck at what it said of the last visitor, who was enrolled."""
    outcome = visit.replay(visit.stranger, faults=[Fault("embedder", "stuck")])
    assert outcome.sessions["embedder"].broken > 1
    assert outcome.reasons == [Reason.MODEL_ERROR]
    assert not outcome.opened


# ---- Networks replaced by ones that find everybody alive: nothing can tell, so this is what still stands then


@pytest.mark.parametrize(
    ("level", "reason"),
    [("convenience", Reason.GRANTED), ("standard", Reason.NOT_LIVE), ("high", Reason.UNDECIDED)],
)
def test_two_optimists_and_a_print(plus: Visit, demo_photos: dict[str, bytes], level: str, reason: Reason) -> None:
    """Where looking alive is enough the print is in: only the pack's seal stands before that.

    At ``standard`` what else is wrong with the picture (here its edges) makes the door ask; at ``high`` a picture with
    edges is not even asked, and one without would be.
    """
    house, faults = plus.house.with_level(level), [Fault(role, "optimist") for role in PLUS]
    outcome = house.film([_print(house, demo_photos["obama.jpg"])], seconds=4.5, faults=faults)[1]
    assert outcome.opened is (reason is Reason.GRANTED)
    assert outcome.reasons[:1] == [reason]


def test_the_healthy_pair_vetoes_this_print(plus: Visit, demo_photos: dict[str, bytes]) -> None:
    """The control, at the level at which the optimists let it in; one optimist alone makes the door ask in vain."""
    house = plus.house.with_level("convenience")
    film, outcome = house.film([_print(house, demo_photos["obama.jpg"])], seconds=7.5)
    assert outcome.reasons[:1] == [Reason.VETOED]
    for role in PLUS:
        alone = house.replay(film, faults=[Fault(role, "optimist")])
        assert alone.reasons[:1] == [Reason.NO_RESPONSE]
        assert not alone.opened


def _print(house: House, photo: bytes) -> Visitor:
    camera = house.config.camera
    walk = Walk(0.5, 0.4, 0.02, 0.2, patience_s=99.0)
    lens = door_lens(camera.width, camera.height)
    return Staying(PrintedPhoto(house.portrait(photo), lens=lens, seed=0, walk=walk))
