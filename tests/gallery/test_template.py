"""The mean of photographs, and who else looks like it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from device.errors import EnrolmentError, ModelError
from device.gallery.exact import ExactIndex
from device.gallery.template import lookalikes, mean_template
from device.types import Embedding
from tests.gallery.distractors import distractors

MODEL = "test-embedder@1"


def _embedding(vector: NDArray[np.float32], *, model: str = MODEL) -> Embedding:
    return Embedding(vector=vector, model=model)


def _unit(*values: float) -> Embedding:
    vector = np.array(values, dtype=np.float32)
    return _embedding(vector / np.linalg.norm(vector))


@settings(deadline=None)
@given(st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_the_mean_is_a_unit_vector_nearest_to_all_of_them(count: int, seed: int) -> None:
    """No single one is nearer to the others, taken together."""
    vectors = distractors(count, seed=seed)
    mean = mean_template([_embedding(vector) for vector in vectors])
    assert np.linalg.norm(mean.vector) == pytest.approx(1.0, abs=1e-6)
    assert mean.model == MODEL
    assert mean.vector.dtype == np.float32
    sums = vectors @ vectors.T
    assert float(np.sum(vectors @ mean.vector)) >= float(np.max(np.sum(sums, axis=1))) - 1e-3


def test_the_mean_of_one_is_that_one() -> None:
    """A single photograph is enough."""
    only = _unit(1, 2, 3)
    assert mean_template([only]).vector == pytest.approx(only.vector, abs=1e-7)


@pytest.mark.parametrize(
    "singles",
    [
        (_unit(1, 0, 0), _unit(-1, 0, 0)),
        (_unit(1, 0, 0), _unit(-1, 0.1, 0)),
        (_unit(1, 0, 0), _unit(-1, 1, 0), _unit(-1, -1, 0)),
    ],
)
def test_photographs_that_cancel_each_other_out_are_refused(singles: tuple[Embedding, ...]) -> None:
    """Their mean would point anywhere."""
    with pytest.raises(EnrolmentError) as refused:
        mean_template(singles)
    assert refused.value.reason == "photos_disagree"


@pytest.mark.parametrize(
    "singles",
    [
        (),
        (_unit(1, 0), _unit(1, 0, 0)),
        (_unit(1, 0), _embedding(np.array([1, 0], dtype=np.float32), model="other@2")),
        (_unit(1, 0), _embedding(np.array([np.nan, 0], dtype=np.float32))),
        (_embedding(np.zeros(2, dtype=np.float32)),),
    ],
    ids=["none", "dimensions", "models", "nan", "zero"],
)
def test_no_mean_is_taken_of_what_cannot_be_compared(singles: tuple[Embedding, ...]) -> None:
    """Broken, not denied."""
    with pytest.raises(ModelError):
        mean_template(singles)


def test_whoever_looks_like_somebody_enrolled_is_named_best_first() -> None:
    """The person itself, enrolled anew, is not a lookalike."""
    index = ExactIndex(dimension=3, model=MODEL)
    rows = [_unit(1, 0, 0), _unit(1, 0.2, 0), _unit(1, 0.5, 0), _unit(0, 0, 1)]
    owners = ["a" * 32, "b" * 32, "c" * 32, "d" * 32]
    index.build(np.stack([row.vector for row in rows]), owners)
    found = lookalikes(_unit(1, 0, 0), index=index, threshold=0.85, own="a" * 32)
    assert [each.person[0] for each in found] == ["b", "c"]
    assert [each.person[0] for each in lookalikes(_unit(1, 0, 0), index=index, threshold=0.97)] == ["a", "b"]
    assert len(lookalikes(_unit(1, 0, 0), index=index, threshold=0.0, limit=2)) == 2


def test_a_threshold_that_is_no_number_names_nobody() -> None:
    """NaN compares false."""
    index = ExactIndex(dimension=3, model=MODEL)
    index.build(_unit(1, 0, 0).vector.reshape(1, 3), ["a" * 32])
    assert lookalikes(_unit(1, 0, 0), index=index, threshold=float("nan")) == ()


def test_distractors_are_unit_vectors_and_repeatable() -> None:
    """The same seed gives the same nobody."""
    first = distractors(100, seed=1)
    assert first.shape == (100, 128)
    assert np.linalg.norm(first, axis=1) == pytest.approx(np.ones(100), abs=1e-6)
    assert np.array_equal(first, distractors(100, seed=1))
    assert not np.array_equal(first, distractors(100, seed=2))
