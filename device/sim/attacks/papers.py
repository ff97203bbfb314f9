"""A portrait on paper in somebody's hand: shaken, tilted, bent, rolled, or bent while it is turned.

A flat print answers a prompt by strong perspective alone (see :mod:`device.sim.paper`): it comes close, and what is
nearer becomes larger. Paper that is bent about its vertical axis turns like half a head, which is what the mesh takes
it for; up and down it is as flat as before. Whoever holds it sees the prompts and reacts to them.

With the parameters that are usual (those of the classes) the mesh took the turn for 20 degrees or more in 22 of 24
tilted, 24 of 24 bent, 23 of 24 rolled and 24 of 24 flexed prints (three photographs, two seeds, four directions).
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np

from device.sim.attacks.surface import FLAT_M, Light, Placement, Sheet, draw_sheet
from device.sim.motion import Obedience, Reach, Sway
from device.sim.paper import printed_sheet
from device.sim.portrait import Portrait
from device.sim.visitor import Presence, Walk, rotation
from device.sim.warp import Lens
from device.types import Image, Signal


@dataclass(frozen=True, slots=True)
class PrintParameters:
    """A print and the hand that holds it. Behind each field what is usual, and the range that makes sense.

    Attributes:
        face_m: Ear to ear on the print, metres; 0.10, 0.08..0.16.
        distance_m: From the camera at rest, metres; 0.33, 0.26..0.45.
        shake_m: Largest excursion of the hand in each direction, metres; 0.003, 0.001..0.012.
        shake_deg: Largest excursion of the wrist about each axis, degrees; 1.5, 0.5..6.
        shake_s: Period of the slowest part of both, seconds; 2.0, 0.5..3.
        light: Lamp and gloss of the paper; elevation 30..65 degrees, azimuth -50..50, ambient 0.35..0.75, gloss 0..0.3.
        patience_s: Without a verdict the print is taken away after so long, seconds; 30.
    """

    face_m: float = 0.10
    distance_m: float = 0.33
    shake_m: float = 0.003
    shake_deg: float = 1.5
    shake_s: float = 2.0
    light: Light = field(default_factory=Light)
    patience_s: float = 30.0


@dataclass(frozen=True, slots=True)
class TiltParameters(PrintParameters):
    """A print that is turned where the prompts say.

    Attributes:
        yaw_deg: Turn to either side, degrees; 52, 46..56.
        up_deg: From its rest to facing up, degrees; 29, 26..32.
        down_deg: From its rest to facing down, degrees; 96, 86..100.
        turn_s: Duration of one turn, seconds; 0.9, 0.5..1.2.
        reaction_s: Mean time from the prompt to the start of the turn, seconds; 0.5, 0.3..0.9.
        side_close_m: Distance at which it is while turned to a side, metres; 0.16, 0.15..0.18.
        upright_close_m: Distance at which it is while facing up or down, metres; 0.16, 0.15..0.18.
        lean_deg: How far it leans back at rest, degrees: room to tilt both ways; 32, 28..34.
        stretch: Its height over that of the photograph, which undoes the lean; 1.2, 1.15..1.25.
    """

    yaw_deg: float = 52.0
    up_deg: float = 29.0
    down_deg: float = 96.0
    turn_s: float = 0.9
    reaction_s: float = 0.5
    side_close_m: float = 0.16
    upright_close_m: float = 0.16
    lean_deg: float = 32.0
    stretch: float = 1.2


@dataclass(frozen=True, slots=True)
class BentParameters(TiltParameters):
    """A print bent about its vertical axis, turned where the prompts say. It need not come as close as a flat one.

    Attributes:
        radius_m: Of the bend, metres; 0.11, 0.09..0.13.
        yaw_deg: 47, 44..52.
        down_deg: 80, 75..90.
        side_close_m: 0.18, 0.16..0.2.
    """

    radius_m: float = 0.11
    yaw_deg: float = 47.0
    down_deg: float = 80.0
    side_close_m: float = 0.18


@dataclass(frozen=True, slots=True)
class RolledParameters(BentParameters):
    """A print rolled like a tube.

    Attributes:
        radius_m: Of the tube, metres; 0.065, 0.055..0.08.
        down_deg: 70, 65..80.
        side_close_m: 0.17, 0.16..0.18.
    """

    radius_m: float = 0.065
    down_deg: float = 70.0
    side_close_m: float = 0.17


@dataclass(frozen=True, slots=True)
class FlexParameters(BentParameters):
    """A print that is bent further while it is turned, as if it had depth.

    Attributes:
        radius_m: Of the bend at rest, metres; 0.3, 0.15..1.
        turned_radius_m: Of the bend at the end of the turn, metres; 0.09, 0.07..0.12.
    """

    radius_m: float = 0.3
    turned_radius_m: float = 0.09


@dataclass(frozen=True, slots=True)
class _Hold:
    """What the hand does with the paper: angles in degrees, distance in metres, radius of the bend in metres."""

    yaw_deg: float
    pitch_deg: float
    distance_m: float
    radius_m: float = FLAT_M


class _HeldPrint(ABC):
    """A hand brings a print, holds it, and takes it away on a verdict."""

    def __init__(
        self, portrait: Portrait, *, lens: Lens, parameters: PrintParameters, seed: int, stretch: float
    ) -> None:
        self._rng = random.Random(seed)  # noqa: S311  # a scene that can be repeated
        rng, near_m = self._rng, parameters.distance_m
        self._lens = lens
        self._light = parameters.light
        self._walk = Walk(
            far_m=near_m + 0.27,
            near_m=near_m,
            side_m=0.0,
            approach_s=1.2,
            leave_s=0.7,
            patience_s=parameters.patience_s,
        )
        self._presence = Presence(self._walk)
        self._hand = [Sway(size=parameters.shake_m, period_s=1.2 * parameters.shake_s, rng=rng) for _ in range(3)]
        self._wrist = [Sway(size=parameters.shake_deg, period_s=parameters.shake_s, rng=rng) for _ in range(3)]
        picture = printed_sheet(portrait)
        metre = parameters.face_m / portrait.textures[0].scale
        height, width = picture.shape[:2]
        self._sheet = Sheet.of(picture, width_m=metre * width, height_m=metre * height * stretch)

    @abstractmethod
    def _hold(self, distance_m: float, *, now_s: float, prompt: Signal, since_s: float) -> _Hold:
        """What the hand does at ``now_s``, were it ``distance_m`` away without any prompt."""

    def draw(self, canvas: Image, *, now_s: float, prompt: Signal, since_s: float) -> bool:
        """Paint the print as of ``now_s`` into ``canvas``; False once gone for good."""
        approach, departure = self._presence.update(now_s, prompt=prompt, since_s=since_s)
        if departure >= 1.0:
            return False
        walk = self._walk
        away_m = walk.far_m + (walk.near_m - walk.far_m) * approach
        hold = self._hold(away_m, now_s=now_s, prompt=prompt, since_s=since_s)
        shift = [sway.at(now_s) for sway in self._hand]
        # The hand is steadier the nearer the camera is: whoever tilts a print under its nose looks what he does.
        distance_m = hold.distance_m + shift[2] * min(1.0, hold.distance_m / walk.near_m)
        drop_m = 1.6 * distance_m * max(1.0 - approach, departure)
        pose = zip((hold.yaw_deg, hold.pitch_deg, 0.0), self._wrist, strict=True)
        turn = rotation(*(angle + wrist.at(now_s) for angle, wrist in pose)).astype(np.float64)
        position = np.array([shift[0], drop_m + shift[1], distance_m])
        placement = Placement(turn=turn, position=position, radius_m=hold.radius_m)
        draw_sheet(canvas, self._sheet, placement, lens=self._lens, light=self._light)
        return True


class PrintJitter(_HeldPrint):
    """A flat print in a shaking hand that ignores every prompt.

    Args:
        portrait: Whose photograph.
        lens: The camera.
        parameters: Print and hand; for this attack ``shake_m`` 0.006 and ``shake_deg`` 4 are usual.
        seed: Decides the shaking.
    """

    def __init__(self, portrait: Portrait, *, lens: Lens, parameters: PrintParameters, seed: int = 0) -> None:
        super().__init__(portrait, lens=lens, parameters=parameters, seed=seed, stretch=1.0)

    def _hold(self, distance_m: float, *, now_s: float, prompt: Signal, since_s: float) -> _Hold:  # noqa: ARG002
        return _Hold(yaw_deg=0.0, pitch_deg=0.0, distance_m=distance_m)


class PrintTilt(_HeldPrint):
    """A flat print that is tilted where the prompts say, close to the camera.

    Args:
        portrait: Whose photograph.
        lens: The camera.
        parameters: Print and hand.
        seed: Decides shaking and reaction times.
    """

    def __init__(self, portrait: Portrait, *, lens: Lens, parameters: TiltParameters, seed: int = 0) -> None:
        super().__init__(portrait, lens=lens, parameters=parameters, seed=seed, stretch=parameters.stretch)
        self._reach = Reach(
            yaw_deg=parameters.yaw_deg,
            up_deg=parameters.up_deg,
            down_deg=parameters.down_deg,
            turn_s=parameters.turn_s,
            reaction_s=parameters.reaction_s,
            spread=0.0,
        )
        self._close_m = (parameters.side_close_m, parameters.upright_close_m)
        self._lean_deg = parameters.lean_deg
        self._obedience = Obedience(self._reach, rng=self._rng)

    def _hold(self, distance_m: float, *, now_s: float, prompt: Signal, since_s: float) -> _Hold:
        yaw, pitch = self._obedience.angles(now_s, prompt=prompt, since_s=since_s)
        sideways = min(1.0, abs(yaw) / self._reach.yaw_deg)
        upright = min(1.0, max(pitch / self._reach.up_deg, -pitch / self._reach.down_deg))
        turned = max(sideways, upright)
        close_m = self._close_m[0] if sideways > upright else self._close_m[1]
        return _Hold(
            yaw_deg=yaw,
            pitch_deg=self._lean_deg * (1.0 - sideways) + pitch,
            distance_m=distance_m + (close_m - distance_m) * turned,
            radius_m=self._radius_m(turned),
        )

    def _radius_m(self, turned: float) -> float:  # noqa: ARG002  # those that bend use it
        """Radius of the bend when the turn is done by this share."""
        return FLAT_M


class PrintBent(PrintTilt):
    """A print bent about its vertical axis, turned where the prompts say.

    Args:
        portrait: Whose photograph.
        lens: The camera.
        parameters: Print, hand and bend.
        seed: Decides shaking and reaction times.
    """

    def __init__(self, portrait: Portrait, *, lens: Lens, parameters: BentParameters, seed: int = 0) -> None:
        super().__init__(portrait, lens=lens, parameters=parameters, seed=seed)
        self._bend_m = parameters.radius_m

    def _radius_m(self, turned: float) -> float:  # noqa: ARG002  # it stays as it is
        return self._bend_m


class PrintRolled(PrintBent):
    """A print rolled like a tube: :class:`PrintBent` with :class:`RolledParameters`."""


class PrintFlex(PrintBent):
    """A print that is bent the further, the further it is turned: :class:`PrintBent` with a bend that grows."""

    def __init__(self, portrait: Portrait, *, lens: Lens, parameters: FlexParameters, seed: int = 0) -> None:
        super().__init__(portrait, lens=lens, parameters=parameters, seed=seed)
        self._turned_m = parameters.turned_radius_m

    def _radius_m(self, turned: float) -> float:
        return 1.0 / ((1.0 - turned) / self._bend_m + turned / self._turned_m)
