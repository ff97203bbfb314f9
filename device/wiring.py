"""Who plays which part: the only place that names concrete classes.

    part       sim                        pi                        jetson
    camera     recordings, scenes, V4L2   V4L2, RTSP                V4L2, RTSP
    relay      SimulatedRelay             GpioRelay (gpiozero)      none yet
    models     onnxruntime                onnxruntime               onnxruntime
    state      SQLCipher, key file        SQLCipher, key file       SQLCipher, key file

Parts are opened in order and let go in reverse. Nothing of ``device.sim`` is imported on a real platform.
"""

from __future__ import annotations

import os
import platform
import random
import secrets
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from device.app.control import ControlVerbs
from device.app.control_socket import ControlSocket, Peer
from device.app.enrolment import Enroller, EnrolmentRules
from device.app.ledger import Ledger
from device.app.mailbox import Mailbox
from device.app.roster import Roster
from device.app.visit import Doorkeeper
from device.app.visitor import ProofOfLife, VisitRules
from device.audit.records import RequestRefused
from device.camera.capture import CaptureLoop
from device.camera.opencv import OpenCvCamera
from device.camera.pace import FastPace, NativePace, Pace
from device.camera.photo import decode_photo
from device.camera.recorded import PictureFolder, VideoFile
from device.camera.slot import FrameSlot
from device.camera.sources import SourceKind, classify_source
from device.clock import SystemClock
from device.config import Config
from device.door.controller import DoorController
from device.errors import CameraError, ConfigError, EnrolmentError, PackError, UsageError
from device.gallery.exact import ExactIndex
from device.gallery.hnsw import make_hnsw_index
from device.interfaces import Clock, FrameSource, GalleryIndex, InferenceSession, Relay, Signals
from device.keys import KeyFile, StateKeys
from device.runtime import Daemon, Parts
from device.store.database import Database
from device.store.files import BALLAST_NAME, CHECK_NAME, DATABASE_NAME
from device.store.lock import StateLock
from device.types import Decision, Face, Image, Signal
from device.vision.backends.onnx import OnnxSession
from device.vision.detector import BlazeFaceDetector
from device.vision.embedder import FaceEmbedder
from device.vision.landmarks import FaceMesh
from device.vision.liveness.challenge import HeadTurnChallenge, TurnGate
from device.vision.liveness.planarity import PlanarityGate
from device.vision.pack import Pack, Role, load_pack, write_manifest
from device.vision.photo import find_faces
from device.vision.pipeline import VisionPipeline
from device.vision.quality import Gates
from device.vision.warp import use_threads

if TYPE_CHECKING:
    from device.sim.camera import Visitor

KEY_NAME = "state.key"
PACKS_NAME = "packs"

#: Rendered frames per second of scene time: a small board's camera rate, and half the work of 30.
_SCENE_FPS = 20

SessionMaker = Callable[[bytes, str], InferenceSession]


# -- state and models --------------------------------------------------------------------------------------------------


def key_source(state: Path, *, create: bool = False) -> KeyFile:
    """Where the state key comes from; made only in a state directory that holds nothing yet."""
    return KeyFile(state / KEY_NAME, create=create and not (state / DATABASE_NAME).exists())


def state_keys(state: Path, *, create: bool = False) -> StateKeys:
    """The keys of a state directory. Raises StateError."""
    return StateKeys.derive(key_source(state, create=create).load())


def open_pack(state: Path, config: Config, keys: StateKeys) -> Pack:
    """The configured pack, authenticated. Raises PackError."""
    directory = state / PACKS_NAME / config.models.pack
    if not directory.is_dir():
        raise PackError(
            f"there is no model pack {config.models.pack!r} in {state}",
            reason="missing",
            hint=f"doorward-export convert --pack {config.models.pack} --state {state}",
        )
    return load_pack(directory, mac_key=keys.pack_mac)


def match_threshold(pack: Pack, config: Config) -> float:
    """Cosine from which two faces match: the configured one, else the pack's."""
    configured = config.gallery.threshold
    return configured if configured is not None else pack.thresholds.match_cosine


