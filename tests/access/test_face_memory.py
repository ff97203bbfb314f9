"""A face that failed does not start afresh by leaving, moving, tilting or changing; nobody else waits for it."""

from __future__ import annotations

import itertools
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from device.access.face_memory import LOOKS, SAME_PLACE_IOU, FaceMemory, MemoryRules, Standing, overlaps
from device.access.lockout import LockoutRules
from device.types import Box, Embedding

#: Two looks agree when they are no more than so many degrees apart on the test's unit circle.
RADIUS_DEG = 10.0
PAUSE_S, LONGEST_S, PLACE_S, OWES_S = 30.0, 480.0, 5.0, 60.0
HERE = Box(100, 100, 80, 100)
ELSEWHERE = Box(300, 100, 80, 100)


def _rules(*, capacity: int = 64, forget_s: float = 3600.0) -> MemoryRules:
    return MemoryRules(
        veto=LockoutRules(after=1, pause_s=PAUSE_S, longest_s=LONGEST_S, forget_s=forget_s),
        challenge=LockoutRules(after=3, pause_s=PAUSE_S, longest_s=LONGEST_S, forget_s=forget_s),
        debt=LockoutRules(after=1, pause_s=OWES_S, longest_s=3600.0, forget_s=forget_s),
        place_s=PLACE_S,
        owes_s=OWES_S,
        capacity=capacity,
    )


def _agrees(one: Embedding, other: Embedding) -> bool:
    return float(one.vector @ other.vector) >= math.cos(math.radians(RADIUS_DEG))


def _memory(*, capacity: int = 64, forget_s: float = 3600.0) -> FaceMemory:
    return FaceMemory(_rules(capacity=capacity, forget_s=forget_s), agrees=_agrees)


def _look(degrees: float, model: str = "m") -> Embedding:
    angle = math.radians(degrees)
    return Embedding(np.array([math.cos(angle), math.sin(angle)], np.float32), model)


SPOOF, STRANGER = _look(0), _look(90)
UNREADABLE = (
    Embedding(np.array([np.nan, 1.0], np.float32), "m"),
    Embedding(np.array([np.inf, 0.0], np.float32), "m"),
    Embedding(np.zeros(2, np.float32), "m"),
    Embedding(np.zeros(0, np.float32), "m"),
)


# -- leaving and returning ---------------------------------------------------------------------------------------------


def test_a_vetoed_spoof_that_returns_anywhere_is_still_locked_and_a_stranger_is_free() -> None:
    """The face is what is remembered; who never failed is the control."""
    memory = _memory()
    memory.vetoed(SPOOF, HERE, now_s=0.0)
    assert memory.standing(_look(4), now_s=29.9) is Standing.LOCKED
    assert memory.locked_until_s(_look(4), now_s=29.9) == 30.0
    assert memory.standing(STRANGER, now_s=1.0) is Standing.FREE
    assert memory.locked_until_s(STRANGER, now_s=1.0) == -math.inf


def test_each_further_veto_doubles_the_lock_up_to_the_longest() -> None:
    """Coming back as soon as the lock ends pays less each time."""
    memory = _memory()
    now_s, lengths = 0.0, []
    for _ in range(7):
        memory.vetoed(SPOOF, HERE, now_s=now_s)
        lengths.append(memory.locked_until_s(SPOOF, now_s=now_s) - now_s)
        now_s = memory.locked_until_s(SPOOF, now_s=now_s)
        assert memory.standing(SPOOF, now_s=now_s) is not Standing.LOCKED
    assert lengths == [30, 60, 120, 240, 480, 480, 480]


def test_after_a_lock_the_face_owes_a_challenge_before_it_starts_afresh() -> None:
    """One replay in nine passes some passive window if it may try again and again."""
    memory = _memory()
    memory.vetoed(SPOOF, HERE, now_s=0.0)
    assert memory.standing(SPOOF, now_s=30.0) is Standing.OWES_CHALLENGE
    assert memory.standing(SPOOF, now_s=89.9) is Standing.OWES_CHALLENGE
    assert memory.standing(SPOOF, now_s=90.0) is Standing.FREE


