"""The manifest of a built pack: which model plays which role, how it is fed, what its scores mean.

Parsed only after it was authenticated (:mod:`device.vision.pack`), and strictly all the same.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

Role = Literal["detector", "landmarks", "iris", "embedder", "pad_close", "pad_wide"]
"""``pad_close`` and ``pad_wide`` are the two passive liveness networks, on a close and on a wide crop."""
ROLES: Final[tuple[Role, ...]] = get_args(Role)
REQUIRED_ROLES: Final[tuple[Role, ...]] = ("detector", "landmarks", "iris", "embedder")
PAD_ROLES: Final[tuple[Role, ...]] = ("pad_close", "pad_wide")

Family = Literal["blazeface-full", "yunet", "facemesh", "mediapipe-iris", "dlib-resnet", "arcface", "minifasnet"]
"""How the device feeds a model and reads its answer."""
FAMILIES: Final[dict[Role, tuple[Family, ...]]] = {
    "detector": ("blazeface-full", "yunet"),
    "landmarks": ("facemesh",),
    "iris": ("mediapipe-iris",),
    "embedder": ("dlib-resnet", "arcface"),
    "pad_close": ("minifasnet",),
    "pad_wide": ("minifasnet",),
}

Precision = Literal["fp32", "fp16", "int8-u8", "int8-s8"]
"""fp16: FP16 tensors behind float32 inputs and outputs. int8-u8: QDQ, unsigned activations with zero points, for ONNX
Runtime. int8-s8: QDQ, symmetric signed activations, for TensorRT, which refuses zero points."""
PRECISIONS: Final[tuple[Precision, ...]] = get_args(Precision)
Target = Literal["onnxruntime", "tensorrt"]
TARGETS: Final[tuple[Target, ...]] = get_args(Target)

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
PackName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
FileName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}\.(onnx|engine|npz)$")]
ModelId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
TensorName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Text = Annotated[str, Field(min_length=1, max_length=2000)]
Dimension = Annotated[int, Field(ge=1, le=1 << 20)]


class Strict(BaseModel):
    """Base of everything in a manifest or a pack description: frozen, strict, no unknown keys, no NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Preprocessing(Strict):
    """How a picture becomes the input: (value - mean) / divisor per channel, value 0..255."""

    colour: Literal["rgb", "bgr"]
    mean: Annotated[float, Field(ge=0, le=255)]
    divisor: Annotated[float, Field(gt=0, le=256)]
    geometry: Literal["letterbox", "top_left", "face_roi", "eye_roi", "face_chip", "face_crop"]
    """letterbox: whole frame, centred, black borders. top_left: whole frame, black on the right and below. face_roi,
    eye_roi: rotated square around the face or the eye. face_chip: similarity transform onto the alignment template of
    the family. face_crop: upright, in the proportions of the face box, moved inside the frame."""
    roi_scale: Annotated[float, Field(gt=0, le=10)] | None = None
    """Side: in widths of the face box (face_roi), in distances between the eye corners (eye_roi), in sides of the face
    box (face_crop)."""


class TensorSpec(Strict):
    """One input or output: name and NCHW shape; ``null`` is the batch size where it is free. Always float32."""

    name: TensorName
    shape: Annotated[list[Dimension | None], Field(min_length=2, max_length=4)]
    meaning: Text


class OperatingPoint(Strict):
    """A false match rate, the cosine from which two faces match at it, and how well that is known."""

    fmr: Annotated[float, Field(gt=0, lt=1)]
    cosine: Annotated[float, Field(gt=0, le=1)]
    fmr_upper_95: Annotated[float, Field(gt=0, le=1)]
    """One-sided 95 % bound of the rate at this cosine: Clopper and Pearson's; with no error, 3 / comparisons."""


class ScoringRule(Strict):
    """What is compared with what: a threshold belongs to this rule and to no other."""

    model_id: ModelId
    """Whose embeddings were compared."""
    mirrored: Literal[True]
    """Chip and mirrored chip are averaged."""
    template: Literal["mean"]
    """A person's template is the mean of the enrolled photographs, scaled to unit length."""
    photos: Annotated[int, Field(ge=1, le=100)]
    """Enrolled photographs per template."""
    votes: Annotated[int, Field(ge=1, le=30)]
    window: Annotated[int, Field(ge=1, le=60)]
    """An attempt matches when ``votes`` of ``window`` consecutive frames do."""


