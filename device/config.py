"""The configuration: one YAML file, layered over the defaults below, checked as a whole before anything starts.

``config/default.yaml`` holds every key with its default; a test proves it equal to this module. Strangers' keys are
refused, all problems are reported at once, and secrets are never values here.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from device.ed25519 import anybody_can_sign
from device.errors import ConfigError
from device.yaml_loader import StrictLoader

#: A configuration of this size is a mistake; the parser never sees it.
MAX_CONFIG_BYTES = 256 * 1024
#: Sources that see the world as it is now; anything else was recorded or is simulated.
_CAMERA = re.compile(r"/dev/video[0-9]+\Z|[a-z]+://")

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Degrees = Annotated[float, Field(ge=0, le=90, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Section(BaseModel):
    """A part of the tree: frozen, strict, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class CameraConfig(Section):
    """Where frames come from."""

    source: str = Field("/dev/video0", min_length=1)
    """A V4L2 device or an rtsp:// address; on platform sim also a video file, a folder of pictures, or ``scene``."""
    width: int = Field(640, ge=160, le=4096)
    """Requested width in pixels."""
    height: int = Field(480, ge=120, le=4096)
    """Requested height in pixels."""
    fps: int = Field(30, ge=1, le=120)
    """Requested frames per second; the pace of a folder of pictures."""
    pace: Literal["native", "fast"] = "native"
    """Recordings only: at their own pace, or each frame as soon as the last one was dealt with."""
    lost_after_s: Seconds = 3.0
    """No frame for so long: the camera counts as lost."""
    frozen_after_s: Seconds = 2.0
    """Identical frames for so long: the camera counts as frozen."""
    reopen_s: Seconds = 1.0
    """First pause before a lost camera is opened again; doubles up to thirty seconds."""


class ModelsConfig(Section):
    """Which models run, and on what."""

    pack: str = Field("door", pattern=r"^[a-z][a-z0-9-]{0,31}$")
    """Name of the pack below ``packs/`` in the state directory."""
    signing_key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """Ed25519 public key, 64 hex digits, that must have signed the pack; null: the seal of this device is enough."""
    threads: int = Field(1, ge=1, le=16)
    """Threads per inference; more than one pays on a board that does nothing else."""

    @field_validator("signing_key")
    @classmethod
    def _is_somebodys(cls, key: str | None) -> str | None:
        if key is not None and anybody_can_sign(bytes.fromhex(key)):
            raise ValueError("a point of small order, for which anybody can sign: give the maker's own public key")
        return key


class VisionConfig(Section):
    """Detection, tracking and the quality gates."""

    detect_idle_s: Seconds = 0.15
    """Pause between detections while nobody is there."""
    detect_busy_s: Seconds = 0.6
    """Pause between detections while faces are tracked (to find others)."""
    min_detection_score: Share | None = None
    """Detections weaker than this are dropped; null: the least score of the pack."""
    min_presence: Share = 0.5
    """Mesh presence below is no face (0 of 756 non-faces reached it, real faces 0.98 and more)."""
    max_faces: int = Field(4, ge=2, le=16)
    """The nearest so many are tracked."""
    min_face_px: Positive = 40.0
    """Narrower faces are not compared."""
    min_sharpness: Positive = 3.5
    """Variance of the Laplacian on the aligned chip below which a face counts as blurred. Compressed video of faces
    55 to 69 px wide has 3.9 and more, and matches; blurred until its embedding moves by 0.2 to 0.3 it has 2 to 4."""
    min_brightness: Annotated[float, Field(ge=0, le=255, allow_inf_nan=False)] = 40.0
    """Mean grey level of the face below which it counts as too dark."""
    max_brightness: Annotated[float, Field(ge=0, le=255, allow_inf_nan=False)] = 215.0
    """Mean grey level of the face above which it counts as too bright."""
    max_clipped: Share = 0.25
    """Share of burnt-out pixels above which the face counts as too bright (from there the embedding moves by 0.15)."""
    min_contrast: Annotated[float, Field(ge=0, le=128, allow_inf_nan=False)] = 8.0
    """Standard deviation of the grey level below which the face has too little contrast: a face of ordinary contrast
    at the lower limit of brightness has 8 to 10, and its embedding has moved by 0.1."""
    max_yaw_deg: Degrees = 25.0
    """A face turned further is tracked but not compared."""
    max_pitch_deg: Degrees = 25.0
    """A face tilted further is tracked but not compared."""
    max_roll_deg: Degrees = 35.0
    """A face leaning further is tracked but not compared."""


