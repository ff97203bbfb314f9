"""Whether the light of a picture lets the passive networks be believed: numbers about a face and its surroundings.

MiniFASNet lives on context and colour (see :mod:`device.vision.liveness.passive`): where the background is burnt to
white, the picture grey, dark or noisy, replays look alive to it or the living do not. None of these numbers says
anything about who stands there; each only says that the networks' answer is no evidence. Reading 9,000 samples costs
0.1 ms on one thread whatever the size of the face.

The limits were measured with both networks in YuNet's boxes: on 84 near-frontal frames of twelve recordings and one
photograph of living people (faces 21 to 177 px wide, P(live) 0.8 and more) and on the two recaptured samples of
upstream (F1 0.19, F2 0.00), all damaged step by step. Two attacks are few: the limits lie where the first number moved,
not where the first attack passed. In 864 of these 7,221 pictures a living face is below 0.5 or an attack at 0.5 or
more: none of them is within all limits (the same pictures that the limits were set on).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from device.errors import ModelError
from device.types import Box, Image
from device.vision.liveness.passive import CLOSE_SCALE, WIDE_SCALE, Crop, crop_of
from device.vision.quality import BURNT

#: Both crops are read at so many places along each side.
SAMPLES: Final = 64
#: Colours are averaged over squares of so many samples, or noise in the dark would pass for colour.
_BLOCK: Final = 8
#: Noise is read at about so many places along the shorter side of the face.
_NOISE_SAMPLES: Final = 48
#: Mean of |a - b - c + d| over four independent samples of deviation 1: 2 * sqrt(2 / pi).
_NOISE_GAIN: Final = 2 * math.sqrt(2 / math.pi)

#: From this ``burnt`` on a replay gains: F1 rises to 0.45 at 0.10, 0.60 at 0.20, 0.92 at 0.32; F2 to 0.37 at 0.21,
#: 0.76 at 0.50. The living stay. Undamaged pictures have 0.009 at most.
BURNT_LIMIT: Final = 0.05
#: Below this ``chroma`` the picture is grey. Colours faded to 0.4 of themselves lift F1 (chroma 0.036) to 0.28, to 0.2
#: (0.019) to 0.56; a warm tint on grey lifts F1 (0.005) to 0.88 and F2 to 0.57. Of the living a tenth falls below 0.5
#: where colours fade to 0.1 (median 0.008), 40 % in grey. Undamaged pictures have 0.047 and more, grey ones with noise
#: of 6 levels at half the light 0.026 at most.
GREY_LIMIT: Final = 0.04
#: Below this ``brightness`` little is left to see. Without noise the living stay down to 8, but F1 rises to 0.26 at 26
#: and to 0.87 at 13; with noise of 2 levels 28 % of the living fall below 0.5 at a median of 39. Undamaged faces have
#: 82 and more; the limit stays well below, because dark skin in good light is no low light.
LOW_LIGHT_LIMIT: Final = 50.0
#: From this ``noise`` on the living fall: P(live) below 0.8 in 2 % of frames under it, 5 % from it on, 32 % from 0.04,
#: 66 % from 0.07; no attack rises. Undamaged faces have 0.027 and less, two of 21 pixels 0.032.
NOISE_LIMIT: Final = 0.03
#: Below this ``context`` the crops hold little but the face: cut about the face, 1 % of the living fall below 0.5 at
#: 2.0, 6 % at 1.7, 38 % at 1.2.
CONTEXT_LIMIT: Final = 2.0
#: Below this ``sharpness`` of :class:`device.types.Quality` the living fall: blurred by 0 to 5 % of the face's width,
#: P(live) is below 0.8 in 1 % of frames above 5, 3 % from 4.5, 16 % from 3.5, 43 % below; no attack rises.
BLUR_LIMIT: Final = 5.0


@dataclass(frozen=True, slots=True)
class Light:
    """What was measured around one face; a value that could not be measured is NaN, which is within no limit.

    Attributes:
        burnt: Share of burnt-out samples (grey level 250 or more) outside the face, 0..1; the larger one of both
            networks' crops.
        chroma: How far the colours of the wide crop lie from one common hue: RMS distance from the line through black
            and their mean, over the mean level. 0 in grey pictures and in grey ones with a tint (infrared, sepia).
        brightness: Mean grey level of the face, 0..255.
        noise: Deviation of the face's fine grain over its brightness; texture and compression count as well.
        context: Width of the wide crop in widths of the face: 4, less where the face fills the picture.
    """

    burnt: float
    chroma: float
    brightness: float
    noise: float
    context: float


def measure_light(image: Image, box: Box) -> Light:
    """Measure the surroundings that the passive networks see, and the face; keeps nothing, copies no crop.

    Args:
        image: uint8 BGR (height, width, 3).
        box: The face in pixels of the picture, as YuNet frames it.

    Raises:
        ModelError: The picture is no such array, or the box is not finite, empty or outside of it.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or min(image.shape) < 2:
        raise ModelError(f"a picture of {image.dtype} {image.shape} cannot be measured")
    height, width = image.shape[:2]
    close = crop_of(box, scale=CLOSE_SCALE, width=width, height=height)
    wide = crop_of(box, scale=WIDE_SCALE, width=width, height=height)
    samples = _sample(image, wide)
    grey = _grey(samples)
    shares = (_burnt(_grey(_sample(image, close)), close, box), _burnt(grey, wide, box))
    brightness = float(grey[_inside(wide, box)].mean())
    return Light(
        burnt=max(shares) if all(map(math.isfinite, shares)) else math.nan,
        chroma=_chroma(samples),
        brightness=brightness,
        noise=_noise(image, box) / brightness if brightness > 0 else math.nan,
        context=(wide.right - wide.left) / int(box.width),
    )


