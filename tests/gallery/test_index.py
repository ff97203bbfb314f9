"""Both search structures keep the same promises; the exact one is exact."""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from device.errors import ConfigError, ModelError
from device.gallery.exact import ExactIndex
from device.gallery.hnsw import make_hnsw_index
from device.interfaces import GalleryIndex
from device.types import Candidate, Embedding
from tests.gallery.distractors import distractors

MODEL = "test-embedder@1"
MakeIndex = Callable[..., GalleryIndex]

_NEEDS_HNSWLIB = pytest.mark.skipif(
    importlib.util.find_spec("hnswlib") is None, reason="needs hnswlib (extra ann), which is not installed"
)


@pytest.fixture(params=["exact", pytest.param("hnsw", marks=_NEEDS_HNSWLIB)])
def make_index(request: pytest.FixtureRequest) -> MakeIndex:
    """Each implementation in turn."""
    return ExactIndex if request.param == "exact" else make_hnsw_index


def _units(count: int, *, dimension: int = 16, seed: int = 0) -> NDArray[np.float32]:
    drawn = np.random.default_rng(seed).normal(size=(count, dimension))
    vectors: NDArray[np.float32] = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
    return vectors


def _owners(count: int) -> list[str]:
    return [f"{number:032x}" for number in range(count)]


def _probe(vector: NDArray[np.float32]) -> Embedding:
    return Embedding(vector=vector, model=MODEL)


def _brute_force(vectors: NDArray[np.float32], owners: list[str], probe: NDArray[np.float32]) -> dict[str, float]:
    scores = vectors.astype(np.float64) @ probe.astype(np.float64)
    return {owner: max(scores[i] for i, each in enumerate(owners) if each == owner) for owner in set(owners)}


def test_an_empty_gallery_matches_nobody(make_index: MakeIndex) -> None:
    """Before the first build, and built of nothing."""
    index = make_index(dimension=16, model=MODEL)
    probe = _probe(_units(1)[0])
    assert (len(index), index.search(probe, k=2)) == (0, ())
    index.build(_units(3), _owners(3))
    index.build(np.empty((0, 16), dtype=np.float32), [])
    assert (len(index), index.search(probe, k=2)) == (0, ())


def test_everybody_finds_themselves_first(make_index: MakeIndex) -> None:
    """Similarity one, and the next person behind."""
    vectors, owners = _units(200, seed=1), _owners(200)
    index = make_index(dimension=16, model=MODEL)
    index.build(vectors, owners)
    for vector, owner in zip(vectors, owners, strict=True):
        first, second = index.search(_probe(vector), k=2)
        assert first.person == owner
        assert first.similarity == pytest.approx(1.0, abs=1e-6)
        assert -1.0 <= second.similarity <= first.similarity <= 1.0


def test_a_person_with_many_photographs_is_one_candidate(make_index: MakeIndex) -> None:
    """With the best of the own vectors; the runner-up is somebody else."""
    vectors = _units(12, seed=2)
    owners = ["a" * 32] * 10 + ["b" * 32] * 2
    index = make_index(dimension=16, model=MODEL)
    index.build(vectors, owners)
    found = index.search(_probe(vectors[4]), k=2)
    assert [each.person for each in found] == ["a" * 32, "b" * 32]
    assert found[0].similarity == pytest.approx(1.0, abs=1e-6)
    assert len(index) == 2


def test_more_candidates_than_people_are_not_made_up(make_index: MakeIndex) -> None:
    """Three people, ten asked for; none asked for, none given."""
    index = make_index(dimension=16, model=MODEL)
    index.build(_units(3), _owners(3))
    assert len(index.search(_probe(_units(1)[0]), k=10)) == 3
    assert index.search(_probe(_units(1)[0]), k=0) == ()


