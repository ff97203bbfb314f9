"""Camera, clock, relay: what the configuration names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from device.camera.opencv import OpenCvCamera
from device.camera.pace import FastPace, NativePace, Pace
from device.camera.recorded import PictureFolder, VideoFile, list_pictures
from device.camera.sources import SourceKind, classify_source
from device.clock import SystemClock
from device.config import Config
from device.door.controller import DoorController
from device.errors import CameraError, ConfigError
from device.interfaces import Clock, FrameSource, Relay
from device.vision.pack import Pack
from device.wiring.models import has_passive


def open_source(config: Config, clock: Clock, *, wait: Callable[[float], object]) -> FrameSource:
    """The camera or recording that the configuration names. Raises CameraError, ConfigError."""
    kind = classify_source(config.camera.source)
    if kind is SourceKind.SCENE:
        raise ConfigError("a simulated scene is played by `doorward demo` only", hint="set camera.source")
    if config.platform != "sim" and not kind.camera:
        raise ConfigError("recordings are played on platform sim only", hint="set camera.source to a camera")
    if kind.camera:
        return OpenCvCamera(config.camera, clock)
    path = Path(config.camera.source)
    pace = _pace(config, clock, wait=wait)
    if kind is SourceKind.VIDEO:
        return VideoFile(path, pace)
    list_pictures(path)  # an empty folder is refused here, before a daemon runs on it
    return PictureFolder(path, pace, fps=config.camera.fps)


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
        ConfigError: The pack has no passive liveness networks and nobody accepted what that means.
        DoorError: The line cannot be driven.
    """
    door = config.door
    if door.relay == "simulated":
        from device.sim.relay import SimulatedRelay  # noqa: PLC0415  # nothing of sim on a real platform

        return SimulatedRelay(clock, max_pulse_s=door.max_pulse_s)
    if config.platform == "sim":
        raise ConfigError("platform sim drives no real relay", hint="set platform: pi, or door.relay: simulated")
    if config.platform == "jetson":
        raise ConfigError(
            "there is no relay driver for a Jetson yet (gpiozero drives Raspberry Pi boards only)",
            hint="use platform: sim to try everything but the relay",
        )
    if not (has_passive(pack) or config.liveness.accept_replay_risk):
        raise ConfigError(
            f"the pack {pack.manifest.pack} cannot tell a replayed video from a person: prerecorded head turns on a "
            "phone can answer any prompt; it does not drive a real relay",
            hint="build and configure the pack door-plus, or set liveness.accept_replay_risk: true to accept that for"
            " this door",
        )
    from device.door.gpiozero_relay import GpioRelay  # noqa: PLC0415  # its libraries are an extra

    return GpioRelay(door.pin, active_high=door.active_high, max_pulse_s=door.max_pulse_s)


def make_door(config: Config, clock: Clock, *, pack: Pack) -> DoorController:
    """The door with the configured relay. Raises ConfigError, DoorError."""
    relay = open_relay(config, clock, pack=pack)
    return DoorController(relay, clock, config.door, max_frame_age_s=config.access.max_frame_age_s)