def test_who_leaves_undecided_owes_a_challenge_for_a_while() -> None:
    """Stepping away before the passive verdict buys no second first look."""
    memory = _memory()
    memory.undecided(SPOOF, now_s=0.0)
    assert memory.standing(SPOOF, now_s=59.9) is Standing.OWES_CHALLENGE
    assert memory.standing(SPOOF, now_s=60.0) is Standing.FREE
    assert memory.standing(STRANGER, now_s=1.0) is Standing.FREE


def test_failed_challenges_are_owed_again_and_lock_the_face_that_failed_them_alone() -> None:
    """Twice costs nothing but the challenge; the third failure locks, and nobody else waits."""
    memory = _memory()
    for now_s in (0.0, 1.0):
        memory.failed(SPOOF, now_s=now_s)
        assert memory.standing(SPOOF, now_s=now_s) is Standing.OWES_CHALLENGE
    memory.failed(SPOOF, now_s=2.0)
    assert memory.locked_until_s(SPOOF, now_s=2.0) == 32.0
    assert memory.standing(STRANGER, now_s=2.0) is Standing.FREE


def test_leaving_undecided_does_not_shorten_a_lock_or_a_debt() -> None:
    """A lesser event after a worse one changes nothing to the better."""
    memory = _memory()
    memory.vetoed(SPOOF, HERE, now_s=0.0)
    memory.undecided(SPOOF, now_s=1.0)
    assert memory.locked_until_s(SPOOF, now_s=1.0) == 30.0
    assert memory.standing(SPOOF, now_s=89.0) is Standing.OWES_CHALLENGE


def test_a_grant_forgets_that_face_and_no_other() -> None:
    """Honest use ends the suspicion of whoever was proven alive."""
    memory = _memory()
    for face in (SPOOF, STRANGER):
        memory.vetoed(face, HERE, now_s=0.0)
    memory.passed(_look(5))
    assert memory.standing(SPOOF, now_s=1.0) is Standing.FREE
    assert memory.standing(STRANGER, now_s=1.0) is Standing.LOCKED
    memory.vetoed(SPOOF, HERE, now_s=2.0)
    assert memory.locked_until_s(SPOOF, now_s=2.0) == 32.0


def test_events_that_arrive_late_shorten_nothing() -> None:
    """Capture times lie a little behind the clock."""
    memory = _memory()
    memory.vetoed(SPOOF, HERE, now_s=100.0)
    until_s = memory.locked_until_s(SPOOF, now_s=100.0)
    for _ in range(2):
        memory.failed(SPOOF, now_s=60.0)
    memory.failed(SPOOF, now_s=50.0)
    memory.seen(SPOOF, HERE, now_s=50.0)
    assert memory.locked_until_s(SPOOF, now_s=100.0) == until_s
    assert memory.holds_place(HERE, now_s=104.9)


# -- the place ---------------------------------------------------------------------------------------------------------


def test_a_spoof_that_tilts_until_its_embedding_is_new_is_held_by_its_place() -> None:
    """The embedding alone would let it go; the overlapping place does not, until it was away for long enough."""
    memory = _memory()
    memory.vetoed(SPOOF, HERE, now_s=0.0)
    tilted, narrower = _look(60), Box(115, 100, 50, 100)
    assert memory.standing(tilted, now_s=1.0) is Standing.FREE
    assert memory.holds_place(narrower, now_s=4.9)
    assert not memory.holds_place(narrower, now_s=5.0)
    assert not memory.holds_place(ELSEWHERE, now_s=1.0)


def test_the_place_moves_with_the_locked_face() -> None:
    """Carried across the frame it takes its place along, and leaves none behind."""
    memory = _memory()
    memory.vetoed(SPOOF, HERE, now_s=0.0)
    memory.seen(SPOOF, ELSEWHERE, now_s=3.0)
    assert memory.holds_place(ELSEWHERE, now_s=7.9)
    assert not memory.holds_place(HERE, now_s=3.0)


def test_another_person_at_the_place_does_not_renew_it() -> None:
    """Whoever steps where the spoof was waits for it at most once."""
    memory = _memory()
    memory.vetoed(SPOOF, HERE, now_s=0.0)
    for now_s in (1.0, 2.0, 3.0, 4.0):
        memory.seen(STRANGER, HERE, now_s=now_s)
    assert memory.standing(STRANGER, now_s=4.0) is Standing.FREE
    assert memory.holds_place(HERE, now_s=4.9)
    assert not memory.holds_place(HERE, now_s=5.0)


