"""Embeddings of files: the device's own numbers, whatever the number of workers, and a cache that is never trusted."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.camera.photo import decode_photo, read_photo
from device.config import Config
from device.errors import PhotoError, StateError, UsageError
from device.keys import StateKeys
from device.vision import align
from device.vision.align import DLIB_150, INSIGHTFACE_112, Alignment
from device.vision.pack import Pack, load_pack
from device.vision.warp import Cutter
from device.wiring.models import load_vision
from export_tools.evaluate.cache import CachePlace, EmbeddingCache, Entry
from export_tools.evaluate.embeddings import DeviceFaces
from export_tools.evaluate.identity import chip_digest, pipeline_identity
from export_tools.evaluate.pairs import read_pairs
from export_tools.evaluate.verification import run_verification
from export_tools.sources.download import Silent
from tests.export_tools.lfw_like import write_pairs, write_set

IDENTITY = "ab" * 32
KEY = b"k" * 32


@pytest.fixture(scope="session")
def pack(door_pack: Path, door_keys: StateKeys) -> Pack:
    """The pack `door`."""
    return load_pack(door_pack, mac_key=door_keys.pack_mac)


@pytest.fixture(scope="session")
def small_set(tmp_path_factory: pytest.TempPathFactory, demo_photos: dict[str, bytes]) -> Path:
    """Thirty pictures of each of two people."""
    return write_set(tmp_path_factory.mktemp("set") / "images", demo_photos, per_person=30)


# ---- The device's own numbers


def test_embeddings_are_those_of_the_device(pack: Pack, small_set: Path) -> None:
    """To the bit, and the one without the mirrored chip is not the same."""
    files = sorted(small_set.glob("*/*.jpg"))[:3]
    vision = load_vision(pack, Config())
    found = DeviceFaces(pack, Config(), cache=None).embed(files, reporter=Silent())
    for row, file in enumerate(files):
        image = read_photo(file)
        expected = vision.embedder.embed(image, vision.find_faces(image)[0].landmarks).vector
        assert np.array_equal(found.vectors[row], expected)
        assert 0.9 < float(found.upright[row] @ expected) < 1 - 1e-6


def test_workers_change_nothing(pack: Pack, small_set: Path) -> None:
    """Two workers give what one gives, in the order of the files, repeated ones too."""
    files = [*sorted(small_set.glob("*/*.jpg"))[:40], *sorted(small_set.glob("*/*.jpg"))[:2]]
    one = DeviceFaces(pack, Config(), cache=None).embed(files, reporter=Silent())
    two = DeviceFaces(pack, Config(), cache=None, workers=2).embed(files, reporter=Silent())
    assert np.array_equal(one.vectors, two.vectors)
    assert np.array_equal(one.vectors[:2], one.vectors[-2:])


def test_a_picture_without_a_face_has_no_vector(pack: Pack, tmp_path: Path, demo_photos: dict[str, bytes]) -> None:
    """It is not zero, which could be compared: it is not a number."""
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((250, 250, 3), 90, np.uint8))
    (tmp_path / "obama.jpg").write_bytes(demo_photos["obama.jpg"])
    found = DeviceFaces(pack, Config(), cache=None).embed(
        [tmp_path / "grey.png", tmp_path / "obama.jpg"], reporter=Silent()
    )
    assert found.found.tolist() == [False, True]
    assert np.isnan(found.vectors[0]).all()


def test_files_that_are_no_pictures_are_counted_and_named(pack: Pack, small_set: Path, tmp_path: Path) -> None:
    """After all others were done, and these are cached."""
    shutil.copytree(small_set / "Biden", tmp_path / "Biden")
    for number in (3, 4):
        (tmp_path / "Biden" / f"Biden_{number:04d}.jpg").write_bytes(b"\xff\xd8\xff but no JPEG")
    files = sorted((tmp_path / "Biden").iterdir())[:6]
    faces = DeviceFaces(pack, Config(), cache=CachePlace(tmp_path / "cache", KEY))
    with pytest.raises(PhotoError) as caught:
        faces.embed(files, reporter=Silent())
    assert "2 files" in caught.value.message
    assert "Biden_0003.jpg" in caught.value.message
    assert faces.embed(files[:2], reporter=Silent()).cached == 2


def test_no_worker_is_refused(pack: Pack) -> None:
    """Nobody would do the work."""
    with pytest.raises(UsageError):
        DeviceFaces(pack, Config(), cache=None, workers=0)


# ---- The cache


def test_a_second_evaluation_takes_every_picture_from_the_cache(pack: Pack, small_set: Path, tmp_path: Path) -> None:
    """The same figures, no inference; a copy under another name is known too."""
    pairs = read_pairs(write_pairs(tmp_path / "list", folds=3, per_kind=10, per_person=30), images=small_set)
    faces = DeviceFaces(pack, Config(), cache=CachePlace(tmp_path / "cache", KEY), workers=2)
    first = run_verification(pairs, embedder=faces, threshold=0.9547)
    second = run_verification(pairs, embedder=faces, threshold=0.9547)
    assert (first.effort.cached, second.effort.cached) == (0, len(pairs.pictures))
    assert first.all_pairs == second.all_pairs
    assert first.all_pairs.folds is not None
    assert first.all_pairs.folds.accuracy > 0.95
    shutil.copy(pairs.pictures[0], tmp_path / "copy.jpg")
    assert faces.embed([tmp_path / "copy.jpg"], reporter=Silent()).cached == 1


def test_an_interrupted_evaluation_goes_on_where_it_stopped(pack: Pack, small_set: Path, tmp_path: Path) -> None:
    """What was done until then is in the cache."""

    class Impatient(Silent):
        def at(self, done: int) -> None:
            if done >= 16:
                raise KeyboardInterrupt

    files = sorted(small_set.glob("*/*.jpg"))
    faces = DeviceFaces(pack, Config(), cache=CachePlace(tmp_path, KEY), workers=2)
    with pytest.raises(KeyboardInterrupt):
        faces.embed(files, reporter=Impatient())
    assert faces.embed(files[:40], reporter=Silent()).cached >= 16


def test_the_most_central_face_is_chosen_where_asked(pack: Pack, tmp_path: Path, demo_photos: dict[str, bytes]) -> None:
    """A large face at the edge and a small one in the middle: the door takes the one, a set of portraits the other."""
    large = decode_photo(demo_photos["biden.jpg"], name="biden.jpg")[100:1100, :]
    small = decode_photo(demo_photos["obama.jpg"], name="obama.jpg")[100:800, 100:800]
    canvas = np.full((600, 1600, 3), 100, np.uint8)
    canvas[:, :580] = cv2.resize(large, (580, 600), interpolation=cv2.INTER_AREA)
    canvas[150:450, 650:950] = cv2.resize(small, (300, 300), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(tmp_path / "both.png"), canvas)
    (tmp_path / "obama.jpg").write_bytes(demo_photos["obama.jpg"])
    files = [tmp_path / "both.png", tmp_path / "obama.jpg"]
    largest = DeviceFaces(pack, Config(), cache=None).embed(files, reporter=Silent()).vectors
    central = DeviceFaces(pack, Config(), cache=None, face="central").embed(files, reporter=Silent()).vectors
    assert float(largest[0] @ largest[1]) < 0.9
    assert float(central[0] @ central[1]) > 0.95


def test_another_model_or_setting_has_another_cache(pack: Pack, small_set: Path, tmp_path: Path) -> None:
    """The most central face is another question than the largest."""
    file = sorted(small_set.glob("*/*.jpg"))[:1]
    DeviceFaces(pack, Config(), cache=CachePlace(tmp_path, KEY)).embed(file, reporter=Silent())
    assert (
        DeviceFaces(pack, Config(), cache=CachePlace(tmp_path, KEY), face="central")
        .embed(file, reporter=Silent())
        .cached
        == 0
    )
    assert len(list(tmp_path.iterdir())) == 2


def _identity(pack: Pack, alignment: Alignment) -> str:
    return pipeline_identity(pack, Config(), alignment=alignment, face="largest")


@pytest.mark.parametrize(
    "change",
    [
        {"template": ((35.2, 46.559), *DLIB_150.template[1:])},
        {"points": ((33,), (133,), (362,), (263,), (4,))},
        {"side_px": 149},
    ],
)
def test_another_alignment_is_another_pipeline(change: dict[str, Any], pack: Pack) -> None:
    """A template moved by a tenth of a pixel, another landmark, another side."""
    changed = replace(DLIB_150, **change)
    assert _identity(pack, changed) != _identity(pack, DLIB_150)
    assert chip_digest(changed) != chip_digest(DLIB_150)
    assert DeviceFaces(pack, Config(), cache=None).source.identity == _identity(pack, DLIB_150)


@pytest.mark.parametrize("change", [{"smooth": False}, {"border": cv2.BORDER_REPLICATE}])
def test_another_way_of_cutting_chips_is_another_pipeline(
    change: dict[str, Any], pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without anybody raising a number."""
    before = _identity(pack, INSIGHTFACE_112), _identity(pack, DLIB_150)
    monkeypatch.setattr(align, "Cutter", lambda side, **how: Cutter(side, **{**how, **change}))
    assert _identity(pack, INSIGHTFACE_112) != before[0]
    assert _identity(pack, DLIB_150) != before[1]


