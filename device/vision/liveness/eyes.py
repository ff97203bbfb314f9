"""Counts the blinks of one visit: the iris model's eyes, read on every frame that can show one."""

from __future__ import annotations

from device.types import Face, Frame
from device.vision.iris import EyeReader
from device.vision.liveness.blink import MAX_YAW_DEG, MIN_FACE_PX, BlinkCounter


class BlinkWatch:
    """Watches the eyes of one track. Costs both runs of the iris model per frame of a large, near-frontal face.

    Args:
        reader: Shared by the visits of one door.
    """

    def __init__(self, reader: EyeReader) -> None:
        self._reader = reader
        self._counter = BlinkCounter()

    @property
    def blinks(self) -> int:
        """So far."""
        return self._counter.blinks

    def look(self, frame: Frame, face: Face) -> None:
        """Take one frame. Raises ModelError."""
        if not (abs(face.pose.yaw_deg) < MAX_YAW_DEG and face.quality.face_px >= MIN_FACE_PX):
            return  # the counter forgets by itself what a pause interrupted
        openness = self._reader.openness(frame.image, face.landmarks)
        self._counter.add(face.captured_s, openness, pose=face.pose, face_px=face.quality.face_px)