def test_a_place_is_held_no_longer_than_the_lock() -> None:
    """When the face itself may be looked at again, so may whatever stands in its place."""
    memory = _memory()
    memory.vetoed(SPOOF, HERE, now_s=0.0)
    memory.seen(SPOOF, HERE, now_s=29.0)
    assert memory.holds_place(HERE, now_s=29.9)
    assert not memory.holds_place(HERE, now_s=30.0)


def test_a_face_that_is_only_owing_holds_no_place() -> None:
    """Being there is no failure."""
    memory = _memory()
    memory.undecided(SPOOF, now_s=0.0)
    memory.seen(SPOOF, HERE, now_s=1.0)
    assert not memory.holds_place(HERE, now_s=1.0)


def test_a_face_locked_by_challenges_holds_its_place_once_it_is_seen_there() -> None:
    """A failure tells no place; the next sight does."""
    memory = _memory()
    for now_s in (0.0, 1.0, 2.0):
        memory.failed(SPOOF, now_s=now_s)
    assert not memory.holds_place(HERE, now_s=2.0)
    memory.seen(SPOOF, HERE, now_s=3.0)
    assert memory.holds_place(HERE, now_s=3.0)


@pytest.mark.parametrize("sideways", [0.0, 0.3, 0.6, 0.66, 0.67, 0.7, 1.0, 3.0])
def test_overlap_is_intersection_over_union(sideways: float) -> None:
    """Two equal boxes apart by a share s of their width have (1 - s) / (1 + s)."""
    moved = Box(HERE.x + sideways * HERE.width, HERE.y, HERE.width, HERE.height)
    iou = max(0.0, 1 - sideways) / (1 + sideways)
    assert overlaps(HERE, moved) is overlaps(moved, HERE) is (iou >= SAME_PLACE_IOU)


@pytest.mark.parametrize(
    ("moved", "same"),
    [
        (Box(100 + 0.65 * 80, 100, 80, 100), True),
        (Box(100 + 0.68 * 80, 100, 80, 100), False),
        (Box(140 - 88, 150 - 110, 176, 220), True),
        (Box(140 - 92, 150 - 115, 184, 230), False),
        (Box(400, 500, 80, 100), False),
    ],
)
def test_a_place_reaches_two_thirds_of_a_width_sideways_and_twice_the_size(moved: Box, same: bool) -> None:
    """What the constant means at the door."""
    assert overlaps(HERE, moved) is same


@pytest.mark.parametrize(
    "box",
    [Box(math.nan, 0, 9, 9), Box(0, 0, math.inf, 9), Box(0, math.nan, 9, 9), Box(900, 900, 0, 9), Box(0, 0, -5, -5)],
)
def test_a_box_that_cannot_be_compared_is_at_every_place_held(box: Box) -> None:
    """Where nobody can tell, it may be there; with nothing held it holds nothing."""
    memory = _memory()
    assert not memory.holds_place(box, now_s=0.0)
    memory.vetoed(SPOOF, HERE, now_s=0.0)
    assert memory.holds_place(box, now_s=4.9)
    assert not memory.holds_place(box, now_s=5.0)


# -- drift -------------------------------------------------------------------------------------------------------------


def test_a_locked_spoof_that_changes_step_by_step_is_followed() -> None:
    """Each step agrees with the last look, soon none with the first; unseen, the same step is a new face."""
    memory, unseen = _memory(), _memory()
    for each in (memory, unseen):
        each.vetoed(_look(0), HERE, now_s=0.0)
    for step in range(1, 12):
        assert memory.standing(_look(8 * step), now_s=step) is Standing.LOCKED
        memory.seen(_look(8 * step), HERE, now_s=step)
    assert memory.standing(_look(0), now_s=12.0) is Standing.LOCKED
    assert unseen.standing(_look(16), now_s=1.0) is Standing.FREE


def test_following_never_lengthens_a_lock_nor_spreads_beyond_a_few_looks() -> None:
    """A spoof led through everybody's face blocks, at any time, as many looks as one entry has, until its lock ends."""
    memory = _memory()
    memory.vetoed(_look(0), HERE, now_s=0.0)
    for step in range(1, 21):
        memory.seen(_look(8 * step), HERE, now_s=step)
    assert memory.standing(_look(80), now_s=20.0) is Standing.FREE
    assert memory.locked_until_s(_look(160), now_s=20.0) == 30.0
    locked = [angle for angle in range(360) if memory.standing(_look(angle), now_s=20.0) is Standing.LOCKED]
    assert len(locked) <= LOOKS * (2 * RADIUS_DEG + 1)


