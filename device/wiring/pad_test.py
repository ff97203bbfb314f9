"""The field kit, put together: the door's own vision and rules, and no relay at all."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from device.app.visit_rules import VisitRules
from device.clock import SystemClock
from device.config import Config
from device.errors import BusyError, ConfigError, StateError
from device.interfaces import Clock, Signals
from device.wiring.liveness import proof_maker
from device.wiring.models import load_vision, match_threshold, open_pack, same_face_threshold
from device.wiring.pad_scenes import PadScene, open_camera, render_scenes, simulated_clock
from device.wiring.pad_walk import PadTest
from device.wiring.people import open_roster
from device.wiring.state import State, open_state


@contextmanager
def open_pad_test(
    directory: Path,
    config: Config,
    *,
    signals: Signals,
    name: str | None = None,
    photos: Path | None = None,
    rng: random.Random | None = None,
) -> Iterator[PadTest]:
    """Own the state, load the models, open the camera; the relay is not touched.

    Args:
        directory: The state directory, which must exist.
        config: The door's configuration.
        signals: Tells whoever stands there what to do.
        name: The enrolled person who makes the bona fide tries, None where it may be anybody.
        photos: Folder with the demo's photographs: presentations are rendered from them instead of filmed; on platform
            ``sim`` only.
        rng: Draws the prompts; the system's random source unless a test repeats a scene.

    Raises:
        BusyError: A daemon runs.
        NotFoundError: Nobody is enrolled by this name, or a photograph is missing.
        ConfigError, StateError, PackError, ModelError, CameraError: What cannot be opened.
    """
    if photos is not None and config.platform != "sim":
        raise ConfigError("simulated presentations run on platform sim only", hint="leave out --simulate")
    if not directory.is_dir():
        raise StateError(f"there is no state directory {directory}", hint="check --state")
    simulated = simulated_clock() if photos is not None else None
    with ExitStack() as stack:
        state = stack.enter_context(_owned(directory, config, clock=simulated or SystemClock()))
        pack = open_pack(directory, config, state.keys)
        vision = load_vision(pack, config)
        threshold = match_threshold(pack, config)
        roster = open_roster(state, pack, config)
        named = roster.find(name).handle if name is not None else None
        scene: PadScene
        if photos is not None and simulated is not None:
            scene = render_scenes(vision, photos, clock=simulated, forward=signals)
        else:
            scene = stack.enter_context(open_camera(config, signals=signals))
        yield PadTest(
            config=config,
            threshold=threshold,
            simulated=photos is not None,
            state=state,
            vision=vision,
            roster=roster,
            rules=VisitRules.of(config, threshold=threshold, same_face=same_face_threshold(pack, config)),
            prove=proof_maker(vision, config, rng=rng),
            scene=scene,
            named=named,
        )


@contextmanager
def _owned(directory: Path, config: Config, *, clock: Clock) -> Iterator[State]:
    """The state. Raises BusyError with what to do about the daemon that has it."""
    with ExitStack() as stack:
        try:
            state = stack.enter_context(open_state(directory, config, clock=clock, create=True))
        except BusyError as exc:
            raise BusyError(
                exc.message,
                hint="stop the daemon first and start it again afterwards: a walk needs state and camera for itself",
            ) from exc
        yield state
