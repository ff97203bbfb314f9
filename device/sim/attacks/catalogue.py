"""Every simulated presentation by name and number: who comes to the door, how, and through which camera.

``parameters.yaml`` holds the ranges of every species. A species and a number give one presentation for ever: each of
its values is drawn from the file's seed, the species, the number and the value's own name. Thresholds are chosen
on one half of the numbers, figures come from the other (:class:`Half`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

from pydantic import AfterValidator, BaseModel, Field

from device.errors import ConfigError, UsageError
from device.sim.attacks import ranges
from device.sim.attacks.accomplice import Accomplice, AccompliceParameters
from device.sim.attacks.cutout import CutoutParameters, PrintCutout
from device.sim.attacks.papers import (
    BentParameters,
    FlexParameters,
    PrintBent,
    PrintFlex,
    PrintJitter,
    PrintParameters,
    PrintRolled,
    PrintTilt,
    RolledParameters,
    TiltParameters,
)
from device.sim.attacks.screens import ReplayParameters, ReplayScreen
from device.sim.camera import Prompts, SceneCamera, Visitor, door_lens
from device.sim.clock import ManualClock
from device.sim.optics import Optics
from device.sim.portrait import Portrait
from device.sim.visitor import Living, RenderedVisitor
from device.sim.warp import Lens
from device.types import Word

PARAMETERS: Final = "parameters.yaml"
#: The door sees nobody for so long before a presentation and after it.
GAP_S: Final = 0.5


class Species(Word):
    """What is presented; one instrument of attack each (ISO/IEC 30107-3 calls them so), and the living."""

    LIVE = "live"
    PRINT_JITTER = "print_jitter"
    PRINT_TILT = "print_tilt"
    PRINT_BENT = "print_bent"
    PRINT_FLEX = "print_flex"
    PRINT_ROLLED = "print_rolled"
    PRINT_CUTOUT = "print_cutout"
    REPLAY_PHONE = "replay_phone"
    REPLAY_TABLET = "replay_tablet"
    REPLAY_MONITOR = "replay_monitor"
    ACCOMPLICE = "accomplice"


class Half(Word):
    """What a presentation may be used for: even numbers are for tuning, odd ones are held out for figures."""

    TUNING = "tuning"
    HELD_OUT = "held-out"

    def numbers(self, count: int) -> range:
        """The first so many numbers of this half."""
        first = 1 if self is Half.HELD_OUT else 0
        return range(first, first + 2 * count, 2)


class Sitter(NamedTuple):
    """A portrait and whose it is: two photographs of one person share an identity."""

    portrait: Portrait
    identity: str


@dataclass(frozen=True, slots=True)
class Presentation:
    """One visit, with all that was drawn for it.

    Attributes:
        species: What is presented.
        number: Which one of them.
        seed: Of everything that moves.
        fps: Frames per second of the camera.
        parameters: Of the species' own kind.
        optics: Of the camera.
        subject: Draws the portrait among those at hand; for an attack, whom it shows to be recognised.
        other: Draws the portrait of another identity, where a second person plays.
    """

    species: Species
    number: int
    seed: int
    fps: int
    parameters: Any
    optics: Optics
    subject: int
    other: int


@dataclass(frozen=True, slots=True)
class Cast:
    """Names of portraits: who is shown to be recognised, and who answers for them where that is somebody else."""

    subject: str
    other: str | None


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a species is made: its parameters, and what stands before the camera.

    Attributes:
        parameters: Frozen dataclass.
        make: Called with the portraits of the cast (one, or subject and other), lens, parameters and seed.
        two: Whether somebody of another identity plays as well.
    """

    parameters: type
    make: Callable[..., Visitor]
    two: bool = False


def _living(portrait: Portrait, *, lens: Lens, parameters: Living, seed: int) -> Visitor:
    return RenderedVisitor(
        portrait, lens=lens, seed=seed, walk=parameters.walk, reach=parameters.reach, manner=parameters.manner
    )


_KINDS: Final[Mapping[Species, _Kind]] = {
    Species.LIVE: _Kind(Living, _living),
    Species.PRINT_JITTER: _Kind(PrintParameters, PrintJitter),
    Species.PRINT_TILT: _Kind(TiltParameters, PrintTilt),
    Species.PRINT_BENT: _Kind(BentParameters, PrintBent),
    Species.PRINT_FLEX: _Kind(FlexParameters, PrintFlex),
    Species.PRINT_ROLLED: _Kind(RolledParameters, PrintRolled),
    Species.PRINT_CUTOUT: _Kind(CutoutParameters, PrintCutout, two=True),
    Species.REPLAY_PHONE: _Kind(ReplayParameters, ReplayScreen),
    Species.REPLAY_TABLET: _Kind(ReplayParameters, ReplayScreen),
    Species.REPLAY_MONITOR: _Kind(ReplayParameters, ReplayScreen),
    Species.ACCOMPLICE: _Kind(AccompliceParameters, Accomplice, two=True),
}
_RATES = Annotated[
    list[Annotated[int, Field(ge=1, le=120)]], Field(min_length=2, max_length=2), AfterValidator(ranges.ordered)
]
_SPECIES_TABLE = ranges.table(
    "Species", **{str(name): ranges.ranges_of(kind.parameters) for name, kind in _KINDS.items()}
)
_FILE = ranges.table("Parameters", seed=int, fps=_RATES, optics=ranges.ranges_of(Optics), species=_SPECIES_TABLE)