def test_a_look_vetoed_on_the_way_stays_locked_and_its_lock_has_doubled() -> None:
    """What was vetoed is kept by itself: no number of later looks pushes it out, and no change halves its lock."""
    memory = _memory()
    memory.vetoed(_look(0), HERE, now_s=0.0)
    memory.seen(_look(8), HERE, now_s=1.0)
    memory.vetoed(_look(16), HERE, now_s=2.0)
    for step in range(3, 20):
        memory.seen(_look(8 * step), HERE, now_s=step)
    for vetoed in (0, 16):
        assert memory.locked_until_s(_look(vetoed), now_s=20.0) == 2.0 + 2 * PAUSE_S


def test_failed_challenges_add_up_along_a_drift() -> None:
    """Three failures of one drifting face are three failures."""
    memory = _memory()
    for step in range(3):
        memory.failed(_look(8 * step), now_s=step)
    assert memory.standing(_look(16), now_s=3.0) is Standing.LOCKED


def test_a_grant_to_somebody_whom_a_locked_face_drifted_to_does_not_free_the_locked_face() -> None:
    """The granted look is forgotten, the look that was vetoed is not."""
    memory = _memory()
    memory.vetoed(_look(0), HERE, now_s=0.0)
    for step in range(1, 4):
        memory.seen(_look(8 * step), HERE, now_s=step)
    memory.passed(_look(26))
    assert memory.standing(_look(26), now_s=5.0) is Standing.FREE
    assert memory.standing(_look(0), now_s=5.0) is Standing.LOCKED


# -- what cannot be compared -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("face", UNREADABLE, ids=["nan", "inf", "zero", "empty"])
def test_a_face_that_cannot_be_compared_is_locked_and_locks_nobody_else(face: Embedding) -> None:
    """It may be anybody, so it is let go nowhere; when it was vetoed, its place is all that others may meet."""
    memory = _memory()
    assert memory.standing(face, now_s=0.0) is Standing.LOCKED
    assert memory.locked_until_s(face, now_s=0.0) == math.inf
    for _ in range(9):
        memory.vetoed(face, HERE, now_s=0.0)
    assert memory.standing(STRANGER, now_s=1.0) is Standing.FREE
    assert memory.holds_place(HERE, now_s=4.9)
    assert not memory.holds_place(HERE, now_s=5.0)
    assert len(memory._faces) == 1
    memory.passed(face)
    assert memory.holds_place(HERE, now_s=4.9)


def test_nothing_is_forgotten_for_a_face_that_cannot_be_compared() -> None:
    """Not even where the door's own rule takes NaN for a match."""
    memory = FaceMemory(_rules(), agrees=lambda one, other: not float(one.vector @ other.vector) < 0.9)
    memory.vetoed(SPOOF, HERE, now_s=0.0)
    memory.passed(UNREADABLE[0])
    assert memory.standing(SPOOF, now_s=1.0) is Standing.LOCKED


def test_a_face_of_another_model_may_be_any_face_remembered() -> None:
    """Vectors of two models say nothing about one another, so the worst standing counts; with none, nothing does."""
    memory = _memory()
    other = _look(90, model="other")
    assert memory.standing(other, now_s=0.0) is Standing.FREE
    memory.undecided(SPOOF, now_s=0.0)
    assert memory.standing(other, now_s=0.0) is Standing.OWES_CHALLENGE
    memory.vetoed(SPOOF, HERE, now_s=0.0)
    assert memory.standing(other, now_s=29.9) is Standing.LOCKED
    memory.passed(_look(0, model="other"))
    assert memory.standing(SPOOF, now_s=1.0) is Standing.LOCKED
    longer = Embedding(np.array([1.0, 0.0, 0.0], np.float32), "m")
    assert memory.standing(longer, now_s=1.0) is Standing.LOCKED