class EnrolmentConfig(Section):
    """What a photograph must be to enter the gallery: stricter than the door."""

    min_face_px: Positive = 80.0
    """Narrower faces are rejected as ``too_small``."""
    min_sharpness: Positive = 15.0
    """Less sharp faces are rejected as ``blurred``; photographs blurred until their embedding moves by 0.1 have 14
    to 60."""
    max_yaw_deg: Degrees = 25.0
    """Faces turned further are rejected as ``turned``."""
    max_pitch_deg: Degrees = 25.0
    """Faces tilted further are rejected as ``tilted``."""


class LivenessConfig(Section):
    """The proof of life."""

    level: Literal["convenience", "standard", "high"] = "standard"
    """What is enough; docs/liveness.md has the table. ``high`` needs a pack with the passive networks. Where these
    cannot judge, or have given fewer than K answers when their time is up, ``convenience`` asks for head turns and the
    others refuse; ``standard`` still asks whoever had three answers, all of them for life."""
    passive_samples: int = Field(11, ge=5, le=31)
    """K, odd: the median of the passive networks' last K answers decides, as soon as more than half of K agree. Each
    compared frame is one: at 30 frames per second a living face is accepted after 0.7 s, on answers of 1.3 s."""
    passive_accept: Annotated[float, Field(ge=0.5, le=1, allow_inf_nan=False)] = 0.8
    """Median P(live) from which a face counts as alive without being asked anything."""
    passive_veto: Annotated[float, Field(ge=0.05, le=0.5, allow_inf_nan=False)] = 0.2
    """Median P(live) up to which it counts as a spoof: denied and locked out."""
    passive_within_s: Annotated[float, Field(ge=1, le=10, allow_inf_nan=False)] = 3.0
    """Undecided until then: the person is asked to turn the head."""
    passive_max_yaw_deg: Annotated[float, Field(gt=0, le=25, allow_inf_nan=False)] = 15.0
    """The networks are not asked about a face turned further (at 40 degrees half of the replayed frames look live)."""
    passive_max_roll_deg: Annotated[float, Field(gt=0, le=35, allow_inf_nan=False)] = 20.0
    """Nor about a face leaning further: living faces upright within 20 degrees have 0.90 and more, at 35 to 43 degrees
    0.37 to 0.7, and a recaptured one leaning by 35 reached 0.64."""
    steps: int = Field(3, ge=2, le=5)
    """Random head turns to ask for where the passive networks are missing or cannot be believed, and at level ``high``:
    64 courses of three, of which a recording fits one."""
    steps_undecided: int = Field(2, ge=2, le=5)
    """Random head turns to ask for where they are only undecided: 16 courses of two. Without the networks 13 of 596
    simulated replays passed two (tablet 6 of 198, monitor 4 of 200, phone 3 of 198; held-out half, 2026-11-20)."""
    turn_deg: Annotated[float, Field(ge=15, le=40, allow_inf_nan=False)] = 20.0
    """How far a turn to the side must go from the baseline."""
    nod_deg: Annotated[float, Field(ge=15, le=40, allow_inf_nan=False)] = 17.0
    """How far a look up or down must go: of 40 rendered visitors who answered, 7 were read as 17.9 to 20 degrees. From
    15 on a sheet that is turned to the side is taken for nodding before its flatness shows."""
    neutral_deg: Degrees = 10.0
    """Within so many degrees of the baseline the head counts as back."""
    hold_s: Seconds = 0.1
    """How long the turn must be held."""
    answer_min_s: Seconds = 0.5
    """An answer sooner than this after the prompt was not an answer to it: to choose among four directions takes 0.3 s
    and more, to turn the head so far 0.2 s. Three of ten replays that fitted two prompts by chance came sooner, and 1
    in 200 answers of rendered visitors, who react within 0.3 to 1.2 s."""
    answer_max_s: Seconds = 3.0
    """No answer until then: the step has failed. With 2.5 s one rendered visitor in 80 came too late and no replay
    passed less often."""
    return_max_s: Annotated[float, Field(ge=1, le=5, allow_inf_nan=False)] = 3.0
    """Not back at rest until then: the step has failed."""
    baseline_s: Seconds = 0.5
    """The head's rest position is the median over so long."""
    max_gap_s: Seconds = Field(0.33, le=0.33)
    """Samples further apart do not belong to one proof: it starts from nothing. May be less, never more: in a longer
    gap one face could make room for another."""
    planarity_window_s: Seconds = 0.8
    """Corners are followed over so long, in a slow turn longer, until it is one of 20 degrees (0.5 to 0.9 s measured:
    from 0.7 s on all of 54 rendered living turns passed, at 0.5 s 52; the parallax of paper did not grow)."""
    min_residual: Positive = 0.024
    """KLT homography residual over inter-ocular distance below which the face is flat: of 129 turns of flat prints 122
    leave less, 7 up to 0.028, which show no relief; 586 rendered living turns leave 0.033 and more (held-out half,
    2026-11-20), recorded ones 0.044 and more."""
    min_parallax: Share = 0.15
    """Sine of the turn that the corners must confirm in depth beyond what a flat, bent, rolled or worn sheet does, less
    its standard error. Of 606 turns of paper on the tuning half one reached it, a bent print's 0.292 less 0.135, and
    was stopped by its error; of 586 rendered living turns, which showed 0.067 to 0.889, 581 did (held-out half,
    2026-11-20)."""
    min_corners: int = Field(15, ge=8, le=500)
    """With fewer corners the residual says nothing, and the step fails."""
    min_linked: Annotated[float, Field(ge=0.2, le=1, allow_inf_nan=False)] = 0.3
    """Share of the corners on a part of the last compared face (each eye, nose, mouth) that must be followed into the
    turn for that part to count as the same."""
    min_linked_parts: int = Field(3, ge=2, le=4)
    """So many of the four parts must be the same. In 60 exchanges of living heads the third best part kept 9 % of its
    corners at most; without one three parts were the same in 586 of 587 turns of rendered heads (held-out half,
    2026-11-20)."""
    spare_turns: int = Field(1, ge=0, le=1)
    """So many turns that leave the gate undecided (too few corners, too little relief) are replaced by another one; a
    turn that was seen to be flat fails at once."""
    count_blinks: bool = False
    """Count blinks and write them into the evidence: they speak against a still photograph, decide nothing, and cost
    two runs of the iris model per frame of a face from 120 pixels on (4 ms)."""
    trust_camera_network: bool = False
    """Of a camera on a network: let in whoever looks alive without asking for head turns. Whoever can write to that
    network can play back a recorded entry; random head turns are what that cannot answer."""
    accept_replay_risk: bool = False
    """Let head turns alone be enough where the passive networks are missing or blind: a pack without them drives a real
    relay, and in darkness or grey pictures people are asked instead of refused (four prerecorded turns can answer any
    prompt)."""


