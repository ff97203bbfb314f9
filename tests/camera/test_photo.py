"""Photographs from untrusted bytes: an upright picture or a refusal with a word, never anything else."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL import ImageCms

from device.camera.photo import MAX_PHOTO_BYTES, decode_photo
from device.errors import PhotoError
from device.types import Image

_HEIGHT, _WIDTH = 48, 64


def _pattern() -> Pillow.Image:
    """Four flat quarters, so that JPEG keeps them: red, green / blue, white."""
    rgb = np.zeros((_HEIGHT, _WIDTH, 3), np.uint8)
    rgb[:24, :32] = (255, 0, 0)
    rgb[:24, 32:] = (0, 255, 0)
    rgb[24:, :32] = (0, 0, 255)
    rgb[24:, 32:] = (255, 255, 255)
    return Pillow.fromarray(rgb)


def _bytes(picture: Pillow.Image, *, format: str, **options: object) -> bytes:  # noqa: A002  # Pillow's own word
    file = io.BytesIO()
    picture.save(file, format, **options)
    return file.getvalue()


def _refusal(data: bytes) -> str:
    with pytest.raises(PhotoError) as refused:
        decode_photo(data, name="photo")
    assert refused.value.hint
    assert refused.value.exit_code == 65
    return refused.value.reason


def _try(data: bytes) -> tuple[Image | None, str]:
    """The picture, or None and the word it was refused with."""
    try:
        return decode_photo(data, name="photo"), ""
    except PhotoError as refused:
        return None, refused.reason


def _corners(image: Image) -> list[str]:
    names = {(0, 0, 1): "red", (0, 1, 0): "green", (1, 0, 0): "blue", (1, 1, 1): "white"}
    height, width = image.shape[:2]
    spots = [(8, 8), (8, width - 8), (height - 8, 8), (height - 8, width - 8)]
    found = []
    for y, x in spots:
        blue, green, red = (int(value > 127) for value in image[y, x])
        found.append(names[blue, green, red])
    return found


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "BMP", "MPO"])
def test_each_accepted_format_gives_contiguous_bgr(format: str) -> None:  # noqa: A002
    """Red comes out in the last channel, rows first, one block of memory."""
    image = decode_photo(_bytes(_pattern(), format=format), name="photo")
    assert image.shape == (_HEIGHT, _WIDTH, 3)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert image.flags.writeable
    assert _corners(image) == ["red", "green", "blue", "white"]


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        (1, ["red", "green", "blue", "white"]),
        (2, ["green", "red", "white", "blue"]),
        (3, ["white", "blue", "green", "red"]),
        (4, ["blue", "white", "red", "green"]),
        (5, ["red", "blue", "green", "white"]),
        (6, ["blue", "red", "white", "green"]),
        (7, ["white", "green", "blue", "red"]),
        (8, ["green", "white", "red", "blue"]),
        (0, ["red", "green", "blue", "white"]),
        (9, ["red", "green", "blue", "white"]),
    ],
)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_all_eight_exif_orientations_come_out_upright(
    format: str,  # noqa: A002
    orientation: int,
    expected: list[str],
) -> None:
    """The corners lie where a viewer that honours the tag shows them; a senseless value turns nothing."""
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    image = decode_photo(_bytes(_pattern(), format=format, exif=exif), name="photo")
    assert image.flags.c_contiguous
    assert image.shape[:2] == ((_WIDTH, _HEIGHT) if 5 <= orientation <= 8 else (_HEIGHT, _WIDTH))
    assert _corners(image) == expected


def test_a_damaged_exif_entry_does_not_cost_the_picture() -> None:
    """Orientation is then taken as upright: a turned face would be refused by the quality gates."""
    image = decode_photo(_bytes(_pattern(), format="JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\x7f"), name="photo")
    assert _corners(image)[0] == "red"


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA"])
def test_grey_palette_and_transparent_pictures_are_accepted(mode: str) -> None:
    """What is white stays white in all of them."""
    image = decode_photo(_bytes(_pattern().convert(mode), format="PNG"), name="photo")
    assert image.shape == (_HEIGHT, _WIDTH, 3)
    assert image[-1, -1].tolist() == [255, 255, 255]


@pytest.mark.parametrize("format", ["PNG", "WEBP"])
def test_transparency_is_laid_on_mid_grey(format: str) -> None:  # noqa: A002
    """Not on black, which would look like a dark room, and the hidden colour does not show."""
    picture = _pattern().convert("RGBA")
    picture.putalpha(0)
    image = decode_photo(_bytes(picture, format=format, lossless=True), name="photo")
    assert np.all(image == 128)


def test_a_transparent_palette_colour_is_laid_on_mid_grey() -> None:
    """The tRNS chunk counts as transparency too."""
    picture = Pillow.new("P", (64, 64), 0)
    picture.putpalette([255, 0, 0] + [0] * 765)
    image = decode_photo(_bytes(picture, format="PNG", transparency=0), name="photo")
    assert np.all(image == 128)


def test_of_a_jpeg_with_two_pictures_the_first_is_taken() -> None:
    """Telephones append a second picture (MPO); it is a photograph all the same."""
    second = Pillow.new("RGB", (64, 64))
    data = _bytes(_pattern(), format="MPO", save_all=True, append_images=[second])
    assert _corners(decode_photo(data, name="photo"))[0] == "red"


def test_nothing_is_empty() -> None:
    """Zero bytes have a word of their own."""
    assert _refusal(b"") == "empty"


@pytest.mark.parametrize("data", [b"hello", b"\x00" * 100, b"%PDF-1.7", b"\x00\x00\x00\x18ftypheic" + b"\x00" * 40])
def test_other_files_are_not_pictures(data: bytes) -> None:
    """Text, zeros, documents, HEIC."""
    assert _refusal(data) == "not_a_picture"


def test_formats_that_are_not_asked_for_are_not_even_parsed() -> None:
    """TIFF would decode in Pillow; fewer parsers meet strangers' bytes."""
    assert _refusal(_bytes(_pattern(), format="TIFF")) == "not_a_picture"