def test_a_time_that_is_no_number_is_too_early_for_everything_to_end() -> None:
    """Broken clocks free no face, and lock none that did nothing."""
    memory = _memory()
    memory.vetoed(SPOOF, HERE, now_s=0.0)
    memory.undecided(_look(180), now_s=0.0)
    assert memory.standing(SPOOF, now_s=math.nan) is Standing.LOCKED
    assert memory.locked_until_s(SPOOF, now_s=math.nan) == 30.0
    assert memory.standing(_look(180), now_s=math.nan) is Standing.OWES_CHALLENGE
    assert memory.standing(STRANGER, now_s=math.nan) is Standing.FREE
    assert memory.holds_place(HERE, now_s=math.nan)


@pytest.mark.parametrize("now_s", [math.nan, -math.inf, math.inf])
def test_a_veto_at_a_time_that_is_no_number_never_ends(now_s: float) -> None:
    """When it began nobody knows; a later veto at a proper time does not shorten it, a grant ends it."""
    memory = _memory()
    memory.vetoed(SPOOF, HERE, now_s=now_s)
    memory.vetoed(SPOOF, HERE, now_s=10.0)
    assert memory.standing(SPOOF, now_s=1e12) is Standing.LOCKED
    memory.passed(SPOOF)
    assert memory.standing(SPOOF, now_s=1e12) is Standing.FREE


# -- what is kept ------------------------------------------------------------------------------------------------------


def test_entries_expire_and_nothing_of_them_is_left() -> None:
    """One failure per quiet interval, then the embedding itself goes."""
    memory = _memory(forget_s=600.0)
    memory.vetoed(SPOOF, HERE, now_s=0.0)
    assert memory.standing(STRANGER, now_s=629.9) is Standing.FREE
    assert len(memory._faces) == 1
    assert memory.standing(STRANGER, now_s=630.0) is Standing.FREE
    assert not memory._faces


def test_failures_outlive_locks_and_debts_and_go_one_by_one() -> None:
    """Waiting for the debt to end buys no fresh start, nor does waiting for one of two failures to be forgotten."""
    memory = _memory(forget_s=600.0)
    for _ in range(2):
        memory.failed(SPOOF, now_s=0.0)
    assert memory.standing(SPOOF, now_s=599.0) is Standing.FREE
    memory.failed(SPOOF, now_s=599.0)
    assert memory.standing(SPOOF, now_s=599.0) is Standing.LOCKED
    for _ in range(2):
        memory.vetoed(STRANGER, HERE, now_s=0.0)
    assert memory.standing(STRANGER, now_s=660.0) is Standing.FREE
    memory.vetoed(STRANGER, HERE, now_s=660.0)
    assert memory.locked_until_s(STRANGER, now_s=660.0) == 660.0 + 2 * PAUSE_S


def test_no_printed_form_shows_a_face() -> None:
    """What reaches a log by accident holds no numbers of anybody."""
    memory = _memory()
    memory.vetoed(SPOOF, HERE, now_s=0.0)
    assert not re.search(r"array|vector|Embedding", f"{memory!r} {memory._faces!r} {vars(memory)!r}")


@pytest.mark.parametrize("start_s", [-1000.0, 0.0, 1e6])
def test_many_passers_by_neither_free_a_locked_face_nor_erase_failures(start_s: float) -> None:
    """Who only owes goes first, then who has failed least, the oldest of them first."""
    memory = _memory(capacity=3)
    memory.vetoed(_look(0), HERE, now_s=start_s)
    for _ in range(2):
        memory.failed(_look(30), now_s=start_s)
    for count in range(10):
        memory.undecided(_look(60 + 25 * count), now_s=start_s + count)
        assert len(memory._faces) == 3
    assert memory.standing(_look(0), now_s=start_s + 10) is Standing.LOCKED
    assert memory.standing(_look(60 + 25 * 9), now_s=start_s + 10) is Standing.OWES_CHALLENGE
    memory.failed(_look(30), now_s=start_s + 11)
    assert memory.standing(_look(30), now_s=start_s + 11) is Standing.LOCKED


def test_of_those_who_only_owe_the_one_longest_away_goes_first() -> None:
    """Not the one who came first: who came again is news."""
    memory = _memory(capacity=2)
    for now_s, angle in enumerate((0, 30, 0, 60)):
        memory.undecided(_look(angle), now_s=now_s)
    assert [memory.standing(_look(angle), now_s=4.0).value for angle in (0, 30, 60)] == [
        "owes_challenge",
        "free",
        "owes_challenge",
    ]