class GalleryConfig(Section):
    """Comparison with the enrolled."""

    index: Literal["exact", "hnsw"] = "exact"
    """Search structure; ``hnsw`` needs the extra ``ann`` and pays above some 50,000 templates."""
    threshold: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    """Cosine from which two faces match; null takes the pack's, measured at FMR 1e-5 for this scoring rule."""
    margin: Share = 0.02
    """The best person must beat the next one by so much cosine."""
    enrolment: EnrolmentConfig = EnrolmentConfig()


class AccessConfig(Section):
    """From matches to a decision."""

    votes: int = Field(3, ge=1, le=30)
    """k: so many frames must name the same person ..."""
    vote_window: int = Field(5, ge=1, le=60)
    """n: ... among the last so many compared ones, with no other person in between."""
    compare_every_s: Seconds = 0.12
    """Pause between comparisons on one track."""
    max_frame_age_s: Annotated[float, Field(gt=0, le=1.0, allow_inf_nan=False)] = 0.5
    """No pulse from an older frame."""
    max_turn_deg: Degrees = 15.0
    """A face turned further from where it first was compared is not compared: turning moves embeddings."""
    same_face: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    """Cosine below which an embedding no longer agrees with its visit's first: the face was changed. Null takes the
    pack's loosest operating point (for ``door`` 0.9312, 1 in 1,000 strangers reaches it; in the recorded clips the
    least within one track was 0.938)."""
    max_unvouched_s: Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)] = 3.5
    """Once something was asked, the face must be compared and found to be the visit's first at least so often, else it
    was changed; a turn there and back takes 1 to 2 s, of slow people 3."""
    lockout_after: int = Field(5, ge=1, le=100)
    """So many failed proofs of life in a row, whoever failed, and nobody is asked for a while."""
    lockout_s: Annotated[float, Field(ge=5, allow_inf_nan=False)] = 30.0
    """How long at first; doubles with each further failure."""
    lockout_longest_s: Seconds = 480.0
    """No pause is longer."""
    veto_longest_s: Seconds = 120.0
    """No lock of a vetoed face is longer: it also locks the person whose picture it was, and somebody who shows the
    pictures of a whole staff in turn must not keep all of them out for long."""
    face_lockout_after: int = Field(3, ge=1, le=100)
    """So many failed challenges of one face, and this face is not asked for a while; a veto by the passive networks
    locks it at once. Other faces are not concerned."""
    place_s: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = 1.0
    """So long after a locked face was last seen, whatever appears at its place is held to be the same."""
    owes_s: Seconds = 60.0
    """Whose proof ended undecided, in whatever way, who failed a challenge or was locked, is asked to turn the head
    when coming back so soon; after each further undecided proof for twice as long, up to an hour."""
    cool_down_s: Seconds = 5.0
    """After a decision nothing new is decided about the same track or person for so long."""
    patience_s: Seconds = 20.0
    """A visit that has come to nothing until then ends."""
    left_after_s: Seconds = 0.7
    """A face not seen for so long has left."""
    takeover_ratio: Annotated[float, Field(ge=1, le=3, allow_inf_nan=False)] = 1.15
    """Another face must be wider by this factor to become the candidate (two people side by side flip otherwise)."""