class Thresholds(Strict):
    """Where two faces count as the same person."""

    rule: ScoringRule
    origin: Literal["published", "calibrated"]
    measurement: Text
    comparisons: Annotated[int, Field(ge=1)]
    """Impostor comparisons behind the points."""
    default_fmr: Annotated[float, Field(gt=0, lt=1)]
    match: Annotated[list[OperatingPoint], Field(min_length=1, max_length=16)]

    @model_validator(mode="after")
    def _ordered(self) -> Thresholds:
        rates = [point.fmr for point in self.match]
        cosines = [point.cosine for point in self.match]
        if rates != sorted(set(rates), reverse=True) or cosines != sorted(set(cosines)):
            raise ValueError("operating points must run from the highest false match rate to the lowest")
        if self.default_fmr not in rates:
            raise ValueError("the default false match rate has no operating point")
        return self

    @property
    def match_cosine(self) -> float:
        """The cosine at the default false match rate."""
        return next(point.cosine for point in self.match if point.fmr == self.default_fmr)


class Licence(Strict):
    """Under what conditions a model may be used."""

    id: Text
    """SPDX identifier, or LicenseRef-..."""
    commercial_use: bool
    note: Text | None = None


class Provenance(Strict):
    """Where a model came from."""

    origin: Text
    """Project of a package index, or the address."""
    version: Text
    file: Text
    file_sha256: Sha256
    member: Text | None
    """Which file of the archive; None where the file is the model itself."""
    member_sha256: Sha256
    licence: Licence


class FileEntry(Strict):
    """A file of the pack, to the byte."""

    file: FileName
    sha256: Sha256
    size_bytes: Annotated[int, Field(ge=1, le=1 << 30)]


class EngineEntry(FileEntry):
    """A TensorRT engine: good for one model, one TensorRT and one kind of GPU."""

    tensorrt: Annotated[str, Field(pattern=r"^[0-9][0-9a-z.]{0,31}$")]
    gpu: Text
    compute_capability: Annotated[str, Field(pattern=r"^[0-9]{1,2}\.[0-9]{1,2}$")]
    model_sha256: Sha256
    """Of the ONNX file it was built from."""


class ModelEntry(FileEntry):
    """One model of a pack."""

    model_id: ModelId
    """Travels with every template; templates of another model are never compared."""
    family: Family
    precision: Precision
    preprocessing: Preprocessing
    input: TensorSpec
    outputs: Annotated[list[TensorSpec], Field(min_length=1, max_length=16)]
    min_score: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Of a detector: weaker answers are no faces. Another model's scores mean something else."""
    source: Provenance
    engine: EngineEntry | None = None

    @model_validator(mode="after")
    def _engine_of_this_model(self) -> ModelEntry:
        if self.engine is not None and self.engine.model_sha256 != self.sha256:
            raise ValueError("the engine was built from another model")
        return self


class Manifest(Strict):
    """What a built pack consists of."""

    format: Literal[2]
    pack: PackName
    target: Target
    """What runs the models: for ``tensorrt`` each of them has an engine, for ``onnxruntime`` none."""
    inputs_sha256: Sha256
    """Over everything that the pack was built from: the same inputs need not be built again."""
    models: dict[Role, ModelEntry]
    golden: FileEntry
    """Pictures and what the FP32 models answer to them: ``doorward-export verify`` compares."""
    thresholds: Thresholds | None
    """None: the embedder was never calibrated, and no door opens with it."""
    built_with: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,31}$")], Text]
    """Tool versions, by name."""

    @property
    def files(self) -> tuple[FileEntry, ...]:
        """Every file the pack must have beside its manifest."""
        engines = [entry.engine for entry in self.models.values() if entry.engine is not None]
        return (*self.models.values(), *engines, self.golden)

    @model_validator(mode="after")
    def _complete(self) -> Manifest:
        missing = [role for role in REQUIRED_ROLES if role not in self.models]
        if missing:
            raise ValueError(f"no model for {', '.join(missing)}")
        if len([role for role in PAD_ROLES if role in self.models]) == 1:
            raise ValueError("passive liveness needs both of its models")
        for role, entry in self.models.items():
            if entry.family not in FAMILIES[role]:
                raise ValueError(f"a {entry.family} model cannot be the {role}")
            if (entry.min_score is not None) != (role == "detector"):
                raise ValueError("the detector, and nothing else, has a least score")
            if (entry.engine is not None) != (self.target == "tensorrt"):
                raise ValueError(f"the {role} model does not suit the target {self.target}")
            if entry.precision == "int8-u8" and self.target == "tensorrt":
                raise ValueError(f"the {role} model has zero points, which TensorRT refuses")
        files = [entry.file for entry in self.files]
        if len(set(files)) != len(files):
            raise ValueError("a file is named twice")
        embedder = self.models["embedder"].model_id
        if (
            self.thresholds is not None
            and self.thresholds.origin == "calibrated"
            and (self.thresholds.rule.model_id != embedder)
        ):
            raise ValueError("the thresholds were calibrated for another embedder")
        return self