def test_what_has_expired_takes_no_room() -> None:
    """A failure of long ago does not keep out who owes today."""
    memory = _memory(capacity=1, forget_s=600.0)
    memory.failed(_look(0), now_s=0.0)
    memory.undecided(_look(60), now_s=600.0)
    assert memory.standing(_look(60), now_s=601.0) is Standing.OWES_CHALLENGE


def test_with_nothing_but_locked_faces_a_lesser_event_is_not_remembered() -> None:
    """No locked face goes for one that is not."""
    memory = _memory(capacity=2)
    for angle in (0, 30):
        memory.vetoed(_look(angle), HERE, now_s=0.0)
    memory.undecided(_look(60), now_s=1.0)
    memory.failed(_look(90), now_s=1.0)
    assert [memory.standing(_look(angle), now_s=1.0).value for angle in (0, 30, 60, 90)] == ["locked"] * 2 + [
        "free"
    ] * 2


def test_with_nothing_but_locked_faces_the_lock_that_ends_first_gives_way_to_a_new_one() -> None:
    """The face just vetoed stands before the door; the least that is left is lost."""
    memory = _memory(capacity=2)
    for angle, times in ((0, 2), (30, 3), (60, 1)):
        for _ in range(times):
            memory.vetoed(_look(angle), HERE, now_s=0.0)
    assert [memory.standing(_look(angle), now_s=1.0).value for angle in (0, 30, 60)] == ["free", "locked", "locked"]


# -- whatever happens --------------------------------------------------------------------------------------------------

_ANGLES = st.integers(0, 359)
_EVENTS = st.lists(
    st.tuples(st.sampled_from(["vetoed", "failed", "undecided", "seen"]), _ANGLES, st.integers(0, 12)), max_size=40
)


@settings(max_examples=200, deadline=None)
@given(_EVENTS, _ANGLES)
def test_no_sequence_frees_a_vetoed_look_early_or_locks_a_look_far_from_all(
    events: list[tuple[str, int, int]], start: int
) -> None:
    """Each vetoed look stays locked for its pause, and what agrees with nothing that was reported is free."""
    memory, now_s, vetoed, reported = _memory(), 0.0, {}, set()
    for kind, turn, wait in events:
        # Half of the walk in small steps: drifts; half anywhere.
        start = (start + turn % 12 if turn % 2 else turn) % 360
        now_s += wait
        face = _look(start)
        before_s = memory.locked_until_s(face, now_s=now_s) - now_s
        if kind == "vetoed":
            memory.vetoed(face, HERE, now_s=now_s)
            vetoed[start] = now_s
            assert memory.locked_until_s(face, now_s=now_s) - now_s >= max(before_s, PAUSE_S)
        elif kind == "seen":
            memory.seen(face, HERE, now_s=now_s)
        else:
            (memory.failed if kind == "failed" else memory.undecided)(face, now_s=now_s)
        if kind != "seen":
            reported.add(start)
        for angle, since_s in vetoed.items():
            if now_s < since_s + PAUSE_S:
                assert memory.standing(_look(angle), now_s=now_s) is Standing.LOCKED
        if kind == "seen" and before_s > -math.inf:
            reported.add(start)
    for angle in range(0, 360, 7):
        apart = min((abs((angle - other + 180) % 360 - 180) for other in reported), default=360)
        if apart > RADIUS_DEG + 0.1:
            assert memory.standing(_look(angle), now_s=now_s) is Standing.FREE


