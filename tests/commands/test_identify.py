"""Who is on pictures and in videos: rows, exit codes, files; nothing in the state changes."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

EVIL = '=HYPERLINK("http://x")'


@pytest.fixture
def known(state_with_pack: Path, doorward: Any, photos: Path) -> Path:
    """A state in which one person with a dangerous name is enrolled."""
    done = doorward("enroll", EVIL, photos / "obama.jpg")
    assert done.code == 0, done.err
    return state_with_pack


@pytest.fixture
def photos(tmp_path: Path, demo_photos: dict[str, bytes]) -> Path:
    """The demo's photographs in a folder."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("obama.jpg", "obama2.jpg", "biden.jpg"):
        (folder / name).write_bytes(demo_photos[name])
    return folder


@pytest.fixture
def clip(shared: Path) -> Path:
    """A recording of somebody."""
    return shared / "clips" / "intel_asl_no.mkv"


def test_a_picture_of_somebody_enrolled_is_named(known: Path, doorward: Any, photos: Path) -> None:
    """Identity, similarity, margin to nobody, exit code 0."""
    done = doorward("identify", photos / "obama.jpg", "--json")
    assert done.code == 0, done.err
    (face,) = done.json["faces"]
    assert face["identity"] == EVIL
    assert face["similarity"] >= done.json["threshold"]
    assert face["result"] == "match"
    assert face["margin"] is None


def test_a_stranger_is_not_named(known: Path, doorward: Any, photos: Path) -> None:
    """no_match, with the nearest person beside it."""
    (face,) = doorward("identify", photos / "biden.jpg", "--json").json["faces"]
    assert face["result"] == "no_match"
    assert face["identity"] is None
    assert face["candidates"][0]["identity"] == EVIL


def test_without_anybody_enrolled_nobody_is_named(state_with_pack: Path, doorward: Any, photos: Path) -> None:
    """No candidate, no similarity, no error."""
    (face,) = doorward("identify", photos / "biden.jpg", "--json").json["faces"]
    assert face["result"] == "no_match"
    assert face["similarity"] is None
    assert doorward("identify", photos / "biden.jpg").code == 0


def test_top_shows_as_many_people_as_asked_for(known: Path, doorward: Any, photos: Path) -> None:
    """Best first; the verdict does not depend on it."""
    assert doorward("enroll", "Joe", photos / "biden.jpg").code == 0
    (one,) = doorward("identify", photos / "obama2.jpg", "--json", "--top", "1").json["faces"]
    (many,) = doorward("identify", photos / "obama2.jpg", "--json", "--top", "5").json["faces"]
    assert [each["identity"] for each in many["candidates"]] == [EVIL, "Joe"]
    assert one["result"] == many["result"]
    assert len(one["candidates"]) == 1
    assert one["margin"] == many["margin"]


def test_a_folder_tells_of_each_file_and_goes_on_after_a_bad_one(known: Path, doorward: Any, photos: Path) -> None:
    """A row with the reason for each file that cannot be used, exit code 65, the others identified."""
    (photos / "cut.jpg").write_bytes((photos / "obama.jpg").read_bytes()[:2000])
    (photos / "empty.png").touch()
    cv2.imwrite(str(photos / "wall.png"), np.full((200, 200, 3), 128, np.uint8))
    (photos / "notes.txt").write_text("no picture")
    done = doorward("identify", photos, "--json")
    assert done.code == 65
    assert "2 of 6 files cannot be used" in done.err
    assert "hint: " in done.err
    results = {face["file"]: face["result"] for face in done.json["faces"]}
    assert results["cut.jpg"] == "truncated"
    assert results["empty.png"] == "empty"
    assert results["wall.png"] == "no_face"
    assert results["obama.jpg"] == "match"
    assert "notes.txt" not in results


def test_a_csv_is_for_spreadsheets_and_starts_no_formula(known: Path, doorward: Any, photos: Path) -> None:
    """One line per face; names and file names are text."""
    (photos / "=1+1.jpg").write_bytes((photos / "obama.jpg").read_bytes())
    (photos / "+bad.jpg").write_bytes(b"")
    target = photos.parent / "out.csv"
    assert doorward("identify", photos, "--csv", target).code == 65
    with target.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5
    assert all(None not in row and None not in row.values() for row in rows)
    assert not any(str(cell).startswith(("=", "+", "@")) for row in rows for cell in row.values())
    named = next(row for row in rows if row["file"] == "obama.jpg")
    assert named["identity"] == "'" + EVIL
    assert float(named["similarity"]) > 0.95


def test_annotated_copies_leave_the_originals_alone(known: Path, doorward: Any, photos: Path) -> None:
    """One per picture, also when two differ only in their ending."""
    cv2.imwrite(str(photos / "obama.png"), _picture(photos / "biden.jpg"))
    before = {path.name: path.read_bytes() for path in photos.iterdir()}
    out = photos.parent / "out"
    assert doorward("identify", photos, "--annotate", out).code == 0
    assert {path.name: path.read_bytes() for path in photos.iterdir()} == before
    assert len(list(out.iterdir())) == len(before)
    original, copy = _picture(photos / "obama.jpg"), _picture(out / "obama.jpg.jpg")
    assert original.shape == copy.shape
    assert np.abs(original.astype(int) - copy.astype(int)).max() > 60


