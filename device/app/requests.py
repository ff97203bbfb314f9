"""What may be asked of the appliance through the control socket: one strict model per verb, nothing else exists.

The commands build these models, the socket carries them as JSON, :mod:`device.app.control` answers them. Stopping the
daemon is not a verb: that is the service manager's.
"""

from __future__ import annotations

import base64
import binascii
import math
import unicodedata
from datetime import datetime
from typing import Annotated, Any, Literal, Union

import numpy as np
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter
from pydantic import ValidationError as PydanticError

from device.app import strict_json
from device.errors import ControlError
from device.types import Vector

#: Version of the exchange; another one is refused.
PROTOCOL = 1
MAX_HEADER_BYTES = 64 * 1024
MAX_ATTACHMENT_BYTES = 20 * 1024 * 1024
MAX_ATTACHMENTS_BYTES = 64 * 1024 * 1024
MAX_ATTACHMENTS = 20
#: Longest vector that a search may carry; the models in use have 128 to 512 dimensions.
MAX_DIMENSIONS = 4096
#: Audit entries per answer; a reader asks again from the last one.
MAX_PAGE = 500

#: Years of a moment: arithmetic with zones overflows at the ends of the calendar.
FIRST_YEAR, LAST_YEAR = 1970, 9000

#: Characters that reorder or hide text: a name with them can show as another name in a table.
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
_UNPRINTABLE = frozenset(("Cc", "Cs", "Co", "Cn", "Zl", "Zp"))


def clean_text(text: str) -> str:
    """One line of text as it is stored and shown: NFC, trimmed, runs of spaces made one. Raises ValueError."""
    normal = " ".join(unicodedata.normalize("NFC", text).split())
    if not normal:
        raise ValueError("empty")
    if any(character in _BIDI or unicodedata.category(character) in _UNPRINTABLE for character in normal):
        raise ValueError("holds characters that cannot be shown")
    return normal


def _moment(value: object) -> object:
    if isinstance(value, str):
        text = value[:-1] + "+00:00" if value.endswith("Z") else value  # Python 3.10 does not read the Z
        return datetime.fromisoformat(text)
    return value


def _within_calendar(moment: datetime) -> datetime:
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError(f"not between the years {FIRST_YEAR} and {LAST_YEAR}")
    return moment


Moment = Annotated[AwareDatetime, BeforeValidator(_moment), AfterValidator(_within_calendar)]
"""A point in time with its zone, ISO 8601 on the wire."""
PersonName = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(clean_text)]
Who = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(clean_text)]
"""A person's name, handle, or the beginning of the handle."""
FileName = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(clean_text)]
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+/@-]{0,79}$")]


class Model(BaseModel):
    """Frozen, strict, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class StatusRequest(Model):
    """How the appliance is doing."""

    verb: Literal["status"] = "status"


class PeopleListRequest(Model):
    """Everybody enrolled."""

    verb: Literal["people.list"] = "people.list"


class PeopleShowRequest(Model):
    """One person."""

    verb: Literal["people.show"] = "people.show"
    who: Who


class PeopleRemoveRequest(Model):
    """Erase one person: rows, templates, index, personal fields of the audit."""

    verb: Literal["people.remove"] = "people.remove"
    who: Who


class PeopleExportRequest(Model):
    """Everything that is stored about one person."""

    verb: Literal["people.export"] = "people.export"
    who: Who


class Validity(Model):
    """From when until when somebody is let in; null means without limit."""

    valid_from: Moment | None
    valid_until: Moment | None


class PeopleSetRequest(Model):
    """Change who is let in when; what is null stays as it is."""

    verb: Literal["people.set"] = "people.set"
    who: Who
    enabled: bool | None = None
    validity: Validity | None = None


class EnrollRequest(Model):
    """Enrol a new person from the photographs that are attached."""

    verb: Literal["enroll"] = "enroll"
    name: PersonName
    valid_from: Moment | None = None
    valid_until: Moment | None = None
    allow_duplicate: bool = False


class PeopleReenrollRequest(Model):
    """Put templates of the attached photographs in the place of a person's templates of the model in use."""

    verb: Literal["people.reenroll"] = "people.reenroll"
    who: Who
    allow_duplicate: bool = False


class PeopleDropOldRequest(Model):
    """Erase the templates of models that are no longer in use, of everybody who has one of the model in use."""

    verb: Literal["people.drop_old"] = "people.drop_old"


class SearchRequest(Model):
    """Who is near this embedding: little-endian float32 in base64."""

    verb: Literal["search"] = "search"
    model: Word
    vector: Annotated[str, Field(min_length=4, max_length=MAX_DIMENSIONS * 6)]
    k: Annotated[int, Field(ge=1, le=100)] = 2

    @classmethod
    def of(cls, vector: Vector, *, model: str, k: int = 2) -> SearchRequest:
        """Pack an embedding of shape (D,)."""
        return cls(model=model, vector=pack_vector(vector), k=k)


