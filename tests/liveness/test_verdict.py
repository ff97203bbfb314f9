"""What the gate says of a turn once residual and parallax are measured: numbers alone, no picture."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.config import LivenessConfig
from device.vision.liveness.planarity import PLANAR, SPATIAL, TOO_FEW_CORNERS, verdict_on

CONFIG = LivenessConfig()
any_number = st.one_of(st.none(), st.floats())


@pytest.mark.parametrize(
    ("parallax", "error", "verdict"),
    [
        (0.30, 0.05, SPATIAL),
        (0.25, 0.10, SPATIAL),
        # Its lower bound reaches the limit, but it is not sure: the bent print that came nearest to a head.
        (0.292, 0.135, TOO_FEW_CORNERS),
        (0.24, 0.0965, TOO_FEW_CORNERS),
        # The likeliest sine reaches the limit, the lower bound does not.
        (0.18, 0.05, TOO_FEW_CORNERS),
        # Not even that, but the limit is within two errors.
        (0.08, 0.04, TOO_FEW_CORNERS),
        (0.0, 0.10, TOO_FEW_CORNERS),
        (0.06, 0.04, PLANAR),
        (-0.30, 0.05, PLANAR),
    ],
)
def test_a_parallax_speaks_for_life_by_its_lower_bound_and_where_it_is_sure(
    parallax: float, error: float, verdict: str
) -> None:
    """Against it only where even two errors more do not reach the limit of 0.15; in between another turn is asked."""
    assert verdict_on(2 * CONFIG.min_residual, parallax, error, CONFIG) == verdict


def test_without_relief_a_turn_is_undecided_and_not_spatial() -> None:
    assert verdict_on(2 * CONFIG.min_residual, None, None, CONFIG) == TOO_FEW_CORNERS


@given(st.floats(), any_number, any_number)
def test_only_numbers_that_reach_every_limit_are_spatial(
    residual: float, parallax: float | None, error: float | None
) -> None:
    """NaN, infinite, missing: whatever was measured."""
    if verdict_on(residual, parallax, error, CONFIG) == SPATIAL:
        assert residual >= CONFIG.min_residual
        assert parallax is not None
        assert error is not None
        assert parallax - error >= CONFIG.min_parallax
        assert parallax >= 2.5 * error


@given(st.one_of(st.floats(max_value=0.0239), st.just(float("nan"))), any_number, any_number)
def test_a_flat_turn_is_planar_whatever_the_parallax_says(
    residual: float, parallax: float | None, error: float | None
) -> None:
    """Nothing but a solid leaves a residual; one that is no number is none."""
    assert verdict_on(residual, parallax, error, CONFIG) == PLANAR
