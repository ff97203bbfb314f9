"""What an installer wants to know, one small test each: a value with outcome, detail and advice, never an exception."""

from __future__ import annotations

import os
import platform
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from device.config import Config
from device.errors import DoorwardError
from device.interfaces import Clock, FrameSource, KeySource, Relay
from device.types import Box, Detection, Frame, Word
from device.vision.landmarks import roi_of_detection
from device.vision.manifest import PAD_ROLES, Thresholds
from device.vision.pack import Pack

#: Frames looked at before the camera is judged; the first ones of many cameras are dark.
_FRAMES = 15
#: Longest wait for them.
_CAMERA_S = 10.0
#: Mean grey levels of a whole picture outside of which nobody could be recognised in it.
_DARK, _BRIGHT = 25.0, 235.0
#: Below so little free space the next days' audit entries are in danger.
_LEAST_FREE_BYTES = 64 * 2**20


class Outcome(Word):
    """How a test ended; only ``fail`` makes the whole check fail."""

    PASS = "pass"  # noqa: S105  # no password
    AMBER = "amber"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of the table.

    Attributes:
        name: The part.
        outcome: How it ended.
        detail: What was found.
        advice: What to do; empty when nothing is.
    """

    name: str
    outcome: Outcome
    detail: str
    advice: str = ""


def guarded(name: str, test: Callable[[], CheckResult]) -> CheckResult:
    """Run a test; an error is a failed test with the error's own hint, and never keeps the others from running."""
    try:
        return test()
    except DoorwardError as exc:
        return CheckResult(name, Outcome.FAIL, exc.message, exc.hint)
    except Exception as exc:  # noqa: BLE001  # whatever breaks here is a finding
        return CheckResult(name, Outcome.FAIL, f"{type(exc).__name__}: {exc}", "report this")


def check_python() -> CheckResult:
    """Version and machine."""
    found = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    if not (3, 10) <= sys.version_info[:2] <= (3, 13):
        return CheckResult("python", Outcome.FAIL, found, "use Python 3.10 to 3.13")
    if platform.system() != "Linux" or platform.machine() not in ("x86_64", "aarch64"):
        return CheckResult("python", Outcome.AMBER, found, "tested on Linux, x86-64 and aarch64, only")
    return CheckResult("python", Outcome.PASS, found)


def check_platform(config: Config, *, model: str) -> CheckResult:
    """Whether this is the board that is configured; ``model`` is the device tree's word, empty without one."""
    if config.platform == "sim":
        return CheckResult("platform", Outcome.AMBER, "sim: no real door is driven", "set platform on the appliance")
    wanted = {"pi": "Raspberry Pi", "jetson": "NVIDIA"}[config.platform]
    if wanted.lower() in model.lower():
        return CheckResult("platform", Outcome.PASS, model)
    return CheckResult(
        "platform", Outcome.FAIL, f"{config.platform} is configured, this is {model or 'no such board'}", "set platform"
    )


def board_model() -> str:
    """What the device tree says; empty where there is none."""
    try:
        return Path("/proc/device-tree/model").read_text(encoding="utf-8", errors="replace").strip("\0 \n")
    except OSError:
        return ""


def check_state_directory(state: Path) -> CheckResult:
    """Exists, nobody else can look into it, and this user can write."""
    try:
        status = state.stat()
    except FileNotFoundError:
        return CheckResult(
            "state",
            Outcome.AMBER,
            f"{state} does not exist yet",
            "check --state; `doorward enroll` and `doorward run` make it",
        )
    if not stat.S_ISDIR(status.st_mode):
        return CheckResult("state", Outcome.FAIL, f"{state} is not a directory", "check --state")
    if status.st_mode & 0o077:
        return CheckResult("state", Outcome.FAIL, f"{state} is open to other users", f"chmod 700 {state}")
    if not os.access(state, os.R_OK | os.W_OK | os.X_OK):
        return CheckResult("state", Outcome.FAIL, f"{state} is not writable", "run as the daemon's user")
    return CheckResult("state", Outcome.PASS, f"{state}, mode {stat.S_IMODE(status.st_mode):04o}")