class CheckRequest(Model):
    """Test the database page by page, and how far apart people are."""

    verb: Literal["check"] = "check"


class AuditListRequest(Model):
    """Audit entries in order: those after ``after``, at most ``limit`` per answer."""

    verb: Literal["audit.list"] = "audit.list"
    after: Annotated[int, Field(ge=0, le=2**62)] = 0
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = MAX_PAGE
    since: Moment | None = None
    until: Moment | None = None
    newest: bool = False
    """The last ``limit`` entries instead of the first."""


class AuditExportRequest(Model):
    """Audit entries with all that is needed to verify them elsewhere: body, hash, commitment."""

    verb: Literal["audit.export"] = "audit.export"
    after: Annotated[int, Field(ge=0, le=2**62)] = 0
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = MAX_PAGE
    since: Moment | None = None
    until: Moment | None = None


class AuditVerifyRequest(Model):
    """Check the chain from its first entry to its last."""

    verb: Literal["audit.verify"] = "audit.verify"


Request = Union[  # noqa: UP007  # pydantic wants the union as a value
    StatusRequest,
    PeopleListRequest,
    PeopleShowRequest,
    PeopleRemoveRequest,
    PeopleExportRequest,
    PeopleSetRequest,
    EnrollRequest,
    PeopleReenrollRequest,
    PeopleDropOldRequest,
    SearchRequest,
    CheckRequest,
    AuditListRequest,
    AuditExportRequest,
    AuditVerifyRequest,
]


class Attachment(Model):
    """A file that follows the header: its name for messages, its size."""

    name: FileName
    size: Annotated[int, Field(ge=0, le=MAX_ATTACHMENT_BYTES)]


class Header(Model):
    """The first part of a request: what is asked, and which files follow."""

    protocol: Annotated[int, Field(ge=PROTOCOL, le=PROTOCOL)] = PROTOCOL
    request: Annotated[Request, Field(discriminator="verb")]
    attachments: Annotated[tuple[Attachment, ...], Field(strict=False, max_length=MAX_ATTACHMENTS)] = ()


_HEADER: TypeAdapter[Header] = TypeAdapter(Header)


def parse_header(raw: bytes) -> Header:
    """Bytes to a request, or nothing.

    Raises:
        ControlError: Not strict JSON, an unknown verb or field, a value out of range, attachments that are too large or
            that the verb does not take. The message names fields, never values.
    """
    tree: Any = strict_json.parse(raw, max_bytes=MAX_HEADER_BYTES)
    try:
        header = _HEADER.validate_python(tree)
    except PydanticError as exc:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in error['loc'] if part != 'request') or 'header'}: {error['msg'][:120]}"
            for error in exc.errors(include_url=False, include_context=False, include_input=False)[:5]
        )
        # Nothing of the input may travel on in the chain of exceptions: it may be a photograph's or a person's name.
        raise ControlError(f"the request is not valid: {problems}", hint="see `doorward --help`") from None
    if sum(attachment.size for attachment in header.attachments) > MAX_ATTACHMENTS_BYTES:
        raise ControlError(
            f"the attachments are larger than {MAX_ATTACHMENTS_BYTES // 2**20} MiB together",
            hint="send fewer or smaller photographs",
        )
    if header.attachments and not isinstance(header.request, EnrollRequest | PeopleReenrollRequest):
        raise ControlError(f"{header.request.verb} takes no attachments", hint="see `doorward --help`")
    return header


def pack_vector(vector: Vector) -> str:
    """A vector of shape (D,) as base64 of little-endian float32."""
    return base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode("ascii")


def unpack_vector(text: str) -> Vector:
    """The reverse of :func:`pack_vector`, made unit length.

    Raises:
        ControlError: Not base64, not whole numbers of float32, not finite, or without direction.
    """
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise ControlError("the vector is not base64", hint="send little-endian float32") from exc
    if not raw or len(raw) % 4 or len(raw) // 4 > MAX_DIMENSIONS:
        raise ControlError(f"the vector has {len(raw)} bytes", hint="send 4 bytes for each of 1 to 4096 dimensions")
    # float64: the squares of large float32 values overflow, and a norm of infinity must not pass as a length.
    vector = np.frombuffer(raw, dtype="<f4").astype(np.float64)
    norm = float(np.linalg.norm(vector))
    if not (math.isfinite(norm) and norm > 1e-6):
        raise ControlError("the vector is not finite or has no direction", hint="send an embedding of unit length")
    return (vector / norm).astype(np.float32)
