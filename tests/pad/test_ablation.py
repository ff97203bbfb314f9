"""With one cue removed its attack passes, and nothing else changes: each removal is a control of the cue."""

from __future__ import annotations

from dataclasses import replace

import pytest

from device.types import Reason
from export_tools.pad.ablation import ABLATIONS, ablated
from export_tools.pad.replay import run_attempt
from export_tools.pad.settings import PolicySettings
from export_tools.pad.trace import Trace
from tests.pad.made import ENROLLED, GOOD, OTHER, SOLID, VICTIM, made, settings

SPOOF, UNSURE = replace(GOOD, live=0.05), replace(GOOD, live=0.5)
FLAT = replace(SOLID, residual=0.01)
#: A sheet that is not flat: the homography cannot explain its turn, and its corners know nothing of the mesh's depths.
CURVED = replace(SOLID, residual=0.06, parallax=0.02, error=0.03)


def variant(name: str, *, passive: bool = True) -> PolicySettings:
    """The default policy without one cue."""
    return ABLATIONS[name](settings(passive=passive))


#: What each cue alone stops: the trace, and whether the networks are asked.
STOPPED_BY: dict[str, tuple[Trace, bool]] = {
    "without_veto": (made(species="replay", cues=lambda _: SPOOF), True),
    "without_passive": (made(species="replay", cues=lambda _: SPOOF), True),
    "without_planarity": (made(species="print", found=FLAT), False),
    "without_parallax": (made(species="bent", found=CURVED), False),
    "without_link": (made(species="pulled_sheet", found=replace(SOLID, linked=False)), False),
    "without_gate": (made(species="print", found=replace(FLAT, linked=False)), False),
    # Nobody else's embedding once something was asked, then the victim's.
    "without_agreement": (made(species="accomplice", looks=lambda at_s: OTHER if at_s < 4.5 else VICTIM), False),
}


@pytest.mark.parametrize("name", STOPPED_BY)
def test_what_a_cue_stops_is_proven_alive_without_it(name: str) -> None:
    trace, passive = STOPPED_BY[name]
    assert not run_attempt(trace, settings(passive=passive), ENROLLED).proven
    assert run_attempt(trace, variant(name, passive=passive), ENROLLED).proven


def test_each_half_of_the_gate_stops_what_fails_both() -> None:
    trace, _ = STOPPED_BY["without_gate"]
    for name in ("without_planarity", "without_link"):
        assert not run_attempt(trace, variant(name, passive=False), ENROLLED).proven


def test_too_few_corners_deny_without_the_gate_too() -> None:
    trace = made(found=replace(SOLID, enough=False))
    assert run_attempt(trace, variant("without_gate", passive=False), ENROLLED).reason is Reason.NOT_LIVE


@pytest.mark.parametrize(
    ("name", "cues"),
    [
        ("without_bezel", replace(GOOD, bezel=3.0)),
        ("without_several_faces", replace(GOOD, faces=2)),
    ],
)
def test_without_a_doubt_the_networks_are_believed_at_once(name: str, cues: object) -> None:
    trace = made(cues=lambda _: cues)
    assert run_attempt(trace, settings(), ENROLLED).challenged
    assert not run_attempt(trace, variant(name), ENROLLED).challenged


@pytest.mark.parametrize("change", [{"burnt": 0.9}, {"chroma": 0.0}, {"brightness": 10.0}, {"context": 1.0}])
def test_without_the_light_doubts_the_networks_are_believed_where_they_are_blind(change: dict[str, float]) -> None:
    cues = replace(GOOD, **change)  # type: ignore[arg-type]  # fields by name
    trace = made(cues=lambda _: cues)
    assert run_attempt(trace, settings(), ENROLLED).reason is Reason.POOR_QUALITY
    assert run_attempt(trace, variant("without_light_doubts"), ENROLLED).granted


def test_without_a_challenge_nobody_is_let_in_who_was_not_before() -> None:
    for trace, passive in STOPPED_BY.values():
        assert not run_attempt(trace, variant("without_challenge", passive=passive), ENROLLED).proven


@pytest.mark.parametrize("name", ABLATIONS)
def test_the_living_are_let_in_by_every_variant_that_needs_no_turn(name: str) -> None:
    assert run_attempt(made(), variant(name), ENROLLED).granted


def test_the_variants_are_named_and_the_policy_itself_comes_first() -> None:
    assert [each.name for each in ablated(settings())] == ["policy", *ABLATIONS]


def test_what_only_the_networks_need_is_not_removed_where_there_are_none() -> None:
    names = [each.name for each in ablated(settings(passive=False))]
    assert names == [
        "policy",
        "without_challenge",
        "without_parallax",
        "without_planarity",
        "without_link",
        "without_gate",
        "without_agreement",
        "without_lockout",
    ]
