"""The daemon, put together from everything else."""

from __future__ import annotations

import os
import platform
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from device.app.control import ControlVerbs
from device.app.control_socket import ControlSocket, Peer
from device.app.mailbox import Mailbox
from device.app.roster import Roster
from device.app.visit import Doorkeeper
from device.app.visit_rules import VisitRules
from device.app.visitor import ProofOfLife
from device.audit.records import RequestRefused
from device.camera.capture import CaptureLoop
from device.camera.slot import FrameSlot
from device.camera.sources import SourceKind, classify_source
from device.clock import SystemClock
from device.config import Config
from device.door.controller import DoorController
from device.errors import ConfigError
from device.interfaces import FrameSource, Signals
from device.runtime import Daemon, Parts
from device.types import Decision
from device.vision.pack import Pack
from device.wiring.liveness import proof_maker
from device.wiring.models import Vision, load_vision, match_threshold, open_pack, same_face_threshold
from device.wiring.people import make_enroller, open_roster
from device.wiring.stage import Stage
from device.wiring.state import State, open_state
from device.wiring.surroundings import choose_clock, make_door, open_source


def make_doorkeeper(
    state: State,
    vision: Vision,
    roster: Roster,
    config: Config,
    *,
    door: DoorController,
    signals: Signals,
    rng: random.Random | None = None,
    watch_proof: Callable[[ProofOfLife], ProofOfLife] = lambda proof: proof,
) -> Doorkeeper:
    """Who attends to the frames. Prompts come from the system's random source unless a test brings another."""
    prove = proof_maker(vision, config, rng=rng)
    return Doorkeeper(
        vision=vision.pipeline(),
        roster=roster,
        prove=lambda: watch_proof(prove()),
        ledger=state.ledger,
        door=door,
        signals=signals,
        clock=state.clock,
        rules=VisitRules.of(
            config, threshold=match_threshold(vision.pack, config), same_face=same_face_threshold(vision.pack, config)
        ),
        pack=vision.pack.manifest.pack,
    )


@contextmanager
def open_daemon(
    directory: Path,
    config: Config,
    *,
    signals: Signals | None = None,
    stage: Stage | None = None,
    on_decision: Callable[[Decision], None] = lambda _: None,
    on_ready: Callable[[], None] = lambda: None,
    rng: random.Random | None = None,
) -> Iterator[Daemon]:
    """Put a daemon together and take it apart again.

    Args:
        directory: The state directory.
        config: The configuration.
        signals: What tells the person; required without a stage.
        stage: Simulated surroundings instead of the configured camera and clock; platform ``sim`` only.
        on_decision: Told about each decision.
        on_ready: Told once everything runs.
        rng: Draws the prompts; the system's random source unless a test repeats a scene.

    Raises:
        DoorwardError: Whatever cannot be opened, by name; nothing stays open.
    """
    if stage is not None and config.platform != "sim":
        raise ConfigError("a simulated scene runs on platform sim only", hint="set platform: sim")
    clock = stage.clock if stage is not None else choose_clock(config)
    shown = stage.signals if stage is not None else signals
    if shown is None:
        raise ConfigError("nothing tells the person at the door what to do", hint="give signals")
    with ExitStack() as stack:
        state = stack.enter_context(open_state(directory, config, clock=clock, create=True))
        pack = open_pack(directory, config, state.keys)
        vision = load_vision(pack, config)
        threshold = match_threshold(pack, config)
        roster = open_roster(state, pack, config)
        door = make_door(config, clock, pack=pack)
        stack.callback(door.close)
        doorkeeper = make_doorkeeper(state, vision, roster, config, door=door, signals=shown, rng=rng)
        stop = threading.Event()
        slot = FrameSlot()
        source = stage.source if stage is not None else open_source(config, clock, wait=stop.wait)
        kind = SourceKind.SCENE if stage is not None else classify_source(config.camera.source)
        capture = CaptureLoop(
            source, slot, clock, config.camera, stop=stop, reopen=kind.camera, same_size=kind is not SourceKind.FOLDER
        )
        mailbox = Mailbox()
        verbs = ControlVerbs(
            database=state.database,
            ledger=state.ledger,
            roster=roster,
            enroller=lambda: make_enroller(vision, roster, config),
            threshold=threshold,
            margin=config.gallery.margin,
            run_on_gate=mailbox.call,
            health=lambda: _health(daemon, config),
        )

        def refused(peer: Peer, suppressed: int) -> None:
            state.ledger.record(RequestRefused("not_allowed", uid=peer.uid, suppressed=suppressed), urgent=False)

        daemon = Daemon(
            Parts(
                clock=clock,
                ledger=state.ledger,
                doorkeeper=doorkeeper,
                door=door,
                signals=shown,
                slot=slot,
                capture=capture,
                mailbox=mailbox,
                control=ControlSocket(
                    directory,
                    handle=lambda request, files, peer: verbs.answer(request, files, by_uid=peer.uid),
                    refused=refused,
                    clock=SystemClock(),
                ),
                threshold=threshold,
                about=_about(config, pack, source),
            ),
            stop=stop,
            on_decision=on_decision,
            on_ready=on_ready,
        )
        yield daemon


def _about(config: Config, pack: Pack, source: FrameSource) -> str:
    relay = "SIMULATED relay" if config.door.relay == "simulated" else f"{config.door.relay} relay"
    return (
        f"platform {config.platform} ({platform.machine()}), {relay}, pack {pack.manifest.pack}, {source.description}"
    )


def _health(daemon: Daemon, config: Config) -> Mapping[str, Any]:
    camera = daemon.camera
    return {
        "pid": os.getpid(),
        "platform": config.platform,
        "simulated_relay": config.door.relay == "simulated",
        "pack": config.models.pack,
        "decisions": daemon.decisions,
        "camera": {
            "description": camera.description,
            "state": str(camera.state),
            "age_s": camera.age_s,
            "fps": round(camera.fps, 2),
            "frames": camera.frames,
            "dropped": camera.dropped,
            "reopened": camera.reopened,
            "fault": camera.fault,
        },
        "door": str(daemon.door_state),
    }
