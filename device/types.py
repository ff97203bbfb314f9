"""The values that travel between the stages: frozen, validated where they enter, without behaviour of their own.

Conventions, everywhere: pictures are ``uint8`` BGR of shape (height, width, 3); pixel coordinates are ``float32`` with
the origin in the centre of the top left pixel, x to the right, y down; times ending in ``_s`` are seconds on the
monotonic clock unless a name says ``wall``; *left* and *right* are those of the person before the camera.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Points = NDArray[np.float32]
Vector = NDArray[np.float32]


class Word(str, Enum):
    """An enumeration whose members are stable words of logs, audit entries and JSON output."""

    def __str__(self) -> str:
        return str(self.value)


class Reason(Word):
    """Why a visit ended as it did. Exactly one per decision; the words are a public contract."""

    GRANTED = "granted"
    NO_MATCH = "no_match"
    AMBIGUOUS = "ambiguous"
    UNSETTLED = "unsettled"
    NOT_LIVE = "not_live"
    VETOED = "vetoed"
    LOCKED_OUT = "locked_out"
    UNDECIDED = "undecided"
    NO_RESPONSE = "no_response"
    WRONG_RESPONSE = "wrong_response"
    LIVENESS_ERROR = "liveness_error"
    FACE_CHANGED = "face_changed"
    LEFT = "left"
    POOR_QUALITY = "poor_quality"
    NOT_NEAREST = "not_nearest"
    UNKNOWN_PERSON = "unknown_person"
    DISABLED = "disabled"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"
    CLOCK_UNTRUSTED = "clock_untrusted"
    COOL_DOWN = "cool_down"
    STALE_FRAME = "stale_frame"
    AUDIT_UNAVAILABLE = "audit_unavailable"
    DOOR_FAULT = "door_fault"
    MODEL_ERROR = "model_error"


class QualityReason(Word):
    """Why a face in a frame is not good enough to be compared."""

    TOO_SMALL = "too_small"
    BLURRED = "blurred"
    TOO_DARK = "too_dark"
    TOO_BRIGHT = "too_bright"
    LOW_CONTRAST = "low_contrast"
    TURNED = "turned"
    TILTED = "tilted"
    ROLLED = "rolled"
    CUT_OFF = "cut_off"


class Signal(Word):
    """What the person at the door is told. Never depends on who was recognised before liveness has passed."""

    IDLE = "idle"
    LOOK_HERE = "look_here"
    COME_CLOSER = "come_closer"
    TOO_DARK = "too_dark"
    CHECKING = "checking"
    TURN_LEFT = "turn_left"
    TURN_RIGHT = "turn_right"
    LOOK_UP = "look_up"
    LOOK_DOWN = "look_down"
    LOOK_STRAIGHT = "look_straight"
    WAIT = "wait"
    GRANTED = "granted"
    DENIED = "denied"


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of the camera.

    Attributes:
        image: uint8 BGR, (height, width, 3).
        captured_s: Monotonic time of the exposure.
        number: Counts up by one for each frame that the source made, whether or not anybody took it.
    """

    image: Image
    captured_s: float
    number: int


@dataclass(frozen=True, slots=True)
class Box:
    """An upright rectangle in pixels; may reach beyond the picture."""

    x: float
    y: float
    width: float
    height: float

    @property
    def area(self) -> float:
        """Square pixels."""
        return self.width * self.height

    @property
    def centre(self) -> tuple[float, float]:
        """Centre (x, y) in pixels."""
        return self.x + self.width / 2, self.y + self.height / 2


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """A face as the detector sees it.

    Attributes:
        box: In pixels of the frame.
        score: 0..1.
        keypoints: (3 or more, 2) float32 pixels: right eye, left eye (the person's own), nose tip, then what the
            detector gives (BlazeFace: mouth, right ear, left ear; YuNet: right and left corner of the mouth).
    """

    box: Box
    score: float
    keypoints: Points


@dataclass(frozen=True, slots=True)
class Pose:
    """Head pose in degrees from the mesh's own axes.

    Yaw is positive when the person turns to the own left (towards the right side of the picture), pitch when looking
    up, roll when the head leans clockwise in the picture.
    """

    yaw_deg: float
    pitch_deg: float
    roll_deg: float


