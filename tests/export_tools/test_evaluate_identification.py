"""Identification in an open set: every figure of eight probes worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from device.errors import NotFoundError, UsageError
from export_tools.evaluate.identification import run_identification
from export_tools.evaluate.people import OpenSet, read_open_set, require_distinct
from export_tools.evaluate.results.recognition import IdentificationResult
from tests.export_tools.given_faces import GivenFaces

#: Three people of the gallery lie on the axes; c's photographs contradict each other, d's shows no face.
GALLERY = {"a1": (1.0, 0.0, 0.0), "b1": (0.0, 1.0, 0.0), "c1": (0.0, 0.0, 1.0), "c2": (0.0, 0.0, -1.0)}


def towards(axis: int, cosine: float, other: int) -> tuple[float, ...]:
    """A unit vector of this cosine to one axis, the rest on another."""
    found = [0.0, 0.0, 0.0]
    found[axis], found[other] = cosine, (1 - cosine * cosine) ** 0.5
    return tuple(found)


#: Probes of a and b: .99, .95 and .90 to the right one; one nearer to the other; one of c, who could not be enrolled.
MATED = {"a": ("a_p1", "a_p2", "a_p3", "a_p4"), "b": ("b_p1",), "c": ("c_p1",)}
VECTORS = {
    "a_p1": towards(0, 0.99, 2),
    "a_p2": towards(0, 0.95, 2),
    "a_p3": towards(1, 0.97, 2),  # looks like b
    "b_p1": towards(1, 0.90, 2),
    "c_p1": towards(2, 1.0, 0),
    "s_p1": towards(0, 0.93, 2),
    "s_p2": towards(1, 0.50, 2),
}
STRANGERS = {"s": ("s_p1", "s_p2", "s_p3", "s_p4")}


def identified(threshold: float = 0.94) -> IdentificationResult:
    """a_p4, s_p3 and s_p4 show no face."""
    gallery = {"a": ("a1",), "b": ("b1",), "c": ("c1", "c2"), "d": ("d1",)}
    return run_identification(
        OpenSet(
            gallery={name: tuple(map(Path, files)) for name, files in gallery.items()},
            probes={name: tuple(map(Path, files)) for name, files in {**MATED, **STRANGERS}.items()},
        ),
        embedder=GivenFaces({**GALLERY, **VECTORS}),
        threshold=threshold,
        photos=2,
        target_fpirs=(0.25, 0.01),
    )


def test_who_cannot_be_enrolled_is_counted() -> None:
    """C's photographs cancel each other out, d's shows no face: two of four."""
    found = identified()
    assert (found.people, found.not_enrolled.count, found.not_enrolled.trials) == (2, 2, 4)


def test_misses_and_false_alarms_are_what_counting_by_hand_gives() -> None:
    """Six mated probes: at .94 two are returned (.99, .95). Of four strangers none reaches .94, one reaches .93."""
    found = identified(0.94)
    assert (found.mated, found.strangers) == (6, 4)
    assert (found.at_threshold.fnir.count, found.at_threshold.fnir.trials) == (4, 6)
    assert (found.at_threshold.fpir.count, found.at_threshold.fpir.trials) == (0, 4)
    looser = identified(0.89)
    # .99, .95, .90 to the right person; .97 to the wrong one is a miss.
    assert looser.at_threshold.fnir.count == 3
    assert looser.at_threshold.fpir.count == 1


def test_rank_one_counts_the_right_nearest_person() -> None:
    """a_p1, a_p2 and b_p1; not a_p3 (nearer to b), a_p4 (no face), c_p1 (nobody to be found)."""
    found = identified()
    assert (found.rank1.count, found.rank1.trials) == (3, 6)
    assert (found.mated_without_face, found.strangers_without_face) == (1, 2)


def test_the_misses_are_taken_at_the_lowest_threshold_that_keeps_the_false_alarms() -> None:
    """One alarm in four is allowed: down to .90, three missed. None is allowed: down to .95, four missed."""
    loose, strict = identified().fnir_at_fpir
    assert loose.threshold == pytest.approx(0.90, abs=1e-6)
    assert (loose.fnir.count, loose.fpir.count, loose.resolved) == (3, 1, True)
    assert strict.threshold == pytest.approx(0.95, abs=1e-6)
    assert (strict.fnir.count, strict.fpir.count, strict.resolved) == (4, 0, False)


def test_the_curve_begins_where_nobody_is_returned() -> None:
    """And runs to everything that was found."""
    curve = identified().curve
    assert (curve.fpir[0], curve.fnir[0]) == (0.0, 1.0)
    assert (curve.fpir[-1], curve.fnir[-1]) == (0.5, 0.5)
    assert list(curve.threshold) == sorted(curve.threshold, reverse=True)


def test_a_gallery_of_nobody_is_refused() -> None:
    """Nobody could be found in it."""
    people = OpenSet(gallery={"d": (Path("d1"),)}, probes={"d": (Path("a_p1"),), "s": (Path("s_p1"),)})
    with pytest.raises(UsageError, match="nobody"):
        run_identification(people, embedder=GivenFaces(VECTORS), threshold=0.9, photos=1)


def _people(folder: Path, names: dict[str, int]) -> Path:
    for name, count in names.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            (folder / name / f"{number}.jpg").write_bytes(f"{folder.name}/{name}/{number}".encode())
    return folder


def test_people_are_read_from_folders(tmp_path: Path) -> None:
    """The first photographs by name; a folder without pictures is nobody."""
    gallery = _people(tmp_path / "gallery", {"a": 5, "b": 1, "empty": 0})
    probes = _people(tmp_path / "probes", {"a": 2, "stranger": 3})
    people = read_open_set(gallery=gallery, probes=probes, photos=3)
    assert {name: len(files) for name, files in people.gallery.items()} == {"a": 3, "b": 1}
    assert {name: len(files) for name, files in people.probes.items()} == {"a": 2, "stranger": 3}


def test_folders_that_give_no_open_set_are_refused(tmp_path: Path) -> None:
    """No strangers, nobody enrolled, nothing at all, or a picture compared with itself."""
    gallery = _people(tmp_path / "gallery", {"a": 1})
    with pytest.raises(UsageError, match="not enrolled"):
        read_open_set(gallery=gallery, probes=_people(tmp_path / "same", {"a": 1}), photos=3)
    with pytest.raises(UsageError, match="of enrolled people"):
        read_open_set(gallery=gallery, probes=_people(tmp_path / "others", {"x": 1}), photos=3)
    with pytest.raises(NotFoundError, match="holds no pictures"):
        read_open_set(gallery=gallery, probes=_people(tmp_path / "nobody", {"x": 0}), photos=3)
    with pytest.raises(UsageError, match="compared with themselves"):
        read_open_set(gallery=gallery, probes=gallery, photos=3)
    with pytest.raises(NotFoundError, match="does not exist"):
        read_open_set(gallery=tmp_path / "none", probes=gallery, photos=3)


def test_one_picture_on_both_sides_is_refused_under_whatever_name(tmp_path: Path) -> None:
    """A probe that is a copy of an enrolled photograph is found without any recognition."""
    gallery = _people(tmp_path / "gallery", {"a": 2, "b": 1})
    probes = _people(tmp_path / "probes", {"a": 1, "stranger": 2})
    require_distinct(read_open_set(gallery=gallery, probes=probes, photos=3).people)
    for copied in ("a", "stranger"):
        copy = probes / copied / "copy.jpg"
        copy.write_bytes((gallery / "a" / "0.jpg").read_bytes())
        with pytest.raises(UsageError, match=f"{copy} is the same picture as"):
            require_distinct(read_open_set(gallery=gallery, probes=probes, photos=3).people)
        copy.unlink()


def test_pictures_of_nobody_are_refused(tmp_path: Path) -> None:
    """Beside the folders of people, as for a calibration."""
    gallery = _people(tmp_path / "gallery", {"a": 1})
    probes = _people(tmp_path / "probes", {"a": 1, "stranger": 1})
    (probes / "lost.jpg").write_bytes(b"lost")
    with pytest.raises(UsageError, match="belongs to no person"):
        read_open_set(gallery=gallery, probes=probes, photos=3)
