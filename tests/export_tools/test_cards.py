"""Pack descriptions: what is shipped is valid, and a slip of the pen is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from device.errors import PackError
from device.vision.pack import ROLES
from export_tools.cards import PACKS_DIRECTORY, PackCard, PhotoCard, load_card, load_pack_card

DOOR = (PACKS_DIRECTORY / "door.yaml").read_text(encoding="utf-8")


def test_the_pack_door_has_a_model_for_every_role() -> None:
    """And only roles that exist."""
    card, data = load_pack_card("door")
    assert set(card.models) == set(ROLES)
    assert data == DOOR.encode()


def test_the_default_threshold_is_the_one_measured_at_one_in_a_hundred_thousand() -> None:
    """Shipped thresholds are quoted exactly."""
    thresholds = load_pack_card("door")[0].thresholds
    assert thresholds.match_cosine == 0.9547
    assert [point.cosine for point in thresholds.match] == [0.9312, 0.9442, 0.9547, 0.9638]
    assert [point.fmr for point in thresholds.match] == [1e-3, 1e-4, 1e-5, 1e-6]


def test_the_wheel_with_the_models_is_asked_for_by_one_name_on_every_machine() -> None:
    """Only its data files are read, so the machine does not matter."""
    assert (
        load_pack_card("door")[0]
        .archives["mediapipe"]
        .file.endswith("cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl")
    )


def test_the_descriptions_name_no_host() -> None:
    """Which index serves the archives is the user's own setting."""
    for path in PACKS_DIRECTORY.glob("*.yaml"):
        assert "://" not in path.read_text(encoding="utf-8")


def test_the_demo_photographs_are_described() -> None:
    """By file name, each pinned."""
    card, _ = load_card(PACKS_DIRECTORY / "demo-photos.yaml", PhotoCard)
    assert {"obama.jpg", "obama2.jpg", "obama3.jpg", "biden.jpg"} <= set(card.photos)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("format: 1", "format: 2"),
        ("format: 1", "format: 1\nextra: 1"),
        ("pack: door", "pack: ../door"),
        ("pack: door", "pack: door\npack: door"),
        ("file: detector.onnx", "file: ../detector.onnx"),
        ("file: detector.onnx", "file: detector.exe"),
        ("sha256: a807", "sha256: A807"),
        ("member: mediapipe/modules/face_detection", "member: /etc/face_detection"),
        ("converter: dlib", "converter: pickle"),
        ("default_fmr: 1.0e-5", "default_fmr: 1.0e-7"),
        ("cosine: 0.9547", "cosine: .nan"),
        ("cosine: 0.9547", "cosine: 0.91"),
        ("cosine: 0.9547", "cosine: '0.9547'"),
        ("archive: face-recognition-models", "archive: mediapipe"),
        ("  detector:\n    model_id", "  doorbell:\n    model_id"),
        ("pack: door", "pack: ["),
        ("pack: door", "pack: !!python/object/apply:os.system ['true']"),
    ],
)
def test_a_description_that_says_what_it_may_not_say_is_refused(tmp_path: Path, old: str, new: str) -> None:
    """Unknown keys, foreign names, thresholds out of order, NaN, objects."""
    assert old in DOOR
    path = tmp_path / "door.yaml"
    path.write_text(DOOR.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(PackError) as refusal:
        load_card(path, PackCard)
    assert refusal.value.reason == "card"
    assert refusal.value.hint


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff\xfe", b"a: &a [*a]", b"x" * 300_000])
def test_what_is_no_description_is_refused(tmp_path: Path, data: bytes) -> None:
    """Empty, a list, not text, endless, too large."""
    (tmp_path / "door.yaml").write_bytes(data)
    with pytest.raises(PackError) as refusal:
        load_card(tmp_path / "door.yaml", PackCard)
    assert refusal.value.reason == "card"


@pytest.mark.parametrize("name", ["nothing", "../door", "", "door.yaml", "demo-photos"])
def test_a_pack_that_is_not_described_is_refused_by_name(name: str) -> None:
    """A name is looked up among the descriptions, never joined to a path."""
    with pytest.raises(PackError) as refusal:
        load_pack_card(name)
    assert refusal.value.reason == "card"
    assert "door" in refusal.value.hint
