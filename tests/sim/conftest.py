"""A portrait that shows nobody: an egg with a painted face, and the mesh that belongs to it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from device.sim.portrait import CHIN, EAR_TO_EAR, FOREHEAD, LOWER_LID, OVAL, UPPER_LID, Portrait, build_portrait
from device.types import Image, Points

WIDTH_PX = 200.0
CENTRE = (250.0, 260.0)


def painted_landmarks() -> Points:
    """(468, 3) float32: the outline on an ellipse, lids, ear points, the rest within; z from an egg."""
    rng = np.random.default_rng(11)
    unit = np.zeros((468, 2))
    radius, angle = np.sqrt(rng.uniform(0, 0.8, 468)), rng.uniform(0, 2 * np.pi, 468)
    unit[:] = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    for number, index in enumerate(OVAL):
        turn = 2 * np.pi * number / len(OVAL)
        unit[index] = (np.sin(turn), -np.cos(turn))
    unit[list(EAR_TO_EAR)] = ((-1, 0), (1, 0))
    unit[[FOREHEAD, CHIN]] = ((0, -1), (0, 1))
    for side, start in ((-1, 0), (1, 7)):
        across = side * 0.42 + np.linspace(-0.15, 0.15, 7)
        unit[list(UPPER_LID[start : start + 7])] = np.stack([across, np.full(7, -0.24)], axis=1)
        unit[list(LOWER_LID[start : start + 7])] = np.stack([across, np.full(7, -0.16)], axis=1)
    depth = 0.45 * (1 - np.sqrt(np.maximum(0.0, 1 - (unit**2).sum(axis=1))))
    half = np.array([0.5, 0.62]) * WIDTH_PX
    points = np.concatenate([unit * half + CENTRE, depth[:, None] * WIDTH_PX], axis=1)
    return np.asarray(points, dtype=np.float32)


def painted_photo() -> Image:
    """500 x 700, BGR: a figure before a plain wall."""
    photo = np.full((700, 500, 3), (150, 190, 160), np.uint8)
    cv2.ellipse(photo, (250, 700), (190, 290), 0, 0, 360, (70, 40, 30), -1)
    cv2.rectangle(photo, (215, 350), (285, 460), (120, 150, 200), -1)
    cv2.ellipse(photo, (250, 240), (105, 150), 0, 0, 360, (40, 45, 50), -1)
    cv2.ellipse(photo, (250, 265), (98, 122), 0, 0, 360, (140, 170, 220), -1)
    for x in (208, 292):
        cv2.ellipse(photo, (x, 235), (16, 9), 0, 0, 360, (250, 250, 250), -1)
        cv2.circle(photo, (x, 235), 7, (220, 30, 30), -1)
    cv2.ellipse(photo, (250, 325), (30, 10), 0, 0, 180, (60, 60, 170), -1)
    grain = np.random.default_rng(5).normal(0, 6, photo.shape)
    return np.clip(photo + grain, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def portrait() -> Portrait:
    """The painted portrait, ready to be turned."""
    return build_portrait(painted_photo(), painted_landmarks())
