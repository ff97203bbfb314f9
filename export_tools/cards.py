"""Pack descriptions: what `models/packs/*.yaml` may say.

The descriptions are part of the source tree and reviewed like code; they are parsed strictly all the same, because a
slip of the pen in one of them would change what the appliance trusts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

import yaml
from pydantic import Field, ValidationError, model_validator

from device.errors import PackError
from device.vision.manifest import (
    FAMILIES,
    PRECISIONS,
    Family,
    Licence,
    ModelId,
    PackName,
    Precision,
    Preprocessing,
    Role,
    Sha256,
    Strict,
    Target,
    TensorSpec,
    Text,
    Thresholds,
)
from device.yaml_loader import PlainLoader
from export_tools.sources.pins import Archive, ByteCount, Member, MemberName, PhotoName, Source

MODELS_DIRECTORY: Final = Path(__file__).resolve().parent.parent / "models"
PACKS_DIRECTORY: Final = MODELS_DIRECTORY / "packs"
EMBEDDERS_DIRECTORY: Final = MODELS_DIRECTORY / "embedders"
RANGES_DIRECTORY: Final = MODELS_DIRECTORY / "ranges"
_MAX_CARD_BYTES: Final = 256 * 1024


class OutputSpec(TensorSpec):
    """An output and what the converter's source calls it."""

    source: Text


class ModelCard(Strict):
    """Where a model comes from, what becomes of it, and at which precisions it may run."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,50}$")]
    family: Family
    source: str
    member: MemberName | None = None
    """Which file of the archive; None where the source is the model itself."""
    member_sha256: Sha256 | None = None
    member_size_bytes: ByteCount | None = None
    licence: Licence
    converter: Literal["tflite", "dlib", "minifasnet", "onnx"]
    precision: dict[Target, Precision]
    """What each target runs unless it is told otherwise."""
    excluded: dict[Precision, Text] = Field(default_factory=dict)
    """Precisions this model must not run at, and why: in words, for a report measures how badly."""
    why: dict[Target, Text] = Field(default_factory=dict)
    """What a choice of precision rests on that no figure of a report shows."""
    ranges: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,60}\.json$")] | None = None
    """Recorded activation ranges in `models/ranges`: what INT8 is made from."""
    min_score: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Of a detector: weaker answers are no faces."""
    preprocessing: Preprocessing
    input: TensorSpec
    outputs: Annotated[list[OutputSpec], Field(min_length=1, max_length=16)]

    @model_validator(mode="after")
    def _consistent(self) -> ModelCard:
        if set(self.precision) != {"onnxruntime", "tensorrt"}:
            raise ValueError("a precision is needed for each of onnxruntime and tensorrt")
        for target, precision in self.precision.items():
            if problem := self.refusal(precision, target=target):
                raise ValueError(problem)
        if "fp32" in self.excluded:
            raise ValueError("fp32 is what all others are compared with; it cannot be excluded")
        members = (self.member, self.member_sha256, self.member_size_bytes)
        if any(part is None for part in members) != all(part is None for part in members):
            raise ValueError("member, member_sha256 and member_size_bytes are given together")
        return self

    def refusal(self, precision: Precision, *, target: Target) -> str | None:
        """Why this model is not built at this precision for this target; None where it is."""
        if exclusion := self.exclusion(precision):
            return exclusion
        if precision == "int8-u8" and target == "tensorrt":
            return "TensorRT refuses zero points: its INT8 is int8-s8"
        if precision.startswith("int8") and self.ranges is None:
            return f"{self.name} has no recorded activation ranges: record them with doorward-export quantize"
        return None

    def exclusion(self, precision: Precision) -> str | None:
        """Why this model is not built at this precision for any target; None where nothing is said against it."""
        if precision not in self.excluded:
            return None
        return f"{self.name} is not built as {precision}: {self.excluded[precision]}"

    def model_id(self, precision: Precision) -> ModelId:
        """Id of the artefact: embeddings of different precisions are near one another, but not the same."""
        return f"{self.name}-{precision}"

    def pinned_member(self) -> Member:
        """Which file of its archive is converted. Raises PackError (``card``) where the source is no archive."""
        if self.member is None or self.member_sha256 is None or self.member_size_bytes is None:
            raise PackError(f"{self.name} names no file of its archive", reason="card", hint="name member and sha256")
        return Member(member=self.member, sha256=self.member_sha256, size_bytes=self.member_size_bytes)

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """Those it may be measured at."""
        with_ranges = self.ranges is not None
        return tuple(p for p in PRECISIONS if p not in self.excluded and (with_ranges or not p.startswith("int8")))


