"""A trial decides as the door does, and opens nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from device.app.pad_figures import figures_of
from device.app.pad_test import (
    Outcome,
    PlannedTry,
    TryResult,
)
from device.app.trial import Judged, Trial
from device.app.visit_rules import VisitRules
from device.config import Config
from device.errors import CameraError, DoorwardError
from device.types import (
    Decision,
    Frame,
    LivenessState,
    LivenessStatus,
    PassiveEvidence,
    PassiveVerdict,
    QualityReason,
    Reason,
    Signal,
)
from tests.app.doorway import (
    FRAME_S,
    SAME_FACE,
    STRANGER,
    THRESHOLD,
    Board,
    Doorway,
    Plan,
    ScriptedProof,
    Someone,
    doorway,
    picture,
)

Script = Sequence[tuple[Someone, ...]]
KNOWN, UNKNOWN = (Someone(),), (Someone(STRANGER),)
BLURRED = (Someone(reasons=(QualityReason.BLURRED,)),)
SWAP = [*[KNOWN] * 10, *[(Someone(track=2),)] * 60]
FAILS = Plan(state=LivenessState.FAILED, reason=Reason.NOT_LIVE)
NEVER = Plan(ends=10_000)


def frames(door: Doorway, script: Iterable[tuple[Someone, ...]]) -> Iterator[Frame]:
    """A camera before which the script is played."""
    for there in script:
        door.clock.advance(FRAME_S)
        door.vision.there = there
        yield Frame(picture(door.number), door.clock.monotonic(), door.number)
        door.number += 1


def try_at(door: Doorway, script: Script, plan: Plan, *, limit_s: float = 25.0) -> tuple[Judged, Board]:
    """A trial with the doorway's own parts."""
    board = Board()
    trial = Trial(
        vision=cast("Any", door.vision),
        roster=door.roster,
        prove=lambda: ScriptedProof(plan),
        signals=board,
        clock=door.clock,
        rules=VisitRules.of(Config(), threshold=THRESHOLD, same_face=SAME_FACE),
    )
    return trial.judge(frames(door, script), limit_s=limit_s), board


def decide_at(door: Doorway, script: Script) -> Decision:
    """What the door itself makes of it."""
    for there in script:
        made = door.frame(*there)
        if made is not None:
            return made
    made = door.keeper.dismiss()
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("script", "plan", "reason"),
    [
        ([KNOWN] * 60, Plan(), Reason.GRANTED),
        ([UNKNOWN] * 60, Plan(), Reason.NO_MATCH),
        ([KNOWN] * 60, FAILS, Reason.NOT_LIVE),
        ([KNOWN] * 450, NEVER, Reason.NO_RESPONSE),
        ([BLURRED] * 450, Plan(), Reason.POOR_QUALITY),
        ([*[KNOWN] * 10, *[()] * 30], Plan(), Reason.LEFT),
        (SWAP, Plan(), Reason.LEFT),
        ([*[KNOWN] * 6, *[UNKNOWN] * 100], NEVER, Reason.FACE_CHANGED),
        ([*[KNOWN] * 10, *[(Someone(), Someone(STRANGER, track=3, width=200.0))] * 9], Plan(), Reason.NOT_NEAREST),
        ([(Someone(CameraError("no")),)], Plan(), None),
    ],
    ids=["known", "stranger", "print", "silent", "blurred", "leaves", "swap", "changed", "behind", "broken"],
)
def test_a_trial_decides_as_the_door_does(tmp_path: Path, script: Script, plan: Plan, reason: Reason | None) -> None:
    """The same script, the same parts, the same reason: what a walk counts is what the door would have done."""
    if reason is None:
        with doorway(tmp_path / "kit") as door, pytest.raises(DoorwardError):
            try_at(door, script, plan)
        return
    with doorway(tmp_path / "kit") as door:
        judged, _ = try_at(door, script, plan)
    with doorway(tmp_path / "door", plans=[ScriptedProof(plan)]) as door:
        made = decide_at(door, script)
    assert (judged.decision.reason, made.reason) == (reason, reason)
    assert judged.decision.similarity == made.similarity
    assert judged.decision.votes == made.votes
    assert judged.responded is (reason is not Reason.POOR_QUALITY)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    asks=st.integers(0, 4),
    lasts=st.integers(1, 40),
    proven=st.booleans(),
    looks=st.lists(st.sampled_from([KNOWN, UNKNOWN, BLURRED]), min_size=1, max_size=4),
)
def test_whatever_comes_a_trial_gives_the_reason_of_the_door(
    tmp_path_factory: pytest.TempPathFactory, *, asks: int, lasts: int, proven: bool, looks: list[Any]
) -> None:
    """One track, whatever it shows: the same reason."""
    folder = tmp_path_factory.mktemp("both")
    plan = Plan(asks=asks, ends=asks + lasts, state=LivenessState.PROVEN if proven else LivenessState.FAILED)
    plan = plan if proven else replace(plan, reason=Reason.NOT_LIVE)
    script = [there for there in looks for _ in range(12)] + [KNOWN] * 450
    with doorway(folder / "kit") as door:
        judged, _ = try_at(door, script, plan)
    with doorway(folder / "door", plans=[ScriptedProof(plan)]) as door:
        door.plans.extend(ScriptedProof(plan) for _ in range(50))
        made = decide_at(door, script)
    assert judged.decision.reason is made.reason


