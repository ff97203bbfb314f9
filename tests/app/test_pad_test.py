"""The walk, what it counts, and what its signed report holds."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from device.app.binomial import rate_of
from device.app.pad_figures import figures_of, meaning, percent
from device.app.pad_report import About, Report, WalkRow, report_on
from device.app.pad_seal import public_key, signed, verified
from device.app.pad_settings import SECTIONS, config_sha256, section_values
from device.app.pad_test import (
    BONA_FIDE,
    SPECIES,
    Answer,
    PlannedTry,
    TryResult,
    Walk,
    parse_species,
    plan_of,
)
from device.audit.canonical import canonical_json
from device.audit.pad_record import PadTested, SpeciesCount
from device.config import Config
from device.errors import AuditError, CameraError, UsageError
from device.keys import StateKeys
from device.types import (
    Decision,
    Doubt,
    LivenessEvidence,
    PassiveEvidence,
    PassiveVerdict,
    QualityReason,
    Reason,
    Signal,
    StepEvidence,
)
from export_tools.evaluate.presentations import SPECIES as EVALUATED

SEED = bytes(range(32))
KEY = public_key(SEED)
HANDLE, NAME = "c0ffee" * 5 + "00", "Ada Lovelace"


# -- the plan and the walk ---------------------------------------------------------------------------------------------


def test_the_species_are_those_of_the_evaluation() -> None:
    """A walk and an evaluation of recorded clips can be laid side by side."""
    assert SPECIES == EVALUATED


def test_every_species_says_what_to_do() -> None:
    """In words."""
    plan = plan_of(bona_fide=1, species=tuple((name, 2) for name in SPECIES))
    assert all(len(planned.task) > 20 for planned in plan)
    assert plan[0].species == BONA_FIDE
    assert plan[2].title == "try 2 of 2, print"


@pytest.mark.parametrize(
    "text", ["print", "print:", "print:0", "print:x", "print:201", "print:1,print:2", "hologram:1", ",", "print:²"]
)
def test_what_is_no_plan_is_refused(text: str) -> None:
    """Before anybody has walked to the door."""
    with pytest.raises(UsageError) as refused:
        parse_species(text)
    assert refused.value.hint


def test_an_unknown_species_is_answered_with_all_that_are_known() -> None:
    """So that nobody has to look them up."""
    with pytest.raises(UsageError) as refused:
        parse_species("print:1,hologram:3")
    assert "hologram" in refused.value.message
    assert all(name in refused.value.hint for name in SPECIES)


def test_species_are_parsed_in_their_order() -> None:
    """Spaces do not matter."""
    assert parse_species(" replay_phone:2, print:10 ") == (("replay_phone", 2), ("print", 10))
    assert parse_species("") == ()
    with pytest.raises(UsageError):
        plan_of(bona_fide=0, species=())


def decision(reason: Reason, *, evidence: LivenessEvidence | None = None) -> Decision:
    """With somebody claimed."""
    return Decision(
        reason=reason,
        person=HANDLE if reason is Reason.GRANTED else None,
        claimed=HANDLE,
        similarity=0.971,
        runner_up=None,
        votes=3,
        track=1,
        frame_number=9,
        captured_s=1.0,
        decided_s=1.1,
        first_usable_s=0.5,
        claimed_s=0.9,
        liveness=evidence,
        quality=(QualityReason.TURNED,),
    )


def evidence(residual: float = 0.011) -> LivenessEvidence:
    """A turn and a passive verdict."""
    return LivenessEvidence(
        "passive+head_turn",
        12,
        (StepEvidence(Signal.LOOK_UP, "planar", math.nan, None, residual, parallax=-0.012, error=math.inf),),
        level="standard",
        passive=PassiveEvidence(PassiveVerdict.UNDECIDED, 11, 0, 0.5),
        doubts=(Doubt.BEZEL,),
    )


def result(
    species: str = "print",
    number: int = 1,
    *,
    reason: Reason = Reason.NOT_LIVE,
    responded: bool = True,
    proven: bool = False,
    as_named: bool | None = None,
) -> TryResult:
    """One try, refused unless told otherwise."""
    return TryResult(
        PlannedTry(species, number, 5), decision(reason, evidence=evidence()), responded, proven, as_named, 3.25
    )


def test_a_walk_tells_each_result_and_goes_to_its_end() -> None:
    """Skipped tries are on purpose."""
    plan = plan_of(bona_fide=1, species=(("print", 2),))
    walk, told = Walk(plan), list[TryResult]()
    answers = iter((Answer.READY, Answer.SKIP, Answer.READY))
    walk.run(
        ask=lambda _: next(answers), attempt=lambda planned: result(planned.species, planned.number), tell=told.append
    )
    assert walk.complete
    assert [(each.planned.species, each.planned.number) for each in walk.results] == [(BONA_FIDE, 1), ("print", 2)]
    assert told == walk.results
    assert walk.skipped == [plan[1]]


@pytest.mark.parametrize("error", [KeyboardInterrupt, CameraError("lost")])
def test_a_walk_that_is_broken_off_keeps_what_was_done(error: Any) -> None:
    """And does not call itself complete, nor count the try in progress."""

    def attempt(planned: PlannedTry) -> TryResult:
        if planned.number == 2:
            raise error
        return result(number=planned.number)

    walk = Walk(plan_of(bona_fide=0, species=(("print", 3),)))
    with pytest.raises((KeyboardInterrupt, CameraError)):
        walk.run(ask=lambda _: Answer.READY, attempt=attempt, tell=lambda _: None)
    assert (walk.begun, len(walk.results), walk.complete) == (2, 1, False)


def test_a_walk_that_is_stopped_is_not_complete() -> None:
    """``q`` at the second try."""
    answers = iter((Answer.READY, Answer.STOP))
    walk = Walk(plan_of(bona_fide=0, species=(("print", 3),)))
    walk.run(ask=lambda _: next(answers), attempt=lambda planned: result(number=planned.number), tell=lambda _: None)
    assert (len(walk.results), walk.complete) == (1, False)


# -- figures -----------------------------------------------------------------------------------------------------------


def test_figures_by_hand() -> None:
    """A proof that passed counts though the door stayed shut; no response is counted beside, not among."""
    found = figures_of(
        [
            result(BONA_FIDE, 1, reason=Reason.GRANTED, proven=True, as_named=True),
            result(BONA_FIDE, 2, reason=Reason.NO_MATCH, proven=True, as_named=False),
            result(BONA_FIDE, 3, as_named=False),
            result(BONA_FIDE, 4, responded=False, as_named=False),
            result("print", 1),
            result("print", 2),
            result("replay_phone", 1, reason=Reason.NO_MATCH, proven=True),
            result("replay_phone", 2, reason=Reason.GRANTED, proven=True),
            result("replay_phone", 3),
            result("replay_phone", 4, responded=False),
            result("replay_tablet", 1, responded=False),
        ],
        enrolled=True,
    )
    living = found.bona_fide
    assert living is not None
    assert (living.tries, living.no_response) == (4, 1)
    assert (living.bpcer.count, living.bpcer.trials) == (1, 3)
    assert (living.bpnrr.count, living.bpnrr.trials) == (1, 4)
    assert living.frr is not None
    assert (living.frr.count, living.frr.trials) == (3, 4)
    assert [attack.species for attack in found.attacks] == ["replay_phone", "print", "replay_tablet"]
    worst = found.attacks[0]
    assert (worst.tries, worst.no_response, worst.apcer.count, worst.apcer.trials) == (4, 1, 2, 3)
    assert (worst.apnrr.count, worst.apnrr.trials) == (1, 4)
    assert worst.iapar is not None
    assert (worst.iapar.count, worst.iapar.trials) == (1, 3)
    assert found.attacks[2].apcer.value is None


def test_of_two_species_without_a_pass_the_less_tried_is_the_worse() -> None:
    """Less is known about it."""
    tries = [result("print", number) for number in range(1, 4)] + [result("replay_phone", 1)]
    assert [attack.species for attack in figures_of(tries, enrolled=True).attacks] == ["replay_phone", "print"]


def test_what_cannot_be_counted_is_none() -> None:
    """Nobody enrolled, nobody named, nobody living."""
    found = figures_of([result(), result(BONA_FIDE)], enrolled=False)
    assert found.attacks[0].iapar is None
    assert found.bona_fide is not None
    assert found.bona_fide.frr is None
    assert figures_of([result()], enrolled=True).bona_fide is None


@pytest.mark.parametrize(
    ("count", "trials", "words"),
    [
        (0, 5, ("0 of 5", "up to 45 %", "59 without one", "show 5 %")),
        (1, 5, ("1 of 5", "between 0.5 % and 72 %", "tries without a further one")),
        (5, 5, ("5 of 5", "55 % at least")),
        (0, 100, ("0 of 100", "3 % at most")),
        (0, 0, ("nothing is known",)),
    ],
)
def test_every_rate_has_its_meaning_in_words(count: int, trials: int, words: Sequence[str]) -> None:
    """And says how many tries would say more."""
    told = meaning(rate_of(count, trials), event="passed")
    assert all(word in told for word in words), told


def test_shares_as_people_read_them() -> None:
    """No digits that mean nothing."""
    assert [percent(share) for share in (0.0, 0.0051, 0.05, 0.45072, 1.0)] == ["0 %", "0.5 %", "5 %", "45 %", "100 %"]


# -- the report --------------------------------------------------------------------------------------------------------


def standing(**changes: Any) -> WalkRow:
    """The first walk of a device."""
    facts: dict[str, Any] = {
        "number": 1,
        "earlier_reported": 0,
        "earlier_untried": 0,
        "earlier_tries": (),
        "start_seq": 7,
        "start_sha256": "5" * 64,
        "begun": 2,
    }
    return WalkRow(**{**facts, **changes})


def about(**changes: Any) -> About:
    """A door."""
    facts: dict[str, Any] = {
        "public_key": KEY.hex(),
        "made_at": "2026-01-05T09:00:00.000+00:00",
        "clock_trusted": True,
        "version": "0.1.0",
        "platform": "pi",
        "simulated": False,
        "camera": "/dev/video0",
        "width": 640,
        "height": 480,
        "pack": "door-plus",
        "models": (),
        "walk": standing(),
        "config_sha256": config_sha256(Config()),
        **{section: section_values(Config(), section) for section in SECTIONS},
        "threshold": 0.9547,
        "enrolled": 3,
        "named": True,
        "complete": True,
        "planned": {"print": 5},
        "skipped": {},
    }
    return About(**{**facts, **changes})


def report(*results: TryResult, key: bytes = KEY) -> Report:
    """Of a walk at the device with this public key."""
    walk = Walk((), results=list(results) or [result(), result(BONA_FIDE, as_named=False)])
    return report_on(walk, about(public_key=key.hex()))


def test_a_report_is_read_as_it_was_written() -> None:
    """Numbers that are none among it."""
    made = report()
    assert verified(signed(made, seed=SEED), key=KEY) == made
    step = made.tries[0].steps[0]
    assert (step.angle_deg, step.residual, step.parallax, step.error) == ("not_finite", 0.011, -0.012, "not_finite")
    assert made.tries[0].passive_median == 0.5
    assert made.tries[0].doubts == ("bezel",)


def test_the_signed_part_is_canonical() -> None:
    """Whoever has only a JSON library can write it again, byte for byte."""
    made = report()
    raw = signed(made, seed=SEED)
    assert raw.startswith(b'{"report":' + canonical_json(made.model_dump(mode="json")) + b',"signature":"')


def test_the_largest_walk_fits() -> None:
    """All species, as often as can be asked for."""
    results = [result(name, number) for name in (BONA_FIDE, *SPECIES) for number in range(1, 201)]
    raw = signed(report(*results), seed=SEED)
    assert len(raw) < 4 * 1024 * 1024
    assert len(verified(raw, key=KEY).tries) == 2000


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_byte_can_be_changed(data: st.DataObject) -> None:
    """Not one, neither of the report nor of the signature or what holds them."""
    raw = bytearray(_RAW)
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(AuditError):
        verified(bytes(raw), key=KEY)


_RAW = signed(report(), seed=SEED)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        _RAW[:-1],
        _RAW + b"\n",
        _RAW.replace(b'"complete":true', b'"complete":false'),
        _RAW[:-131] + _RAW[-131:].upper(),
        b'{"report":,"signature":"' + b"0" * 128 + b'"}\n',
        os.urandom(500),
    ],
    ids=["empty", "object", "short", "long", "other", "spelt otherwise", "hollow", "noise"],
)
def test_what_is_not_the_signed_report_is_refused(raw: bytes) -> None:
    """With the one error for it, and something to do."""
    with pytest.raises(AuditError) as refused:
        verified(raw, key=KEY)
    assert refused.value.hint


def test_another_devices_report_is_refused() -> None:
    """The key decides, not what the report says of itself; a key for which anybody can sign is none."""
    with pytest.raises(AuditError):
        verified(_RAW, key=public_key(bytes(32)))
    with pytest.raises(UsageError):
        verified(_RAW, key=bytes(32))


@pytest.mark.parametrize(
    ("change", "words"),
    [({"form": 1}, "of form 1; this version reads form 2"), ({"form": 3}, "of form 3;"), ({"more": 1}, "form 2 with")],
    ids=["older", "newer", "other"],
)
def test_a_report_of_another_form_is_refused_by_its_number(change: dict[str, int], words: str) -> None:
    """It is sound all the same, and says with what to read it."""
    tree = report().model_dump(mode="json")
    body = canonical_json({**tree, "about": {**tree["about"], **change}})
    signature = Ed25519PrivateKey.from_private_bytes(SEED).sign(b"doorward-pad-report-1\n" + body)
    with pytest.raises(AuditError) as refused:
        verified(b'{"report":' + body + b',"signature":"' + signature.hex().encode() + b'"}\n', key=KEY)
    assert words in refused.value.message
    assert "the version that wrote it" in refused.value.hint


def test_no_name_handle_or_template_is_in_a_report() -> None:
    """Scores are."""
    text = _RAW.decode()
    assert HANDLE not in text
    assert NAME not in text
    assert '"similarity":0.971' in text
    assert not _lists_of_numbers(report().model_dump(mode="json"))


def _lists_of_numbers(tree: Any) -> list[Any]:
    """Anything that could be a vector or a picture."""
    if isinstance(tree, dict):
        return [each for value in tree.values() for each in _lists_of_numbers(value)]
    if isinstance(tree, list):
        numbers = [tree] if any(isinstance(value, int | float) for value in tree) else []
        return numbers + [each for value in tree for each in _lists_of_numbers(value)]
    return []


def test_the_audit_entry_tells_counts_and_nobody() -> None:
    """It has a canonical form, and nothing personal."""
    entry = PadTested(
        start_seq=7,
        by_uid=1000,
        simulated=False,
        complete=True,
        pack="door",
        level="standard",
        begun=5,
        counts=(SpeciesCount("print", 5, 1, 0),),
        report_sha256="0" * 64,
    )
    assert b'"species":"print"' in canonical_json(entry.body())
    assert entry.personal() == {}
    assert entry.person is None


def test_the_report_key_is_one_of_its_own() -> None:
    """Derived like the others, equal to none, and never shown."""
    keys = StateKeys.derive(bytes(32))
    others = (keys.database, keys.pack_mac, keys.evaluation_cache, keys.check)
    assert len(keys.report_seed) == 32
    assert keys.report_seed not in others
    assert repr(keys) == "StateKeys()"