class PackCard(Strict):
    """A pack: sources, one model per role, thresholds with the measurement behind them."""

    format: Literal[2]
    pack: PackName
    sources: dict[str, Source]
    models: dict[Role, ModelCard]
    thresholds: Thresholds | None

    @model_validator(mode="after")
    def _consistent(self) -> PackCard:
        used = {model.source for model in self.models.values()}
        if used != set(self.sources):
            raise ValueError(f"sources {sorted(self.sources)} are listed, {sorted(used)} are used")
        for role, model in self.models.items():
            if model.family not in FAMILIES[role]:
                raise ValueError(f"a {model.family} model cannot be the {role}")
            if (model.min_score is not None) != (role == "detector"):
                raise ValueError("the detector, and nothing else, has a least score")
            if isinstance(self.sources[model.source], Archive) != (model.member is not None):
                raise ValueError(f"{role}: a member is named exactly where the source is an archive")
        names = [source.file for source in self.sources.values()]
        if len(set(names)) != len(names):
            raise ValueError("two sources have one file name")
        return self

    def network_sha256(self, role: Role) -> Sha256:
        """Of the file that is converted, in an archive or by itself."""
        model = self.models[role]
        return model.member_sha256 or self.sources[model.source].sha256

    def with_embedder(self, card: EmbedderCard) -> PackCard:
        """The same pack with another embedder; thresholds belong to an embedder, so they change with it.

        Raises:
            PackError: The two cannot be told apart by their names (``card``).
        """
        if any(model.name == card.model.name for model in self.models.values()):
            # Templates are told apart by the model's id: two embedders of one name would be compared.
            raise self._collision(f"has a model {card.model.name} already", "give the embedder another name")
        others = {role: model for role, model in self.models.items() if role != "embedder"}
        used = {model.source for model in others.values()}
        if EMBEDDER_SOURCE in used:
            raise self._collision(f"calls a source {EMBEDDER_SOURCE!r}", "give that source another name in the pack")
        sources = {name: source for name, source in self.sources.items() if name in used}
        if any(source.file == card.source.file for source in sources.values()):
            raise self._collision(f"has a file {card.source.file} already", "rename the embedder's file")
        return PackCard.model_validate(
            {
                **dict(self),
                "sources": {**sources, EMBEDDER_SOURCE: card.source},
                "models": {**self.models, "embedder": card.model},
                "thresholds": card.thresholds,
            }
        )

    def _collision(self, what: str, hint: str) -> PackError:
        return PackError(f"the pack {self.pack} {what}", reason="card", hint=hint)


EMBEDDER_SOURCE: Final = "embedder"
CHIP_SIDES: Final[Mapping[Family, int]] = {"arcface": 112, "dlib-resnet": 150}
"""Side of the aligned chip in pixels: what the families were trained on."""
DIMENSIONS: Final = range(128, 512 + 1)
"""Numbers that an embedding may have: dlib and SFace 128, ArcFace and its kin 512."""
_TAG_DIGITS: Final = 8


def embedder_tag(*, sha256: str, family: Family, preprocessing: Preprocessing, output: str) -> str:
    """What the name of every other embedder than a pack's own ends with: 8 hex digits over what makes its embeddings.

    That is its file, its alignment (the family's), how it is fed and which of its outputs is taken.

    Templates and calibrations are told apart by the model's name alone. Another file under an old name, or the same one
    fed in another way, would be compared with templates it never made.
    """
    text = f"{sha256}\n{family}\n{preprocessing.model_dump_json()}\n{output}"
    return hashlib.sha256(text.encode()).hexdigest()[:_TAG_DIGITS]


