"""Pack descriptions: what is shipped is valid, and a slip of the pen is found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from device.errors import PackError
from device.vision.manifest import PAD_ROLES, REQUIRED_ROLES
from export_tools.cards import EMBEDDERS_DIRECTORY, PACKS_DIRECTORY, PackCard, PhotoCard, load_card, load_pack_card

DOOR = (PACKS_DIRECTORY / "door.yaml").read_text(encoding="utf-8")


def test_the_pack_door_has_a_model_for_every_role_but_passive_liveness() -> None:
    """Nothing in it comes from elsewhere than a package index."""
    card, data = load_pack_card("door")
    assert set(card.models) == set(REQUIRED_ROLES)
    assert data == DOOR.encode()


def test_the_pack_door_plus_adds_passive_liveness_and_keeps_landmarks_iris_and_embedder() -> None:
    """The same members of the same archives, so that both packs stay comparable."""
    door, plus = load_pack_card("door")[0], load_pack_card("door-plus")[0]
    assert set(plus.models) == {*REQUIRED_ROLES, *PAD_ROLES}
    for role in ("landmarks", "iris", "embedder"):
        assert plus.models[role].pinned_member() == door.models[role].pinned_member()
        assert plus.models[role].name == door.models[role].name


def test_the_default_threshold_is_the_one_measured_at_one_in_a_hundred_thousand() -> None:
    """Shipped thresholds are quoted exactly."""
    thresholds = load_pack_card("door")[0].thresholds
    assert thresholds is not None
    assert thresholds == load_pack_card("door-plus")[0].thresholds
    assert thresholds.match_cosine == 0.9547
    assert [point.cosine for point in thresholds.match] == [0.9312, 0.9442, 0.9547, 0.9638]
    assert [point.fmr for point in thresholds.match] == [1e-3, 1e-4, 1e-5, 1e-6]


def test_the_wheel_with_the_models_is_asked_for_by_one_name_on_every_machine() -> None:
    """Only its data files are read, so the machine does not matter."""
    assert (
        load_pack_card("door")[0]
        .sources["mediapipe"]
        .file.endswith("cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl")
    )


def test_an_address_names_one_version_for_ever() -> None:
    """A commit, never a branch; which index serves the archives of packages is the user's own setting."""
    for path in [*PACKS_DIRECTORY.glob("*.yaml"), *EMBEDDERS_DIRECTORY.glob("*.yaml")]:
        for line in path.read_text(encoding="utf-8").splitlines():
            if "://" in line and not line.lstrip().startswith("#"):
                assert re.search(r"^ +url: https://[^/]+/[^/]+/[^/]+/raw/[0-9a-f]{40}/", line), line


def test_the_demo_photographs_are_described() -> None:
    """By file name, each pinned."""
    card, _ = load_card(PACKS_DIRECTORY / "demo-photos.yaml", PhotoCard)
    assert {"obama.jpg", "obama2.jpg", "obama3.jpg", "biden.jpg"} <= set(card.photos)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("format: 2", "format: 1"),
        ("format: 2", "format: 2\nextra: 1"),
        ("pack: door", "pack: ../door"),
        ("pack: door", "pack: door\npack: door"),
        ("file: mediapipe-0", "file: ../mediapipe-0"),
        ("family: blazeface-full", "family: facemesh"),
        ("family: blazeface-full", "family: retinaface"),
        ("tensorrt: fp16}", "tensorrt: int8-u8}"),
        ("tensorrt: fp16}", "tensorrt: int4}"),
        ("{onnxruntime: fp32, tensorrt: fp16}", "{onnxruntime: fp32}"),
        ("onnxruntime: fp32", "onnxruntime: int8-u8"),
        ("int8-u8: &lost", "fp32: &lost"),
        ("ranges: dlib-resnet29-v1.json", "ranges: ../dlib.json"),
        ("commercial_use: true", "commercial_use: perhaps"),
        ("mirrored: true", "mirrored: false"),
        ("fmr_upper_95: 1.006e-3", "fmr_upper_95: .inf"),
        ("comparisons: 87000000", "comparisons: 0"),
        ("sha256: a807", "sha256: A807"),
        ("member: mediapipe/modules/face_detection", "member: /etc/face_detection"),
        ("converter: dlib", "converter: pickle"),
        ("default_fmr: 1.0e-5", "default_fmr: 1.0e-7"),
        ("cosine: 0.9547", "cosine: .nan"),
        ("cosine: 0.9547", "cosine: 0.91"),
        ("cosine: 0.9547", "cosine: '0.9547'"),
        ("source: face-recognition-models", "source: mediapipe"),
        ("  detector:\n    name", "  doorbell:\n    name"),
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


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b"\xff\xfe", b"a: &a [*a]", b"x" * 300_000, b"format: 2001-99-99", b"? [a]\n: b",
        b"format: " + b"9" * 5000, b"format: " + b"1:" * 120_000 + b"1", b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_description_is_refused(tmp_path: Path, data: bytes) -> None:
    """Empty, a list, not text, endless, too large, dates and numbers that cannot be, no words for keys."""
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