class _Door(RuleBasedStateMachine):
    """Six people 40 degrees apart whose looks vary by 4; the last two never fail."""

    capacity = 16
    people = st.integers(0, 5)
    failing = st.integers(0, 3)
    wobble = st.integers(-4, 4)
    spots = st.integers(0, 3)

    def __init__(self) -> None:
        super().__init__()
        self.memory = _memory(capacity=self.capacity, forget_s=1e9)
        self.now_s = 0.0
        self.vetoed_s: dict[int, float] = {}
        self.vetoes: dict[int, int] = {}
        self.sights: dict[int, tuple[int, float]] = {}

    def look(self, person: int, wobble: int = 0) -> Embedding:
        return _look(40 * person + wobble)

    def locked(self, person: int) -> bool:
        return self.memory.standing(self.look(person), now_s=self.now_s) is Standing.LOCKED

    def spot(self, number: int) -> Box:
        return Box(200.0 * number, 50, 80, 100)

    def room(self) -> bool:
        return sum(self.locked(person) for person in range(4)) < self.capacity

    @rule(wait=st.integers(0, 40))
    def time_passes(self, wait: int) -> None:
        self.now_s += wait

    @precondition(room)
    @rule(person=failing, wobble=wobble, spot=spots)
    def veto(self, person: int, wobble: int, spot: int) -> None:
        before_s = self.memory.locked_until_s(self.look(person), now_s=self.now_s)
        self.memory.vetoed(self.look(person, wobble), self.spot(spot), now_s=self.now_s)
        self.vetoes[person] = self.vetoes.get(person, 0) + 1
        # Where there is no room for all, the count of a face that is not locked may go.
        counted = self.vetoes[person] if self.capacity > 4 else 1
        pause_s = min(PAUSE_S * 2 ** (counted - 1), LONGEST_S)
        assert self.memory.locked_until_s(self.look(person), now_s=self.now_s) >= max(before_s, self.now_s + pause_s)
        self.vetoed_s[person] = self.now_s
        self.sights[person] = (spot, self.now_s)

    @precondition(room)
    @rule(person=failing, wobble=wobble)
    def fail(self, person: int, wobble: int) -> None:
        self.memory.failed(self.look(person, wobble), now_s=self.now_s)

    @rule(person=people, wobble=wobble)
    def pass_by(self, person: int, wobble: int) -> None:
        if person < 4:
            self.memory.undecided(self.look(person, wobble), now_s=self.now_s)

    @rule(person=people, wobble=wobble, spot=spots)
    def stand(self, person: int, wobble: int, spot: int) -> None:
        if self.locked(person):
            self.sights[person] = (spot, self.now_s)
        self.memory.seen(self.look(person, wobble), self.spot(spot), now_s=self.now_s)

    @rule(person=people, wobble=wobble)
    def come_in(self, person: int, wobble: int) -> None:
        self.memory.passed(self.look(person, wobble))
        for known in (self.vetoed_s, self.vetoes, self.sights):
            known.pop(person, None)
        assert self.memory.standing(self.look(person), now_s=self.now_s) is Standing.FREE

    @invariant()
    def a_vetoed_face_is_locked_for_its_pause(self) -> None:
        for person, since_s in self.vetoed_s.items():
            assert self.locked(person) or self.now_s >= since_s + PAUSE_S

    @invariant()
    def who_never_failed_is_free(self) -> None:
        for person in (4, 5):
            assert self.memory.standing(self.look(person), now_s=self.now_s) is Standing.FREE

    @invariant()
    def a_place_is_held_for_a_locked_face_seen_there_just_now_and_for_nothing_else(self) -> None:
        for spot in range(4):
            held = any(
                at == spot and self.now_s < since_s + PLACE_S and self.locked(person)
                for person, (at, since_s) in self.sights.items()
            )
            assert self.memory.holds_place(self.spot(spot), now_s=self.now_s) is held

    @invariant()
    def memory_is_bounded(self) -> None:
        assert len(self.memory._faces) <= self.capacity
        assert all(len(face.looks) <= LOOKS for face in self.memory._faces)


class _NarrowDoor(_Door):
    """The same with room for two faces, of which no more than two are locked at once."""

    capacity = 2


TestDoor = _Door.TestCase
TestNarrowDoor = _NarrowDoor.TestCase
TestDoor.settings = TestNarrowDoor.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_what_agrees_is_asked_of_the_door_and_of_nobody_else() -> None:
    """The control of the control: with a rule that never agrees, a vetoed face is forgotten at once."""
    memory = FaceMemory(_rules(), agrees=lambda _one, _other: False)
    memory.vetoed(SPOOF, HERE, now_s=0.0)
    assert memory.standing(SPOOF, now_s=1.0) is Standing.FREE
    assert memory.holds_place(HERE, now_s=1.0)
    for now_s in itertools.repeat(1.0, 100):
        memory.vetoed(SPOOF, HERE, now_s=now_s)
    assert len(memory._faces) == 64
