"""Presentation attack detection: rates of clips worked out by hand, and manifests that are refused before anything."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.errors import ModelError, NotFoundError, PhotoError, UsageError
from device.types import Box, Image
from export_tools.evaluate.pad import decide, run_pad, summarise
from export_tools.evaluate.presentations import Presentation, frames_of, read_manifest
from export_tools.evaluate.results.pad import ClipDecision, PadResult

BOX = Box(0, 0, 10, 10)


def clip(subject: str, name: str, species: str | None, scores: list[float]) -> ClipDecision:
    """A decided clip of five frames."""
    shown = Presentation(subject=subject, clip=name, species=species, files=())
    return decide(shown, frames=5, scores=scores, threshold=0.5, rule="median")


def by_hand() -> PadResult:
    """Four bona fide clips, four prints, two replays; medians stand in the comments."""
    return summarise(
        [
            clip("ann", "1", None, [0.9, 0.8, 0.1]),  # .8: bona fide
            clip("ann", "2", None, [0.2, 0.6, 0.3]),  # .3: attack, wrongly
            clip("bob", "1", None, [0.5]),  # .5: bona fide, the threshold itself
            clip("bob", "2", None, []),  # no response
            clip("ann", "p1", "print", [0.1, 0.9, 0.2]),  # .2: attack
            clip("ann", "p2", "print", [0.7, 0.9]),  # .8: bona fide, wrongly
            clip("bob", "p1", "print", [0.0]),  # 0: attack
            clip("bob", "p2", "print", []),  # no response
            clip("ann", "r1", "replay_phone", [0.6]),  # .6: bona fide, wrongly
            clip("bob", "r1", "replay_phone", [0.4]),  # .4: attack
        ],
        name="by hand",
        threshold=0.5,
        rule="median",
        elapsed_s=0.0,
    )


def test_rates_are_those_of_clips_worked_out_by_hand() -> None:
    """Print 1 of 3 with a response, replay 1 of 2; bona fide 1 of 3; ACER (1/2 + 1/3) / 2."""
    found = by_hand()
    prints, replays = found.species
    assert (prints.apcer.count, prints.apcer.trials) == (1, 3)
    assert (replays.apcer.count, replays.apcer.trials) == (1, 2)
    assert (found.bpcer.count, found.bpcer.trials) == (1, 3)
    assert (found.worst, found.worst_apcer) == ("replay_phone", 0.5)
    assert found.acer == pytest.approx((1 / 2 + 1 / 3) / 2)


def test_what_gets_no_response_is_counted_by_itself() -> None:
    """One of four prints, none of two replays, one of four bona fide clips; two of four visitors are turned away."""
    found = by_hand()
    assert [(each.apnrr.count, each.apnrr.trials) for each in found.species] == [(1, 4), (0, 2)]
    assert (found.bpnrr.count, found.bpnrr.trials) == (1, 4)
    assert (found.turned_away.count, found.turned_away.trials) == (2, 4)


def test_people_are_told_one_by_one() -> None:
    """Ann: one of two rejected, two of three attacks accepted. Bob: one bona fide and one attack without response."""
    ann, bob = by_hand().subjects
    assert (ann.bona_fide, ann.bona_fide_rejected, ann.attacks, ann.attacks_accepted, ann.no_response) == (
        2,
        1,
        3,
        2,
        0,
    )
    assert (bob.bona_fide, bob.bona_fide_rejected, bob.attacks, bob.attacks_accepted, bob.no_response) == (
        2,
        0,
        3,
        0,
        2,
    )


def test_no_error_in_nine_clips_means_at_most_a_third() -> None:
    """The rule of three, over clips; over people it is wider."""
    found = summarise(
        [clip(str(number // 3), str(number), "print", [0.0]) for number in range(9)],
        name="x",
        threshold=0.5,
        rule="median",
        elapsed_s=0,
    )
    apcer = found.species[0].apcer
    assert apcer.interval is not None
    assert apcer.by_subject is not None
    assert apcer.interval.upper == pytest.approx(3 / 9)
    assert (apcer.value, apcer.by_subject.upper) == (0, 1.0)
    assert (found.bpcer.value, found.acer) == (None, None)


def test_many_frames_are_one_presentation() -> None:
    """A thousand frames of one clip are one trial."""
    shown = Presentation(subject="a", clip="1", species="print", files=())
    decided = decide(shown, frames=1000, scores=[0.9] * 1000, threshold=0.5, rule="median")
    found = summarise([decided], name="x", threshold=0.5, rule="median", elapsed_s=0)
    assert (found.species[0].apcer.count, found.species[0].apcer.trials) == (1, 1)


@pytest.mark.parametrize(("rule", "decision"), [("median", "bona_fide"), ("mean", "attack"), ("min", "attack")])
def test_the_rule_that_joins_frames_decides(rule: str, decision: str) -> None:
    """Of .6 .6 .0 the median is .6, the mean .4, the least 0."""
    shown = Presentation(subject="a", clip="1", species="print", files=())
    found = decide(shown, frames=3, scores=[0.6, 0.6, 0.0], threshold=0.5, rule=rule)  # type: ignore[arg-type]
    assert found.decision == decision


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_a_score_that_is_no_number_opens_nothing(threshold: float) -> None:
    """At a threshold that is no probability nothing is judged at all."""
    if 0 <= threshold <= 1:
        return
    with pytest.raises(UsageError):
        summarise([clip("a", "1", None, [0.5])], name="x", threshold=threshold, rule="median", elapsed_s=0)


@pytest.mark.parametrize(("score", "decision"), [(1.0005, "bona_fide"), (-0.0005, "attack"), (math.nan, "no_response")])
def test_a_score_a_hair_beside_a_probability_is_one(score: float, decision: str, tmp_path: Path) -> None:
    """Half precision rounds; what is no number is no response."""
    shown = one_picture(tmp_path)
    found = run_pad([shown], scorer=lambda *_: score, find_face=lambda _: BOX, name="x", threshold=0.5)
    assert found.clips[0].decision == decision


def test_a_score_that_is_no_probability_is_a_broken_model(tmp_path: Path) -> None:
    """And neither an attack nor a visitor."""
    with pytest.raises(ModelError, match="no probability"):
        run_pad([one_picture(tmp_path)], scorer=lambda *_: 7.0, find_face=lambda _: BOX, name="x", threshold=0.5)


def one_picture(folder: Path) -> Presentation:
    """A clip of one frame."""
    _pictures(folder, "a.png")
    return Presentation(subject="a", clip="1", species=None, files=(folder / "a.png",))


# ---- From files


def _pictures(folder: Path, *names: str, level: int = 100) -> None:
    for name in names:
        cv2.imwrite(str(folder / name), np.full((40, 40, 3), level, np.uint8))


HEADER = "file,subject,clip,label,species\n"


def test_frames_of_one_clip_are_joined_and_frames_without_a_face_are_not_scored(tmp_path: Path) -> None:
    """Three pictures: one without a face, one whose score is no number, one scored."""
    for name, level in (("a.png", 40), ("b.png", 120), ("c.png", 200)):
        _pictures(tmp_path, name, level=level)
    (tmp_path / "m.csv").write_text(
        HEADER + "a.png,ann,1,attack,print\nb.png,ann,1,attack,print\nc.png,ann,1,attack,print\n"
    )

    def find(image: Image) -> Box | None:
        return None if image[0, 0, 0] < 50 else BOX

    def score(image: Image, box: Box) -> float:
        assert box == BOX
        return math.nan if image[0, 0, 0] < 150 else 0.25

    found = run_pad(read_manifest(tmp_path / "m.csv"), scorer=score, find_face=find, name="x", threshold=0.5)
    only = found.clips[0]
    assert (only.frames, only.scored, only.score, only.decision) == (3, 1, 0.25, "attack")


def test_a_video_is_a_clip_by_itself(shared: Path) -> None:
    """Some thirty frames, evenly spread."""
    shown = Presentation(subject="a", clip="1", species=None, files=(shared / "clips" / "intel_asl_yes.mkv",))
    frames = list(frames_of(shown))
    assert len(frames) == 30
    assert frames[0].shape == (480, 640, 3)


def test_a_picture_that_cannot_be_decoded_ends_it(tmp_path: Path) -> None:
    """One clear error; no rates of the rest."""
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n but no picture")
    (tmp_path / "m.csv").write_text(HEADER + "a.png,ann,1,bona_fide,\n")
    with pytest.raises(PhotoError):
        run_pad(
            read_manifest(tmp_path / "m.csv"), scorer=lambda *_: 0.5, find_face=lambda _: BOX, name="x", threshold=0.5
        )


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("a.png,ann,1,attack,hologram\n", "line 2: attack type 'hologram' is not declared"),
        ("a.png,ann,1,attack,\n", "line 2: attack type '' is not declared"),
        ("a.png,ann,1,bona_fide,print\n", "line 2: bona fide, and of attack type 'print'"),
        ("a.png,ann,1,live,\n", "line 2: label 'live' is neither"),
        ("a.png,ann,1,bona_fide,\na.png,ann,2,bona_fide,\n", "line 3: 'a.png' was given on line 2 already"),
        ("a.png,ann,1,bona_fide,\nb.png,ann,1,attack,print\n", "line 3: clip '1' of 'ann' is of another label"),
        ("a.png,ann,1\n", "line 2: 3 fields instead of 5"),
        (",ann,1,bona_fide,\n", "line 2: file is empty"),
        ("a.png,,1,bona_fide,\n", "line 2: subject is empty"),
        ("../a.png,ann,1,bona_fide,\n", "is not a file below"),
        ("/etc/passwd,ann,1,bona_fide,\n", "is not a file below"),
        ("a.txt,ann,1,bona_fide,\n", "neither a picture nor a video"),
        ('"a.png,ann,1,bona_fide,\n', "line 2"),
        ("", "names no file"),
    ],
)
def test_a_manifest_that_is_wrong_is_refused_with_its_line(rows: str, said: str, tmp_path: Path) -> None:
    """Before a single picture is read."""
    _pictures(tmp_path, "a.png", "b.png")
    (tmp_path / "m.csv").write_text(HEADER + rows)
    with pytest.raises(UsageError) as caught:
        read_manifest(tmp_path / "m.csv")
    assert said in caught.value.message
    assert caught.value.hint


def test_missing_files_are_counted_and_named_with_their_lines(tmp_path: Path) -> None:
    """Six are missing."""
    (tmp_path / "m.csv").write_text(HEADER + "".join(f"{n}.png,ann,{n},bona_fide,\n" for n in range(6)))
    with pytest.raises(NotFoundError, match="6 files") as caught:
        read_manifest(tmp_path / "m.csv")
    assert "line 2" in caught.value.message


def test_columns_are_named_when_they_are_wrong(tmp_path: Path) -> None:
    """A list of pairs given for a manifest."""
    (tmp_path / "m.csv").write_text("10\t300\n")
    with pytest.raises(UsageError, match="the columns are"):
        read_manifest(tmp_path / "m.csv")


def test_attack_types_may_be_declared(tmp_path: Path) -> None:
    """Then these and no others are known."""
    _pictures(tmp_path, "a.png")
    (tmp_path / "m.csv").write_text(HEADER + "a.png,ann,1,attack,hologram\n")
    assert read_manifest(tmp_path / "m.csv", species=("hologram",))[0].species == "hologram"
