"""The drill of full size: as many pictures and pairs as LFW has, in minutes, and from the cache in seconds."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from device.config import Config
from device.keys import StateKeys
from device.vision.pack import load_pack
from export_tools.evaluate.cache import CachePlace
from export_tools.evaluate.embeddings import DeviceFaces
from export_tools.evaluate.pairs import read_pairs
from export_tools.evaluate.results.recognition import Histogram
from export_tools.evaluate.verification import run_verification
from tests.export_tools.lfw_like import write_pairs, write_set

#: On two cores of which others had their share: 2.2 to 4.1 minutes (2.6 of processor time); from the cache 0.8 s.
LIMIT_S = 600.0
CACHED_LIMIT_S = 20.0


def mean_of(counts: Sequence[int], histogram: Histogram) -> float:
    """The mean score of the pairs of one kind, to the width of a bin."""
    middles = [(low + high) / 2 for low, high in itertools.pairwise(histogram.edges)]
    return sum(count * middle for count, middle in zip(counts, middles, strict=True)) / sum(counts)


@pytest.mark.full
def test_six_thousand_pairs_of_7700_pictures_take_less_than_ten_minutes(
    tmp_path: Path, demo_photos: dict[str, bytes], door_pack: Path, door_keys: StateKeys
) -> None:
    """Ten folds of 600 pairs, all scored; people are told apart; the second time all comes from the cache, alike."""
    images = write_set(tmp_path / "images", demo_photos, per_person=3850)
    pairs = read_pairs(write_pairs(tmp_path / "list", folds=10, per_kind=300, per_person=3850), images=images)
    assert (len(pairs.pairs), len(pairs.pictures)) == (6000, 7700)
    pack = load_pack(door_pack, mac_key=door_keys.pack_mac)
    faces = DeviceFaces(pack, Config(), cache=CachePlace(tmp_path / "cache", door_keys.evaluation_cache), workers=2)
    started = time.monotonic()
    first = run_verification(pairs, embedder=faces, threshold=pack.thresholds.match_cosine)
    taken_s = time.monotonic() - started
    sys.stdout.write(f"7,700 pictures and 6,000 pairs: {taken_s:.0f} s of {LIMIT_S:.0f} s\n")
    assert taken_s < LIMIT_S
    figures = first.all_pairs
    assert (figures.genuine, figures.impostor, figures.without_score) == (3000, 3000, 0)
    assert (first.effort.pictures, first.effort.cached) == (7700, 0)
    assert figures.folds is not None
    assert [(fold.number, fold.pairs) for fold in figures.folds.folds] == [(number, 600) for number in range(1, 11)]
    assert figures.folds.accuracy > 0.99
    assert (
        mean_of(figures.histogram.genuine, figures.histogram)
        > mean_of(figures.histogram.impostor, figures.histogram) + 0.05
    )
    started = time.monotonic()
    second = run_verification(pairs, embedder=faces, threshold=pack.thresholds.match_cosine)
    assert time.monotonic() - started < CACHED_LIMIT_S
    assert second.effort.cached == 7700
    assert second.all_pairs == first.all_pairs
