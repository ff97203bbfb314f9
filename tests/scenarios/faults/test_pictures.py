"""Whatever breaks in the camera, its clock or the light between a living, enrolled person and the relay."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest

from device.types import Doubt, Frame, Image, Reason
from device.wiring import liveness
from tests.scenarios.faults.conftest import Visit, doors
from tests.scenarios.faulty import Moment, until
from tests.scenarios.filmed import Outcome

CameraFault = Callable[[list[Frame], float], list[Frame]]


def _still(
    film: Sequence[Frame], at_s: float, change: Callable[[Image, int], Image] = lambda image, _: image
) -> list[Frame]:
    """A camera that hands out one picture for ever from a time on; ``change`` may touch up each."""
    stands = until(film, at_s)
    last = film[stands - 1].image
    return [
        frame if number < stands else replace(frame, image=change(last.copy(), number))
        for number, frame in enumerate(film)
    ]


def frozen(film: list[Frame], at_s: float) -> list[Frame]:
    return _still(film, at_s)


def frozen_but_for_its_clock(film: list[Frame], at_s: float) -> list[Frame]:
    def tick(image: Image, number: int) -> Image:
        image[:16, :64] = number % 256
        return image

    return _still(film, at_s, tick)


def silent(film: list[Frame], at_s: float) -> list[Frame]:
    return [frame for frame in film if not at_s < frame.captured_s <= at_s + 0.36]


def back_in_time(film: list[Frame], at_s: float) -> list[Frame]:
    return [replace(frame, captured_s=frame.captured_s - 0.5 * (frame.captured_s > at_s)) for frame in film]


def no_time(film: list[Frame], at_s: float) -> list[Frame]:
    return [replace(frame, captured_s=min(frame.captured_s, at_s)) for frame in film]


def black(film: list[Frame], at_s: float) -> list[Frame]:
    grain = np.random.default_rng(1)
    return _still(film, at_s, lambda image, _: grain.integers(0, 3, image.shape, np.uint8))


def smaller(film: list[Frame], at_s: float) -> list[Frame]:
    stands = until(film, at_s)
    small = [
        replace(frame, image=np.ascontiguousarray(cv2.resize(frame.image, None, fx=0.5, fy=0.5))) for frame in film
    ]
    return film[:stands] + small[stands:]


#: How a visit of which something was asked ends. Whose pictures come from another time, in another size or after a gap
#: is another visitor: the first has left.
ENDED: dict[CameraFault, Reason] = {
    frozen: Reason.LEFT,
    frozen_but_for_its_clock: Reason.LEFT,
    silent: Reason.LEFT,
    back_in_time: Reason.LEFT,
    no_time: Reason.LIVENESS_ERROR,
    black: Reason.LEFT,
    smaller: Reason.LEFT,
}


def denied(outcome: Outcome, reason: Reason) -> None:
    """Nobody was let in; the first visit ended so, and whoever was taken for another one afterwards left at the end."""
    assert not outcome.opened
    assert outcome.reasons[:1] == [reason]
    assert set(outcome.reasons[1:]) <= {Reason.LEFT}
    assert outcome.error is None


@pytest.mark.parametrize("fault", ENDED)
@pytest.mark.parametrize("phase", ["asked", "held", "back"])
@doors("door")
def test_a_camera_that_fails_in_mid_challenge_opens_nothing(visit: Visit, phase: str, fault: CameraFault) -> None:
    """After a prompt, while the turn is held, and on the way back."""
    at_s = {
        "asked": visit.at(Moment.ASKED) + 0.2,
        "held": visit.at(Moment.TURNED) - 0.1,
        "back": visit.at(Moment.TURNED) + 0.2,
    }[phase]
    denied(visit.replay(fault(visit.film, at_s)), ENDED[fault])


@pytest.mark.parametrize("fault", ENDED)
@doors("door", "high")
def test_a_camera_that_fails_between_proof_and_decision_opens_nothing(visit: Visit, fault: CameraFault) -> None:
    """From the frame after the last that the proof saw."""
    outcome = visit.replay(fault(visit.film, visit.at(Moment.PROVEN)))
    assert outcome.board.reached(Moment.PROVEN), "the control: it had come so far"
    denied(outcome, ENDED[fault])


@pytest.mark.parametrize("fault", [frozen, frozen_but_for_its_clock, black])
@doors("plus")
def test_a_camera_that_shows_nothing_new_between_passive_samples_opens_nothing(
    visit: Visit, fault: CameraFault
) -> None:
    """Nothing was asked and nobody recognised yet: no decision, and no trace."""
    outcome = visit.replay(fault(visit.film, visit.at(Moment.COMPARED) + 0.4))
    assert outcome.board.reached(Moment.COMPARED)
    assert outcome.decisions == []
    assert not outcome.opened
    assert outcome.error is None


@doors("plus")
def test_a_clock_that_stands_between_passive_samples_is_an_error_of_the_proof(visit: Visit) -> None:
    denied(visit.replay(no_time(visit.film, visit.at(Moment.COMPARED) + 0.4)), Reason.LIVENESS_ERROR)


@pytest.mark.parametrize("fault", [silent, back_in_time, smaller])
@doors("plus")
def test_after_a_break_between_passive_samples_a_proof_begins_anew(visit: Visit, fault: CameraFault) -> None:
    """Whoever still stands there is let in, after as long as the whole proof takes."""
    broke_s = visit.at(Moment.COMPARED) + 0.4
    film = fault(visit.film, broke_s)
    began_s = film[until(visit.film[: until(visit.film, broke_s)], broke_s)].captured_s
    outcome = visit.replay(film)
    assert outcome.reasons == [Reason.GRANTED]
    assert outcome.decisions[0].decided_s - began_s >= visit.alone_s - 0.1


@doors("door", "plus", "high")
def test_pictures_that_come_too_late_open_nothing(visit: Visit) -> None:
    """Each 0.6 s old when it has been looked at: a slow board, a queue in a driver."""
    outcome = visit.replay(late_s=0.6)
    assert not outcome.opened
    assert outcome.reasons == [Reason.STALE_FRAME]


# ---- Light in which the networks are not believed


def dark(image: Image) -> Image:
    """Less than a third of the light; what the quality gate still lets pass."""
    return np.asarray(image * 0.3, np.uint8)


def warm_grey(image: Image) -> Image:
    """A picture in one ink, or by infrared light, under a warm lamp."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[..., np.newaxis]
    return np.asarray(grey * np.array([0.7, 0.9, 1.0]), np.uint8)