def make_index(pack: Pack, config: Config) -> GalleryIndex:
    """An empty gallery for this pack's embeddings. Raises ConfigError where the extra ``ann`` is missing."""
    entry = pack.manifest.models["embedder"]
    dimension = entry.outputs[0].shape[-1]
    if dimension is None:
        raise PackError("the embedder's output has no fixed dimension", reason="schema")
    if config.gallery.index == "hnsw":
        return make_hnsw_index(dimension=dimension, model=entry.model_id)
    return ExactIndex(dimension=dimension, model=entry.model_id)


@dataclass(frozen=True, slots=True)
class Vision:
    """The models of one pack, loaded; one session each. Used by one thread."""

    pack: Pack
    config: Config
    detector: BlazeFaceDetector
    mesh: FaceMesh
    embedder: FaceEmbedder

    def pipeline(self) -> VisionPipeline:
        """A pipeline for one camera."""
        return VisionPipeline(self.detector, self.mesh, self.embedder, self.config.vision)

    def find_faces(self, image: Image, *, gates: Gates | None = None) -> tuple[Face, ...]:
        """All faces of a still picture, judged by the door's gates or by others."""
        return find_faces(
            image,
            detector=self.detector,
            mesh=self.mesh,
            min_presence=self.config.vision.min_presence,
            gates=gates or Gates.for_door(self.config.vision),
        )


def onnx_session(model: bytes, name: str, config: Config) -> InferenceSession:
    """A model on onnxruntime. Raises ModelError."""
    return OnnxSession(model, model=name, threads=config.models.threads)


def load_vision(pack: Pack, config: Config, *, make_session: SessionMaker | None = None) -> Vision:
    """Load the models that the door needs (the iris model is not among them). Raises PackError, ModelError."""
    use_threads(config.models.threads)

    def session(role: Role) -> InferenceSession:
        model, name = pack.read(role), pack.manifest.models[role].model_id
        return make_session(model, name) if make_session is not None else onnx_session(model, name, config)

    return Vision(
        pack=pack,
        config=config,
        detector=BlazeFaceDetector(
            session("detector"), min_score=config.vision.min_detection_score, max_faces=config.vision.max_faces
        ),
        mesh=FaceMesh(session("landmarks")),
        embedder=FaceEmbedder(session("embedder")),
    )


@dataclass(frozen=True, slots=True)
class State:
    """The state directory, owned: lock, database, audit trail and people."""

    directory: Path
    keys: StateKeys
    database: Database
    ledger: Ledger
    clock: Clock


@contextmanager
def open_state(directory: Path, config: Config, *, clock: Clock, create: bool) -> Iterator[State]:
    """Own the state directory until the end of the block. Raises BusyError, StateError."""
    with ExitStack() as stack:
        stack.enter_context(StateLock(directory))
        keys = state_keys(directory, create=create)
        audit = config.audit
        database = Database.open(
            directory, keys=keys, quota_mb=audit.quota_mb, reserve_pages=audit.reserve_pages, create=create
        )
        stack.callback(database.close)
        ledger = Ledger(database, clock=clock, boot_id=secrets.token_hex(8))
        yield State(directory=directory, keys=keys, database=database, ledger=ledger, clock=clock)


def _enroller(vision: Vision, roster: Roster, config: Config) -> Enroller:
    gates = Gates.for_enrolment(config.vision, config.gallery.enrolment)
    loosest = vision.pack.thresholds.match[0]
    return Enroller(
        find_faces=lambda image: vision.find_faces(image, gates=gates),
        embed=vision.embedder.embed,
        roster=roster,
        rules=EnrolmentRules(gates=gates, similar=loosest.cosine, match=match_threshold(vision.pack, config)),
    )