def test_a_trial_that_would_be_granted_moves_and_writes_nothing(tmp_path: Path) -> None:
    """The door's own relay and ledger are there, and untouched; the control is the door itself."""
    with doorway(tmp_path / "kit") as door:
        before = len(door.entries())
        judged, board = try_at(door, [KNOWN] * 60, Plan())
        assert judged.decision.granted
        assert judged.proven
        assert board.shown[-1] is Signal.GRANTED
        assert not door.relay.pulses
        assert len(door.entries()) == before
    with doorway(tmp_path / "door") as door:
        assert decide_at(door, [KNOWN] * 60).granted
        assert len(door.relay.pulses) == 1


def test_an_attack_that_passes_is_counted_as_such(tmp_path: Path) -> None:
    """The control of every figure: with a proof that always passes, everything comes in."""
    with doorway(tmp_path / "kit") as door:
        judged, _ = try_at(door, [KNOWN] * 60, Plan())
        stranger, _ = try_at(door, [UNKNOWN] * 60, Plan())
    tries = [
        TryResult(PlannedTry("print", 1 + place, 2), each.decision, each.responded, each.proven, None, each.seconds)
        for place, each in enumerate((judged, stranger))
    ]
    assert [each.outcome for each in tries] == [Outcome.ALIVE, Outcome.ALIVE]
    (attack,) = figures_of(tries, enrolled=True).attacks
    assert (attack.apcer.count, attack.apcer.trials) == (2, 2)
    assert attack.iapar is not None
    assert (attack.iapar.count, attack.iapar.trials) == (1, 2)


def test_tries_are_judged_alone(tmp_path: Path) -> None:
    """Whoever failed or was let in a moment ago is tried again at once; a door would remember."""
    with doorway(tmp_path / "kit") as door:
        reasons = [try_at(door, [KNOWN] * 60, FAILS)[0].decision.reason for _ in range(8)]
        granted = [try_at(door, [KNOWN] * 60, Plan())[0].decision.granted for _ in range(2)]
    assert set(reasons) == {Reason.NOT_LIVE}
    assert granted == [True, True]


def test_who_leaves_undecided_and_comes_back_within_a_try_is_asked(tmp_path: Path) -> None:
    """As at the door: a spoof may not look in again and again until the networks like it."""
    proofs: list[ScriptedProof] = []

    def undecided(status: LivenessStatus) -> LivenessStatus:
        passive = PassiveEvidence(PassiveVerdict.UNDECIDED, 11, 0, 0.5)
        return replace(status, evidence=replace(status.evidence, passive=passive, steps=()))

    def prove() -> ScriptedProof:
        proofs.append(ScriptedProof(Plan(asks=10_000, ends=10_000), dict.fromkeys(range(1000), undecided)))
        return proofs[-1]

    with doorway(tmp_path / "kit") as door:
        trial = Trial(
            vision=cast("Any", door.vision),
            roster=door.roster,
            prove=prove,
            signals=Board(),
            clock=door.clock,
            rules=VisitRules.of(Config(), threshold=THRESHOLD, same_face=SAME_FACE),
        )
        again = (Someone(track=2),)
        trial.judge(frames(door, [*[KNOWN] * 20, *[()] * 20, *[again] * 20]), limit_s=25.0)
    assert [any(proof.owed) for proof in proofs] == [False, True]


def test_a_try_at_which_nobody_is_seen_says_nothing(tmp_path: Path) -> None:
    """It has no response, and ends in time."""
    with doorway(tmp_path / "kit") as door:
        judged, board = try_at(door, [()] * 500, Plan(), limit_s=20.0)
    assert not judged.responded
    assert judged.decision.reason is Reason.NO_RESPONSE
    assert judged.seconds == pytest.approx(20.0, abs=2 * FRAME_S)
    assert board.shown[-1] is Signal.DENIED


def test_a_camera_that_hangs_shows_nobody(tmp_path: Path) -> None:
    """The same picture again and again is not looked at."""
    with doorway(tmp_path / "kit") as door:
        door.vision.there = KNOWN

        def hanging() -> Iterator[Frame | None]:
            for number in range(600):
                door.clock.advance(FRAME_S)
                yield Frame(picture(0), door.clock.monotonic(), number) if number % 2 else None

        board = Board()
        trial = Trial(
            vision=cast("Any", door.vision),
            roster=door.roster,
            prove=lambda: ScriptedProof(Plan()),
            signals=board,
            clock=door.clock,
            rules=VisitRules.of(Config(), threshold=THRESHOLD, same_face=SAME_FACE),
        )
        judged = trial.judge(hanging(), limit_s=20.0)
    assert not judged.proven
    assert judged.decision.reason is Reason.NO_RESPONSE
