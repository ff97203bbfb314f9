"""Calibrating: from scores to thresholds, from folders to scores, and the whole command on a real pack."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from device.access.votes import cast, tally
from device.config import Config
from device.errors import EnrolmentError, NotFoundError, PackError, UsageError
from device.keys import KeyFile, StateKeys
from device.types import Candidate
from device.vision.manifest import Preprocessing, ScoringRule
from device.vision.pack import MANIFEST_NAME, load_pack
from device.wiring.models import match_threshold, open_pack
from export_tools.attempts import Counts, Scores, attempt_scores, score_people
from export_tools.build import replace_thresholds
from export_tools.calibrate import Budget, calibrate, choose_points, choose_threshold, comparisons_for
from export_tools.cards import EMBEDDERS_DIRECTORY, embedder_tag
from export_tools.cli import run
from export_tools.evaluate.embeddings import Embeddings
from export_tools.evaluate.one_sided import PeopleBound, upper_95
from export_tools.evaluate.people import PersonFolder, read_people, require_distinct
from export_tools.evaluate.results.common import Source
from export_tools.sources.download import Reporter, Silent
from tests.export_tools.lfw_like import write_pairs, write_set
from tests.standins.embedder import sface_like

RULE = ScoringRule(model_id="m", mirrored=True, template="mean", photos=3, votes=1, window=1)
COUNTS = Counts(people=4, enrolled=4, pictures=40, without_face=1, refused=2, attempts=9, too_short=0)


def _pairs(count: int, *, people: int = 4) -> Any:
    """Who is compared with whom: everybody with the next one, in turn."""
    first = np.arange(count) % people
    return np.stack([first, (first + 1) % people], axis=1)


def _scores(impostor: Sequence[float], genuine: Sequence[float] = ()) -> Scores:
    return Scores(
        impostor=np.array(impostor, np.float64),
        impostor_people=_pairs(len(impostor)),
        genuine=np.array(genuine, np.float64),
        counts=COUNTS,
        most_alike=(),
    )


def _calibrate(scores: Scores, target: float) -> Any:
    return calibrate(scores, rule=RULE, target=target, set_name="office", measured_on=date(2026, 11, 20))


# ---- Scores to thresholds


def test_the_threshold_is_the_lowest_score_that_few_enough_reach() -> None:
    """By hand: of ten strangers one in ten may match, so the best of them sets it; two in ten, the second best."""
    ordered = np.array([0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95])
    assert choose_threshold(ordered, target=0.1) == 0.95
    assert choose_threshold(ordered, target=0.2) == 0.85
    assert choose_threshold(ordered, target=0.29) == 0.85


def test_below_one_error_the_threshold_lies_above_every_stranger() -> None:
    """By hand: the next multiple of 1e-4."""
    ordered = np.array([0.1, 0.2, 0.30004])
    assert choose_threshold(ordered, target=0.05) == 0.3001
    assert choose_threshold(np.array([0.1, 0.25]), target=0.05) == 0.2501


def test_equal_scores_match_or_fail_together() -> None:
    """Two of ten share the highest score: one in ten cannot be had below it."""
    ordered = np.array([0.1] * 8 + [0.5] * 2)
    assert choose_threshold(ordered, target=0.2) == 0.5
    assert choose_threshold(ordered, target=0.1) > 0.5


_COSINES = st.lists(st.floats(0.0009765625, 0.984375, width=32), min_size=1, max_size=300)
_TARGETS = st.floats(1e-9, 0.1)


@given(impostor=_COSINES, target=_TARGETS)
def test_no_threshold_is_ever_looser_than_asked_for(impostor: list[float], target: float) -> None:
    """Of every point: at most its rate of strangers reaches it, and the bound lies above what was seen."""
    points = choose_points(np.array(impostor), _pairs(len(impostor)), target=target)
    for point in points:
        assert point.errors == sum(score >= point.cosine for score in impostor)
        assert point.observed <= point.target
        assert point.observed < point.upper_95 <= 1
        assert point.upper_95_people is None  # four people
    assert points[-1].target == target


@given(impostor=_COSINES, target=_TARGETS)
def test_no_lower_score_would_have_done(impostor: list[float], target: float) -> None:
    """The next lower score that was seen lets more strangers in than asked for."""
    chosen = choose_threshold(np.sort(np.array(impostor)), target=target)
    lower = [score for score in impostor if 1e-4 <= score < chosen]
    if lower:
        assert sum(score >= max(lower) for score in impostor) / len(impostor) > target


@given(impostor=_COSINES, targets=st.tuples(_TARGETS, _TARGETS))
def test_a_smaller_rate_never_has_a_lower_threshold(impostor: list[float], targets: tuple[float, float]) -> None:
    """Monotonic, and strictly so among the points that are kept."""
    ordered = np.sort(np.array(impostor))
    low, high = sorted(targets)
    assert choose_threshold(ordered, target=low) >= choose_threshold(ordered, target=high)
    points = choose_points(np.array(impostor), _pairs(len(impostor)), target=low)
    cosines = [point.cosine for point in points]
    assert cosines == sorted(set(cosines))
    assert _calibrate(_scores(impostor), low).thresholds().match_cosine == cosines[-1]


def test_strangers_on_a_sphere_give_the_rate_that_was_aimed_at() -> None:
    """20,000 comparisons of Gaussian directions in 32 dimensions: 1e-3 is 20 of them, 1e-4 is 2."""
    draw = np.random.default_rng(3)
    vectors = draw.normal(size=(2, 20_000, 32))
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    impostor = np.einsum("nd,nd->n", vectors[0], vectors[1])
    found = _calibrate(_scores(impostor.tolist(), [0.9, 0.2]), 1e-4)
    assert [(point.target, point.errors, point.resolved) for point in found.points] == [
        (1e-3, 20, True),
        (1e-4, 2, False),
    ]
    assert found.fnmr.count == 1
    assert found.fnmr.trials == 2


def test_points_that_scores_do_not_distinguish_are_one() -> None:
    """A hundred comparisons know nothing of one in a thousand: the strictest name remains, and it is not resolved."""
    found = _calibrate(_scores(np.linspace(0, 0.5, 100).tolist()), 1e-5)
    (point,) = found.points
    assert (point.target, point.errors, point.cosine, point.resolved) == (1e-5, 0, 0.5001, False)
    assert point.upper_95 == 0.03
    thresholds = found.thresholds()
    assert thresholds.origin == "calibrated"
    assert (thresholds.comparisons, thresholds.default_fmr) == (100, 1e-5)
    assert thresholds.measurement.startswith("calibrated on 2026-11-20 with the set 'office': 4 people")


def test_bounds_are_those_of_the_tables() -> None:
    """By hand: 3 of n without errors; 1 in 100 at most 4.66 % (Clopper and Pearson, one-sided)."""
    assert upper_95(0, 3000) == 0.001
    assert upper_95(0, 2) == 1
    assert upper_95(1, 100) == pytest.approx(0.04656, abs=1e-5)
    assert upper_95(100, 100) == 1


def test_one_person_behind_all_errors_widens_the_bound_over_people() -> None:
    """40 of 10,000 comparisons err; spread over everybody or all of one person, the bound over comparisons is one."""
    people = np.array([(a, b) for a in range(100) for b in range(100) if a != b])
    spread = np.zeros(len(people), np.bool_)
    spread[:: len(people) // 40] = True
    single = np.zeros(len(people), np.bool_)
    single[np.flatnonzero(people[:, 1] == 7)[:40]] = True
    bound = PeopleBound(people)
    of_one, of_all = bound.upper_95(single), bound.upper_95(spread)
    assert of_one is not None
    assert of_all is not None
    assert of_one > 1.5 * of_all
    assert of_all > 40 / len(people)
    assert bound.upper_95(np.zeros(len(people), np.bool_)) == pytest.approx(0.03)
    assert bound.upper_95(np.ones(len(people), np.bool_)) == 1


def test_fewer_than_ten_people_give_no_bound_over_people() -> None:
    """Of two people every draw is the same pair again, or nobody: the point estimate would pass for a bound."""
    for count, known in ((2, False), (9, False), (10, True)):
        errors = np.zeros(1000, np.bool_)
        errors[:8] = True
        assert (PeopleBound(_pairs(1000, people=count)).upper_95(errors) is not None) == known


@given(errors=st.lists(st.booleans(), min_size=10, max_size=200), people=st.integers(10, 30))
def test_the_bound_over_people_is_never_below_the_one_over_comparisons(errors: list[bool], people: int) -> None:
    """Nor below what was seen."""
    found = PeopleBound(_pairs(len(errors), people=people)).upper_95(np.array(errors))
    if found is not None:
        assert sum(errors) / len(errors) <= upper_95(sum(errors), len(errors)) <= found <= 1


@pytest.mark.parametrize("target", [0.1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7])
def test_a_target_is_resolved_by_three_times_its_inverse(target: float) -> None:
    """300,000 comparisons for 1e-5; the bound is then at most 2.6 times the target, whatever was seen."""
    wanted = comparisons_for(target)
    assert wanted == round(3 / target)
    assert upper_95(0, wanted) <= target * (1 + 1e-9)
    assert upper_95(3, wanted) <= 2.6 * target


@given(comparisons=st.integers(1, 4000), target=st.floats(1e-3, 0.1))
def test_a_resolved_point_is_never_far_above_its_target(comparisons: int, target: float) -> None:
    """Over comparisons; and one comparison less than 3 / target does not resolve it."""
    scores = np.linspace(0.01, 0.9, comparisons)
    point = choose_points(scores, _pairs(comparisons), target=target)[-1]
    assert point.resolved == (comparisons >= comparisons_for(target))
    assert not point.resolved or point.upper_95 <= 2.6 * target


@pytest.mark.parametrize("target", [0, -1e-5, 0.11, 1, math.nan, math.inf])
def test_a_rate_that_is_none_is_refused(target: float) -> None:
    """Zero, negative, more than one in ten, no number."""
    with pytest.raises(UsageError, match="cannot be aimed at"):
        _calibrate(_scores([0.1, 0.2]), target)


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_no_number_sets_no_threshold(score: float) -> None:
    """A broken model must not look like a good one."""
    with pytest.raises(UsageError, match="no number"):
        _calibrate(_scores([0.1, score]), 1e-3)


def test_no_stranger_no_threshold() -> None:
    """An empty list of comparisons."""
    with pytest.raises(UsageError, match="no stranger"):
        _calibrate(_scores([]), 1e-3)


def test_twins_cannot_be_kept_apart() -> None:
    """A stranger with a cosine of one leaves no room above."""
    with pytest.raises(UsageError, match="no threshold keeps them apart"):
        _calibrate(_scores([0.1, 1.0]), 1e-3)


def test_strangers_on_the_other_side_of_the_sphere_do_not_make_a_threshold_of_nothing() -> None:
    """Refused, for the target and for the looser points on the way to it."""
    with pytest.raises(UsageError, match=r"at a cosine of -0\.79"):
        choose_threshold(np.array([-0.9, -0.8]), target=0.1)
    with pytest.raises(UsageError, match="no threshold for a door"):
        _calibrate(_scores([*np.linspace(-0.9, -0.8, 5000), 0.5]), 1e-4)


@given(impostor=st.lists(st.floats(-1, 0.984375, width=32), min_size=1, max_size=300), target=_TARGETS)
def test_a_threshold_is_above_nothing_or_there_is_none(impostor: list[float], target: float) -> None:
    """Refused only where the rate is had without one."""
    scores = np.sort(np.array(impostor))
    try:
        assert choose_threshold(scores, target=target) >= 1e-4
    except UsageError:
        assert np.count_nonzero(scores >= 1e-4) <= target * scores.size


# ---- The door's budget


def test_the_budget_is_worked_out_by_hand() -> None:
    """100 people at 1e-5: 1 - 0.99999^100 = 9.9950e-4 per attempt; with 10 attempts a day, one in 100.05 days."""
    budget = Budget(people=100, attempts_per_day=10, fmr=1e-5)
    assert budget.per_attempt == pytest.approx(9.99505e-4, rel=1e-5)
    assert budget.days == pytest.approx(100.05, abs=0.01)


def test_the_budget_of_the_worst_door() -> None:
    """One person, every comparison matches: an accept per attempt; and 1 in 2 with two people is 3 in 4."""
    assert Budget(people=1, attempts_per_day=2, fmr=1).days == 0.5
    assert Budget(people=2, attempts_per_day=1, fmr=0.5).per_attempt == pytest.approx(0.75)


# ---- Attempts


@given(
    frames=arrays(np.float32, st.integers(1, 12), elements=st.floats(-1, 1, width=32)),
    rule=st.tuples(st.integers(1, 5), st.integers(0, 4)),
)
def test_an_attempt_matches_exactly_where_the_doors_votes_do(frames: Any, rule: tuple[int, int]) -> None:
    """The score is the greatest threshold at which some moment of the attempt has the votes."""
    votes, window = rule[0], rule[0] + rule[1]

    def door(threshold: float) -> bool:
        cast_votes = [
            cast([Candidate("p", float(s))], threshold=threshold, margin=0.0, captured_s=0.0, frame_number=0)
            for s in frames
        ]
        return any(tally(cast_votes[:end], k=votes, n=window) is not None for end in range(1, len(cast_votes) + 1))

    if len(frames) < votes:
        assert not door(-1.0)
        return
    (score,) = attempt_scores(frames[:, np.newaxis], votes=votes, window=window).astype(float)
    assert door(score)
    assert not door(float(np.nextafter(score, 2)))


def test_an_attempt_is_worked_out_by_hand() -> None:
    """Two of three consecutive frames: the second best of the best three in a row."""
    frames = np.array([[0.9], [0.1], [0.2], [0.8], [0.3], [0.85]], np.float32)
    assert attempt_scores(frames, votes=2, window=3)[0] == np.float32(0.8)
    assert attempt_scores(frames, votes=2, window=2)[0] == np.float32(0.3)
    assert attempt_scores(frames, votes=1, window=1)[0] == np.float32(0.9)


class GivenFaces:
    """Embeddings out of a table, by the name of the file: a vector, or None without a face; `x` for a poor one."""

    workers = 1
    source = Source(pack="p", embedder="m", precision="fp32", scoring="cosine", identity="0" * 64)

    def __init__(self, angles_deg: dict[str, float | None]) -> None:
        self._angles = angles_deg

    def embed(self, files: Sequence[Path], *, reporter: Reporter) -> Embeddings:  # noqa: ARG002
        """Directions in a plane."""
        angles = [self._angles[file.stem] for file in files]
        radians = np.radians([math.nan if angle is None else angle for angle in angles])
        vectors = np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)
        return Embeddings(
            vectors=vectors,
            upright=vectors,
            found=np.array([a is not None for a in angles]),
            usable=np.array([a is not None and not f.stem.endswith("x") for a, f in zip(angles, files, strict=True)]),
            cached=0,
        )


def _person(name: str, *photos: str, attempts: Sequence[Sequence[str]] = ()) -> PersonFolder:
    return PersonFolder(
        name=name,
        photos=tuple(Path(name, f"{photo}.jpg") for photo in photos),
        attempts=tuple(tuple(Path(name, "try", f"{frame}.jpg") for frame in frames) for frames in attempts),
    )


def test_templates_are_means_and_the_rest_are_attempts() -> None:
    """By hand, angles for faces: the template of -10 and 10 degrees is 0; the probe at 20 scores cos 20 = 0.9397."""
    people = [
        _person("ada", "a1x", "a2", "a3", "a4", "a5"),
        _person("eve", "e1", "e2", "e3"),
        _person("kim", "k1"),
    ]
    faces = GivenFaces({"a1x": 80, "a2": -10, "a3": 10, "a4": None, "a5": 20, "e1": 80, "e2": 100, "e3": 60, "k1": 45})
    found = score_people(people, faces=faces, photos=2, votes=1, window=1)
    cosine = {angle: math.cos(math.radians(angle)) for angle in (20, 30, 45, 60, 70)}
    assert found.genuine.tolist() == pytest.approx([cosine[20], cosine[30]], abs=1e-6)
    assert found.impostor.tolist() == pytest.approx([cosine[70], cosine[60], cosine[45], cosine[45]], abs=1e-6)
    assert found.impostor_people.tolist() == [[0, 1], [1, 0], [2, 0], [2, 1]]
    assert found.counts == Counts(people=3, enrolled=2, pictures=9, without_face=1, refused=1, attempts=3, too_short=0)
    assert {(each.attempt, each.person) for each in found.most_alike[:2]} == {
        ("kim/k1.jpg", "ada"),
        ("kim/k1.jpg", "eve"),
    }


def test_frames_that_the_door_would_not_compare_do_not_vote() -> None:
    """Two of two: the poor frame in between drops out, and an attempt of one good frame is too short."""
    people = [
        _person("ada", "a1"),
        _person("eve", "e1", attempts=[("f1", "f2x", "f3"), ("f4", "f5x")]),
    ]
    faces = GivenFaces({"a1": 0, "e1": 90, "f1": 60, "f2x": 0, "f3": 45, "f4": 30, "f5x": 0})
    found = score_people(people, faces=faces, photos=1, votes=2, window=2)
    assert found.impostor.tolist() == pytest.approx([0.5])
    assert found.genuine.tolist() == pytest.approx([math.cos(math.radians(45))])
    assert found.counts.too_short == 1
    assert found.most_alike[0].attempt == "eve/try"


@pytest.mark.parametrize(
    ("people", "votes", "message"),
    [
        ([_person("ada", "a1"), _person("eve", "a2")], 1, "nobody has 2 usable photographs"),
        ([_person("ada", "a1", "a2"), _person("eve", "a3", "a4")], 1, "no attempt has 1 usable frames"),
        ([_person("ada", "a1", "a2", "a3"), _person("eve")], 1, "no stranger"),
        ([_person("ada", "a1", "a2", "a3"), _person("eve", "a4")], 2, "no attempt has 2 usable frames"),
    ],
)
def test_without_templates_or_attempts_nothing_is_scored(people: list[PersonFolder], votes: int, message: str) -> None:
    """What is missing is told with its numbers."""
    faces = GivenFaces({"a1": 0, "a2": 10, "a3": 20, "a4": 30})
    with pytest.raises(UsageError, match=message):
        score_people(people, faces=faces, photos=2, votes=votes, window=2)


def test_photographs_of_two_people_in_one_folder_are_named() -> None:
    """Their mean is nobody."""
    people = [_person("ada", "a1", "a2"), _person("eve", "a3")]
    with pytest.raises(EnrolmentError, match="ada: the photographs do not show one and the same person"):
        score_people(people, faces=GivenFaces({"a1": 0, "a2": 170, "a3": 0}), photos=2, votes=1, window=1)


def _touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def test_people_are_read_with_photographs_and_attempts(tmp_path: Path) -> None:
    """Sorted; hidden and foreign files are left out."""
    folder = _touch(
        tmp_path, "b/2.jpg", "b/1.png", "b/notes.txt", "b/.x.jpg", "b/try/1.jpg", "a/t/1.jpg", ".c/1.jpg", "d/x.txt"
    )
    first, second = read_people(folder)
    assert (first.name, first.photos, len(first.attempts)) == ("a", (), 1)
    assert [file.name for file in second.photos] == ["1.png", "2.jpg"]
    assert second.attempts == ((folder / "b" / "try" / "1.jpg",),)


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        ((), UsageError, "0 people"),
        (("a/1.jpg",), UsageError, "1 people"),
        (("a/1.jpg", "b/1.jpg", "c.jpg"), UsageError, "belongs to no person"),
    ],
)
def test_a_folder_without_strangers_is_refused(
    tmp_path: Path, names: tuple[str, ...], error: type[Exception], message: str
) -> None:
    """Nobody, one person, a picture that is nobody's."""
    with pytest.raises(error, match=message):
        read_people(_touch(tmp_path, *names))


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    """With its name."""
    with pytest.raises(NotFoundError, match="none does not exist"):
        read_people(tmp_path / "none")


