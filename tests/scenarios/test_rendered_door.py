"""Walk up, be recognised, the door opens; a stranger and a print stay outside. Visitors are rendered."""

from __future__ import annotations

from device.types import Reason
from device.wiring.stage import Actor
from tests.scenarios.conftest import Appliance


def test_an_enrolled_person_is_granted_from_a_photograph_that_was_not_enrolled(
    appliance: Appliance, obama: str, demo_photos: dict[str, bytes]
) -> None:
    """Three head turns, votes, an audited grant, one pulse."""
    decisions = appliance.play([Actor(demo_photos["obama.jpg"], name="obama.jpg")])
    assert [decision.reason for decision in decisions] == [Reason.GRANTED]
    assert decisions[0].person == obama
    kinds = [entry["kind"] for entry in appliance.audit()]
    assert kinds.index("decision") < kinds.index("door")


def test_a_stranger_who_proves_to_be_alive_is_denied_no_match(
    appliance: Appliance, obama: str, demo_photos: dict[str, bytes]
) -> None:
    """Alive is not enough."""
    decisions = appliance.play([Actor(demo_photos["biden.jpg"], name="biden.jpg")])
    assert [decision.reason for decision in decisions] == [Reason.NO_MATCH]
    assert decisions[0].claimed is None


def test_a_print_of_the_enrolled_person_is_denied_not_live(
    appliance: Appliance, obama: str, demo_photos: dict[str, bytes]
) -> None:
    """Known is not enough."""
    decisions = appliance.play([Actor(demo_photos["obama.jpg"], name="obama.jpg", printed=True)])
    assert decisions[0].reason is Reason.NOT_LIVE
    assert all(not decision.granted for decision in decisions)


def test_without_the_planarity_gate_the_same_print_is_granted(
    appliance: Appliance, obama: str, demo_photos: dict[str, bytes], no_planarity: None
) -> None:
    """The control: it is the planarity gate, and nothing else, that keeps this print outside."""
    decisions = appliance.play([Actor(demo_photos["obama.jpg"], name="obama.jpg", printed=True)])
    assert [decision.reason for decision in decisions][:1] == [Reason.GRANTED]
    assert decisions[0].person == obama


def test_the_pack_with_int8_embedder_and_yunet_lets_the_same_person_in_and_keeps_the_print_outside(
    plus_appliance: Appliance, demo_photos: dict[str, bytes]
) -> None:
    """Other detector, other precision, passive networks beside the challenge: the same verdicts."""
    person = plus_appliance.enrol("Barack", {name: demo_photos[name] for name in ("obama2.jpg", "obama3.jpg")})
    living = plus_appliance.play([Actor(demo_photos["obama.jpg"], name="obama.jpg")])
    assert [(decision.reason, decision.person) for decision in living] == [(Reason.GRANTED, person)]
    stranger = plus_appliance.play([Actor(demo_photos["biden.jpg"], name="biden.jpg")])
    assert [decision.reason for decision in stranger] == [Reason.NO_MATCH]
    printed = plus_appliance.play([Actor(demo_photos["obama.jpg"], name="obama.jpg", printed=True)])
    assert printed[0].reason in (Reason.NOT_LIVE, Reason.VETOED)
    assert all(not decision.granted for decision in printed)