def check_disk(state: Path, *, quota_mb: int) -> CheckResult:
    """Space for what the database may still grow to."""
    place = next(path for path in (state, *state.resolve().parents) if path.exists())
    free = shutil.disk_usage(place).free
    found = f"{free / 2**20:.0f} MiB free"
    if free < _LEAST_FREE_BYTES:
        return CheckResult("disk", Outcome.FAIL, found, "make room: decisions must be written before the door opens")
    if free < quota_mb * 2**20:
        return CheckResult(
            "disk", Outcome.AMBER, f"{found}, the quota is {quota_mb} MiB", "make room, or lower the quota"
        )
    return CheckResult("disk", Outcome.PASS, found)


def check_key(source: KeySource) -> CheckResult:
    """The key can be read, and whether it protects a stolen device."""
    source.load()
    if source.weakness is not None:
        return CheckResult("key", Outcome.AMBER, f"{source.description}: {source.weakness}", "for development only")
    return CheckResult("key", Outcome.PASS, source.description)


def check_pack(pack: Pack) -> CheckResult:
    """Seal, manifest, and every file to the byte; amber where a licence forbids to run it for money."""
    manifest = pack.manifest
    size = sum(len(pack.read_file(entry)) for entry in manifest.files)
    found = f"{manifest.pack} for {manifest.target}: {len(manifest.models)} models, {size / 1e6:.0f} MB, unaltered"
    private = [entry.model_id for entry in manifest.models.values() if not entry.source.licence.commercial_use]
    if private:
        return CheckResult(
            "pack", Outcome.AMBER, f"{found}; not for commercial use: {', '.join(private)}", "choose another model"
        )
    return CheckResult("pack", Outcome.PASS, found)


def check_threshold(config: Config, pack: Pack, *, match: float, same_face: float) -> CheckResult:
    """Which cosines are in force, where they come from, and whether somebody set them by hand."""
    points = pack.thresholds
    embedder = pack.manifest.models["embedder"].model_id
    found = f"{match:.4f} for {embedder}"
    by_hand = [
        f"{key} {value:g}"
        for key, value, given in (
            ("gallery.threshold", match, config.gallery.threshold),
            ("access.same_face", same_face, config.access.same_face),
        )
        if given is not None
    ]
    if by_hand:
        return CheckResult(
            "threshold",
            Outcome.AMBER,
            f"{found}; set by hand: {', '.join(by_hand)}; the pack's own: {points.match_cosine:.4f}",
            "remove them from the configuration unless they were measured with this very embedder",
        )
    found += f", false match rate {points.default_fmr:g}, {points.origin}, {points.comparisons:,} comparisons"
    if points.rule.model_id != embedder:
        return CheckResult(
            "threshold", Outcome.PASS, f"{found} with {points.rule.model_id}", "a door's own calibration is better"
        )
    if points.origin == "calibrated":
        return _check_calibration(config, points, found=found)
    return CheckResult("threshold", Outcome.PASS, found)


def _check_calibration(config: Config, points: Thresholds, *, found: str) -> CheckResult:
    """Whether the door's own calibration proves its rate, and was made for the votes that the door counts."""
    bound = next(point.fmr_upper_95 for point in points.match if point.fmr == points.default_fmr)
    found += f", at most {bound:.3g} with 95 % confidence"
    if points.default_fmr * points.comparisons < 1:
        return CheckResult("threshold", Outcome.AMBER, f"{found}: not proven", "calibrate with pictures of more people")
    calibrated, door = (points.rule.votes, points.rule.window), (config.access.votes, config.access.vote_window)
    if calibrated != door:
        votes, window = door
        return CheckResult(
            "threshold",
            Outcome.AMBER,
            f"{found}; calibrated for {calibrated[0]} of {calibrated[1]} frames, the door counts {votes} of {window}",
            f"calibrate with --votes {votes} --window {window} on frames of attempts",
        )
    return CheckResult("threshold", Outcome.PASS, found)


