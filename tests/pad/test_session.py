"""A session goes on until the door lets somebody in, or locks the face or itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from device.types import Embedding, Reason
from export_tools.pad.enrolment import Enrolled
from export_tools.pad.session import MOST_ATTEMPTS, End, Session, run_sessions, sessions_by_subject
from export_tools.pad.settings import PolicySettings
from export_tools.pad.trace import Trace
from tests.pad.made import ENROLLED, GOOD, MODEL, SOLID, look, made, settings

SPOOF, UNSURE = replace(GOOD, live=0.05), replace(GOOD, live=0.5)
FLAT = replace(SOLID, residual=0.01)


def play(traces: list[Trace], policy: PolicySettings) -> list[Session]:
    """The sessions of these presentations before a door that knows the victim."""
    return list(run_sessions(traces, policy, lambda _: ENROLLED))


def test_a_veto_locks_the_face_at_once() -> None:
    traces = [made(species="replay", number=number, cues=lambda _: SPOOF) for number in range(3)]
    sessions = play(traces, settings())
    assert [len(session.attempts) for session in sessions] == [1, 1, 1]
    assert {session.end for session in sessions} == {End.FACE_LOCKED}
    assert not any(session.attempts[-1].proven for session in sessions)


def test_three_failed_challenges_lock_the_face() -> None:
    traces = [made(species="print", number=number, found=FLAT, passive=False) for number in range(6)]
    sessions = play(traces, settings(passive=False))
    assert [len(session.attempts) for session in sessions] == [3, 3]
    assert {session.end for session in sessions} == {End.FACE_LOCKED}


def test_five_failed_challenges_of_different_faces_lock_the_door() -> None:
    def presented(number: int) -> Trace:
        return made(species="print", number=number, found=FLAT, passive=False, looks=lambda _: look(number))

    traces = [presented(number) for number in range(5)]
    (session,) = play(traces, settings(passive=False))
    assert len(session.attempts) == 5
    assert session.end is End.DOOR_LOCKED


def test_a_session_ends_with_the_first_attempt_that_passes() -> None:
    flat = [made(species="print", number=number, found=FLAT, passive=False) for number in range(2)]
    solid = made(species="print", number=2, passive=False)
    sessions = play([*flat, solid, replace_number(flat[0], 3)], settings(passive=False))
    assert [session.end for session in sessions] == [End.PASSED, End.GAVE_UP]
    assert len(sessions[0].attempts) == 3
    assert [session.attempts[-1].granted for session in sessions] == [True, False]


def replace_number(trace: Trace, number: int) -> Trace:
    """The same presentation once more."""
    return replace(trace, about=replace(trace.about, number=number))


def test_a_face_that_left_undecided_is_asked_when_it_comes_back() -> None:
    """Control: before a door that has forgotten, the same face is believed at once."""
    unsure = short(made(cues=lambda _: UNSURE), seconds=2.0)
    living = made(number=1)
    first, second = play([unsure, living], settings())[0].attempts
    assert first.reason is Reason.LEFT
    assert second.challenged
    assert second.granted
    (control,) = play([living], settings())
    assert not control.attempts[0].challenged


def short(trace: Trace, *, seconds: float) -> Trace:
    """Its beginning."""
    frames = trace.frames
    rows = int((frames.captured_s - frames.captured_s[0] <= seconds).sum())
    cut = {
        name: getattr(frames, name)[:rows]
        for name in ("captured_s", "number", "track", "others", "nearest", "geometry", "quality", "faults", "compared")
    }
    compared, cued = int(frames.compared[:rows].sum()), int((frames.cued[:rows] == 1).sum())
    return replace(
        trace,
        turn_at=None,
        ending=type(trace.ending).LEFT,
        frames=replace(
            frames,
            **cut,
            embeddings=frames.embeddings[:compared],
            cued=frames.cued[:rows],
            cues=frames.cues[:cued],
            turned=frames.turned[:rows],
            findings=frames.findings[:0],
        ),
    )


def test_without_lock_outs_an_attacker_gives_up_some_time() -> None:
    policy = replace(settings(), lockout=False)
    traces = [made(species="replay", number=number, cues=lambda _: SPOOF) for number in range(MOST_ATTEMPTS + 2)]
    sessions = play(traces, policy)
    assert [len(session.attempts) for session in sessions] == [MOST_ATTEMPTS, 2]
    assert {session.end for session in sessions} == {End.GAVE_UP}


def test_a_session_is_of_one_species_and_one_subject() -> None:
    traces = [made(species="print"), made(species="replay")]
    with pytest.raises(ValueError, match="one species"):
        play(traces, settings())


def test_sessions_are_made_of_each_species_and_subject_apart() -> None:
    traces = [made(species=species, number=number) for number in (1, 0) for species in ("replay", "print")]

    def enrolled(trace: Trace) -> Enrolled:
        return Enrolled(trace.about.subject, Embedding(ENROLLED.template.vector, MODEL))

    sessions = sessions_by_subject(traces, settings(), enrolled)
    told = [[(each.species, each.number) for each in session.attempts] for session in sessions]
    assert told == [[("print", 0)], [("print", 1)], [("replay", 0)], [("replay", 1)]]


FAILING, PASSING = made(species="print", found=FLAT, passive=False), made(species="print", passive=False)


@examples(max_examples=30)
@given(st.lists(st.booleans(), min_size=1, max_size=9))
def test_every_attempt_is_in_one_session_and_only_the_last_of_a_session_passes(passes: list[bool]) -> None:
    traces = [replace_number(PASSING if good else FAILING, number) for number, good in enumerate(passes)]
    sessions = play(traces, settings(passive=False))
    assert [each.number for session in sessions for each in session.attempts] == list(range(len(passes)))
    for session in sessions:
        assert not any(each.proven for each in session.attempts[:-1])
        assert session.attempts[-1].proven == (session.end is End.PASSED)
        assert len(session.attempts) <= 3
