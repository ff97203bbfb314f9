"""A simulated door scene, for the demo and the tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from device.camera.photo import decode_photo
from device.clock import SystemClock
from device.config import Config
from device.errors import EnrolmentError
from device.interfaces import Clock, FrameSource, Signals
from device.types import Image, Signal
from device.wiring.models import load_vision, open_pack
from device.wiring.state import state_keys

if TYPE_CHECKING:
    from device.sim.camera import Visitor

#: Rendered frames per second of scene time: a small board's camera rate, and half the work of 30.
_SCENE_FPS = 20


@dataclass(frozen=True, slots=True)
class Stage:
    """The simulated surroundings of a demo or a test: everything that a real platform would bring itself.

    Attributes:
        clock: Moved by the source.
        source: What the camera sees.
        signals: What the visitors react to.
    """

    clock: Clock
    source: FrameSource
    signals: Signals


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody in a simulated scene.

    Attributes:
        photo: The photograph's bytes.
        name: Its file name, for errors.
        printed: Whether it comes as a print in somebody's hand instead of as a rendered person.
        on_arrival: Called when it enters the picture.
    """

    photo: bytes
    name: str
    printed: bool = False
    on_arrival: Callable[[], None] = lambda: None


class _Announced:
    """A visitor of the scene that says when it comes."""

    def __init__(self, visitor: Visitor, on_arrival: Callable[[], None]) -> None:
        self._visitor = visitor
        self._on_arrival: Callable[[], None] | None = on_arrival

    def draw(self, canvas: Image, *, now_s: float, prompt: Signal, since_s: float) -> bool:
        if self._on_arrival is not None:
            self._on_arrival()
            self._on_arrival = None
        return self._visitor.draw(canvas, now_s=now_s, prompt=prompt, since_s=since_s)


def open_stage(
    directory: Path, config: Config, cast: Sequence[Actor], *, forward: Signals | None = None, seed: int = 0
) -> Stage:
    """A simulated door scene: who comes, one after the other, and what they react to.

    Args:
        directory: State directory whose pack finds the faces in the photographs.
        config: The configuration.
        cast: In the order of their coming.
        forward: Where to show the door's signals beside the scene.
        seed: Decides movements and noise.

    Raises:
        EnrolmentError: A photograph without exactly one face.
        PhotoError, PackError: A photograph or the pack cannot be used.
    """
    from device.sim.camera import SceneCamera, door_lens  # noqa: PLC0415  # nothing of sim on a real platform
    from device.sim.clock import ManualClock  # noqa: PLC0415
    from device.sim.paper import PrintedPhoto  # noqa: PLC0415
    from device.sim.portrait import build_portrait  # noqa: PLC0415
    from device.sim.signals import PromptBoard  # noqa: PLC0415
    from device.sim.visitor import RenderedVisitor  # noqa: PLC0415

    vision = load_vision(open_pack(directory, config, state_keys(directory)), config)
    system = SystemClock()
    clock = ManualClock(system.wall(), trusted=system.wall_trusted())
    board = PromptBoard(clock=clock, forward=forward)
    lens = door_lens(config.camera.width, config.camera.height)
    visitors = []
    for number, actor in enumerate(cast):
        picture = decode_photo(actor.photo, name=actor.name)
        faces = vision.find_faces(picture)
        if len(faces) != 1:
            raise EnrolmentError(f"{actor.name} shows {len(faces)} faces", reason="no_face", hint="take another one")
        portrait = build_portrait(picture, faces[0].landmarks)
        kind = PrintedPhoto if actor.printed else RenderedVisitor
        visitors.append(_Announced(kind(portrait, lens=lens, seed=seed + number), actor.on_arrival))
    camera = SceneCamera(
        visitors,
        clock=clock,
        prompts=board,
        width=config.camera.width,
        height=config.camera.height,
        fps=min(config.camera.fps, _SCENE_FPS),
        seed=seed,
    )
    return Stage(clock=clock, source=camera, signals=board)
