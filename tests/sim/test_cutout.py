"""The paper mask: cut where the face ends, open where the eyes are, worn by somebody who lives."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from device.sim.attacks.cutout import CutoutParameters, PrintCutout, cutout_picture
from device.sim.attacks.surface import Light
from device.sim.camera import door_lens
from device.sim.motion import Reach
from device.sim.portrait import CHIN, FOREHEAD, LOWER_LID, UPPER_LID, Portrait, build_portrait
from device.sim.visitor import RenderedVisitor, Walk
from device.types import Image, Signal
from tests.sim.conftest import painted_landmarks, painted_photo

LENS = door_lens()
EYES = [*UPPER_LID, *LOWER_LID]
PARAMETERS = CutoutParameters(gap_m=-0.03, light=Light(ambient=1.0, gloss=0.0))
HERE = np.array([0.0, 0.02, 0.6], np.float32)


def mask(portrait: Portrait, *, parameters: CutoutParameters = PARAMETERS, seed: int = 0) -> PrintCutout:
    """A mask on the painted figure, of the painted figure."""
    return PrintCutout(portrait, portrait, lens=LENS, parameters=parameters, seed=seed)


def painted(visitor: RenderedVisitor, *, yaw: float = 0.0, blink: float = 0.0) -> Image:
    """The visitor at rest, or turned, before black."""
    canvas = np.zeros((LENS.height, LENS.width, 3), np.uint8)
    visitor._paint(canvas, HERE, angles_deg=(yaw, 0.0, 0.0), blink=blink)
    return canvas


def test_the_paper_ends_at_the_face_and_is_open_at_the_eyes(portrait: Portrait) -> None:
    """Alpha by landmark: eyes open, cheeks and mouth printed, beyond forehead and chin nothing."""
    picture, middle = cutout_picture(portrait, hole_scale=1.3, rim=0.02)
    scale = portrait.textures[0].scale
    height, width = picture.shape[:2]

    def alpha(x: float, y: float) -> int:
        at = (np.array([x, y]) - middle) * scale + np.array([width, height]) / 2
        return int(picture[round(float(at[1])), round(float(at[0])), 3])

    for first in (0, 7):
        eye = portrait.vertices[[*UPPER_LID[first : first + 7], *LOWER_LID[first : first + 7]], :2].mean(axis=0)
        assert alpha(*eye) == 0
    top, chin = portrait.vertices[FOREHEAD, :2], portrait.vertices[CHIN, :2]
    assert alpha(*(top + chin) / 2) == 255
    assert alpha(top[0], top[1] + 0.05) == 255
    assert alpha(top[0], top[1] - 0.04) == 0
    assert alpha(chin[0], chin[1] + 0.04) == 0


def test_colours_are_premultiplied(portrait: Portrait) -> None:
    """Where there is no paper there is no colour that could shine through."""
    picture, _ = cutout_picture(portrait, hole_scale=1.3, rim=0.02)
    assert (picture[..., :3] <= picture[..., 3:]).all()


def test_the_eyes_blink_behind_the_holes_while_the_paper_does_not(portrait: Portrait) -> None:
    """What differs between open and closed lids lies within the holes; through pinholes next to nothing does."""
    visitor = mask(portrait)
    differs = (painted(visitor) != painted(visitor, blink=1.0)).any(axis=2)
    assert differs.sum() > 30
    solid = portrait.vertices[EYES] * np.float32(0.15) + HERE
    eyes = LENS.project(solid)
    rows, columns = np.nonzero(differs)
    assert columns.min() > eyes[:, 0].min() - 12
    assert columns.max() < eyes[:, 0].max() + 12
    assert rows.min() > eyes[:, 1].min() - 8
    assert rows.max() < eyes[:, 1].max() + 8
    bare = RenderedVisitor(portrait, lens=LENS)
    assert differs.sum() <= (painted(bare) != painted(bare, blink=1.0)).any(axis=2).sum()
    pinholes = mask(portrait, parameters=replace(PARAMETERS, hole_scale=0.01))
    assert (painted(pinholes) != painted(pinholes, blink=1.0)).any(axis=2).sum() < 0.1 * differs.sum()


def test_the_holes_lie_before_the_eyes_of_a_wearer_who_leans(portrait: Portrait) -> None:
    """Photographs are taken with the head on one side: the mask is put on straight, blinking is seen as before."""
    spin = cv2.getRotationMatrix2D((250.0, 260.0), -12.0, 1.0)
    photo = cv2.warpAffine(painted_photo(), spin, (500, 700), borderMode=cv2.BORDER_REPLICATE)
    landmarks = painted_landmarks()
    landmarks[:, :2] = landmarks[:, :2] @ spin[:, :2].T + spin[:, 2]
    leaning = build_portrait(np.asarray(photo, dtype=np.uint8), landmarks)

    def blinking(wearer: Portrait) -> int:
        visitor = PrintCutout(portrait, wearer, lens=LENS, parameters=PARAMETERS)
        return int((painted(visitor) != painted(visitor, blink=1.0)).any(axis=2).sum())

    assert blinking(leaning) > 0.85 * blinking(portrait)


def paper_of(visitor: PrintCutout, portrait: Portrait, yaw: float) -> tuple[float, float]:
    """Centre column and width of what the mask changes."""
    bare = RenderedVisitor(portrait, lens=LENS)
    columns = np.nonzero((painted(visitor, yaw=yaw) != painted(bare, yaw=yaw)).any(axis=2))[1]
    return float(columns.mean()), float(np.ptp(columns))


@pytest.mark.parametrize(("yaw", "sign"), [(40.0, 1), (-40.0, -1)])
def test_the_mask_turns_with_the_head(portrait: Portrait, yaw: float, sign: int) -> None:
    """To the own left is to the right in the picture, and a turned mask is narrower."""
    visitor = mask(portrait, parameters=CutoutParameters(radius_m=1000.0))
    (rest, wide), (turned, narrow) = (paper_of(visitor, portrait, angle) for angle in (0.0, yaw))
    assert sign * (turned - rest) > 5
    assert narrow < 0.95 * wide


def test_the_wearer_moves_as_anybody_would(portrait: Portrait) -> None:
    """Below the mask the picture is that of a visitor with the same seed, path and reach; and it can be repeated."""
    reach = Reach(yaw_deg=46.0, up_deg=46.0, down_deg=42.0, turn_s=0.45, reaction_s=0.5)
    bare = RenderedVisitor(portrait, lens=LENS, seed=3, walk=Walk(near_m=0.6), reach=reach)
    visitors = [mask(portrait, seed=3, parameters=CutoutParameters()) for _ in range(2)]
    for number in range(60):
        now_s = number / 12
        prompt, since_s = (Signal.TURN_LEFT, 3.0) if now_s > 3.0 else (Signal.IDLE, 0.0)
        frames = [np.zeros((LENS.height, LENS.width, 3), np.uint8) for _ in range(3)]
        for frame, visitor in zip(frames, (bare, *visitors), strict=True):
            assert visitor.draw(frame, now_s=now_s, prompt=prompt, since_s=since_s)
        assert np.array_equal(frames[1], frames[2])
        assert np.array_equal(frames[0][-60:], frames[1][-60:])
    assert not np.array_equal(frames[0], frames[1])
