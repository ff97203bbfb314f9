"""What stands before the camera at a try: whoever the installer brings, or a rendered presentation."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from device.app.pad_test import BONA_FIDE, SPECIES, PlannedTry
from device.camera.capture import CaptureLoop
from device.camera.photo import decode_photo
from device.camera.slot import FrameSlot
from device.camera.sources import classify_source, public_name
from device.camera.watch import CameraState
from device.clock import SystemClock
from device.config import Config
from device.errors import CameraError, ConfigError, NotFoundError, UsageError
from device.interfaces import Clock, Signals
from device.types import Frame
from device.wiring.models import Vision
from device.wiring.surroundings import open_source

if TYPE_CHECKING:
    from device.sim.attacks.catalogue import Sitter
    from device.sim.clock import ManualClock
    from device.sim.signals import PromptBoard

_BROKEN: Final = frozenset({CameraState.LOST, CameraState.FROZEN, CameraState.WRONG_SIZE, CameraState.ENDED})
#: A frame is waited for so long before it is looked whether the camera is still there.
_PATIENCE_S: Final = 0.5
#: The capture thread is in a read at most; a driver that hangs for longer ends with the process.
_JOIN_S: Final = 5.0
#: Which simulated species stands for which kind of try; masks are not simulated.
_RENDERED: Final[Mapping[str, str]] = {
    BONA_FIDE: "live",
    "print": "print_tilt",
    "print_bent": "print_bent",
    "print_cut": "print_cutout",
    "replay_phone": "replay_phone",
    "replay_tablet": "replay_tablet",
    "replay_monitor": "replay_monitor",
}
#: Kinds of try that can be rendered.
RENDERED: Final = tuple(name for name in (BONA_FIDE, *SPECIES) if name in _RENDERED)
#: The demo's photographs: who is shown, and who wears the cut-out.
_SHOWN, _WEARER = "obama.jpg", "biden.jpg"


class PadScene(Protocol):
    """Where the frames of a try come from."""

    @property
    def description(self) -> str:
        """What it is, without passwords."""

    @property
    def clock(self) -> Clock:
        """By which its frames are dated."""

    @property
    def signals(self) -> Signals:
        """What whoever stands there sees."""

    def frames(self, planned: PlannedTry) -> Iterator[Frame | None]:
        """The frames of one try, from now on; None where none came for a moment. Raises CameraError when it is lost."""


class DoorCamera:
    """The configured camera: :class:`PadScene`; made by :func:`open_camera`."""

    def __init__(
        self, slot: FrameSlot, capture: CaptureLoop, *, description: str, clock: Clock, signals: Signals
    ) -> None:
        self.description = description
        self.clock = clock
        self.signals = signals
        self._slot = slot
        self._capture = capture

    def wait(self) -> None:
        """Wait for the first frame. Raises CameraError when none comes."""
        while self._slot.take(_PATIENCE_S) is None:
            self._look()

    def frames(self, planned: PlannedTry) -> Iterator[Frame | None]:  # noqa: ARG002  # the installer knows which
        """See :class:`PadScene`. What was seen before, while the installer got ready, is not among them."""
        self._slot.clear()
        while True:
            frame = self._slot.take(_PATIENCE_S)
            if frame is None:
                self._look()
            yield frame

    def _look(self) -> None:
        health = self._capture.health()
        if health.state in _BROKEN:
            raise CameraError(
                f"the camera is {health.state}{': ' + health.fault if health.fault else ''}",
                hint="see `doorward check`, and walk again",
            )


@contextmanager
def open_camera(config: Config, *, signals: Signals) -> Iterator[DoorCamera]:
    """The camera that the configuration names, delivering, until the end of the block.

    Raises:
        ConfigError: The configuration names a recording: that is what ``doorward-export evaluate pad`` is for.
        CameraError: It cannot be opened, or no frame comes.
    """
    if not classify_source(config.camera.source).camera:
        raise ConfigError(
            f"{config.camera.source} is no camera: a walk needs the one of this door",
            hint="set camera.source; recordings: doorward-export evaluate pad; a show of it: --simulate",
        )
    clock, stop, slot = SystemClock(), threading.Event(), FrameSlot()
    source = open_source(config, clock, wait=stop.wait)
    capture = CaptureLoop(source, slot, clock, config.camera, stop=stop, reopen=True)
    thread = threading.Thread(target=capture.run, name="capture", daemon=True)
    thread.start()
    try:
        camera = DoorCamera(slot, capture, description=public_name(config.camera.source), clock=clock, signals=signals)
        camera.wait()
        yield camera
    finally:
        stop.set()
        slot.close()
        thread.join(_JOIN_S)


class RenderedScenes:
    """Presentations of the simulator's catalogue, those for tuning in turn: :class:`PadScene`."""

    def __init__(self, sitters: Mapping[str, Sitter], *, clock: ManualClock, board: PromptBoard) -> None:
        self.description = "simulated door scene (presentations are rendered)"
        self.clock: ManualClock = clock
        self.signals: PromptBoard = board
        self._sitters = sitters

    def frames(self, planned: PlannedTry) -> Iterator[Frame | None]:
        """See :class:`PadScene`; they end when what is presented is taken away."""
        from device.sim.attacks.catalogue import Catalogue, Half, Species, open_scene  # noqa: PLC0415  # see simulated_clock

        number = Half.TUNING.numbers(planned.number)[-1]
        presentation = Catalogue.load().presentation(Species(_RENDERED[planned.species]), number)
        two = planned.species == "print_cut"
        sitters = self._sitters if two else {_SHOWN: self._sitters[_SHOWN]}
        camera = open_scene(presentation, sitters, clock=self.clock, prompts=self.signals)
        while (frame := camera.read()) is not None:
            yield frame
        camera.close()