def test_what_others_left_in_the_folder_is_told_and_left_alone(pack: Pack, small_set: Path, tmp_path: Path) -> None:
    """Files of earlier versions always, other caches when a new one is begun; they hold templates."""
    notes: list[str] = []

    class Noting(Silent):
        def note(self, text: str) -> None:
            notes.append(text)

    other = _cache(tmp_path)
    (tmp_path / "embeddings-0123456789abcdef.npz").write_bytes(b"old")
    files = sorted(small_set.glob("*/*.jpg"))[:1]
    faces = DeviceFaces(pack, Config(), cache=CachePlace(tmp_path, KEY))
    faces.embed(files, reporter=Noting())
    assert str(tmp_path / "embeddings-0123456789abcdef.npz") in notes[0]
    assert str(other) in notes[1]
    notes.clear()
    faces.embed(files, reporter=Noting())
    assert [note.partition(" ")[0] for note in notes] == ["an", "1"]
    assert len(list(tmp_path.iterdir())) == 3


def test_a_folder_that_cannot_be_written_is_told_before_the_work(pack: Pack, small_set: Path) -> None:
    """Not after an hour of embedding; the hint names options that there are."""

    class Begun(Silent):
        def begin(self, what: str, *, total: int | None, done: int) -> None:  # noqa: ARG002
            raise KeyboardInterrupt

    faces = DeviceFaces(pack, Config(), cache=CachePlace(Path("/proc/none"), KEY))
    with pytest.raises(StateError) as caught:
        faces.embed(sorted(small_set.glob("*/*.jpg"))[:1], reporter=Begun())
    assert "--embeddings" in caught.value.hint
    assert "--no-embeddings" in caught.value.hint


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "replaced", "another pipeline", "another key"])
def test_a_damaged_cache_is_made_anew_with_a_note(damage: str, tmp_path: Path) -> None:
    """It is neither used nor the end of the evaluation."""
    path = _cache(tmp_path)
    data = path.read_bytes()
    identity, key = IDENTITY, KEY
    if damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "flipped":
        vector = np.array([0.6, 0.8], np.float32).tobytes()
        path.write_bytes(data.replace(vector, vector[:-1] + b"\x00"))
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "replaced":
        path.write_bytes(b"not a cache")
    else:
        identity, key = ("cd" * 32, KEY) if damage == "another pipeline" else (IDENTITY, b"o" * 32)
        place = EmbeddingCache(CachePlace(tmp_path, key), identity).path
        assert place is not None
        path.rename(place)
    cache, note = EmbeddingCache.open(CachePlace(tmp_path, key), identity=identity)
    assert len(cache) == 0
    assert note is not None
    assert "made anew" in note
    cache.put(b"\x01" * 32, Entry(vector=None, upright=None, usable=False))
    cache.save()
    assert EmbeddingCache.open(CachePlace(tmp_path, key), identity=identity)[1] is None