@contextmanager
def open_offline(directory: Path, config: Config) -> Iterator[ControlVerbs]:
    """The verbs without a daemon: own the state for one command; models are loaded when a verb needs them.

    Without a usable pack people can still be shown and removed; what needs a model raises the PackError.
    """
    clock = SystemClock()
    with open_state(directory, config, clock=clock, create=True) as state:
        pack: Pack | None = None
        broken = PackError("there is no pack")
        try:
            pack = open_pack(directory, config, state.keys)
        except PackError as exc:
            broken = exc
        usable = pack
        roster = Roster(
            state.database,
            state.ledger,
            make_index=None if usable is None else lambda: make_index(usable, config),
            clock=clock,
        )

        def enroller() -> Enroller:
            if usable is None:
                raise broken
            return _enroller(load_vision(usable, config), roster, config)

        yield ControlVerbs(
            database=state.database,
            ledger=state.ledger,
            roster=roster,
            enroller=enroller,
            threshold=None if usable is None else match_threshold(usable, config),
            margin=config.gallery.margin,
            run_on_gate=lambda job: job(),
            health=dict,
        )


def empty_state(directory: Path) -> None:
    """Remove database and audit trail of a demo's state directory; key and packs stay.

    Raises:
        UsageError: It is not a demo's: nothing is removed there.
        BusyError: A daemon runs on it.
    """
    marker = directory / "THIS_IS_A_DEMO"
    with StateLock(directory):
        if (directory / DATABASE_NAME).exists() and not marker.exists():
            raise UsageError(f"{directory} holds a gallery that is not the demo's", hint="name another --state")
        marker.touch()
        for name in (DATABASE_NAME, f"{DATABASE_NAME}-wal", f"{DATABASE_NAME}-shm", CHECK_NAME, BALLAST_NAME):
            (directory / name).unlink(missing_ok=True)


def adopt_pack(source: Path, target: Path, config: Config) -> None:
    """Bring the pack of one state directory into another, sealed under its key; verified on the way.

    Raises:
        PackError: There is none, or it was altered.
    """
    old_keys, new_keys = state_keys(source), state_keys(target, create=True)
    pack = open_pack(source, config, old_keys)
    directory = target / PACKS_NAME / config.models.pack
    if directory.exists():
        if load_pack(directory, mac_key=new_keys.pack_mac).manifest == pack.manifest:
            return
        shutil.rmtree(directory)
    directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".adopting-", dir=directory.parent) as aside:
        folder = Path(aside) / config.models.pack
        folder.mkdir(mode=0o700)
        for role, entry in pack.manifest.models.items():
            (folder / entry.file).write_bytes(pack.read(role))
        write_manifest(folder, pack.manifest, mac_key=new_keys.pack_mac)
        folder.rename(directory)


# -- the daemon --------------------------------------------------------------------------------------------------------


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


def open_source(config: Config, clock: Clock, *, wait: Callable[[float], object]) -> FrameSource:
    """The camera or recording that the configuration names. Raises CameraError, ConfigError."""
    kind = classify_source(config.camera.source)
    if kind is SourceKind.SCENE:
        raise ConfigError("a simulated scene is played by `doorward demo` only", hint="set camera.source")
    if kind.camera:
        return OpenCvCamera(config.camera, clock)
    path = Path(config.camera.source)
    pace = _pace(config, clock, wait=wait)
    return VideoFile(path, pace) if kind is SourceKind.VIDEO else PictureFolder(path, pace, fps=config.camera.fps)


def open_recording(path: Path) -> FrameSource:
    """A video file, read as fast as it can be; its times count from 0. Raises CameraError."""
    from device.sim.clock import ManualClock  # noqa: PLC0415  # a recording moves its own clock

    kind = classify_source(str(path))
    if kind is not SourceKind.VIDEO:
        raise CameraError(f"{path} is not a video", hint="name a video file")
    return VideoFile(path, FastPace(ManualClock()))