def require_rendered(plan: tuple[PlannedTry, ...]) -> None:
    """Refuse what cannot be simulated. Raises UsageError."""
    unknown = sorted({planned.species for planned in plan} - set(RENDERED))
    if unknown:
        raise UsageError(
            f"--simulate: {', '.join(unknown)} cannot be rendered",
            hint=f"rendered are {', '.join(name for name in RENDERED if name != BONA_FIDE)}",
        )


def simulated_clock() -> ManualClock:
    """A clock that the scenes move, started at the true time."""
    from device.sim.clock import ManualClock  # noqa: PLC0415  # nothing of sim on a real platform

    system = SystemClock()
    return ManualClock(system.wall(), trusted=system.wall_trusted())


def render_scenes(vision: Vision, photos: Path, *, clock: ManualClock, forward: Signals) -> RenderedScenes:
    """Simulated presentations of the demo's photographs.

    Args:
        vision: Finds the faces in them.
        photos: Folder with the photographs.
        clock: Moved by the scenes.
        forward: Where to show the door's signals beside the scene.

    Raises:
        NotFoundError: A photograph is missing.
        PhotoError: A photograph cannot be used.
    """
    from device.sim.attacks.catalogue import Sitter  # noqa: PLC0415  # see simulated_clock
    from device.sim.portrait import build_portrait  # noqa: PLC0415
    from device.sim.signals import PromptBoard  # noqa: PLC0415

    sitters: dict[str, Sitter] = {}
    for name in (_SHOWN, _WEARER):
        try:
            raw = (photos / name).read_bytes()
        except OSError as exc:
            raise NotFoundError(
                f"the photograph {photos / name} cannot be read: {exc.strerror}",
                hint=f"doorward-export photos --out {photos} fetches it",
            ) from exc
        picture = decode_photo(raw, name=name)
        faces = vision.find_faces(picture)
        if len(faces) != 1:
            raise UsageError(f"{name} shows {len(faces)} faces", hint="bring the demo's own photographs")
        sitters[name] = Sitter(build_portrait(picture, faces[0].landmarks), identity=name)
    return RenderedScenes(sitters, clock=clock, board=PromptBoard(clock=clock, forward=forward))