@dataclass(frozen=True, slots=True)
class Quality:
    """What was measured on one face, and every reason why it is not good enough; no reason means usable.

    Attributes:
        face_px: Width of the face in pixels.
        sharpness: Variance of the Laplacian on the aligned chip, grey levels squared.
        brightness: Mean grey level of the face, 0..255.
        contrast: Standard deviation of the grey level of the face.
        clipped: Share of the face's pixels that are burnt out (>= 250), 0..1.
        reasons: Empty when the face may be compared.
    """

    face_px: float
    sharpness: float
    brightness: float
    contrast: float
    clipped: float
    reasons: tuple[QualityReason, ...]

    @property
    def usable(self) -> bool:
        """Whether the face may be compared."""
        return not self.reasons


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face in one frame, on one track.

    Attributes:
        track: Number of the track; a new number whenever continuity was lost.
        frame_number: The frame it was seen in.
        captured_s: That frame's capture time.
        box: Tight box of the landmarks, pixels.
        landmarks: (468, 3) float32; x, y in pixels of the frame, z in the same unit, smaller is nearer.
        presence: The mesh model's own probability that this is a face, 0..1.
        pose: Degrees.
        quality: Measurements and reasons.
    """

    track: int
    frame_number: int
    captured_s: float
    box: Box
    landmarks: Points
    presence: float
    pose: Pose
    quality: Quality


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """All faces of one frame, nearest (largest) first."""

    frame: Frame
    faces: tuple[Face, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """A face as a point on the unit sphere.

    Attributes:
        vector: (D,) float32 of length 1, read-only by convention.
        model: Id of the model that made it; vectors of different models are never compared.
    """

    vector: Vector
    model: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """An enrolled person near a probe: handle and cosine similarity, -1..1."""

    person: str
    similarity: float


class LivenessState(Word):
    """Where the proof of life stands."""

    PENDING = "pending"
    PROVEN = "proven"
    FAILED = "failed"


class Doubt(Word):
    """Why the passive networks alone are not enough in this picture. A doubt escalates or refuses, it never accepts."""

    BEZEL = "bezel"
    SEVERAL_FACES = "several_faces"
    LOW_LIGHT = "low_light"
    BLUR = "blur"
    BURNT_BACKGROUND = "burnt_background"
    GREY = "grey"
    NOISE = "noise"
    LITTLE_CONTEXT = "little_context"


class PassiveVerdict(Word):
    """What the passive networks have said so far about one face."""

    ABSENT = "absent"
    GATHERING = "gathering"
    LIVE = "live"
    SPOOF = "spoof"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Cues:
    """What one compared frame says about life beside its pose: numbers only, no judgement.

    Attributes:
        live: P(live) of the passive networks, 0..1; None without them.
        faces: How many faces the frame shows.
        bezel: How much the surroundings look like the frame of a screen (see ``BezelFinder``).
        burnt: Share of burnt-out pixels around the face, 0..1.
        chroma: How far the surroundings are from one common hue, 0 in a grey picture.
        brightness: Mean grey level of the face, 0..255.
        noise: Deviation of the face's fine grain over its brightness.
        context: Width of what the networks see in widths of the face; little where the face fills the picture.
        sharpness: Variance of the Laplacian on the aligned chip, grey levels squared.
    """

    live: float | None
    faces: int
    bezel: float
    burnt: float
    chroma: float
    brightness: float
    noise: float
    context: float
    sharpness: float


@dataclass(frozen=True, slots=True)
class StepEvidence:
    """One step of a challenge.

    Attributes:
        prompt: What was asked.
        outcome: ``passed``, ``planar``, ``wrong_direction``, ``no_response``, ``too_few_corners`` or ``open``.
        angle_deg: Largest turn seen in the asked direction, relative to the baseline.
        response_s: Seconds from the prompt to the answer, None without one.
        residual: KLT homography residual over inter-ocular distance during the turn, None where not measurable.
        parallax: Sine of the turn that the corners confirm in depth, None where not measurable.
        error: Standard error of the parallax.
    """

    prompt: Signal
    outcome: str
    angle_deg: float
    response_s: float | None
    residual: float | None
    parallax: float | None = None
    error: float | None = None


@dataclass(frozen=True, slots=True)
class PassiveEvidence:
    """What the passive networks contributed.

    Attributes:
        verdict: After the last sample.
        samples: How many frames they judged.
        live: How many of these spoke for life.
        median: P(live) over the last K of them, or over all while there are fewer; None before the first.
    """

    verdict: PassiveVerdict
    samples: int
    live: int
    median: float | None


@dataclass(frozen=True, slots=True)
class LivenessEvidence:
    """What the proof of life rests on; goes into the audit entry (scores yes, pictures no).

    Attributes:
        method: ``passive``, ``head_turn`` or ``passive+head_turn``: what was asked for so far.
        samples: Accepted liveness samples.
        steps: Of the challenge, empty when nothing was asked.
        level: Of the configuration.
        passive: What the networks said, None without any.
        doubts: Why the networks alone were not enough, in the order of their names.
        blinks: Seen so far, None where blinks are not counted. Recorded, never required, and never enough.
    """

    method: str
    samples: int
    steps: tuple[StepEvidence, ...]
    level: str = ""
    passive: PassiveEvidence | None = None
    doubts: tuple[Doubt, ...] = ()
    blinks: int | None = None


@dataclass(frozen=True, slots=True)
class LivenessStatus:
    """The proof of life after one sample.

    Attributes:
        state: Pending, proven or failed; failed is final for the track.
        reason: Why it failed; None otherwise.
        signal: What the person should be told now.
        sampled_s: Capture time of the last accepted sample, None before the first.
        since_s: Capture time of the first frame that the proof rests on: its first passive sample or its first prompt.
            None before there is any.
        lived_s: Capture time of the last frame that itself spoke for life: a live answer without a doubt, or a frame
            that a challenge accepted and, where there are passive networks, they judged. None before there is any.
        evidence: So far.
        proven_s: Capture time of the frame by which it was proven: the last prompt's answer, or the last passive
            sample. None while it is not.
    """

    state: LivenessState
    reason: Reason | None
    signal: Signal
    sampled_s: float | None
    since_s: float | None
    lived_s: float | None
    evidence: LivenessEvidence
    proven_s: float | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody enrolled. ``handle`` is 32 random hex digits; the name is for people's eyes only."""

    handle: str
    name: str
    enabled: bool
    valid_from: datetime | None
    valid_until: datetime | None
    enrolled_at: datetime
    photos: int
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """The end of a visit. Granted is the exception that must be proven; used once.

    Attributes:
        reason: ``GRANTED`` opens the door; anything else is why it stays shut.
        person: Handle of the person let in; None unless granted.
        claimed: Handle the votes point to, proven alive or not; None when nobody was recognised.
        similarity: Cosine to the claimed person (to the best candidate where nobody matched), None without a search.
        runner_up: Cosine to the next person, None without one.
        votes: How many frames voted for the claimed person.
        track: The track decided about.
        frame_number: The frame on which the decision stands.
        captured_s: That frame's capture time: the age of the decision counts from here.
        decided_s: When it was decided.
        first_usable_s: Capture time of the track's first usable frame, None without one.
        claimed_s: Capture time of the frame whose vote settled the claim, None without a claim.
        liveness: The evidence, None when the visit ended before any sample.
        quality: Reasons seen on the last unusable frame; empty when the last frame was usable.
    """

    reason: Reason
    person: str | None
    claimed: str | None
    similarity: float | None
    runner_up: float | None
    votes: int
    track: int
    frame_number: int
    captured_s: float
    decided_s: float
    first_usable_s: float | None
    claimed_s: float | None
    liveness: LivenessEvidence | None
    quality: tuple[QualityReason, ...] = ()

    @property
    def granted(self) -> bool:
        """Whether this decision opens the door."""
        return self.reason is Reason.GRANTED and self.person is not None and self.person == self.claimed


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One link of the audit chain as it is stored.

    Attributes:
        seq: 1, 2, 3 ... without gaps.
        body: Canonical JSON bytes that the chain vouches for; holds no personal field, only the commitment to them.
        hash: 32 bytes, SHA-256 over domain, seq, previous hash and SHA-256(body).
        personal: Canonical JSON bytes of the personal fields, None once erased.
        salt: 32 random bytes of the commitment, None once erased.
    """

    seq: int
    body: bytes
    hash: bytes
    personal: bytes | None
    salt: bytes | None