LIGHT: dict[Callable[[Image], Image], tuple[str, Doubt]] = {
    dark: ("brightness", Doubt.LOW_LIGHT),
    warm_grey: ("chroma", Doubt.GREY),
}


@pytest.mark.parametrize("light", LIGHT)
@doors("plus")
def test_in_light_that_blinds_the_networks_nobody_is_let_in(visit: Visit, light: Callable[[Image], Image]) -> None:
    """However alive the visitor looks to them; refused, when they have had their time, with what was wrong."""
    outcome = visit.replay([replace(frame, image=light(frame.image)) for frame in visit.film])
    assert outcome.reasons == [Reason.POOR_QUALITY]
    assert not outcome.opened
    evidence = outcome.decisions[0].liveness
    assert evidence is not None
    assert evidence.doubts == (LIGHT[light][1],)
    assert evidence.passive is not None
    assert evidence.passive.samples > 11
    assert evidence.passive.live == 0


@pytest.mark.parametrize("light", LIGHT)
@doors("plus")
def test_without_its_limit_the_same_light_is_let_in(
    visit: Visit, light: Callable[[Image], Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: one cue switched off, and the networks are believed at once."""
    monkeypatch.setattr(liveness, "LIMITS", replace(liveness.LIMITS, **{LIGHT[light][0]: -math.inf}))
    outcome = visit.replay([replace(frame, image=light(frame.image)) for frame in visit.film])
    assert outcome.reasons == [Reason.GRANTED]