def check_models(load: Callable[[], Any]) -> CheckResult:
    """Each model runs on a synthetic picture and gives finite numbers (the adapters refuse others)."""
    vision = load()
    grey = np.full((480, 640, 3), 128, np.uint8)
    box = Detection(
        Box(220, 140, 200, 200),
        1.0,
        np.array([[280, 220], [360, 220], [320, 260], [320, 300], [240, 230], [400, 230]], np.float32),
    )
    side = vision.embedder.alignment.side_px
    chip = np.full((side, side, 3), 128, np.uint8)
    runs: tuple[tuple[str, Callable[[], object]], ...] = (
        ("detector", lambda: vision.detector.detect(grey)),
        ("landmarks", lambda: vision.mesh.locate(grey, roi_of_detection(box))),
        ("embedder", lambda: vision.embedder.embed_chip(chip)),
    )
    times = []
    for name, run in runs:
        run()
        began_s = time.perf_counter()
        run()
        times.append(f"{name} {1000 * (time.perf_counter() - began_s):.0f} ms")
    return CheckResult("models", Outcome.PASS, ", ".join(times))


def check_liveness(config: Config, pack: Pack) -> CheckResult:
    """Whether the door can tell a replay from a person, and what the configuration makes of it."""
    level = config.liveness.level
    weaker = _weaker(config)
    if set(PAD_ROLES) <= set(pack.manifest.models):
        if weaker:
            return CheckResult(
                "liveness", Outcome.AMBER, f"level {level}; weaker than shipped: {weaker}", "measure with pad-test"
            )
        asks = "always asks for head turns too" if level == "high" else "asks for head turns where they are not enough"
        return CheckResult("liveness", Outcome.PASS, f"level {level}: passive networks; {asks}")
    found = f"level {level}: {config.liveness.steps} head turns only, {pack.manifest.pack} has no passive networks"
    if level == "high":
        return CheckResult("liveness", Outcome.FAIL, found, "level high needs them: configure the pack door-plus")
    found += ": a replayed video may pass"
    if config.door.relay == "simulated":
        return CheckResult(
            "liveness", Outcome.AMBER, found, "configure the pack door-plus before a real door is driven"
        )
    if config.liveness.accept_replay_risk:
        return CheckResult("liveness", Outcome.AMBER, f"{found}; accepted", "configure the pack door-plus")
    return CheckResult(
        "liveness",
        Outcome.FAIL,
        found,
        "configure the pack door-plus, or accept it for this door with liveness.accept_replay_risk: true",
    )


#: Larger values of these make the proof of life stricter, smaller ones of the others. Of those that do not show it:
#: a longer ``passive_within_s`` gives an undecided spoof more windows of K answers to be lucky in; a longer
#: ``planarity_window_s`` gives a sheet more time to be bent, and the flow more to drift (paper passed over 1 s); with a
#: longer ``answer_max_s`` a replay waits longer for its turn to fit.
_STRICTER_UP = (
    *("passive_samples", "passive_accept", "passive_veto", "steps", "steps_undecided", "turn_deg", "nod_deg", "hold_s"),
    *("answer_min_s", "baseline_s", "min_residual", "min_parallax", "min_corners", "min_linked", "min_linked_parts"),
)
_STRICTER_DOWN = (
    *("passive_within_s", "passive_max_yaw_deg", "passive_max_roll_deg"),
    *("answer_max_s", "return_max_s", "spare_turns", "planarity_window_s"),
)
#: A shorter ``compare_every_s`` lets K answers and the votes come from frames that are nearly the same, and gives more
#: windows of them in the same time; a longer one only delays, since ``max_gap_s`` voids what lies too far apart.
_ACCESS_UP = ("lockout_s", "lockout_longest_s", "veto_longest_s", "place_s", "owes_s", "compare_every_s")
#: With a larger ``max_turn_deg`` faces vouch, vote and are sampled in poses that move embeddings.
_ACCESS_DOWN = ("lockout_after", "face_lockout_after", "max_unvouched_s", "max_turn_deg")
#: Beyond these no threshold was measured: embeddings move, and the networks' answers about leaning faces do.
_VISION_DOWN = ("max_yaw_deg", "max_pitch_deg", "max_roll_deg")


