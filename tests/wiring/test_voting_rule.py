"""A threshold is in force only where the door counts votes at least as strictly as where it was measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from device.access.votes import cast, is_as_strict, tally
from device.commands.checks import Outcome, check_threshold
from device.config import Config, parse_config
from device.errors import ConfigError
from device.keys import StateKeys
from device.types import Candidate
from device.vision.manifest import Manifest, OperatingPoint, Thresholds
from device.vision.pack import Pack, load_pack
from device.wiring.models import match_threshold, same_face_threshold
from export_tools.attempts import attempt_scores

_RULES = st.integers(1, 12).flatmap(lambda window: st.tuples(st.integers(1, window), st.just(window)))


@pytest.fixture(scope="module")
def pack(door_pack: Path, door_keys: StateKeys) -> Pack:
    """The built pack ``door``."""
    return load_pack(door_pack, mac_key=door_keys.pack_mac)


def _is_as_strict(door: tuple[int, int], measured: tuple[int, int]) -> bool:
    return is_as_strict(k=door[0], n=door[1], than_k=measured[0], than_n=measured[1])


def _calibrated(pack: Pack, *, votes: int, window: int) -> Pack:
    rule = {"model_id": pack.model("embedder").model_id, "votes": votes, "window": window}
    thresholds = Thresholds(
        rule=pack.thresholds.rule.model_copy(update=rule),
        origin="calibrated",
        measurement="a test",
        comparisons=10_000_000,
        default_fmr=1e-6,
        match=[OperatingPoint(fmr=1e-6, cosine=0.5, fmr_upper_95=3e-6)],
    )
    return Pack(pack.directory, Manifest.model_validate({**dict(pack.manifest), "thresholds": thresholds}))


def _door(votes: int, window: int, *, threshold: str = "null") -> Config:
    text = f"access: {{votes: {votes}, vote_window: {window}}}\ngallery: {{threshold: {threshold}}}\n"
    return parse_config(text.encode(), origin="test")


@pytest.mark.parametrize(
    ("measured", "door"),
    [((30, 60), (3, 5)), ((3, 5), (2, 5)), ((3, 5), (3, 6)), ((2, 5), (2, 10)), ((2, 2), (2, 3)), ((3, 4), (4, 8))],
)
def test_a_door_that_counts_fewer_votes_than_were_measured_does_not_start(
    pack: Pack, measured: tuple[int, int], door: tuple[int, int]
) -> None:
    """Fewer of as many, as many of more; whatever number stands in the configuration beside it."""
    calibrated = _calibrated(pack, votes=measured[0], window=measured[1])
    for config in (_door(*door), _door(*door, threshold="0.99")):
        for read in (match_threshold, same_face_threshold):
            with pytest.raises(ConfigError, match=f"{measured[0]} of {measured[1]}") as caught:
                read(calibrated, config)
            assert f"--votes {door[0]} --window {door[1]}" in caught.value.hint


@pytest.mark.parametrize(
    ("measured", "door"),
    [((1, 1), (3, 5)), ((3, 5), (3, 5)), ((3, 5), (3, 4)), ((3, 5), (4, 5)), ((3, 5), (5, 10)), ((1, 5), (1, 60))],
)
def test_a_stricter_door_takes_the_threshold_and_check_points_it_out(
    pack: Pack, measured: tuple[int, int], door: tuple[int, int]
) -> None:
    """Single pictures are one of one; amber where the rules differ."""
    calibrated, config = _calibrated(pack, votes=measured[0], window=measured[1]), _door(*door)
    assert match_threshold(calibrated, config) == 0.5
    told = check_threshold(config, calibrated, match=0.5, same_face=0.5)
    assert told.outcome is (Outcome.PASS if measured == door else Outcome.AMBER)


def test_published_thresholds_hold_for_every_door(pack: Pack) -> None:
    """They were measured on single pictures."""
    assert (pack.thresholds.rule.votes, pack.thresholds.rule.window) == (1, 1)
    assert match_threshold(pack, _door(1, 60)) == pack.thresholds.match_cosine


@given(measured=_RULES, door=_RULES, scores=st.integers(1, 30).flatmap(
    lambda frames: arrays(np.float32, (frames, 1), elements=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]))
))  # fmt: skip
def test_whoever_matches_by_a_stricter_rule_matches_by_the_measured_one(
    measured: tuple[int, int], door: tuple[int, int], scores: NDArray[np.float32]
) -> None:
    """No attempt scores more at the door than where the threshold was measured, frame for frame."""
    assume(_is_as_strict(door, measured))
    at_door, at_desk = (float(attempt_scores(scores, votes=k, window=n)[0]) for k, n in (door, measured))
    assert at_door <= at_desk
    for threshold in (0.25, 0.5, 0.75, 1.0):
        votes = [
            cast([Candidate("p", float(one))], threshold=threshold, margin=0.02, captured_s=0.1 * i, frame_number=i)
            for i, one in enumerate(scores[:, 0])
        ]
        opened = any(tally(votes[:end], k=door[0], n=door[1]) for end in range(1, len(votes) + 1))
        assert not opened or at_desk >= threshold


@given(measured=_RULES, door=_RULES)
def test_a_rule_that_is_refused_has_an_attempt_that_only_the_door_lets_in(
    measured: tuple[int, int], door: tuple[int, int]
) -> None:
    """The refusal is no stricter than it must be: the votes come together at the start of each measured window."""
    (k, n), (votes, window) = measured, door
    assume(not _is_as_strict(door, measured))
    hits = np.array([[1.0 if place % n < k - 1 else 0.0] for place in range(max(window, k))], np.float32)
    assert hits[:window].sum() >= votes
    assert attempt_scores(hits, votes=votes, window=window)[0] == 1
    assert attempt_scores(hits, votes=k, window=n)[0] == 0