def test_somebody_removed_is_never_found_again(make_index: MakeIndex) -> None:
    """The index is built anew."""
    vectors, owners = _units(50, seed=3), _owners(50)
    index = make_index(dimension=16, model=MODEL)
    index.build(vectors, owners)
    index.build(vectors[1:], owners[1:])
    assert owners[0] not in {each.person for each in index.search(_probe(vectors[0]), k=49)}


def _bad(kind: str) -> NDArray[Any]:
    good = _units(1)[0]
    vectors: dict[str, NDArray[Any]] = {
        "nan": np.full(16, np.nan, dtype=np.float32),
        "one nan": np.where(np.arange(16) == 5, np.float32(np.nan), good),
        "inf": np.full(16, np.inf, dtype=np.float32),
        "zero": np.zeros(16, dtype=np.float32),
        "too short a vector": good * np.float32(0.99),
        "too long a vector": good * np.float32(1.01),
        "huge": np.full(16, 1e30, dtype=np.float32),
        "fewer dimensions": _units(1, dimension=8)[0],
        "more dimensions": _units(1, dimension=32)[0],
        "a matrix": good.reshape(1, 16),
        "float64": good.astype(np.float64),
        "empty": np.empty(0, dtype=np.float32),
    }
    return vectors[kind]


_BAD_KINDS = (
    "nan",
    "one nan",
    "inf",
    "zero",
    "too short a vector",
    "too long a vector",
    "huge",
    "fewer dimensions",
    "more dimensions",
    "a matrix",
    "float64",
    "empty",
)


@pytest.mark.parametrize("kind", _BAD_KINDS)
@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_a_probe_that_is_no_unit_vector_is_an_error_never_a_match(make_index: MakeIndex, kind: str) -> None:
    """Before any native code sees it."""
    index = make_index(dimension=16, model=MODEL)
    for vectors in (_units(0), _units(20)):
        index.build(vectors, _owners(len(vectors)))
        with pytest.raises(ModelError) as refused:
            index.search(_probe(_bad(kind)), k=1)
        assert refused.value.hint


def test_a_probe_of_another_model_is_an_error_never_a_match(make_index: MakeIndex) -> None:
    """Even with the very vector that is enrolled."""
    vectors = _units(5)
    index = make_index(dimension=16, model=MODEL)
    index.build(vectors, _owners(5))
    with pytest.raises(ModelError, match="other@2"):
        index.search(Embedding(vector=vectors[0], model="other@2"), k=1)


@pytest.mark.parametrize("row", [0, 7, 19])
@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, 2.0])
def test_a_gallery_with_one_bad_vector_is_refused_and_the_old_one_stays(
    make_index: MakeIndex, row: int, value: float
) -> None:
    """The person is named, nobody else is lost."""
    index = make_index(dimension=16, model=MODEL)
    index.build(_units(5), _owners(5))
    vectors = _units(20)
    vectors[row] = value
    with pytest.raises(ModelError, match=f"{row:032x}"[:8]):
        index.build(vectors, _owners(20))
    assert len(index) == 5


@pytest.mark.parametrize(
    "vectors", [_units(3, dimension=8), _units(2), _units(3).astype(np.float64), _units(3).reshape(-1), _units(4)]
)
def test_vectors_that_do_not_fit_are_refused(make_index: MakeIndex, vectors: NDArray[np.float32]) -> None:
    """Another dimension, count or type."""
    with pytest.raises(ModelError):
        make_index(dimension=16, model=MODEL).build(vectors, _owners(3))


def test_the_callers_array_may_change_after_building(make_index: MakeIndex) -> None:
    """The index holds its own copy."""
    vectors = _units(5)
    index = make_index(dimension=16, model=MODEL)
    index.build(vectors, _owners(5))
    probe = vectors[2].copy()
    vectors[:] = 0
    assert index.search(_probe(probe), k=1)[0].similarity == pytest.approx(1.0, abs=1e-6)


