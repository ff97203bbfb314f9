"""An accomplice answers the prompts with the own living head, then raises a picture of the victim before it.

What the door compares is the victim; what proved to be alive was not. The moment of the exchange is a parameter,
because every moment is another hole that must be shut.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

from device.sim.attacks.clips import ClipParameters
from device.sim.attacks.display import LitScreen, ScreenParameters, plane_map
from device.sim.attacks.screens import Tremor
from device.sim.motion import DIRECTIONS, smooth
from device.sim.paper import printed_sheet
from device.sim.portrait import Portrait
from device.sim.visitor import BELOW_M, FACE_WIDTH_M, VERDICTS, Living, Place, RenderedVisitor
from device.sim.warp import Lens, draw_plane
from device.types import Image, Signal, Word

#: The face on a print lies so far below its middle, in face widths; see :func:`device.sim.paper.printed_sheet`.
_PRINT_BELOW = 0.05
# Nobody lifts anything through the own face: what is raised keeps this distance from it, metres.
_CLEAR_M = 0.08


class Moment(Word):
    """What the exchange waits for."""

    SECONDS = "seconds"
    """Nothing but time."""
    ANSWERS = "answers"
    """A number of prompts that were answered."""
    CHECKING = "checking"
    """That the door says it is checking."""
    TURN = "turn"
    """A turn, in its middle."""


class Item(Word):
    """What is raised."""

    PHONE = "phone"
    PRINT = "print"


@dataclass(frozen=True, slots=True)
class SwapParameters:
    """The exchange.

    Attributes:
        moment: What it waits for.
        arrived_s: For ``seconds``: time since arrival.
        after_s: For ``answers`` and ``checking``: so long after that moment.
        turning_s: For ``turn``: so long after its prompt.
        answers: For ``answers``: so many prompts must have been answered; for ``turn``: 1 is the first turn.
        raise_s: From out of sight to before the face.
        item: What is raised.
        size: Width of the victim's face over the accomplice's own, as the camera sees them.
        face_share: Ear to ear over the telephone's shorter side.
        printed_face_m: Ear to ear on the print, metres.
        shake: 1 for a hand's tremor.
    """

    moment: Moment
    arrived_s: float
    after_s: float
    turning_s: float
    answers: int
    raise_s: float
    item: Item
    size: float
    face_share: float
    printed_face_m: float
    shake: float


@dataclass(frozen=True, slots=True)
class AccompliceParameters:
    """The accomplice, the exchange, and the telephone with its recording of the victim (unused for a print)."""

    living: Living
    swap: SwapParameters
    screen: ScreenParameters
    clip: ClipParameters


class Cue:
    """Watches the prompts for the moment of the exchange.

    Args:
        swap: Which moment.
    """

    def __init__(self, swap: SwapParameters) -> None:
        self._swap = swap
        self._arrived_s: float | None = None
        self._prompt = Signal.IDLE
        self._answered = 0
        self._begins_s: float | None = None

    def update(self, now_s: float, *, prompt: Signal, since_s: float) -> float | None:
        """When the exchange began, None while it did not. A prompt counts as answered when it gives way to another."""
        if self._arrived_s is None:
            self._arrived_s = now_s
        if self._prompt in DIRECTIONS and prompt is not self._prompt and prompt not in VERDICTS:
            self._answered += 1
        self._prompt = prompt
        if self._begins_s is None:
            self._begins_s = self._due_s(self._arrived_s, now_s, prompt, since_s)
        begun = self._begins_s is not None and now_s >= self._begins_s
        return self._begins_s if begun else None

    def _due_s(self, arrived_s: float, now_s: float, prompt: Signal, since_s: float) -> float | None:
        """When the exchange is due, once its moment has come."""
        swap = self._swap
        if swap.moment is Moment.SECONDS:
            return arrived_s + swap.arrived_s
        if swap.moment is Moment.ANSWERS:
            return now_s + swap.after_s if self._answered >= swap.answers else None
        if swap.moment is Moment.CHECKING:
            return now_s + swap.after_s if prompt is Signal.CHECKING else None
        turning = prompt in DIRECTIONS and self._answered >= swap.answers - 1
        return since_s + swap.turning_s if turning else None


class Accomplice:
    """A living stranger who raises the victim's picture before the own face.

    Args:
        portrait: The victim: who is on the picture.
        own: The accomplice.
        lens: The camera.
        parameters: Person, moment and picture.
        seed: Decides the person's movements, the clip and the hand's tremor.
    """

    def __init__(
        self, portrait: Portrait, own: Portrait, *, lens: Lens, parameters: AccompliceParameters, seed: int
    ) -> None:
        living, swap = parameters.living, parameters.swap
        rng = random.Random(f"{seed}/hand")  # noqa: S311  # a scene that can be repeated
        self._lens = lens
        self._swap = swap
        self._cue = Cue(swap)
        self._raised_s: float | None = None
        self._tremor = Tremor(shake=swap.shake, rng=rng)
        self._person = RenderedVisitor(
            own, lens=lens, seed=seed, walk=living.walk, reach=living.reach, manner=living.manner
        )
        self._screen: LitScreen | None = None
        if swap.item is Item.PHONE:
            screen = parameters.screen
            self._face_m = swap.face_share * min(screen.width_m, screen.height_m)
            self._below_m = self._face_m * BELOW_M / FACE_WIDTH_M
            self._half_m = screen.height_m / 2 + screen.bezel_end_m
            self._screen = LitScreen(
                portrait,
                lens=lens,
                screen=screen,
                clip=parameters.clip,
                face_share=swap.face_share,
                away_m=living.walk.near_m * self._face_m / (FACE_WIDTH_M * swap.size),
                held=True,
                seed=seed,
            )
        else:
            self._face_m = swap.printed_face_m
            self._below_m = self._face_m * _PRINT_BELOW
            self._sheet = printed_sheet(portrait)
            self._metre = self._face_m / portrait.textures[0].scale
            self._half_m = self._metre * self._sheet.shape[0] / 2

    @property
    def raised_s(self) -> float | None:
        """When the picture began to rise; None as long as only the accomplice was seen."""
        return self._raised_s

    def draw(self, canvas: Image, *, now_s: float, prompt: Signal, since_s: float) -> bool:
        """Paint accomplice and picture as of ``now_s`` into ``canvas``; False once gone for good."""
        self._raised_s = self._cue.update(now_s, prompt=prompt, since_s=since_s)
        raised_s = self._raised_s
        if raised_s is not None and prompt not in VERDICTS:
            # Behind the picture the head has nothing left to answer.
            prompt, since_s = Signal.LOOK_STRAIGHT, raised_s
        here = self._person.draw(canvas, now_s=now_s, prompt=prompt, since_s=since_s)
        place = self._person.place
        if here and raised_s is not None and place is not None:
            self._hold_up(canvas, place, now_s=now_s, raised_s=raised_s)
        return here

    def _hold_up(self, canvas: Image, place: Place, *, now_s: float, raised_s: float) -> None:
        lens, tremor = self._lens, self._tremor
        away_m = lens.focal_px * self._face_m / (place.face_px * self._swap.size)
        away_m = min(away_m, lens.focal_px * FACE_WIDTH_M / place.face_px - _CLEAR_M)
        metre = away_m / lens.focal_px
        x, y, _ = tremor.place(now_s)
        rise = smooth((now_s - raised_s) / self._swap.raise_s)
        hidden_m = metre * lens.height / 2 + self._half_m
        top_m = (place.y_px - lens.height / 2) * metre - self._below_m + y
        place_m = np.array(
            [(place.x_px - lens.width / 2) * metre + x, hidden_m + (top_m - hidden_m) * rise, away_m], dtype=np.float32
        )
        angles_deg = tremor.turn(now_s)
        if self._screen is not None:
            self._screen.draw(canvas, place_m=place_m, angles_deg=angles_deg, clip_s=now_s - raised_s, now_s=now_s)
            return
        size = (self._sheet.shape[1], self._sheet.shape[0])
        draw_plane(
            canvas,
            self._sheet,
            plane_map(lens, size=size, metre=self._metre, angles_deg=angles_deg, place_m=place_m),
        )
