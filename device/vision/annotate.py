"""Boxes and words on a copy of a picture, for people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2

from device.types import Box, Image

#: BGR.
KNOWN, UNKNOWN = (60, 170, 40), (40, 40, 200)


@dataclass(frozen=True, slots=True)
class Label:
    """A box, what is written above it, and whether it names somebody."""

    box: Box
    text: str
    known: bool


def annotate(image: Image, labels: Iterable[Label]) -> Image:
    """A copy of the picture (uint8 BGR) with boxes and words; letters that the font lacks become question marks."""
    copy: Image = image.copy()
    scale = max(0.4, min(image.shape[:2]) / 900)
    thick = max(1, round(2 * scale))
    for label in labels:
        box, colour = label.box, KNOWN if label.known else UNKNOWN
        left, top = round(box.x), round(box.y)
        cv2.rectangle(copy, (left, top), (round(box.x + box.width), round(box.y + box.height)), colour, thick)
        text = label.text.encode("ascii", "replace").decode("ascii")
        (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
        top = max(top, height + 2 * below)
        cv2.rectangle(copy, (left, top - height - 2 * below), (left + width, top), colour, cv2.FILLED)
        cv2.putText(
            copy, text, (left, top - below), cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), thick, cv2.LINE_AA
        )
    return copy
