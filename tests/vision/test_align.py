"""Alignment and cutting: exact maps, and the same pixels as a plain warp."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.errors import ModelError
from device.vision.align import DLIB_150, INSIGHTFACE_112, Aligner, Alignment, align_chip
from device.vision.warp import Cutter, Similarity

ALIGNMENTS = pytest.mark.parametrize("alignment", [DLIB_150, INSIGHTFACE_112], ids=lambda each: each.name)
PLACES = {
    "scale": st.floats(0.1, 20),
    "angle": st.floats(-math.pi, math.pi),
    "x": st.floats(-500, 3000),
    "y": st.floats(-500, 3000),
}


def _landmarks(alignment: Alignment, points: np.ndarray) -> np.ndarray:
    """A mesh whose groups of landmarks have these means: where there are two, one on each side."""
    landmarks = np.full((468, 2), np.nan)
    for group, point in zip(alignment.points, points, strict=True):
        aside = np.linspace(-7, 7, len(group))[:, np.newaxis] if len(group) > 1 else 0.0
        landmarks[list(group)] = point + aside
    return landmarks


def _mapped(place: Similarity, points: np.ndarray) -> np.ndarray:
    x, y = points[:, 0], points[:, 1]
    return np.stack((place.a * x - place.b * y + place.x0, place.b * x + place.a * y + place.y0), axis=1)


@ALIGNMENTS
@given(**PLACES)
def test_a_turned_template_is_found_exactly(
    alignment: Alignment, scale: float, angle: float, x: float, y: float
) -> None:
    """Five points that are the template turned, scaled and moved are mapped back onto it."""
    truth = Similarity(a=scale * math.cos(angle), b=scale * math.sin(angle), x0=x, y0=y)
    template = np.array(alignment.template)
    points = _mapped(truth, template)
    found = Aligner(alignment).place(_landmarks(alignment, points))
    np.testing.assert_allclose(_mapped(found, template), points, atol=1e-6)


@ALIGNMENTS
@given(**PLACES, noise=st.integers(0, 2**32 - 1))
def test_no_other_similarity_fits_better(
    alignment: Alignment, scale: float, angle: float, x: float, y: float, noise: int
) -> None:
    """Least squares: a step in any direction makes the fit worse."""
    truth = Similarity(a=scale * math.cos(angle), b=scale * math.sin(angle), x0=x, y0=y)
    template = np.array(alignment.template)
    points = _mapped(truth, template) + np.random.default_rng(noise).normal(0, scale, (5, 2))
    best = Aligner(alignment).place(_landmarks(alignment, points))
    least = ((_mapped(best, template) - points) ** 2).sum()
    for step in (-1e-2, 1e-2):
        for other in (
            Similarity(best.a + step, best.b, best.x0, best.y0),
            Similarity(best.a, best.b + step, best.x0, best.y0),
            Similarity(best.a, best.b, best.x0 + step, best.y0),
            Similarity(best.a, best.b, best.x0, best.y0 + step),
        ):
            assert ((_mapped(other, template) - points) ** 2).sum() > least


@ALIGNMENTS
@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_landmarks_without_extent_are_an_error(alignment: Alignment, value: float) -> None:
    """No chip is made up from points that coincide or are no numbers."""
    landmarks = np.full((468, 3), value, np.float32)
    with pytest.raises(ModelError):
        align_chip(np.zeros((50, 50, 3), np.uint8), landmarks, alignment=alignment)


@ALIGNMENTS
def test_the_face_comes_to_lie_where_the_embedder_expects_it(alignment: Alignment) -> None:
    """A dot painted on each point is found at its place in the chip."""
    image = np.zeros((400, 500, 3), np.uint8)
    points = np.array(alignment.template) * 1.6 + (90, 70)
    for x, y in points.tolist():
        cv2.circle(image, (round(x), round(y)), 3, (255, 255, 255), -1)
    landmarks = np.pad(_landmarks(alignment, points), ((0, 0), (0, 1))).astype(np.float32)
    chip = align_chip(image, landmarks, alignment=alignment)
    assert chip.shape == (alignment.side_px, alignment.side_px, 3)
    for x, y in alignment.template:
        assert chip[round(y), round(x)].min() > 200
    assert chip.mean() < 10


@settings(max_examples=40)
@given(
    scale=st.floats(0.2, 1.99),
    angle=st.floats(-math.pi, math.pi),
    x=st.floats(-150, 300),
    y=st.floats(-150, 300),
    border=st.sampled_from((cv2.BORDER_CONSTANT, cv2.BORDER_REPLICATE)),
)
def test_cutting_the_neighbourhood_gives_the_pixels_of_the_plain_warp(
    scale: float, angle: float, x: float, y: float, border: int
) -> None:
    """Widening to four channels and cutting first changes no pixel by more than rounding."""
    image = cv2.GaussianBlur(np.random.default_rng(3).integers(0, 256, (200, 260, 3), np.uint8), (0, 0), 2)
    place = Similarity(a=scale * math.cos(angle), b=scale * math.sin(angle), x0=x, y0=y)
    matrix = np.array([[place.a, -place.b, place.x0], [place.b, place.a, place.y0]])
    plain = cv2.warpAffine(image, matrix, (96, 96), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=border)
    cut = Cutter(96, border=border, smooth=True).cut(image.astype(np.uint8), place)[:, :, :3]
    assert np.abs(cut.astype(int) - plain.astype(int)).max() <= 3


def test_a_large_face_is_averaged_and_not_sampled() -> None:
    """A fine chequer-board becomes grey instead of a pattern that is not there."""
    image = np.zeros((1200, 1200, 3), np.uint8)
    image[::2, ::2] = image[1::2, 1::2] = 255
    place = Similarity(a=8, b=0, x0=3, y0=3)
    assert np.ptp(Cutter(100, border=cv2.BORDER_CONSTANT, smooth=True).cut(image, place)[5:-5, 5:-5, :3]) < 12


def test_a_reduced_picture_does_not_shift() -> None:
    """Averaging moves no landmark: a wide edge is found in the same place with it and without."""
    ramp = np.clip((np.arange(1200) - 500) * 1.2, 0, 255).astype(np.uint8)
    image = np.repeat(np.tile(ramp, (1200, 1))[:, :, np.newaxis], 3, axis=2)
    place = Similarity(a=7.3 * math.cos(0.2), b=7.3 * math.sin(0.2), x0=250.4, y0=90.7)
    cuts = [Cutter(90, border=cv2.BORDER_REPLICATE, smooth=smooth).cut(image, place) for smooth in (True, False)]
    assert np.abs(cuts[0].astype(int) - cuts[1].astype(int)).max() <= 2
