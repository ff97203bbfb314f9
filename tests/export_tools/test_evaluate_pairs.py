"""Lists of pairs: what is read, and how what is wrong is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.errors import NotFoundError, UsageError
from export_tools.evaluate.pairs import parse_pairs, read_pairs, require_distinct_pictures

FOLDED = "2\t1\nAnn\t1\t2\nAnn\t1\tBob\t1\nBob\t1\t2\nBob\t2\tAnn\t2\n"


def test_folds_follow_from_the_first_line() -> None:
    """Two folds, each of one pair of one person and one of two."""
    pairs = parse_pairs(FOLDED, name="list")
    assert [(pair.same, pair.fold) for pair in pairs] == [(True, 1), (False, 1), (True, 2), (False, 2)]
    assert (pairs[3].first.person, pairs[3].first.number) == ("Bob", 2)


def test_names_may_hold_blanks_between_tabs() -> None:
    """As other sets than LFW have them."""
    (pair,) = parse_pairs("Ann Lee\t1\tBob\t2\n", name="list")
    assert (pair.first.person, pair.second.person) == ("Ann Lee", "Bob")


@pytest.mark.parametrize("header", ["", "1\n", "1\t1\n"])
def test_a_list_may_come_without_folds(header: str) -> None:
    """Without a first line, with the number of pairs, or with one fold."""
    pairs = parse_pairs(f"{header}Ann 1 2\nAnn 1 Bob 1\n", name="list")
    assert [(pair.same, pair.fold) for pair in pairs] == [(True, None), (False, None)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no pair"),
        ("\n\n", "holds no pair"),
        ("Ann 1\n", "line 1: 2 fields instead of 3 or 4"),
        ("Ann 1 2\nAnn 0 2\n", "line 2: picture 0: pictures are counted from 1"),
        ("Ann 1 x\n", "line 1: 'x' is not the number"),
        ("Ann 1 -2\n", "line 1: '-2' is not the number"),
        ("Ann 1 ²\n", "is not the number"),
        ("Ann 2 2\n", "line 1: Ann 2 is compared with itself"),
        ("Ann 1 Ann 2\n", "same name as if it were somebody else"),
        ("../Ann 1 2\n", "is not a person's name"),
        ("10\t300\nAnn 1 2\n", "announces 10 x (300 + 300) = 6000 pairs, the file holds 1"),
        ("2 1\nAnn 1 2\nBob 1 2\nAnn 1 Bob 1\nBob 1 Ann 1\n", "line 3: a pair of two people is due here in fold 1"),
        ("0 0\nAnn 1 2\n", "no folds"),
    ],
)
def test_a_malformed_list_is_refused_with_its_line(text: str, said: str) -> None:
    """One error that says where and what."""
    with pytest.raises(UsageError) as caught:
        parse_pairs(text, name="list")
    assert said in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_code == 64


def test_all_faults_are_counted_and_the_first_are_told() -> None:
    """Eight wrong lines: five by name, three in number."""
    with pytest.raises(UsageError) as caught:
        parse_pairs("Ann 0 1\n" * 8, name="list")
    assert "8 problems" in caught.value.message
    assert "line 5" in caught.value.message
    assert "line 6" not in caught.value.message
    assert "3 more" in caught.value.message


def test_pictures_are_found_in_folders_of_people_and_in_one_folder(tmp_path: Path) -> None:
    """Ann has a folder of her own, Bob's picture lies beside it and is a PNG."""
    (tmp_path / "Ann").mkdir()
    for name in ("Ann/Ann_0001.jpg", "Ann/Ann_0002.jpg", "Bob_0001.png"):
        (tmp_path / name).touch()
    (tmp_path / "list").write_text("Ann 1 2\nAnn 1 Bob 1\n")
    pairs = read_pairs(tmp_path / "list", images=tmp_path)
    assert [file.name for file in pairs.pictures] == ["Ann_0001.jpg", "Ann_0002.jpg", "Bob_0001.png"]


def test_all_missing_pictures_are_counted_and_the_first_are_named(tmp_path: Path) -> None:
    """Seven are missing, five are named."""
    (tmp_path / "list").write_text("".join(f"Ann {number} {number + 1}\n" for number in range(1, 7)))
    with pytest.raises(NotFoundError) as caught:
        read_pairs(tmp_path / "list", images=tmp_path)
    assert "7 pictures" in caught.value.message
    assert "Ann_0005" in caught.value.message
    assert "Ann_0006" not in caught.value.message
    assert caught.value.exit_code == 66


def test_a_list_or_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    """Before anything else."""
    with pytest.raises(NotFoundError, match="cannot read"):
        read_pairs(tmp_path / "none", images=tmp_path)
    (tmp_path / "list").write_text(FOLDED)
    with pytest.raises(NotFoundError, match="does not exist"):
        read_pairs(tmp_path / "list", images=tmp_path / "none")


def test_a_list_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """A picture given for a list."""
    (tmp_path / "list").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(UsageError, match="not text"):
        read_pairs(tmp_path / "list", images=tmp_path)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No other exception leaves the parser."""
    try:
        pairs = parse_pairs(text, name="list")
    except UsageError:
        return
    assert pairs
    assert all(pair.first != pair.second for pair in pairs)


@given(st.integers(2, 5), st.integers(1, 5))
def test_what_is_written_is_read_back(folds: int, per_kind: int) -> None:
    """Any number of folds of any size."""
    fold = "Ann\t1\t2\n" * per_kind + "Ann\t1\tBob\t1\n" * per_kind
    pairs = parse_pairs(f"{folds}\t{per_kind}\n" + fold * folds, name="list")
    assert len(pairs) == 2 * folds * per_kind
    assert {pair.fold for pair in pairs} == set(range(1, folds + 1))


def test_one_picture_under_several_names_is_refused(tmp_path: Path) -> None:
    """Against its own copy it says nothing, and of two people it makes one."""
    for number, content in ((1, b"x"), (2, b"y")):
        (tmp_path / f"A_000{number}.jpg").write_bytes(content)
    (tmp_path / "B_0001.jpg").write_bytes(b"z")
    (tmp_path / "list").write_text("A 1 2\nA 1 B 1\n")
    pairs = read_pairs(tmp_path / "list", images=tmp_path)
    require_distinct_pictures(pairs)
    for copy in ("A_0002.jpg", "B_0001.jpg"):
        (tmp_path / copy).write_bytes(b"x")
    with pytest.raises(UsageError, match="2 problems") as caught:
        require_distinct_pictures(pairs)
    assert "B_0001.jpg is the same picture as" in caught.value.message
    assert "--allow-duplicates" in caught.value.hint
