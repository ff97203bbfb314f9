"""Pack descriptions: what `models/packs/*.yaml` may say.

The descriptions are part of the source tree and reviewed like code; they are parsed strictly all the same, because a
slip of the pen in one of them would change what the appliance trusts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

import yaml
from pydantic import Field, ValidationError, model_validator

from device.errors import PackError
from device.vision.pack import (
    FileName,
    ModelId,
    PackName,
    Preprocessing,
    Role,
    Sha256,
    Strict,
    TensorSpec,
    Text,
    Thresholds,
)

PACKS_DIRECTORY: Final = Path(__file__).resolve().parent.parent / "models" / "packs"
_MAX_CARD_BYTES: Final = 256 * 1024

ArchiveName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,199}$")]
MemberName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._+/-]{0,299}$")]
PhotoName = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,60}\.jpg$")]
ByteCount = Annotated[int, Field(ge=1, le=1 << 30)]


class Archive(Strict):
    """A file of a package index, pinned to the byte."""

    project: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,99}$")]
    version: Text
    file: ArchiveName
    kind: Literal["zip", "tar.gz"]
    sha256: Sha256
    size_bytes: ByteCount


class Member(Strict):
    """A file inside an archive, pinned to the byte."""

    member: MemberName
    sha256: Sha256
    size_bytes: ByteCount


class OutputSpec(TensorSpec):
    """An output and what the converter's source calls it."""

    source: Text


class ModelCard(Strict):
    """Where a model of a pack comes from and what becomes of it."""

    model_id: ModelId
    file: FileName
    precision: Literal["fp32"]
    archive: str
    member: MemberName
    member_sha256: Sha256
    member_size_bytes: ByteCount
    licence: Text
    converter: Literal["tflite", "dlib"]
    preprocessing: Preprocessing
    input: TensorSpec
    outputs: Annotated[list[OutputSpec], Field(min_length=1, max_length=8)]

    @property
    def source(self) -> Member:
        """The member that is converted."""
        return Member(member=self.member, sha256=self.member_sha256, size_bytes=self.member_size_bytes)


class PackCard(Strict):
    """A pack: archives, one model per role, thresholds with the measurement behind them."""

    format: Literal[1]
    pack: PackName
    archives: dict[str, Archive]
    models: dict[Role, ModelCard]
    thresholds: Thresholds

    @model_validator(mode="after")
    def _archives_match(self) -> PackCard:
        used = {model.archive for model in self.models.values()}
        if used != set(self.archives):
            raise ValueError(f"archives {sorted(self.archives)} are listed, {sorted(used)} are used")
        return self


class PhotoCard(Strict):
    """Photographs inside one archive, by file name."""

    format: Literal[1]
    archive: Archive
    photos: Annotated[dict[PhotoName, Member], Field(min_length=1)]


CardT = TypeVar("CardT", PackCard, PhotoCard)


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a key given twice: the second would silently win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if len(set(keys)) != len(keys):
            raise yaml.constructor.ConstructorError(None, None, "a key is given twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


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
        return kind.model_validate(yaml.load(data, Loader=_UniqueKeys)), data  # noqa: S506 a SafeLoader
    except OSError as exc:
        raise PackError(
            f"cannot read the pack description {path}: {exc.strerror}",
            reason="card",
            hint=f"the packs of this version are described in {PACKS_DIRECTORY}",
        ) from exc
    except ValidationError as exc:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors())
        raise PackError(f"{path}: {problems}", reason="card", hint="compare with models/packs/door.yaml") from exc
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
