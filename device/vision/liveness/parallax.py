"""Do the corners of a turning face move by as much more as they are nearer?

Between two pictures of a rigid body that turns by an angle, what is nearer by a depth moves further by that depth times
the sine of the angle, on top of what a plane does: the parallax. The mesh says how near each corner would be on this
face, and a regression of the corners' motion on that depth gives the sine which they confirm. Beside the depth it has a
homography and a full quadratic to explain the motion with: they hold whatever a sheet does that is flat, bent, rolled
or worn, since a sheet is smooth, and they take the round shape of the head away as well. What is left is the relief of
the nose, the brows, the lips, which paper does not have. Errors of single corners cancel, as they know nothing of the
depth, where a sum of squares would count them all as depth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from device.types import Points

Floats = NDArray[np.float64]

#: Share of the corners that counts, the best first: the rest may have slipped along an edge or a shadow.
KEPT = 0.8
#: Fits, each on the corners that the one before explains best; more change nothing.
_ROUNDS = 4
#: A corner's depth is the mean of so many landmarks around it, weighted by the inverse square of their distances.
_NEIGHBOURS = 4


@dataclass(frozen=True, slots=True)
class Parallax:
    """How far the corners confirm the mesh's depths.

    Attributes:
        sine: Motion over depth, both in inter-ocular distances, in the direction in which the head turned.
        error: Its standard error.
        relief: RMS depth of the corners, in inter-ocular distances, that a quadratic surface leaves.
    """

    sine: float
    error: float
    relief: float


def plane(first: Points, last: Points) -> tuple[Floats, float] | None:
    """The best homography of the best 80 % of the corners, and their RMS distance from it in pixels; None without one.

    Args:
        first: (n, 2) float32 pixels, n >= 4.
        last: The same corners later.
    """
    count = max(4, math.ceil(KEPT * len(first)))
    kept = np.arange(len(first))
    method, best = cv2.LMEDS, None
    for _ in range(3):  # the first estimate rests on four corners: refit twice on what fits
        # The type says that there always is one; for points on one line there is none.
        matrix: Floats | None = cast("Any", cv2.findHomography(first[kept], last[kept], method)[0])
        if matrix is None:
            return None
        error = np.linalg.norm(cv2.perspectiveTransform(first[None], matrix)[0] - last, axis=1)
        kept = np.argsort(error, kind="stable")[:count]
        method, best = 0, matrix
    return None if best is None else (best, float(np.sqrt(np.mean(error[kept] ** 2))))


def depths_at(corners: Points, points: Points, depths: Points) -> Floats:
    """The mesh's depth at these places, (n,).

    Args:
        corners: (n, 2) pixels.
        points: (m, 2) landmarks, the same pixels.
        depths: (m,) their depths.
    """
    squared = ((corners[:, None] - points[None]) ** 2).sum(axis=2)
    nearest = np.argpartition(squared, _NEIGHBOURS, axis=1)[:, :_NEIGHBOURS]
    weights = 1.0 / (np.take_along_axis(squared, nearest, axis=1) + 1e-2)
    return np.asarray((depths[nearest] * weights).sum(axis=1) / weights.sum(axis=1), dtype=np.float64)


def parallax(
    first: Points, last: Points, depths: Floats, *, matrix: Floats, unit_px: float, turned: tuple[float, float]
) -> Parallax | None:
    """Regress what the homography leaves of the motion on a quadratic and on the depth; None where it is not defined.

    Args:
        first: (n, 2) float32 pixels.
        last: The same corners later.
        depths: (n,) of the corners in inter-ocular distances, smaller is nearer.
        matrix: (3, 3) homography that the corners roughly follow.
        unit_px: Inter-ocular distance in pixels.
        turned: By how much yaw and pitch grew in between, degrees: see :class:`device.types.Pose`.
    """
    # Who turns to the own left moves the nose to the right of the picture, who looks up moves it up: towards smaller y.
    towards = np.array([-turned[0], turned[1]])
    size = float(np.linalg.norm(towards))
    x, y = ((first - first.mean(axis=0)) / max(1e-6, float(first.std()))).astype(np.float64).T
    smooth = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
    terms = np.column_stack([smooth, depths])
    count = max(terms.shape[1] + 4, math.ceil(KEPT * len(first)))
    if count > len(first) or not size > 0.0 or not np.isfinite(terms).all():
        return None
    left = (last - cv2.perspectiveTransform(first[None], matrix)[0]).astype(np.float64) / unit_px
    if not np.isfinite(left).all():
        return None
    kept = np.arange(len(first))
    for _ in range(_ROUNDS):
        fitted = np.linalg.lstsq(terms[kept], left[kept], rcond=None)[0]
        wrong = left - terms @ fitted
        last_kept, kept = kept, np.argsort((wrong**2).sum(axis=1), kind="stable")[:count]
    relief = (
        depths[last_kept] - smooth[last_kept] @ np.linalg.lstsq(smooth[last_kept], depths[last_kept], rcond=None)[0]
    )
    square = float((relief**2).sum())
    if not square > 0.0:
        return None
    along = towards / size
    spread = float(((wrong[last_kept] @ along) ** 2).sum()) / (len(last_kept) - terms.shape[1])
    return Parallax(
        sine=float(fitted[-1] @ along),
        error=math.sqrt(spread / square),
        relief=math.sqrt(square / len(last_kept)),
    )
