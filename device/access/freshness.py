"""How old a frame may be when the door moves."""

from __future__ import annotations

from math import isfinite


def is_fresh(*, captured_s: float, now_s: float, max_age_s: float) -> bool:
    """Whether a frame may still open the door: not older than ``max_age_s``, and not from the future.

    NaN anywhere denies.
    """
    age_s = now_s - captured_s
    return isfinite(age_s) and 0.0 <= age_s <= max_age_s