def _pace(config: Config, clock: Clock, *, wait: Callable[[float], object]) -> Pace:
    if config.camera.pace == "native":
        return NativePace(clock, wait)
    advance_to = getattr(clock, "advance_to", None)
    if advance_to is None:
        raise ConfigError(
            "camera.pace: fast needs a recording on platform sim", hint="a camera runs at the world's own pace"
        )
    return FastPace(clock)  # type: ignore[arg-type]  # it has advance_to


def choose_clock(config: Config) -> Clock:
    """The system's clocks; for a recording played fast, a clock that the recording moves, started at the true time."""
    system = SystemClock()
    recording = config.platform == "sim" and not classify_source(config.camera.source).camera
    if not (recording and config.camera.pace == "fast"):
        return system
    from device.sim.clock import ManualClock  # noqa: PLC0415  # nothing of sim on a real platform

    return ManualClock(system.wall(), trusted=system.wall_trusted())


def open_relay(config: Config, clock: Clock, *, pack: Pack) -> Relay:
    """The relay that the configuration names.

    Raises:
        ConfigError: The pack has no passive liveness network and nobody accepted what that means.
        DoorError: The line cannot be driven.
    """
    door = config.door
    if door.relay == "simulated":
        from device.sim.relay import SimulatedRelay  # noqa: PLC0415  # nothing of sim on a real platform

        return SimulatedRelay(clock, max_pulse_s=door.max_pulse_s)
    if not config.liveness.accept_replay_risk:
        raise ConfigError(
            f"the pack {pack.manifest.pack} cannot tell a replayed video from a person: prerecorded head turns on a "
            "phone can answer any prompt; it does not drive a real relay",
            hint="set liveness.accept_replay_risk: true to accept that for this door",
        )
    from device.door.gpiozero_relay import GpioRelay  # noqa: PLC0415  # its libraries are an extra

    return GpioRelay(door.pin, active_high=door.active_high, max_pulse_s=door.max_pulse_s)


def open_roster(state: State, pack: Pack, config: Config) -> Roster:
    """The enrolled people, searchable with this pack's embeddings."""
    return Roster(state.database, state.ledger, make_index=lambda: make_index(pack, config), clock=state.clock)


def make_doorkeeper(
    state: State,
    vision: Vision,
    roster: Roster,
    config: Config,
    *,
    door: DoorController,
    signals: Signals,
    make_gate: Callable[[], TurnGate] | None = None,
    rng: random.Random | None = None,
    watch_proof: Callable[[ProofOfLife], ProofOfLife] = lambda proof: proof,
) -> Doorkeeper:
    """Who attends to the frames. Prompts come from the system's random source unless a test brings another."""
    prompts = rng if rng is not None else random.SystemRandom()
    return Doorkeeper(
        vision=vision.pipeline(),
        roster=roster,
        prove=lambda: watch_proof(
            HeadTurnChallenge(
                config.liveness,
                gate=make_gate() if make_gate is not None else PlanarityGate(config.liveness),
                rng=prompts,
            )
        ),
        ledger=state.ledger,
        door=door,
        signals=signals,
        clock=state.clock,
        rules=VisitRules.of(config, threshold=match_threshold(vision.pack, config)),
        pack=vision.pack.manifest.pack,
    )


def make_door(config: Config, clock: Clock, *, pack: Pack) -> DoorController:
    """The door with the configured relay. Raises ConfigError, DoorError."""
    relay = open_relay(config, clock, pack=pack)
    return DoorController(relay, clock, config.door, max_frame_age_s=config.access.max_frame_age_s)


@contextmanager
def open_daemon(
    directory: Path,
    config: Config,
    *,
    signals: Signals | None = None,
    stage: Stage | None = None,
    on_decision: Callable[[Decision], None] = lambda _: None,
    on_ready: Callable[[], None] = lambda: None,
    make_gate: Callable[[], TurnGate] | None = None,
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
        make_gate: Judges turns; :class:`PlanarityGate` unless a test needs a control.
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
        doorkeeper = make_doorkeeper(
            state, vision, roster, config, door=door, signals=shown, make_gate=make_gate, rng=rng
        )
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
            enroller=lambda: _enroller(vision, roster, config),
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
