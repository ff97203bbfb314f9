"""Whose visit it is: the nearest face is the candidate, and a known face behind a nearer one opens nothing."""

from __future__ import annotations

from device.types import Face, Scene


def candidate(scene: Scene, *, current: int | None, takeover_ratio: float) -> Face | None:
    """The face that this frame is about.

    Two people side by side are about equally wide, and who is the widest flips from frame to frame; so the current
    candidate stays until somebody else is wider by ``takeover_ratio``.

    Args:
        scene: Faces of one frame.
        current: Track of the candidate so far, None without one.
        takeover_ratio: At least 1; how much wider another face must be to take over.
    """
    if not scene.faces:
        return None
    widest = max(scene.faces, key=lambda face: face.box.width)
    for face in scene.faces:
        if face.track == current and not (widest.box.width >= face.box.width * takeover_ratio):
            return face
    return widest


def is_nearest(face: Face, scene: Scene) -> bool:
    """Whether nobody else in the frame is wider (as wide counts as in front: deny)."""
    return all(other.track == face.track or other.box.width < face.box.width for other in scene.faces)
