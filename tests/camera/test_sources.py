"""What ``camera.source`` may say, and what is told about it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.camera.sources import SourceKind, classify_source, public_name
from device.errors import CameraError


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("scene", SourceKind.SCENE),
        ("/dev/video0", SourceKind.DEVICE),
        ("/dev/video12", SourceKind.DEVICE),
        ("rtsp://camera.local/stream", SourceKind.STREAM),
        ("rtsps://user:secret@10.0.0.7:322/h264?channel=1", SourceKind.STREAM),
    ],
)
def test_devices_and_addresses_are_told_by_their_words(source: str, kind: SourceKind) -> None:
    """Nothing is opened for that."""
    assert classify_source(source) is kind


def test_files_and_folders_are_told_by_what_lies_there(tmp_path: Path) -> None:
    """A folder whatever its name, a file by its suffix."""
    (tmp_path / "clip.MKV").touch()
    assert classify_source(str(tmp_path)) is SourceKind.FOLDER
    assert classify_source(str(tmp_path / "clip.MKV")) is SourceKind.VIDEO


@pytest.mark.parametrize("name", ["face.jpg", "list.m3u8", "notes.txt", "noending"])
def test_other_files_are_refused_with_a_hint(tmp_path: Path, name: str) -> None:
    """A playlist could name other files and addresses."""
    (tmp_path / name).touch()
    with pytest.raises(CameraError) as refused:
        classify_source(str(tmp_path / name))
    assert refused.value.hint


@pytest.mark.parametrize(
    "source", ["http://camera/stream", "rtsp://", "rtsp:///path", "rtsp://host:0/", "file:///etc/passwd"]
)
def test_other_addresses_are_refused(source: str) -> None:
    """Only cameras are spoken to."""
    with pytest.raises(CameraError):
        classify_source(source)


def test_a_bare_number_is_answered_with_the_device_it_may_mean() -> None:
    """The habit from other programs."""
    with pytest.raises(CameraError) as refused:
        classify_source("0")
    assert "/dev/video0" in refused.value.hint


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_words_are_a_kind_or_a_camera_error(source: str) -> None:
    """NUL bytes, brackets, very odd addresses."""
    try:
        assert isinstance(classify_source(source), SourceKind)
    except CameraError as refused:
        assert refused.hint  # noqa: PT017  # a kind is as good


def test_only_cameras_are_worth_opening_again() -> None:
    """A recording would begin anew."""
    assert [kind for kind in SourceKind if kind.camera] == [SourceKind.DEVICE, SourceKind.STREAM]


@pytest.mark.parametrize(
    "source",
    [
        "rtsp://admin:hunter2@cam/1",
        "rtsp://admin:x@hunter2@cam/1",
        "rtsp://admin:x/hunter2@cam/1",
        "rtsp://cam:554/user=admin&password=hunter2",
        "rtsp://cam/live?password=hunter2",
        "http://admin:hunter2@cam/1",
        "rtsp://admin:hunter2@[cam/1",
        "rtsp://admin:hunter2@cam:port/1",
    ],
)
def test_passwords_are_neither_described_nor_in_errors(source: str) -> None:
    """Wherever they stand in the address, and also when it is refused."""
    told = public_name(source)
    try:
        classify_source(source)
    except CameraError as refused:
        told += refused.message + refused.hint
    assert "hunter2" not in told


def test_an_address_is_described_by_its_host() -> None:
    """So that an installer sees which camera is meant; a path stays as it is."""
    assert public_name("rtsp://admin:hunter2@cam.local:554/1") == "rtsp://cam.local/..."
    assert public_name("/dev/video0") == "/dev/video0"