class DoorConfig(Section):
    """The relay."""

    relay: Literal["simulated", "gpiozero"] = "simulated"
    """What drives the lock: on platform sim a simulated one, elsewhere a real one."""
    pin: int = Field(17, ge=0, le=63)
    """BCM number of the output line."""
    active_high: bool = True
    """Whether a high level energises the relay."""
    pulse_s: Annotated[float, Field(gt=0, le=30, allow_inf_nan=False)] = 3.0
    """How long the door is released."""
    max_pulse_s: Annotated[float, Field(gt=0, le=30, allow_inf_nan=False)] = 10.0
    """Hard maximum that no request may exceed."""


class AuditConfig(Section):
    """The database's quota."""

    quota_mb: int = Field(512, ge=1, le=65536)
    """The database never grows beyond it."""
    reserve_pages: int = Field(256, ge=16, le=65536)
    """Pages of 4 KiB kept free so that a granted entry can always be written."""


class LogConfig(Section):
    """The daemon's own words."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severity that is written to standard error."""


class Config(Section):
    """The whole tree."""

    platform: Literal["sim", "pi", "jetson"] = "sim"
    """Which concrete parts ``device/wiring`` chooses."""
    camera: CameraConfig = CameraConfig()
    models: ModelsConfig = ModelsConfig()
    vision: VisionConfig = VisionConfig()
    liveness: LivenessConfig = LivenessConfig()
    gallery: GalleryConfig = GalleryConfig()
    access: AccessConfig = AccessConfig()
    door: DoorConfig = DoorConfig()
    audit: AuditConfig = AuditConfig()
    log: LogConfig = LogConfig()