def test_searches_and_builds_from_several_threads_do_not_mix_their_numbers(make_index: MakeIndex) -> None:
    """Each probe finds its own owner whatever the others do."""
    vectors, owners = _units(300, dimension=64, seed=4), _owners(300)
    index = make_index(dimension=64, model=MODEL)
    index.build(vectors, owners)
    wrong: list[Candidate] = []

    def search(first: int) -> None:
        for number in range(first, 300, 3):
            found = index.search(_probe(vectors[number]), k=2)[0]
            if found.person != owners[number] or not found.similarity > 0.999:
                wrong.append(found)

    def rebuild() -> None:
        for _ in range(3):
            index.build(vectors, owners)

    threads = [threading.Thread(target=search, args=(first,)) for first in range(3)]
    threads.append(threading.Thread(target=rebuild))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(2, 32), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_the_exact_index_equals_brute_force(count: int, people: int, dimension: int, k: int, seed: int) -> None:
    """Any size, any number of vectors per person, any k."""
    chance = np.random.default_rng(seed)
    vectors = _units(count, dimension=dimension, seed=seed)
    owners = [f"{number:032x}" for number in chance.integers(0, people, size=count)]
    probe = _units(1, dimension=dimension, seed=seed + 1)[0]
    index = ExactIndex(dimension=dimension, model=MODEL)
    index.build(vectors, owners)
    found = index.search(_probe(probe), k=k)
    expected = _brute_force(vectors, owners, probe)
    assert len(found) == min(k, len(expected))
    assert len({each.person for each in found}) == len(found)
    assert [each.similarity for each in found] == pytest.approx(
        sorted(expected.values(), reverse=True)[: len(found)], abs=1e-6
    )
    for each in found:
        assert each.similarity == pytest.approx(expected[each.person], abs=1e-6)


def test_equals_come_in_the_order_of_their_handles() -> None:
    """The same gallery gives the same answer on every start."""
    vectors = np.repeat(_units(1), 3, axis=0)
    index = ExactIndex(dimension=16, model=MODEL)
    index.build(vectors, ["c" * 32, "a" * 32, "b" * 32])
    assert [each.person[0] for each in index.search(_probe(vectors[0]), k=3)] == ["a", "b", "c"]


def test_nobody_among_a_thousand_distractors_is_taken_for_another() -> None:
    """Drawn from the recorded distribution: each finds itself; the runner-up stays below the shipped threshold."""
    vectors, owners = distractors(1000, seed=5), _owners(1000)
    index = ExactIndex(dimension=128, model=MODEL)
    index.build(vectors, owners)
    runners_up = []
    for vector, owner in zip(vectors, owners, strict=True):
        first, second = index.search(_probe(vector), k=2)
        assert first.person == owner
        runners_up.append(second.similarity)
    assert max(runners_up) < 0.9648


@_NEEDS_HNSWLIB
def test_the_approximate_index_finds_the_genuine_among_realistic_templates() -> None:
    """Noisy probes of 500 of 3,000 people: the same first candidate as exact search, with the exact similarity."""
    vectors, owners = distractors(3000, seed=6), _owners(3000)
    exact = ExactIndex(dimension=128, model=MODEL)
    approximate = make_hnsw_index(dimension=128, model=MODEL)
    exact.build(vectors, owners)
    approximate.build(vectors, owners)
    noise = np.random.default_rng(7).normal(scale=0.02, size=(500, 128))
    probes = vectors[:500] + noise
    probes = (probes / np.linalg.norm(probes, axis=1, keepdims=True)).astype(np.float32)
    same = 0
    for probe in probes:
        truth, guess = exact.search(_probe(probe), k=1)[0], approximate.search(_probe(probe), k=1)[0]
        if guess.person == truth.person:
            same += 1
            assert guess.similarity == pytest.approx(truth.similarity, abs=1e-6)
    assert same >= 495


def test_without_hnswlib_the_configuration_is_at_fault_and_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """No silent change to another index."""
    monkeypatch.setitem(sys.modules, "hnswlib", None)
    with pytest.raises(ConfigError) as refused:
        make_hnsw_index(dimension=16, model=MODEL)
    assert "ann" in refused.value.hint
