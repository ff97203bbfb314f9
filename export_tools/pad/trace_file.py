"""Traces as files: numpy archives without any pickled object, one header, and nothing more or less than its columns.

A file is read as a whole or refused as a whole. It says under which key it was recorded: a file of another key, which
was made by other models, parameters or code, is another trace.
"""

from __future__ import annotations

import errno
import io
import math
import os
import tempfile
import zipfile
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import IO, Annotated, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from device.errors import FullError, StateError
from device.types import Signal
from export_tools.pad.columns import COLUMNS, Frames
from export_tools.pad.trace import About, Ending, Trace, TraceError

#: Raise it when the columns change. 2: the gate's parallax and its error.
TRACE_FORMAT: Final = 2
#: A minute of frames with everything measured on each takes 1.4 MB.
MAX_BYTES: Final = 16 * 1024 * 1024
_HEADER: Final = "header"
_DAMAGE: Final = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
_Text = Annotated[str, Field(min_length=1, max_length=256)]


class _About(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    species: _Text
    number: int = Field(ge=0)
    subject: _Text
    photo: _Text
    answers: bool


class _Header(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    format: int
    key: str = Field(pattern=r"^[0-9a-f]{64}$")
    about: _About
    passive: bool
    model: _Text
    prompts: tuple[Annotated[Signal, Field(strict=False)], ...]
    turn_at: int | None
    ending: Annotated[Ending, Field(strict=False)]


def save_trace(trace: Trace, path: Path, *, key: str) -> None:
    """Write a file that only its owner can read: beside its place, then moved there.

    Args:
        trace: The trace.
        path: Its place; what lies there is replaced.
        key: 64 hex digits that it is recorded under.

    Raises:
        FullError, StateError: It cannot be written.
    """
    header = _Header(
        format=TRACE_FORMAT,
        key=key,
        about=_About(**asdict(trace.about)),
        passive=trace.passive,
        model=trace.model,
        prompts=trace.prompts,
        turn_at=trace.turn_at,
        ending=trace.ending,
    )
    columns: dict[str, NDArray[np.generic]] = {name: getattr(trace.frames, name) for name in COLUMNS}
    content = io.BytesIO()
    np.savez(content, **{_HEADER: np.frombuffer(header.model_dump_json().encode(), np.uint8)}, **columns)  # type: ignore[arg-type]
    try:
        # NamedTemporaryFile makes it 0600.
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            try:
                file.write(content.getbuffer())
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as exc:
        kind = FullError if exc.errno in (errno.ENOSPC, errno.EDQUOT) else StateError
        raise kind(f"cannot write the trace {path}: {exc.strerror or exc}", hint="name another folder") from exc


def load_trace(path: Path, *, key: str) -> Trace:
    """Read a file.

    Raises:
        TraceError: It is damaged, recorded under another key, or no trace at all.
        FileNotFoundError: There is none.
    """
    try:
        return parse_trace(_read(path), key=key)
    except FileNotFoundError:
        raise
    except ValidationError as exc:
        raise TraceError(f"the trace {path} is not used: its header is none", hint="delete it") from exc
    except TraceError as exc:
        raise TraceError(f"the trace {path} is not used: {exc.message}", hint="delete it") from exc
    except _DAMAGE as exc:
        reason = str(exc).partition("\n")[0][:120] or type(exc).__name__
        raise TraceError(f"the trace {path} is not used: {reason}", hint="delete it") from exc


def parse_trace(data: bytes, *, key: str) -> Trace:
    """A file's bytes as a trace. Raises TraceError, or whatever a damaged archive raises."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        if sorted(each.filename for each in members) != sorted(f"{name}.npy" for name in (_HEADER, *COLUMNS)):
            raise TraceError("it has other parts")
        # Stored, not packed: no member is larger than the file.
        if any(each.compress_type != zipfile.ZIP_STORED or each.file_size > len(data) for each in members):
            raise TraceError("its parts are packed")
        for each in members:
            with archive.open(each) as part:
                _require_size(part, each.file_size)
    with np.load(io.BytesIO(data), allow_pickle=False) as stored:
        raw = stored[_HEADER]
        if raw.dtype != np.uint8 or raw.ndim != 1:
            raise TraceError("its header is none")
        header = _Header.model_validate_json(raw.tobytes())
        if header.format != TRACE_FORMAT or header.key != key:
            raise TraceError("it was recorded by other models, parameters or code")
        columns = {name: stored[name] for name in COLUMNS}
    for column in columns.values():
        column.setflags(write=False)
    return Trace(
        about=About(**header.about.model_dump()),
        passive=header.passive,
        model=header.model,
        prompts=header.prompts,
        turn_at=header.turn_at,
        ending=header.ending,
        frames=Frames(**columns),
    )


def _require_size(part: IO[bytes], size: int) -> None:
    """Raises TraceError where an array says it is larger than its part: numpy would make room for it first."""
    version = np.lib.format.read_magic(part)
    if version != (1, 0):
        raise TraceError("its parts are of another format")
    shape, _, dtype = np.lib.format.read_array_header_1_0(part)
    if dtype.hasobject or part.tell() + math.prod(shape) * dtype.itemsize != size:
        raise TraceError("its parts are not as long as they say")


def _read(path: Path) -> bytes:
    # Without O_NONBLOCK a FIFO would wait for ever.
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise TraceError("it is too large")
    return data