def load_config(path: Path | None = None) -> Config:
    """Read a configuration file over the defaults; without a file, the defaults.

    Raises:
        ConfigError: Unreadable, not YAML, unknown keys or values out of range; lists every problem.
    """
    if path is None:
        return Config()
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_CONFIG_BYTES + 1)
    except OSError as exc:
        raise ConfigError(f"cannot read the configuration {path}: {exc.strerror}", hint="check --config") from exc
    if len(raw) > MAX_CONFIG_BYTES:
        raise ConfigError(f"the configuration {path} is larger than {MAX_CONFIG_BYTES} bytes", hint="check --config")
    return parse_config(raw, origin=str(path))


def parse_config(raw: bytes, *, origin: str) -> Config:
    """Parse YAML bytes; see :func:`load_config`."""
    try:
        tree = yaml.load(raw, Loader=StrictLoader)  # noqa: S506  # a SafeLoader, made stricter
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as exc:
        raise ConfigError(f"{origin} is not valid YAML: {exc}", hint="compare with config/default.yaml") from exc
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{origin} is not a table of sections", hint="compare with config/default.yaml")
    try:
        config = Config.model_validate(tree)
    except ValidationError as exc:
        problems = tuple(
            f"{origin}: {'.'.join(str(part) for part in error['loc'])}: {error['msg']}" for error in exc.errors()
        )
        raise ConfigError(
            "the configuration is not valid:", problems=problems, hint="config/default.yaml lists every key"
        ) from exc
    problems = tuple(f"{origin}: {problem}" for problem in _contradictions(config))
    if problems:
        raise ConfigError("the configuration contradicts itself:", problems=problems, hint="see config/default.yaml")
    return config


def _contradictions(config: Config) -> tuple[str, ...]:
    access, door, liveness, vision, sim = (
        config.access,
        config.door,
        config.liveness,
        config.vision,
        config.platform == "sim",
    )
    rules = (
        (access.votes <= access.vote_window, "access.votes: at most access.vote_window"),
        (door.pulse_s <= door.max_pulse_s, "door.pulse_s: at most door.max_pulse_s"),
        (vision.min_brightness < vision.max_brightness, "vision.min_brightness: below vision.max_brightness"),
        (liveness.passive_veto < liveness.passive_accept, "liveness.passive_veto: below liveness.passive_accept"),
        (liveness.passive_samples % 2 == 1, "liveness.passive_samples: an odd number, so that there is a median"),
        (
            liveness.neutral_deg < min(liveness.turn_deg, liveness.nod_deg),
            "liveness.neutral_deg: below liveness.turn_deg and liveness.nod_deg",
        ),
        (access.lockout_s <= access.lockout_longest_s, "access.lockout_s: at most access.lockout_longest_s"),
        (access.lockout_s <= access.veto_longest_s, "access.lockout_s: at most access.veto_longest_s"),
        (liveness.answer_min_s < liveness.answer_max_s, "liveness.answer_min_s: below liveness.answer_max_s"),
        (
            sim or _CAMERA.match(config.camera.source) is not None,
            "camera.source: a recording or a simulated scene only on platform sim",
        ),
        (sim or door.relay != "simulated", "door.relay: a simulated relay only on platform sim"),
        (not sim or door.relay == "simulated", "door.relay: a real relay only on platform pi or jetson"),
    )
    return tuple(problem for holds, problem in rules if not holds)