class Catalogue:
    """All presentations.

    Args:
        raw: The parameter file's bytes.
        origin: Its name, for people.

    Raises:
        ConfigError: The file is not what it must be; lists every problem with line and key.
    """

    def __init__(self, raw: bytes, *, origin: str) -> None:
        file: Any = ranges.parse(raw, _FILE, origin=origin)
        self._seed: int = file.seed
        self._fps: list[int] = file.fps
        self._optics: BaseModel = file.optics
        self._species: BaseModel = file.species
        self._sha256 = hashlib.sha256(raw).hexdigest()

    @classmethod
    def load(cls, path: Path | None = None) -> Catalogue:
        """Read the committed parameters, or those of another file. Raises ConfigError."""
        if path is None:
            raw = resources.files("device.sim.attacks").joinpath(PARAMETERS).read_bytes()
            return cls(raw, origin=PARAMETERS)
        try:
            return cls(path.read_bytes(), origin=str(path))
        except OSError as exc:
            raise ConfigError(f"cannot read the parameters {path}: {exc.strerror}") from exc

    @property
    def sha256(self) -> str:
        """Of the file's bytes, hexadecimal: what is kept about presentations is kept under it."""
        return self._sha256

    @property
    def optics(self) -> BaseModel:
        """What the file says about the camera: one entry per field of :class:`device.sim.optics.Optics`."""
        return self._optics

    def ranges(self, species: Species) -> BaseModel:
        """What the file says about a species: a table with one entry per field."""
        found: BaseModel = getattr(self._species, str(species))
        return found

    def presentation(self, species: Species, number: int) -> Presentation:
        """The presentation of this number. Raises UsageError for a negative one."""
        if number < 0:
            raise UsageError(f"presentations are numbered from 0, not {number}")
        key = f"{self._seed}/{species}/{number}"
        return Presentation(
            species=species,
            number=number,
            seed=ranges.whole(2**31, key=f"{key}/seed"),
            fps=self._fps[0] + ranges.whole(self._fps[1] - self._fps[0] + 1, key=f"{key}/fps"),
            parameters=ranges.draw(_KINDS[species].parameters, self.ranges(species), key=f"{key}/parameters"),
            optics=ranges.draw(Optics, self._optics, key=f"{key}/optics"),
            subject=ranges.whole(2**31, key=f"{key}/subject"),
            other=ranges.whole(2**31, key=f"{key}/other"),
        )


def cast_of(presentation: Presentation, sitters: Mapping[str, Sitter]) -> Cast:
    """Who plays in a presentation, among those at hand; their order counts.

    Raises:
        UsageError: There is no portrait, or two people play and only one identity is at hand.
    """
    names = tuple(sitters)
    if not names:
        raise UsageError("a presentation needs a portrait")
    subject = names[presentation.subject % len(names)]
    if not _KINDS[presentation.species].two:
        return Cast(subject=subject, other=None)
    others = [name for name in names if sitters[name].identity != sitters[subject].identity]
    if not others:
        raise UsageError(
            f"{presentation.species} needs portraits of two people", hint="bring somebody of another identity"
        )
    return Cast(subject=subject, other=others[presentation.other % len(others)])


def make_visitor(presentation: Presentation, sitters: Mapping[str, Sitter], *, lens: Lens) -> Visitor:
    """What stands before the camera. Raises UsageError, see :func:`cast_of`."""
    cast = cast_of(presentation, sitters)
    portraits = [sitters[name].portrait for name in (cast.subject, cast.other) if name is not None]
    make = _KINDS[presentation.species].make
    return make(*portraits, lens=lens, parameters=presentation.parameters, seed=presentation.seed)


def open_scene(
    presentation: Presentation,
    sitters: Mapping[str, Sitter],
    *,
    clock: ManualClock,
    prompts: Prompts,
    visitor: Visitor | None = None,
) -> SceneCamera:
    """The door's camera, open, before one presentation: 640 x 480 through the optics that were drawn.

    Args:
        presentation: Which one.
        sitters: Portraits by name; the same ones in the same order give the same scene.
        clock: Moved by each read to the frame's time.
        prompts: What the door shows.
        visitor: What :func:`make_visitor` gave for it, for a caller who wants to watch it; each serves once.

    Raises:
        UsageError: See :func:`cast_of`.
    """
    camera = SceneCamera(
        [visitor or make_visitor(presentation, sitters, lens=door_lens())],
        clock=clock,
        prompts=prompts,
        fps=presentation.fps,
        gap_s=GAP_S,
        seed=presentation.seed,
        optics=presentation.optics,
    )
    camera.open()
    return camera
