"""Detection over face size: counting by hand, annotations, and the rendered sweep through the real detector."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.camera.photo import decode_photo
from device.config import Config
from device.errors import NotFoundError, UsageError
from device.keys import StateKeys
from device.types import Box, Image
from device.vision.pack import load_pack
from device.vision.tracker import overlap
from device.wiring.models import load_vision
from export_tools.evaluate.annotations import AnnotatedPicture, FaceBox, read_annotations
from export_tools.evaluate.detection import assign, detector_and_mesh, run_detection
from export_tools.evaluate.sweep import run_sweep


def face(x: float, width: float, *, eyes: bool = True) -> FaceBox:
    """A square at y 0 with its eyes at a quarter and three quarters."""
    places = np.array([[x + width / 4, 10], [x + 3 * width / 4, 10]], np.float32)
    return FaceBox(box=Box(x, 0, width, width), eyes=places if eyes else None)


@pytest.fixture
def blank(tmp_path: Path) -> Path:
    """A picture without anything."""
    file = tmp_path / "blank.png"
    cv2.imwrite(str(file), np.zeros((400, 400, 3), np.uint8))
    return file


def test_recall_and_false_positives_are_what_counting_by_hand_gives(blank: Path) -> None:
    """Faces of 25, 50 and 100 px; the one of 50 is missed, and something is found where nothing is."""
    annotated = AnnotatedPicture(file=blank, faces=(face(0, 25), face(100, 50), face(200, 100)))
    shifted = FaceBox(box=Box(210, 0, 100, 100), eyes=face(210, 100).eyes)

    def find(_: Image) -> Sequence[FaceBox]:
        return [face(0, 25), shifted, face(350, 30)]

    found = run_detection([annotated], find=find, name="x")
    assert (found.recall.count, found.recall.trials, found.false_positives) == (2, 3, 1)
    by_size = {each.from_px: each for each in found.bins}
    assert [(low, by_size[low].recall.count, by_size[low].recall.trials) for low in (20, 40, 80)] == [
        (20, 1, 1),
        (40, 0, 1),
        (80, 1, 1),
    ]
    # Both eyes of the large face are 10 px off, which are 50 px apart.
    assert by_size[80].eye_error == pytest.approx(10 / 50)
    assert by_size[40].recall.value == 0
    assert by_size[0].recall.value is None


def test_a_detection_is_one_face_only() -> None:
    """Two annotated faces near one detection: the nearer one is found, the other is missed."""
    assert assign([face(0, 100), face(20, 100)], [face(15, 100)], min_overlap=0.4) == [None, 0]


def test_too_little_overlap_is_no_detection() -> None:
    """Half a face beside it shares a third."""
    assert overlap(Box(0, 0, 10, 10), Box(5, 0, 10, 10)) == pytest.approx(1 / 3)
    assert assign([face(0, 100)], [face(50, 100)], min_overlap=0.4) == [None]


@given(*(st.floats(-50, 50), st.floats(0, 100)) * 2)
def test_overlap_is_a_share_whatever_the_boxes(x: float, width: float, other_x: float, other_width: float) -> None:
    """Never below 0 or above 1, and the same both ways."""
    one, other = Box(x, 0, width, 10), Box(other_x, 0, other_width, 10)
    assert 0 <= overlap(one, other) <= 1 + 1e-9
    assert overlap(one, other) == pytest.approx(overlap(other, one))


def test_annotations_are_read(tmp_path: Path, blank: Path) -> None:
    """Two faces of one picture, none of another."""
    (tmp_path / "empty.png").write_bytes(blank.read_bytes())
    (tmp_path / "list.csv").write_text("file,x,y,w,h\nblank.png,1,2,30,40\nblank.png,5,6,70,80\nempty.png,,,,\n")
    first, second = read_annotations(tmp_path / "list.csv", images=tmp_path)
    assert [each.box.width for each in first.faces] == [30, 70]
    assert second.faces == ()


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("blank.png,1,2,0,40", "line 2: a box needs"),
        ("blank.png,1,2,nan,40", "line 2: a box needs"),
        ("blank.png,a,2,3,40", "line 2: not all values are numbers"),
        ("blank.png,1,2,3", "line 2: 4 fields instead of 5"),
        ("../blank.png,1,2,3,4", "line 2: no file below"),
    ],
)
def test_wrong_annotations_are_refused_with_their_line(row: str, said: str, tmp_path: Path, blank: Path) -> None:
    """Before a single picture is read."""
    assert blank.exists()
    (tmp_path / "list.csv").write_text(f"file,x,y,w,h\n{row}\n")
    with pytest.raises(UsageError) as caught:
        read_annotations(tmp_path / "list.csv", images=tmp_path)
    assert said in caught.value.message


def test_missing_pictures_and_wrong_columns_are_told(tmp_path: Path) -> None:
    """Each by its own error."""
    (tmp_path / "list.csv").write_text("file,x,y,w,h\ngone.png,1,2,3,4\n")
    with pytest.raises(NotFoundError, match="1 file"):
        read_annotations(tmp_path / "list.csv", images=tmp_path)
    (tmp_path / "list.csv").write_text("picture,box\n")
    with pytest.raises(UsageError, match="the columns are picture, box"):
        read_annotations(tmp_path / "list.csv", images=tmp_path)


def test_bins_of_eye_distances_need_annotated_eyes(blank: Path) -> None:
    """Otherwise the figures would be of something else."""
    annotated = AnnotatedPicture(file=blank, faces=(face(0, 25, eyes=False),))
    with pytest.raises(UsageError, match="eyes"):
        run_detection([annotated], find=lambda _: (), name="x", size="eye_distance")


def test_no_annotated_face_is_no_recall(blank: Path) -> None:
    """Recall of nothing is not 100 %."""
    with pytest.raises(UsageError, match="no face"):
        run_detection([AnnotatedPicture(file=blank, faces=())], find=lambda _: (), name="x")


def test_the_sweep_finds_near_faces_always_and_far_ones_less(
    door_pack: Path, door_keys: StateKeys, demo_photos: dict[str, bytes]
) -> None:
    """Through the door's detector and mesh: all faces of 99 px, eyes within 5 % of their distance; few of 20 px."""
    vision = load_vision(load_pack(door_pack, mac_key=door_keys.pack_mac), Config())
    find = detector_and_mesh(vision)
    image = decode_photo(demo_photos["biden.jpg"], name="biden.jpg")
    true = find(image)[0]
    found = run_sweep(image, true, find=find, name="x", widths_px=(20, 99), places=6)
    far, near = found.bins
    assert (near.recall.count, near.recall.trials) == (6, 6)
    assert near.eye_error is not None
    assert near.eye_error < 0.05
    assert far.recall.count < 6
    with pytest.raises(UsageError, match="cannot be shown"):
        run_sweep(image, true, find=find, name="x", widths_px=(5000,))
