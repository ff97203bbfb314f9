"""A photograph from untrusted bytes to one upright BGR picture, or a refusal with a stable word.

Refused as ``unreadable`` (the file), ``empty``, ``not_a_picture``, ``truncated`` (cut off or damaged), ``too_large``,
``too_small``, ``animated``, ``sixteen_bit`` and ``cmyk``. Sizes are checked in the header, before a pixel is decoded.
Colours are taken as sRGB; an embedded profile is not applied.
"""

from __future__ import annotations

import io
import struct
import threading
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from device.errors import PhotoError
from device.types import Image

#: A 24 megapixel JPEG of best quality has some 15 MB.
MAX_PHOTO_BYTES = 32 * 1024 * 1024
#: What telephones deliver by default (5712 x 4284); decoding one takes some 250 MB for a moment.
MAX_PHOTO_PX = 25_000_000
#: OpenCV's warps stop at 32767 pixels a side; a real photograph stops long before.
MAX_SIDE_PX = 16_384
#: Below, no face of the smallest comparable size fits in.
MIN_SIDE_PX = 32

#: A JPEG with several pictures comes out of the JPEG parser as MPO.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
_EIGHT_BIT_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX"})
_CMYK_MODES = frozenset({"CMYK", "YCCK"})
#: Mid grey: transparent parts become neither a dark nor a bright background.
_GREY = (128, 128, 128, 255)
_CONVERT = "convert it to an 8-bit sRGB JPEG or PNG"
_ORIENTATION_TAG = 0x0112
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
#: Signature (8), length (4), "IHDR" (4), width (4), height (4): then one byte, bits per channel.
_PNG_DEPTH_AT = 24

#: One photograph at a time: it bounds the memory, and the warnings filter set meanwhile belongs to the whole process.
_one_at_a_time = threading.Lock()


def read_photo(path: Path) -> Image:
    """Read and decode a photograph; see :func:`decode_photo`, whose PhotoErrors carry the file's name."""
    name = str(path)
    try:
        if not path.is_file():
            raise PhotoError(f"{name} is not a file", reason="unreadable", hint="check the path")
        with path.open("rb") as file:
            data = file.read(MAX_PHOTO_BYTES + 1)
    except (OSError, ValueError) as exc:
        raise PhotoError(
            f"cannot read {name}: {exc}", reason="unreadable", hint="check the path and who may read it"
        ) from exc
    return decode_photo(data, name=name)


def decode_photo(data: bytes, *, name: str) -> Image:
    """Decode a JPEG, PNG, WebP or BMP; of a JPEG with several pictures (MPO) the first.

    Args:
        data: The whole file.
        name: What to call it in an error message.

    Returns:
        uint8 BGR, (height, width, 3), contiguous, upright as its EXIF orientation says, transparency laid on mid grey.

    Raises:
        PhotoError: It cannot be used; ``reason`` says why.
    """
    _check_container(data, name=name)
    with _one_at_a_time, warnings.catch_warnings():
        # What Pillow warns about is either checked here (size) or harmless (a damaged EXIF entry).
        warnings.simplefilter("ignore")
        try:
            with Pillow.open(io.BytesIO(data), formats=_FORMATS) as picture:
                _check_header(picture, name=name)
                picture.load()
                return _upright(_flat_bgr(picture), orientation=_orientation(picture))
        except PhotoError:
            raise
        except Pillow.DecompressionBombError as exc:
            raise _too_large(name, "it has too many pixels") from exc
        except UnidentifiedImageError as exc:
            raise _damaged(name) if _magic(data) else _not_a_picture(name) from exc
        except Exception as exc:  # hostile bytes meet foreign parsers: whatever they raise is a refusal
            raise _damaged(name) from exc


def _check_container(data: bytes, *, name: str) -> None:
    if not data:
        raise PhotoError(f"{name} is empty", reason="empty", hint="copy the file again")
    if len(data) > MAX_PHOTO_BYTES:
        raise _too_large(name, f"at most {MAX_PHOTO_BYTES} bytes are read")
    if data.startswith(b"GIF8"):
        raise PhotoError(f"{name} is a GIF, a format for animations", reason="animated", hint="use a JPEG photograph")
    if not _magic(data):
        raise _not_a_picture(name)
    if data.startswith(_PNG_MAGIC) and len(data) > _PNG_DEPTH_AT and data[_PNG_DEPTH_AT] == 16:
        # Pillow would silently drop the lower half of colour PNGs, and wrap grey ones.
        raise _sixteen_bit(name)


def _check_header(picture: Pillow.Image, *, name: str) -> None:
    width, height = picture.size
    if max(width, height) > MAX_SIDE_PX or width * height > MAX_PHOTO_PX:
        raise _too_large(name, f"it has {width} x {height} pixels, at most {MAX_PHOTO_PX} are decoded")
    if min(width, height) < MIN_SIDE_PX:
        raise PhotoError(
            f"{name} is too small: {width} x {height} pixels", reason="too_small", hint="use the original photograph"
        )
    if picture.format != "MPO" and getattr(picture, "is_animated", False):
        raise PhotoError(f"{name} is animated", reason="animated", hint="use a still photograph")
    if picture.mode in _CMYK_MODES:
        raise PhotoError(f"{name} is made for printing (CMYK)", reason="cmyk", hint=_CONVERT)
    if picture.mode not in _EIGHT_BIT_MODES:
        raise _sixteen_bit(name)


def _flat_bgr(picture: Pillow.Image) -> NDArray[np.uint8]:
    """A BGR view on the decoded pixels (rows and columns as stored), transparency flattened."""
    if picture.has_transparency_data:
        transparent = picture.convert("RGBA")
        picture = Pillow.new("RGBA", transparent.size, _GREY)
        picture.alpha_composite(transparent)
    # convert() copies even where nothing is to be done.
    return np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB"))[:, :, ::-1]


def _orientation(picture: Pillow.Image) -> int:
    """EXIF orientation 1..8; 1 where there is none or none that makes sense."""
    try:
        value = picture.getexif().get(_ORIENTATION_TAG, 1)
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, struct.error):
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _upright(stored: NDArray[np.uint8], *, orientation: int) -> Image:
    """Undo the EXIF orientation (Exif 2.32, 4.6.4 A, tag 274) and make the one copy that is contiguous."""
    if orientation in (5, 6, 7, 8):
        stored = stored.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        stored = stored[:, ::-1]
    if orientation in (3, 4, 7, 8):
        stored = stored[::-1]
    return np.ascontiguousarray(stored)


def _magic(data: bytes) -> bool:
    """Whether the bytes begin like one of the accepted formats."""
    return data.startswith((b"\xff\xd8\xff", _PNG_MAGIC, b"BM")) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")


def _too_large(name: str, what: str) -> PhotoError:
    return PhotoError(
        f"{name} is too large: {what}", reason="too_large", hint="scale it down to some 2000 pixels a side"
    )


def _not_a_picture(name: str) -> PhotoError:
    return PhotoError(
        f"{name} is not a JPEG, PNG, WebP or BMP picture",
        reason="not_a_picture",
        hint=_CONVERT,
    )


def _damaged(name: str) -> PhotoError:
    return PhotoError(f"{name} is cut off or damaged", reason="truncated", hint="copy the file again")


def _sixteen_bit(name: str) -> PhotoError:
    return PhotoError(
        f"{name} has more than eight bits per colour",
        reason="sixteen_bit",
        hint=_CONVERT,
    )