class EmbedderCard(Strict):
    """An embedder of the owner's choice, to take the place of a pack's own."""

    format: Literal[2]
    source: Source
    model: ModelCard
    thresholds: Thresholds | None
    """None until `doorward-export calibrate` has measured them: without them no door opens."""

    @model_validator(mode="after")
    def _is_an_embedder(self) -> EmbedderCard:
        if self.model.family not in FAMILIES["embedder"]:
            raise ValueError(f"{self.model.family} is no embedder")
        if self.model.source != EMBEDDER_SOURCE:
            raise ValueError(f"its model's source is named {EMBEDDER_SOURCE!r}")
        side = CHIP_SIDES[self.model.family]
        shape = self.model.input.shape
        if len(shape) != 4 or shape[0] not in (None, 1, 2) or shape[1:] != [3, side, side]:
            raise ValueError(f"its input must be (1, 2 or free, 3, {side}, {side})")
        if self.model.preprocessing.geometry != "face_chip":
            raise ValueError("an embedder sees a face_chip")
        outputs = self.model.outputs
        if len(outputs) != 1 or len(outputs[0].shape) != 2 or outputs[0].shape[1] not in DIMENSIONS:
            raise ValueError(f"its only output must be (batch, {DIMENSIONS[0]} to {DIMENSIONS[-1]})")
        own = {self.model.model_id(precision) for precision in PRECISIONS}
        if self.thresholds is not None and self.thresholds.rule.model_id not in own:
            raise ValueError(f"its thresholds were measured with {self.thresholds.rule.model_id}, another embedder")
        return self

    @model_validator(mode="after")
    def _named_after_its_file(self) -> EmbedderCard:
        tag = embedder_tag(
            sha256=self.model.member_sha256 or self.source.sha256,
            family=self.model.family,
            preprocessing=self.model.preprocessing,
            output=self.model.outputs[0].source,
        )
        if not self.model.name.endswith(f"-{tag}"):
            raise ValueError(
                f"the name of this file, fed in this way, must end with -{tag}: templates are told apart by it"
            )
        return self


class PhotoCard(Strict):
    """Photographs inside one archive, by file name."""

    format: Literal[1]
    archive: Archive
    photos: Annotated[dict[PhotoName, Member], Field(min_length=1)]


CardT = TypeVar("CardT", PackCard, PhotoCard, EmbedderCard)


def load_card(path: Path, kind: type[CardT]) -> tuple[CardT, bytes]:
    """Read a description.

    Returns:
        The description and the bytes it was read from.

    Raises:
        PackError: It is missing, or says what it may not say (``card``).
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_CARD_BYTES + 1)
        if len(data) > _MAX_CARD_BYTES:
            raise PackError(f"{path} is larger than {_MAX_CARD_BYTES} bytes", reason="card")
        return kind.model_validate(yaml.load(data, Loader=PlainLoader)), data  # noqa: S506 a SafeLoader
    except OSError as exc:
        raise PackError(
            f"cannot read the pack description {path}: {exc.strerror}",
            reason="card",
            hint=f"the packs of this version are described in {PACKS_DIRECTORY}",
        ) from exc
    except ValidationError as exc:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors())
        example = "models/embedders/sface.yaml" if kind is EmbedderCard else "models/packs/door.yaml"
        raise PackError(f"{path}: {problems}", reason="card", hint=f"compare with {example}") from exc
    except (yaml.YAMLError, RecursionError, UnicodeDecodeError) as exc:
        raise PackError(f"{path} is not valid YAML: {exc}", reason="card", hint="correct the line named") from exc


def load_pack_card(name: str) -> tuple[PackCard, bytes]:
    """Read `models/packs/<name>.yaml`. Raises PackError (``card``)."""
    available = sorted(path.stem for path in PACKS_DIRECTORY.glob("*.yaml"))
    if name not in available:
        raise PackError(
            f"there is no pack {name!r}",
            reason="card",
            hint=f"descriptions in {PACKS_DIRECTORY}: {', '.join(available) or 'none'}",
        )
    return load_card(PACKS_DIRECTORY / f"{name}.yaml", PackCard)
