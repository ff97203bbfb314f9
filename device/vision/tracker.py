"""Which face of this frame is which of the last: rules only, no model, no picture.

A track promises that one face was followed without a break. Whenever that is in doubt the face goes on under a new
number, and whatever was proven about the old one is void:

* frames more than MAX_GAP_S apart, going back in time, or of another size end all tracks;
* presence below the limit ends the track, and so does a size that no face has;
* a jump or a sudden change of size renumbers it;
* two tracks that come to lie on one face: the younger ends, the older is renumbered, since nobody can tell which of
  the two faces is left;
* two detections in a row without support end a track unless its presence is as high as on real faces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from device.types import Box, Detection
from device.vision.landmarks import MeshFace

#: Frames further apart do not belong to one track: the limit that also holds between two proofs of life.
MAX_GAP_S = 0.33
#: The centre of a face may move by this share of its larger side from one frame to the next. The mesh sees 0.25 beyond
#: the face on each side; what lies further away cannot be the same face followed.
MAX_JUMP = 0.35
#: The larger side of a face may grow or shrink by this factor from one frame to the next.
MAX_GROWTH = 1.35
#: Boxes of two tracks that overlap so much (intersection over union) lie on one face.
SAME_FACE_IOU = 0.4
#: A detection supports the track it overlaps so much (intersection over union).
SUPPORT_IOU = 0.3
#: Detections in a row that may miss a track: hands before the face and turned heads escape the detector, not the mesh.
MAX_UNSUPPORTED = 2
#: Faces narrower or lower than this are none: BlazeFace finds nothing below some 20 pixels.
MIN_SIDE_PX = 8.0
#: Nor is a face whose larger side is so many times the picture's.
MAX_SIDE = 3.0
#: From this presence on, a track needs no detection (real faces have 0.98 and more).
HIGH_PRESENCE = 0.95


@dataclass(slots=True)
class Track:
    """One face followed from frame to frame."""

    number: int
    mesh: MeshFace
    unsupported: int = field(default=0)


class Tracker:
    """Keeps the tracks.

    Args:
        max_faces: The largest so many are kept.
        min_presence: Mesh presence below which there is no face, 0..1.
    """

    def __init__(self, *, max_faces: int, min_presence: float) -> None:
        self._max_faces = max_faces
        self._min_presence = min_presence
        self._next = 1
        self._tracks: list[Track] = []
        self._last_s: float | None = None
        self._size: tuple[int, int] | None = None

    @property
    def tracks(self) -> tuple[Track, ...]:
        """Largest face first."""
        return tuple(self._tracks)

    def reset(self) -> None:
        """End all tracks; numbers are never used again."""
        self._tracks.clear()
        self._last_s = None

    def begin(self, *, captured_s: float, size: tuple[int, int]) -> None:
        """A frame of this time and (height, width) has come."""
        if self._last_s is not None and not (0 <= captured_s - self._last_s <= MAX_GAP_S and size == self._size):
            self._tracks.clear()
        self._last_s = captured_s
        self._size = size

    def follow(self, located: Sequence[MeshFace]) -> None:
        """What the mesh found where each of :attr:`tracks` was, in their order."""
        kept: list[Track] = []
        for track, mesh in zip(self._tracks, located, strict=True):
            if not self._is_face(mesh):
                continue
            if not continuous(track.mesh.box, mesh.box):
                kept.append(self._new(mesh))
                continue
            track.mesh = mesh
            kept.append(track)
        kept.sort(key=lambda track: track.number)
        self._tracks = []
        for track in kept:
            rival = self._on(track.mesh.box)
            if rival is None:
                self._tracks.append(track)
            else:
                self._tracks[self._tracks.index(rival)] = self._new(rival.mesh)
        self._order()

    def support(self, detections: Sequence[Detection]) -> tuple[Detection, ...]:
        """Hold the tracks against what the detector saw in the same frame; returns the detections nobody follows."""
        for track in self._tracks:
            if any(overlap(track.mesh.box, detection.box) >= SUPPORT_IOU for detection in detections):
                track.unsupported = 0
            else:
                track.unsupported += 1
        self._tracks = [
            track
            for track in self._tracks
            if track.unsupported < MAX_UNSUPPORTED or track.mesh.presence >= HIGH_PRESENCE
        ]
        return tuple(
            detection
            for detection in detections
            if all(overlap(track.mesh.box, detection.box) < SUPPORT_IOU for track in self._tracks)
        )

    def add(self, located: Sequence[MeshFace]) -> None:
        """Begin a track on each of these faces that is one and that nobody follows yet."""
        for mesh in located:
            if self._is_face(mesh) and self._on(mesh.box) is None:
                self._tracks.append(self._new(mesh))
        self._order()

    def _is_face(self, mesh: MeshFace) -> bool:
        limit = MAX_SIDE * max(self._size or (0, 0))
        return (
            mesh.presence >= self._min_presence
            and MIN_SIDE_PX <= mesh.box.width <= limit
            and MIN_SIDE_PX <= mesh.box.height <= limit
        )

    def _on(self, box: Box) -> Track | None:
        return next((track for track in self._tracks if overlap(track.mesh.box, box) >= SAME_FACE_IOU), None)

    def _new(self, mesh: MeshFace) -> Track:
        track = Track(number=self._next, mesh=mesh)
        self._next += 1
        return track

    def _order(self) -> None:
        self._tracks.sort(key=lambda track: -track.mesh.box.area)
        del self._tracks[self._max_faces :]


def overlap(one: Box, other: Box) -> float:
    """Intersection over union, 0..1; 0 for boxes without area."""
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    if not (width > 0 and height > 0):
        return 0.0
    shared = width * height
    return shared / (one.area + other.area - shared)


def continuous(before: Box, now: Box) -> bool:
    """Whether a face can have moved and grown like this from one frame to the next; both have an extent."""
    (x0, y0), (x1, y1) = before.centre, now.centre
    side_before, side_now = max(before.width, before.height), max(now.width, now.height)
    reach = MAX_JUMP * min(side_before, side_now)
    # Not max() of both distances: it passes over what is no number.
    return abs(x1 - x0) <= reach and abs(y1 - y0) <= reach and 1 / MAX_GROWTH <= side_now / side_before <= MAX_GROWTH