def test_one_picture_of_two_people_is_refused(tmp_path: Path) -> None:
    """It would be a stranger with a cosine of one; a photograph given twice would vouch for itself."""
    _touch(tmp_path, "a/1.jpg", "b/1.jpg", "b/try/1.jpg", "b/try/2.jpg")
    (tmp_path / "b" / "try" / "2.jpg").write_bytes(b"b/try/1.jpg")
    require_distinct(read_people(tmp_path))
    (tmp_path / "b" / "2.jpg").write_bytes(b"b/1.jpg")
    with pytest.raises(UsageError, match="same picture"):
        require_distinct(read_people(tmp_path))
    (tmp_path / "b" / "2.jpg").write_bytes(b"a/1.jpg")
    with pytest.raises(UsageError, match="1 problem"):
        require_distinct(read_people(tmp_path))


# ---- The command


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, demo_photos: dict[str, bytes]) -> Path:
    """Two people, eighteen variants each of their press photographs: thirty comparisons resolve one in ten."""
    return write_set(tmp_path_factory.mktemp("calibration") / "press", demo_photos, per_person=18)


@pytest.fixture
def state(tmp_path: Path, door_state: Path) -> Path:
    """A state directory with the pack `door`, to be written to."""
    copy = tmp_path / "state"
    shutil.copytree(door_state / "packs" / "door", copy / "packs" / "door")
    shutil.copy(door_state / "state.key", copy)
    return copy