def _weaker(config: Config) -> str:
    """Every setting that makes the proof of life, its lock-outs or what they look at weaker than shipped, as words."""
    shipped = Config()
    found = ["liveness.level convenience"] if config.liveness.level == "convenience" else []
    for section, up, down in (
        ("liveness", _STRICTER_UP, _STRICTER_DOWN),
        ("access", _ACCESS_UP, _ACCESS_DOWN),
        ("vision", (), _VISION_DOWN),
    ):
        mine, theirs = getattr(config, section), getattr(shipped, section)
        found += [f"{section}.{key}" for key in up if getattr(mine, key) < getattr(theirs, key)]
        found += [f"{section}.{key}" for key in down if getattr(mine, key) > getattr(theirs, key)]
    if config.liveness.accept_replay_risk:
        found.append("liveness.accept_replay_risk")
    if config.liveness.trust_camera_network and "://" in config.camera.source:
        found.append("liveness.trust_camera_network")
    return ", ".join(found)


def check_camera(source: FrameSource, clock: Clock) -> CheckResult:
    """Opens, delivers frames that differ, of what size, how bright, how fast."""
    source.open()
    try:
        frames = list(_frames(source, clock))
    finally:
        source.close()
    if not frames:
        return CheckResult(
            "camera", Outcome.FAIL, f"{source.description}: no frame", "check cable, lens cap and camera.source"
        )
    last = frames[-1]
    height, width = last.image.shape[:2]
    brightness = float(last.image.mean())
    span_s = last.captured_s - frames[0].captured_s
    rate = f", {(len(frames) - 1) / span_s:.0f} fps" if span_s > 0 else ""
    found = f"{source.description}: {width}x{height}{rate}, brightness {brightness:.0f}"
    if source.live and len(frames) > 1 and all(np.array_equal(frame.image, last.image) for frame in frames):
        return CheckResult(
            "camera", Outcome.FAIL, f"{found}, all frames identical", "the camera is frozen: reconnect it"
        )
    if not _DARK <= brightness <= _BRIGHT:
        return CheckResult(
            "camera", Outcome.AMBER, found, "too dark or too bright: check lens cap, light and direction"
        )
    return CheckResult("camera", Outcome.PASS, found)


def _frames(source: FrameSource, clock: Clock) -> Iterator[Frame]:
    end_s = clock.monotonic() + _CAMERA_S
    for _ in range(_FRAMES):
        frame = source.read()
        if frame is None or clock.monotonic() > end_s:
            return
        # A camera may reuse its buffer for the next frame.
        yield Frame(image=frame.image.copy(), captured_s=frame.captured_s, number=frame.number)


def check_relay(relay: Relay, *, pulse_s: float | None, wait: Callable[[float], object]) -> CheckResult:
    """The line can be had, is at rest, and, where asked for, lets go again after a pulse."""
    try:
        if _driven(relay):
            return CheckResult("relay", Outcome.FAIL, f"{relay.description}: driven at rest", "check door.active_high")
        done = ""
        if pulse_s is not None:
            relay.pulse(pulse_s)
            during = _driven(relay)
            wait(pulse_s + 0.5)
            if not during or _driven(relay):
                return CheckResult("relay", Outcome.FAIL, f"{relay.description}: the pulse failed", "check the wiring")
            done = f", pulsed for {pulse_s:g} s"
        if relay.simulated:
            return CheckResult("relay", Outcome.AMBER, f"{relay.description}{done}", "no door is behind it")
        return CheckResult("relay", Outcome.PASS, f"{relay.description}{done}")
    finally:
        relay.close()


def _driven(relay: Relay) -> bool:
    return relay.active


def check_ann() -> CheckResult:
    """The extra for very large galleries."""
    if find_spec("hnswlib") is None:
        return CheckResult("ann", Outcome.AMBER, "hnswlib is not installed", "exact search serves; nothing to do")
    return CheckResult("ann", Outcome.PASS, "hnswlib is installed")


def check_clock(clock: Clock) -> CheckResult:
    """Whether validity and schedules can be relied on."""
    if clock.wall_trusted():
        return CheckResult("clock", Outcome.PASS, "synchronised")
    return CheckResult(
        "clock",
        Outcome.AMBER,
        "the kernel does not count the clock as synchronised",
        "people with a validity wait outside",
    )