def _sample(image: Image, crop: Crop) -> Image:
    part = image[crop.top : crop.bottom, crop.left : crop.right]
    return np.asarray(cv2.resize(part, (SAMPLES, SAMPLES), interpolation=cv2.INTER_NEAREST), np.uint8)


def _grey(samples: Image) -> Image:
    return np.asarray(cv2.cvtColor(samples, cv2.COLOR_BGR2GRAY), np.uint8)


def _inside(crop: Crop, box: Box) -> tuple[slice, slice]:
    """Rows and columns of the samples that lie in the face, at least one of each."""
    return (
        _span(box.y, box.height, crop.top, crop.bottom),
        _span(box.x, box.width, crop.left, crop.right),
    )


def _span(first: float, length: float, begin: int, end: int) -> slice:
    step = SAMPLES / (end - begin)
    low = min(max(round((first - begin) * step), 0), SAMPLES - 1)
    high = min(max(round((first + length - begin) * step), low + 1), SAMPLES)
    return slice(low, high)


def _burnt(grey: Image, crop: Crop, box: Box) -> float:
    """NaN where the face leaves nothing to look at."""
    white = grey >= BURNT
    face = white[_inside(crop, box)]
    outside = white.size - face.size
    return (int(np.count_nonzero(white)) - int(np.count_nonzero(face))) / outside if outside else math.nan


def _chroma(samples: Image) -> float:
    side = SAMPLES // _BLOCK
    colours = cv2.resize(samples, (side, side), interpolation=cv2.INTER_AREA).reshape(-1, 3).astype(np.float64)
    mean = colours.mean(axis=0)
    level, length = float(mean.mean()), float(np.linalg.norm(mean))
    if not length > 0:
        return math.nan
    along = colours @ (mean / length)
    off = float(np.einsum("ij,ij->", colours, colours) - along @ along) / len(colours)
    return math.sqrt(max(off, 0.0)) / level


def _noise(image: Image, box: Box) -> float:
    """Deviation of the green level from sample to neighbouring pixel, by mixed second differences (Immerkaer 1996)."""
    height, width = image.shape[:2]
    top, bottom = max(int(box.y), 0), min(int(box.y + box.height), height) - 1
    left, right = max(int(box.x), 0), min(int(box.x + box.width), width) - 1
    if not (bottom > top and right > left):
        return math.nan
    step = max(min(bottom - top, right - left) // _NOISE_SAMPLES, 1)
    green = image[..., 1]

    def shifted(down: int, across: int) -> np.ndarray:
        return green[top + down : bottom + down : step, left + across : right + across : step].astype(np.int16)

    mixed = shifted(0, 0) - shifted(0, 1) - shifted(1, 0) + shifted(1, 1)
    return float(np.abs(mixed).mean()) / _NOISE_GAIN
