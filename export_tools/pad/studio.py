"""Where presentations are recorded: the models, and everybody who may stand before the camera."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from device.camera.pace import FastPace
from device.camera.photo import decode_photo
from device.camera.recorded import VideoFile
from device.config import Config
from device.errors import EnrolmentError
from device.gallery.template import mean_template
from device.sim.attacks.catalogue import Catalogue, Sitter, Species, cast_of, open_scene
from device.sim.clock import ManualClock
from device.sim.portrait import build_portrait
from device.sim.signals import PromptBoard
from device.types import Embedding
from device.wiring.models import Vision, load_vision, open_pack
from device.wiring.state import state_keys
from export_tools.pad.cache import TraceCache, trace_key
from export_tools.pad.enrolment import Enrolled
from export_tools.pad.record import record
from export_tools.pad.script import Script, course
from export_tools.pad.trace import About, Trace

#: A recorded clip is read in chunks of so many bytes for its digest.
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Photo:
    """A photograph of somebody; ``identity`` says of whom."""

    identity: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Simulated:
    """A presentation of the catalogue."""

    species: Species
    number: int

    @property
    def name(self) -> str:
        """Of its trace."""
        return About.name_of(str(self.species), self.number)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recorded clip of somebody real.

    Attributes:
        file: The video.
        species: The attack type, or ``live``.
        number: Of the clip in its list.
        subject: Who is seen.
    """

    file: Path
    species: str
    number: int
    subject: str

    @property
    def name(self) -> str:
        """Of its trace."""
        return About.name_of(self.species, self.number)


Item = Simulated | Recorded


@dataclass(frozen=True, slots=True)
class StudioPlan:
    """What a studio is made of; can be handed to another process.

    Attributes:
        state: State directory of the pack.
        config: The door's configuration.
        photos: Who may be presented, by name; their order counts. Empty where only clips are recorded.
        parameters: The simulator's; None for the committed ones.
        clips: Clips by digest; see :func:`clip_digests`.
        brisk: Whether recordings serve no other policy than the whole gate without networks.
    """

    state: Path
    config: Config
    photos: Mapping[str, Photo]
    parameters: Path | None = None
    clips: Mapping[str, str] = field(default_factory=dict)
    brisk: bool = False

    def open(self) -> Studio:
        """Load everything. Raises PackError, ModelError, EnrolmentError, PhotoError, ConfigError."""
        return Studio(self)


class Studio:
    """Records presentations one after the other. Used by one thread.

    Args:
        plan: What it is made of.

    Raises:
        PackError, ModelError: The pack cannot be loaded.
        EnrolmentError, PhotoError: A photograph shows no face, or several, or cannot be read.
        ConfigError: The parameters are not what they must be.
    """

    def __init__(self, plan: StudioPlan) -> None:
        pack = open_pack(plan.state, plan.config, state_keys(plan.state))
        self._plan = plan
        self._vision = load_vision(pack, plan.config)
        self._script = Script.of(plan.config, pack, brisk=plan.brisk)
        self._catalogue = Catalogue.load(plan.parameters)
        self._sitters: dict[str, Sitter] = {}
        self._looks: dict[str, Embedding] = {}
        for name, photo in plan.photos.items():
            picture = decode_photo(photo.data, name=name)
            faces = self._vision.find_faces(picture)
            if len(faces) != 1:
                raise EnrolmentError(f"{name} shows {len(faces)} faces", reason="no_face", hint="take another one")
            self._sitters[name] = Sitter(build_portrait(picture, faces[0].landmarks), photo.identity)
            self._looks[name] = self._vision.embedder.embed(picture, faces[0].landmarks)

    @property
    def vision(self) -> Vision:
        """The models."""
        return self._vision

    @property
    def sitters(self) -> Mapping[str, Sitter]:
        """Whoever may be presented."""
        return self._sitters

    @property
    def catalogue(self) -> Catalogue:
        """The presentations."""
        return self._catalogue

    @property
    def key(self) -> str:
        """Under which its traces are kept."""
        photos = {
            f"photo {name} of {photo.identity}": hashlib.sha256(photo.data).hexdigest()
            for name, photo in self._plan.photos.items()
        }
        presented = {"parameters": self._catalogue.sha256} | photos | dict(self._plan.clips)
        return trace_key(self._vision.pack, self._script, presented=presented)

    def cache(self, folder: Path) -> TraceCache:
        """The cache of its traces. Raises StateError."""
        return TraceCache(folder, key=self.key)

    def record(self, item: Item) -> Trace:
        """Record one presentation. Raises CameraError, ModelError, TraceError, UsageError."""
        return self._simulated(item) if isinstance(item, Simulated) else self._recorded(item)

    def enrolled(self, photo: str) -> Enrolled:
        """The enrolment against which this photograph is presented: the person's other ones, else the same.

        Raises:
            EnrolmentError: The person's photographs disagree.
        """
        identity = self._plan.photos[photo].identity
        others = [
            look for name, look in self._looks.items() if name != photo and self._plan.photos[name].identity == identity
        ]
        return Enrolled(person=identity, template=mean_template(others or [self._looks[photo]]))

    def _simulated(self, item: Simulated) -> Trace:
        presentation = self._catalogue.presentation(item.species, item.number)
        photo = cast_of(presentation, self._sitters).subject
        clock = ManualClock()
        board = PromptBoard(clock=clock)
        return record(
            open_scene(presentation, self._sitters, clock=clock, prompts=board),
            board,
            vision=self._vision,
            script=self._script,
            prompts=course(presentation.seed),
            about=About(
                species=str(item.species),
                number=item.number,
                subject=self._plan.photos[photo].identity,
                photo=photo,
                answers=True,
            ),
        )

    def _recorded(self, item: Recorded) -> Trace:
        clock = ManualClock()
        return record(
            VideoFile(item.file, FastPace(clock)),
            PromptBoard(clock=clock),
            vision=self._vision,
            script=self._script,
            prompts=course(item.number),
            about=About(
                species=item.species,
                number=item.number,
                subject=item.subject,
                photo=item.file.name,
                answers=False,
            ),
        )


def clip_digests(items: tuple[Recorded, ...]) -> dict[str, str]:
    """SHA-256 of each clip's file by the name of its trace. Raises OSError."""
    return {item.name: _sha256(item.file) for item in items}


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