@pytest.fixture
def command(state: Path, pictures: Path, tmp_path: Path) -> list[str]:
    """A call that works as it stands; later options replace earlier ones."""
    return [
        "calibrate", "--state", str(state), "--images", str(pictures), "--target-fmr", "0.1", "--workers", "1",
        "--embeddings", str(tmp_path / "embeddings"), "--accept-looser",
    ]  # fmt: skip


def _manifest(state: Path) -> bytes:
    return (state / "packs" / "door" / MANIFEST_NAME).read_bytes()


def _key(state: Path) -> bytes:
    return StateKeys.derive(KeyFile(state / "state.key").load()).pack_mac


def test_a_real_pack_is_calibrated(command: list[str], state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Threshold, bound and budget are told; the pack that the door loads has them."""
    assert run([*command, "--people", "50", "--attempts-per-day", "4"]) == 0
    told = capsys.readouterr().out
    assert "With 50 people and 4 attempts a day by strangers this threshold means one false accept in" in told
    thresholds = load_pack(state / "packs" / "door", mac_key=_key(state)).thresholds
    assert thresholds.origin == "calibrated"
    assert thresholds.comparisons == 30
    assert thresholds.rule.photos == 3
    assert thresholds.match[0].fmr_upper_95 == pytest.approx(0.2386, abs=1e-4)  # three of thirty
    assert f"{thresholds.match_cosine:.6f}" in told
    assert "Obama" not in thresholds.measurement


def test_embeddings_of_strangers_are_kept_only_where_they_may(command: list[str], tmp_path: Path) -> None:
    """``--no-embeddings`` leaves no file, and does not go together with a folder for them."""
    place = command.index("--embeddings")
    assert run([*command[:place], *command[place + 2 :], "--no-embeddings", "--dry-run"]) == 0
    assert not (tmp_path / "embeddings").exists()
    assert run([*command, "--no-embeddings"]) == 64


def test_a_folder_name_drives_no_terminal(
    command: list[str], pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The people most alike are told by the names of their folders, without what a name may hide."""
    (tmp_path / "set").mkdir()
    for person in pictures.iterdir():
        shutil.copytree(person, tmp_path / "set" / f"{person.name}\x1b[2J\x9b31m")
    assert run([*command, "--images", str(tmp_path / "set"), "--dry-run"]) == 0
    told = capsys.readouterr()
    assert "Obama" in told.out
    assert not set(told.out + told.err) & {"\x1b", "\x9b"}


def test_a_dry_run_and_its_json_change_nothing(
    command: list[str], state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The figures are all there."""
    before = _manifest(state)
    assert run([*command, "--target-fmr", "1e-5", "--dry-run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["written"] is None
    assert told["points"][-1]["resolved"] is False
    assert told["points"][-1]["fmr_upper_95"] == pytest.approx(0.1)
    assert told["points"][-1]["fmr_upper_95_people"] is None
    assert told["comparisons"] == {"impostor": 30, "genuine": 30}
    assert len(told["budget"]) == 2
    assert _manifest(state) == before


def test_a_rate_that_is_not_resolved_is_written_only_when_the_owner_takes_the_risk(
    command: list[str], state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Thirty comparisons say nothing about one in a hundred thousand; the looser threshold would let strangers in."""
    before = _manifest(state)
    assert run([*command, "--target-fmr", "1e-5"]) == 64
    said = capsys.readouterr()
    assert "NOT RESOLVED" in said.out
    assert "nothing was written" in said.err
    assert _manifest(state) == before
    assert run([*command, "--target-fmr", "1e-5", "--accept-unproven"]) == 0
    (point,) = load_pack(state / "packs" / "door", mac_key=_key(state)).thresholds.match
    assert point.fmr_upper_95 == pytest.approx(0.1)


def test_a_looser_threshold_is_written_only_when_the_owner_wants_it(
    command: list[str], state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both are told; one that lets fewer in needs no word."""
    command.remove("--accept-looser")
    before = _manifest(state)
    assert run(command) == 64
    said = capsys.readouterr()
    assert "nothing was written: the door would become looser, the threshold from 0.954700 to 0." in said.err
    assert "the loosest point from 0.931200 to 0." in said.err
    assert "--accept-looser" in said.err
    assert "before       0.954700 (published" in said.out
    assert _manifest(state) == before
    assert run([*command, "--target-fmr", "1e-5"]) == 64
    assert "do not resolve" in capsys.readouterr().err
    assert run([*command, "--accept-looser", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["before"], told["points"][-1]["cosine"] < 0.9547) == (0.9547, True)
    assert run([*command, "--target-fmr", "1e-5", "--accept-unproven"]) == 0


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--target-fmr", "0.2"], 64, "cannot be aimed at"),
        (["--target-fmr", "nan"], 64, "cannot be aimed at"),
        (["--target-fmr", "much"], 64, "invalid float"),
        (["--images", "/nonexistent"], 66, "does not exist"),
        (["--photos", "0"], 64, "no such rule"),
        (["--votes", "3", "--window", "2"], 64, "no such rule"),
        (["--votes", "3"], 64, "no attempt has 3 usable frames"),
        (["--photos", "30"], 64, "nobody has 30 usable photographs"),
        (["--people", "0"], 64, "people and attempts"),
        (["--attempts-per-day", "nan"], 64, "people and attempts"),
        (["--workers", "0"], 64, "workers"),
        (["--config", "/nonexistent"], 78, "cannot read the configuration"),
        (["--sign-with", "/nonexistent"], 64, "cannot read"),
    ],
)
def test_a_wrong_call_changes_nothing(
    command: list[str], state: Path, capsys: pytest.CaptureFixture[str], options: list[str], code: int, message: str
) -> None:
    """Each with its exit code and what is wrong."""
    before = _manifest(state)
    assert run([*command, *options]) == code
    assert message in capsys.readouterr().err
    assert _manifest(state) == before


def test_a_broken_picture_changes_nothing(
    command: list[str], state: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is named."""
    copy = tmp_path / "broken"
    shutil.copytree(pictures, copy)
    (copy / "Obama" / "broken.jpg").write_bytes(b"no picture")
    before = _manifest(state)
    assert run([*command, "--images", str(copy)]) == 65
    assert "broken.jpg" in capsys.readouterr().err
    assert _manifest(state) == before


def test_frames_of_an_attempt_are_voted_on(command: list[str], pictures: Path, tmp_path: Path, state: Path) -> None:
    """With folders of frames the rule is that of the configuration: three votes of five."""
    copy = tmp_path / "attempts"
    shutil.copytree(pictures, copy)
    for person in copy.iterdir():
        (person / "try").mkdir()
        for file in sorted(person.glob("*.jpg"))[4:]:
            file.rename(person / "try" / file.name)
    assert run([*command, "--images", str(copy), "--accept-unproven"]) == 0
    rule = load_pack(state / "packs" / "door", mac_key=_key(state)).thresholds.rule
    assert (rule.votes, rule.window) == (3, 5)


def _pem(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_bytes(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def test_a_signed_pack_stays_signed_by_its_key(
    command: list[str], state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the key, or with another, nothing is measured and nothing written."""
    from export_tools.commands.build import signing_key

    own, other = _pem(tmp_path, "own.pem"), _pem(tmp_path, "other.pem")
    pack = load_pack(state / "packs" / "door", mac_key=_key(state))
    key = signing_key(own)
    replace_thresholds(pack, pack.thresholds, mac_key=_key(state), reporter=Silent(), sign_with=key)
    before = _manifest(state)
    assert run(command) == 70
    assert "--sign-with KEY" in capsys.readouterr().err
    assert run([*command, "--sign-with", str(other)]) == 70
    assert "is not signed by the key given" in capsys.readouterr().err
    assert _manifest(state) == before
    assert run([*command, "--dry-run"]) == 0
    assert run([*command, "--sign-with", str(own)]) == 0
    calibrated = load_pack(state / "packs" / "door", mac_key=_key(state), signed_by=key.public_key())
    assert calibrated.thresholds.origin == "calibrated"


def test_an_embedder_that_nobody_measured_opens_doors_once_it_is_calibrated(
    command: list[str], pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A network of SFace's signature, built into the pack: refused at the door, evaluated, calibrated, loaded."""
    data = sface_like()
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "own.onnx").write_bytes(data)
    card = yaml.safe_load((EMBEDDERS_DIRECTORY / "sface.yaml").read_bytes())
    card["source"] |= {"file": "own.onnx", "sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}
    card["model"]["name"] = "own-" + embedder_tag(
        sha256=card["source"]["sha256"],
        family="arcface",
        preprocessing=Preprocessing(**card["model"]["preprocessing"]),
        output="fc1",
    )
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(card))
    state = tmp_path / "own"
    build = ["build", "--state", str(state), "--embedder", str(tmp_path / "own.yaml"), "--mirror", str(mirror)]
    assert run([*build, "--target", "onnxruntime"]) == 0
    config = Config()
    keys = StateKeys.derive(KeyFile(state / "state.key").load())
    with pytest.raises(PackError) as caught:
        match_threshold(open_pack(state, config, keys), config)
    assert caught.value.reason == "uncalibrated"
    assert "doorward-export calibrate" in caught.value.hint
    pairs = write_pairs(tmp_path / "pairs", folds=1, per_kind=2, per_person=18)
    evaluation = ["evaluate", "verification", "--pairs", str(pairs), "--images", str(pictures), "--no-embeddings"]
    capsys.readouterr()
    assert run([*evaluation, "--state", str(state)]) == 70
    assert "--threshold" in capsys.readouterr().err
    assert run([*evaluation, "--state", str(state), "--threshold", "0.5"]) == 0
    with pytest.raises(PackError):
        match_threshold(open_pack(state, config, keys), config)
    capsys.readouterr()
    assert run([*command, "--state", str(state)]) == 0
    told = capsys.readouterr().out
    assert "before       none" in told
    assert f"{card['model']['name']}-fp32" in told
    assert 0 < match_threshold(open_pack(state, config, keys), config) <= 1
    assert run(["verify", "--state", str(state)]) == 0
