"""Everything that one compared frame says about life beside its pose, measured once and judged elsewhere."""

from __future__ import annotations

from device.types import Cues, Face, Scene
from device.vision.liveness.bezel import BezelFinder
from device.vision.liveness.face_box import face_box
from device.vision.liveness.light import measure_light
from device.vision.liveness.passive import PassiveScorer


class FrameCues:
    """Measures compared frames; makes no array per frame that its parts do not keep. Used by one thread.

    Args:
        scorer: The passive networks; None for a pack without them: then ``live`` is None, and the door reads no cues.
    """

    def __init__(self, scorer: PassiveScorer | None) -> None:
        self._scorer = scorer
        self._bezel = BezelFinder()

    @property
    def passive(self) -> bool:
        """Whether there are passive networks to be asked."""
        return self._scorer is not None

    def read(self, scene: Scene, face: Face) -> Cues:
        """The numbers of one face of a frame.

        Args:
            scene: The frame, uint8 BGR, with all its faces.
            face: One of them.

        Raises:
            ModelError: A network failed or is stuck, or the face cannot be measured in this picture.
        """
        image, box = scene.frame.image, face_box(face.landmarks)
        light = measure_light(image, box)
        return Cues(
            live=self._scorer.score(image, box).live if self._scorer is not None else None,
            faces=len(scene.faces),
            # The limit was measured with the box of the mesh.
            bezel=self._bezel.score(image, face.box),
            burnt=light.burnt,
            chroma=light.chroma,
            brightness=light.brightness,
            noise=light.noise,
            context=light.context,
            sharpness=face.quality.sharpness,
        )