def test_too_many_bytes_are_refused_before_anything_is_parsed() -> None:
    """The limit is on the file, whatever it claims to be."""
    assert _refusal(b"\xff\xd8\xff" + bytes(MAX_PHOTO_BYTES)) == "too_large"


def _png_header(*, width: int, height: int, depth: int = 8) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))


@pytest.mark.parametrize(("width", "height"), [(5001, 5000), (16385, 64), (64, 16385), (30000, 30000), (2**31 - 1, 1)])
def test_too_many_pixels_are_refused_from_the_header_alone(width: int, height: int) -> None:
    """There is no pixel data at all in these files, so nothing can have been decoded."""
    header = _png_header(width=width, height=height) + struct.pack(">I", 10**6) + b"IDAT"
    assert _refusal(header) == "too_large"


def test_a_thumbnail_is_too_small() -> None:
    """No face fits in."""
    assert _refusal(_bytes(_pattern().resize((31, 64)), format="PNG")) == "too_small"


@pytest.mark.parametrize("format", ["PNG", "WEBP", "GIF"])
def test_animations_are_refused(format: str) -> None:  # noqa: A002
    """Which of the pictures should be meant?"""
    frames = [Pillow.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    assert _refusal(_bytes(frames[0], format=format, save_all=True, append_images=frames[1:])) == "animated"


def test_sixteen_bit_pictures_are_refused_in_grey_and_in_colour() -> None:
    """Pillow would wrap the one and silently halve the other."""
    grey = Pillow.fromarray(np.full((64, 64), 40000, np.uint16))
    assert _refusal(_bytes(grey, format="PNG")) == "sixteen_bit"
    rows = zlib.compress((b"\x00" + b"\x9c\x40" * 3 * 64) * 64)
    idat = b"IDAT" + rows
    colour = (
        _png_header(width=64, height=64, depth=16)
        + struct.pack(">I", len(rows))
        + idat
        + struct.pack(">I", zlib.crc32(idat))
        + b"\x00\x00\x00\x00IEND\xaeB`\x82"
    )
    assert _refusal(colour) == "sixteen_bit"


def test_cmyk_is_refused_with_the_way_out() -> None:
    """Colours for print cannot be compared, and the hint says what to convert to."""
    with pytest.raises(PhotoError, match="CMYK") as refused:
        decode_photo(_bytes(_pattern().convert("CMYK"), format="JPEG"), name="poster.jpg")
    assert refused.value.reason == "cmyk"
    assert "sRGB" in refused.value.hint
    assert "poster.jpg" in refused.value.message


def test_an_embedded_profile_is_no_obstacle() -> None:
    """Cameras embed one in every picture."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert _corners(decode_photo(_bytes(_pattern(), format="JPEG", icc_profile=profile), name="photo"))[0] == "red"


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "BMP"])
def test_cut_off_at_any_length_it_is_refused_or_complete(format: str) -> None:  # noqa: A002
    """No length gives another picture: what decodes lacks nothing but an end marker."""
    data = _bytes(_pattern(), format=format)
    whole = decode_photo(data, name="photo")
    complete = 0
    for length in range(1, len(data)):
        image, reason = _try(data[:length])
        if image is None:
            assert reason == "truncated" or length < 12
        else:
            complete += 1
            assert np.array_equal(image, whole)
    assert complete <= 20  # PNG: checksums (4 + 4) and end chunk (12)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused_in_words(data: bytes) -> None:
    """Whatever it is, it is a PhotoError or a picture."""
    image, reason = _try(data)
    assert image is not None or reason


@settings(deadline=None)
@given(
    format=st.sampled_from(["JPEG", "PNG", "WEBP", "BMP", "MPO"]),
    at=st.integers(min_value=0, max_value=400),
    patch=st.binary(min_size=1, max_size=8),
)
def test_damaged_pictures_are_refused_in_words(format: str, at: int, patch: bytes) -> None:  # noqa: A002
    """Bytes changed behind a valid beginning reach the parsers, and nothing but PhotoError comes back."""
    exif = Pillow.Exif()
    exif[0x0112] = 6
    options = {} if format == "BMP" else {"exif": exif}
    data = bytearray(_bytes(_pattern(), format=format, **options))
    at %= len(data)
    data[at : at + len(patch)] = patch
    image, reason = _try(bytes(data))
    assert reason if image is None else image.ndim == 3