def test_what_is_written_about_people_is_for_one_pair_of_eyes(known: Path, doorward: Any, photos: Path) -> None:
    """Table and copies, whatever the umask."""
    table, out = photos.parent / "out.csv", photos.parent / "out"
    before = os.umask(0)
    try:
        assert doorward("identify", photos, "--csv", table, "--annotate", out).code == 0
    finally:
        os.umask(before)
    assert out.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (table, *out.iterdir())} == {0o600}


@pytest.mark.parametrize("option", ["--csv", "--annotate"])
def test_nothing_is_overwritten_and_no_link_followed(
    state_with_pack: Path, doorward: Any, photos: Path, option: str
) -> None:
    """Said before anything is looked at."""
    precious, link = photos.parent / "precious.jpg", photos.parent / "link.jpg"
    precious.write_bytes(b"precious")
    link.symlink_to(photos.parent / "nowhere.jpg")
    for target in (precious, link):
        done = doorward("identify", photos / "obama.jpg", option, target)
        assert done.code == 64
        assert "does not exist yet" in done.err
    assert precious.read_bytes() == b"precious"
    assert not (photos.parent / "nowhere.jpg").exists()


def test_a_video_is_followed_and_an_annotated_copy_plays(known: Path, doorward: Any, clip: Path) -> None:
    """One row per track, as many frames as the original."""
    out = known.parent / "copy.mp4"
    done = doorward("identify", clip, "--annotate", out, "--json")
    assert done.code == 0, done.err
    faces = done.json["faces"]
    assert faces
    assert all(face["identity"] is None for face in faces)
    assert max(face["votes"] for face in faces) >= 5
    assert max(face["last_s"] for face in faces) > 1.0
    assert _frames(out) == _frames(clip)


def test_somebody_enrolled_from_a_video_is_named_in_it(
    state_with_pack: Path, doorward: Any, clip: Path, tmp_path: Path
) -> None:
    """By the votes of the track, as at the door."""
    frame = _frame(clip, 10)
    picture = tmp_path / "frame.png"
    cv2.imwrite(str(picture), frame)
    lenient = tmp_path / "lenient.yaml"
    lenient.write_text("gallery: {enrolment: {min_face_px: 50.0, min_sharpness: 3.5}}\n")
    done = doorward("enroll", "A", picture, before=("--config", str(lenient)))
    assert done.code == 0, done.err
    faces = doorward("identify", clip, "--json").json["faces"]
    assert {face["identity"] for face in faces} == {"A"}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("nowhere.jpg",), 66),
        (("{empty}",), 66),
        (("{photo}", "--annotate", "{photo}"), 64),
        (("{photo}", "--annotate", "out.tiff"), 64),
        (("{photo}", "--annotate", "/nonexistent/out.jpg"), 64),
        (("{photos}", "--annotate", "{photo}"), 64),
        (("{photos}", "--annotate", "{photos}"), 64),
        (("{photos}", "--annotate", "/proc/nothing"), 64),
        (("{photo}", "--csv", "/nonexistent/out.csv"), 64),
        (("{photo}", "--top", "0"), 64),
        (("{text}",), 65),
    ],
)
def test_a_wrong_call_says_what_to_do(
    state_with_pack: Path, doorward: Any, photos: Path, tmp_path: Path, arguments: tuple[str, ...], code: int
) -> None:
    """An error of its class with a hint; no traceback."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("no picture")
    places = {
        "{empty}": tmp_path / "empty",
        "{photo}": photos / "obama.jpg",
        "{photos}": photos,
        "{text}": tmp_path / "notes.txt",
    }
    done = doorward("identify", *(places.get(argument, argument) for argument in arguments))
    assert done.code == code, done.err
    assert "hint: " in done.err
    assert "mistake" not in done.err


def test_a_video_copy_of_another_kind_is_refused_before_anything_is_read(
    state_with_pack: Path, doorward: Any, clip: Path, tmp_path: Path
) -> None:
    """The ending decides; nothing is written."""
    out = tmp_path / "out.gif"
    done = doorward("identify", clip, "--annotate", out)
    assert done.code == 64
    assert not out.exists()


def test_identifying_changes_nothing(known: Path, doorward: Any, photos: Path) -> None:
    """Neither people nor audit."""
    before = doorward("people", "list", "--json").json, doorward("status", "--json").json["audit"]
    doorward("identify", photos)
    assert (doorward("people", "list", "--json").json, doorward("status", "--json").json["audit"]) == before


def test_names_of_files_cannot_drive_the_terminal(known: Path, doorward: Any, photos: Path) -> None:
    """Escape sequences are shown as what they are."""
    os.rename(photos / "biden.jpg", photos / "\x1b[31mred.jpg")  # noqa: PTH104
    done = doorward("identify", photos)
    assert "\x1b[31m" not in done.out


def _picture(path: Path) -> Any:
    return cv2.imread(str(path))


def _frames(video: Path) -> int:
    capture = cv2.VideoCapture(str(video))
    count = 0
    while capture.read()[0]:
        count += 1
    capture.release()
    return count


def _frame(video: Path, number: int) -> Any:
    capture = cv2.VideoCapture(str(video))
    for _ in range(number + 1):
        frame = capture.read()[1]
    capture.release()
    return frame