def _cache(folder: Path) -> Path:
    cache, note = EmbeddingCache.open(CachePlace(folder, KEY), identity=IDENTITY)
    assert note is None
    vector = np.array([0.6, 0.8], np.float32)
    cache.put(b"\x01" * 32, Entry(vector=vector, upright=vector[::-1].copy(), usable=True))
    cache.put(b"\x02" * 32, Entry(vector=None, upright=None, usable=False))
    cache.save()
    assert cache.path is not None
    return cache.path


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_cache_that_others_can_write_is_not_used(mode: int, tmp_path: Path) -> None:
    """A door's threshold is derived from it; what is written in its place is private again."""
    path = _cache(tmp_path)
    path.chmod(mode)
    cache, note = EmbeddingCache.open(CachePlace(tmp_path, KEY), identity=IDENTITY)
    assert len(cache) == 0
    assert note is not None
    assert "others can write" in note
    cache.put(b"\x01" * 32, Entry(vector=None, upright=None, usable=False))
    cache.save()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_cache_of_another_user_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is a folder of another user; nothing is written there."""
    path = _cache(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    cache, note = EmbeddingCache.open(CachePlace(tmp_path, KEY), identity=IDENTITY)
    assert (len(cache), cache.path) == (0, None)
    assert note is not None
    assert "user id" in note


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
def test_a_folder_that_others_can_write_keeps_no_embeddings(mode: int, tmp_path: Path) -> None:
    """Neither are they read there, nor written."""
    path = _cache(tmp_path / "folder")
    before = path.read_bytes()
    path.parent.chmod(mode)
    cache, note = EmbeddingCache.open(CachePlace(path.parent, KEY), identity=IDENTITY)
    assert len(cache) == 0
    assert note is not None
    assert "others can write" in note
    cache.put(b"\x03" * 32, Entry(vector=None, upright=None, usable=False))
    cache.save()
    assert path.read_bytes() == before


@pytest.mark.parametrize("kind", ["fifo", "link", "folder"])
def test_a_cache_that_is_no_file_is_not_used(kind: str, tmp_path: Path) -> None:
    """A FIFO does not hang the evaluation, and a link is not followed."""
    path = _cache(tmp_path / "folder")
    path.rename(tmp_path / "elsewhere")
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.mkdir()
    cache, note = EmbeddingCache.open(CachePlace(path.parent, KEY), identity=IDENTITY)
    assert len(cache) == 0
    assert note is not None
    assert "not used" in note


def test_a_poisoned_cache_changes_no_embedding(pack: Pack, small_set: Path, tmp_path: Path) -> None:
    """Vectors that somebody without the key put there are not those a threshold is derived from."""
    files = sorted(small_set.glob("*/*.jpg"))[:2]
    place = CachePlace(tmp_path, KEY)
    honest = DeviceFaces(pack, Config(), cache=place).embed(files, reporter=Silent())
    forged = EmbeddingCache(CachePlace(tmp_path, b"f" * 32), DeviceFaces(pack, Config(), cache=None).source.identity)
    vector = np.eye(1, 128, dtype=np.float32)[0]
    for file in files:
        digest = hashlib.sha256(file.read_bytes()).digest()
        forged.put(digest, Entry(vector=vector, upright=vector, usable=True))
    forged.save()
    theirs, ours = forged.path, EmbeddingCache(place, forged.identity).path
    assert theirs is not None
    assert ours is not None
    theirs.replace(ours)
    found = DeviceFaces(pack, Config(), cache=place).embed(files, reporter=Silent())
    assert found.cached == 0
    assert np.array_equal(found.vectors, honest.vectors)


def test_two_state_directories_share_a_folder_without_undoing_each_other(tmp_path: Path) -> None:
    """Each has a file of its own."""
    _cache(tmp_path)
    other, note = EmbeddingCache.open(CachePlace(tmp_path, b"o" * 32), identity=IDENTITY)
    assert (len(other), note) == (0, None)
    other.put(b"\x01" * 32, Entry(vector=None, upright=None, usable=False))
    other.save()
    assert len(EmbeddingCache.open(CachePlace(tmp_path, KEY), identity=IDENTITY)[0]) == 2


def test_how_many_pictures_came_from_the_cache_is_told(pack: Pack, small_set: Path, tmp_path: Path) -> None:
    """Whoever reads a threshold learns what it rests on."""
    notes: list[str] = []

    class Noting(Silent):
        def note(self, text: str) -> None:
            notes.append(text)

    files = sorted(small_set.glob("*/*.jpg"))[:3]
    faces = DeviceFaces(pack, Config(), cache=CachePlace(tmp_path, KEY))
    faces.embed(files[:2], reporter=Noting())
    assert notes == []
    faces.embed(files, reporter=Noting())
    assert [note.partition(" are ")[0] for note in notes] == ["2 of 3 pictures"]


def test_a_cache_gives_back_what_it_was_given_and_is_private(tmp_path: Path) -> None:
    """Readable by the owner only; nothing else is left in the folder."""
    path = _cache(tmp_path / "folder")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]
    cache, note = EmbeddingCache.open(CachePlace(path.parent, KEY), identity=IDENTITY)
    assert note is None
    found, nobody = cache.get(b"\x01" * 32), cache.get(b"\x02" * 32)
    assert found is not None
    assert nobody is not None
    assert found.vector is not None
    assert found.upright is not None
    assert found.vector.tolist() == pytest.approx([0.6, 0.8])
    assert found.upright.tolist() == pytest.approx([0.8, 0.6])
    assert (found.usable, nobody.vector, cache.get(b"\x03" * 32)) == (True, None, None)


@settings(max_examples=60)
@given(data=st.data())
def test_no_damage_leaves_the_cache_with_another_vector(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Any byte of the file changed: the vector is the one that was written, or there is none."""
    path = _cache(tmp_path_factory.mktemp("cache"))
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(content))
    cache, _ = EmbeddingCache.open(CachePlace(path.parent, KEY), identity=IDENTITY)
    found = cache.get(b"\x01" * 32)
    if found is not None:
        assert found.vector is not None
        assert found.vector.tolist() == pytest.approx([0.6, 0.8])
