"""Who it was stands in the erasable part only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.audit.canonical import canonical_json
from device.audit.entry import Moment, Record, entry_body
from device.audit.records import (
    CameraChanged,
    DecisionMade,
    DoorAnswered,
    PersonErased,
    PersonEvent,
    PersonRecord,
    RequestRefused,
    Started,
    Stopped,
)
from device.types import Person, Reason, Word
from tests.audit.samples import HANDLE, NAME, decision

_MOMENT = Moment(
    boot_id="boot",
    monotonic_s=12.5,
    wall=datetime(2026, 1, 5, 10, tzinfo=timezone(timedelta(hours=1))),
    wall_trusted=True,
)
_PERSON = Person(
    handle=HANDLE,
    name=NAME,
    enabled=True,
    valid_from=_MOMENT.wall,
    valid_until=None,
    enrolled_at=_MOMENT.wall,
    photos=2,
    models=("m@1",),
)


class _Outcome(Word):
    PULSED = "pulsed"


@dataclass(frozen=True)
class _Answer:
    outcome: Word = _Outcome.PULSED
    pulsed: bool = True
    pulse_s: float = 3.0
    at_s: float = 12.6
    fault: str = ""


_RECORDS: tuple[Record, ...] = (
    DecisionMade(decision(), name=NAME, threshold=0.9648, pack="door"),
    DecisionMade(decision(Reason.NOT_LIVE), name=NAME),
    DecisionMade(decision(Reason.NO_MATCH, claimed=None)),
    DoorAnswered(decision(), _Answer()),
    PersonRecord(PersonEvent.ENROLLED, _PERSON, by_uid=1000),
    PersonRecord(PersonEvent.REMOVED, _PERSON),
    PersonErased(entries=5, by_uid=0),
    Started("doorward 0.1.0 on sim with pack door", config_sha256="0" * 64),
    Stopped("orderly"),
    CameraChanged("lost"),
    RequestRefused("not_allowed", uid=1000, verb="people.remove", suppressed=3),
)


@pytest.mark.parametrize("record", _RECORDS, ids=lambda record: type(record).__name__)
def test_no_name_and_no_handle_stands_in_the_part_for_ever(record: Record) -> None:
    """Neither whole nor in part."""
    raw = canonical_json(entry_body(record, moment=_MOMENT)).decode()
    assert HANDLE[:8] not in raw
    assert "Ada" not in raw
    assert "Lovelace" not in raw


@pytest.mark.parametrize("record", _RECORDS, ids=lambda record: type(record).__name__)
def test_what_is_personal_can_be_found_again_to_be_erased(record: Record) -> None:
    """Personal fields and the person's handle go together."""
    assert (record.person is not None) == bool(record.personal())
    if record.person is not None:
        assert record.person in canonical_json(record.personal()).decode()


def test_times_carry_zone_trust_and_boot() -> None:
    """Wall time in UTC, and whether to believe it."""
    body = entry_body(Stopped("orderly"), moment=_MOMENT)
    assert body["wall"] == "2026-01-05T09:00:00.000+00:00"
    assert (body["wall_trusted"], body["boot_id"], body["monotonic_s"]) == (True, "boot", 12.5)


def test_a_decision_is_kept_with_its_evidence() -> None:
    """Reason, scores, times, each step of the challenge."""
    data = json.loads(canonical_json(DecisionMade(decision(), name=NAME, threshold=0.9648, pack="door").body()))
    assert (data["reason"], data["granted"], data["similarity"], data["threshold"]) == ("granted", True, 0.97, 0.9648)
    assert data["liveness"]["steps"][0] == {
        "prompt": "turn_left",
        "outcome": "passed",
        "angle_deg": 24.5,
        "response_s": 0.8,
        "residual": 0.05,
        "parallax": None,
        "error": None,
    }
    assert data["quality"] == ["turned"]


def test_a_claim_that_was_not_let_in_is_told_apart() -> None:
    """A print of somebody enrolled: claimed, not let in."""
    record = DecisionMade(decision(Reason.NOT_LIVE), name=NAME)
    assert record.personal() == {"claimed": HANDLE, "person": None, "name": NAME}
    assert record.body()["granted"] is False


@settings(deadline=None)
@given(st.floats() | st.floats(width=32).map(np.float32))
def test_a_denial_is_written_whatever_number_the_model_gave(similarity: float) -> None:
    """NaN and infinity are named, numpy's numbers are taken."""
    record = DecisionMade(decision(Reason.MODEL_ERROR, similarity=similarity))
    data = json.loads(canonical_json(entry_body(record, moment=_MOMENT)))["data"]
    assert data["similarity"] == (float(similarity) if np.isfinite(similarity) else "not_finite")


@settings(deadline=None)
@given(st.text())
def test_no_text_of_a_strangers_choosing_enters_the_chain(text: str) -> None:
    """A refused request's verb is a plain word or unreadable, whatever was sent."""
    verb = RequestRefused("malformed", verb=text).body()["verb"]
    assert verb is None or (isinstance(verb, str) and verb.isascii() and len(verb) <= 32)


@settings(deadline=None)
@given(st.text(st.characters(), max_size=400))
def test_a_drivers_complaint_can_always_be_written(text: str) -> None:
    """Broken bytes and length do not keep the door's answer out."""
    assert canonical_json(DoorAnswered(decision(), _Answer(fault=text)).body())


def test_a_very_long_name_still_fits() -> None:
    """Two hundred characters of four bytes each."""
    assert canonical_json(DecisionMade(decision(), name="\U0001f600" * 200).personal())
