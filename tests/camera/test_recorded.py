"""Recordings: their own times, nothing dropped when fast, dropped like a camera when too slow."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from device.camera.pace import FastPace, NativePace
from device.camera.recorded import PictureFolder, VideoFile
from device.errors import CameraError
from device.interfaces import FrameSource
from device.sim.clock import ManualClock
from device.types import Frame


def _video(folder: Path, *, frames: int = 6, fps: float = 10) -> Path:
    path = folder / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, (64, 48))
    for level in range(frames):
        writer.write(np.full((48, 64, 3), 40 * level % 256, np.uint8))
    writer.release()
    return path


def _folder(folder: Path, *, pictures: int = 6) -> Path:
    for number in range(pictures):
        Pillow.new("RGB", (64, 48), (40 * number, 0, 0)).save(folder / f"{number:02}.png")
    return folder


def _sources(folder: Path, pace: FastPace | NativePace) -> list[FrameSource]:
    return [VideoFile(_video(folder), pace), PictureFolder(_folder(folder), pace, fps=10)]


def _all(source: FrameSource) -> list[Frame]:
    frames = []
    source.open()
    while (frame := source.read()) is not None:
        frames.append(frame)
    source.close()
    return frames


@pytest.mark.parametrize("which", [0, 1], ids=["video", "pictures"])
def test_fast_gives_every_frame_and_moves_the_clock_to_its_time(tmp_path: Path, which: int) -> None:
    """Six frames of a tenth of a second: the clock stands at half a second afterwards."""
    clock = ManualClock()
    clock.advance(5)
    source = _sources(tmp_path, FastPace(clock))[which]
    frames = _all(source)
    assert [frame.number for frame in frames] == [0, 1, 2, 3, 4, 5]
    assert [frame.captured_s for frame in frames] == pytest.approx([5.0, 5.1, 5.2, 5.3, 5.4, 5.5])
    assert clock.monotonic() == pytest.approx(5.5)
    assert not source.live


@pytest.mark.parametrize("which", [0, 1], ids=["video", "pictures"])
def test_native_waits_for_each_frame(tmp_path: Path, which: int) -> None:
    """The waiter is asked for exactly the time that is left."""
    clock = ManualClock()
    pauses: list[float] = []

    def wait(pause_s: float) -> None:
        pauses.append(pause_s)
        clock.advance(pause_s)

    source = _sources(tmp_path, NativePace(clock, wait))[which]
    frames = _all(source)
    assert pauses == pytest.approx([0.1] * 5)
    assert [frame.captured_s for frame in frames] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert source.live


@pytest.mark.parametrize("which", [0, 1], ids=["video", "pictures"])
def test_native_drops_what_comes_too_late_like_a_camera(tmp_path: Path, which: int) -> None:
    """Whoever looks away for a quarter of a second misses frames, and the numbers show it."""
    clock = ManualClock()
    source = _sources(tmp_path, NativePace(clock, clock.advance))[which]
    source.open()
    first = source.read()
    clock.advance(0.25)
    second = source.read()
    assert first is not None
    assert second is not None
    assert (first.number, second.number) == (0, 2)
    assert second.captured_s == pytest.approx(0.2)
    assert clock.monotonic() - second.captured_s < 0.1


def test_a_wait_that_is_cut_short_gives_no_frame_from_the_future(tmp_path: Path) -> None:
    """When the daemon stops, the waiter returns at once."""
    clock = ManualClock()
    source = VideoFile(_video(tmp_path), NativePace(clock, lambda _: None))
    assert [frame.captured_s for frame in _all(source)] == [0.0] * 6


def test_a_file_that_is_no_video_cannot_be_opened(tmp_path: Path) -> None:
    """Whatever it is called."""
    path = tmp_path / "clip.mkv"
    path.write_bytes(b"not a video" * 100)
    with pytest.raises(CameraError, match=r"clip\.mkv") as refused:
        VideoFile(path, FastPace(ManualClock())).open()
    assert refused.value.hint


def test_a_video_that_is_cut_off_ends(tmp_path: Path) -> None:
    """What is there is played, then the stream is over."""
    path = _video(tmp_path, frames=30)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    frames = _all(VideoFile(path, FastPace(ManualClock())))
    assert 0 < len(frames) < 30


def test_a_folder_plays_its_pictures_by_name_and_nothing_else(tmp_path: Path) -> None:
    """Hidden files, folders and other files are no pictures."""
    _folder(tmp_path, pictures=2)
    (tmp_path / "._00.png").write_bytes(b"resource fork")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "sub.png").mkdir()
    assert len(_all(PictureFolder(tmp_path, FastPace(ManualClock()), fps=10))) == 2


def test_a_folder_without_pictures_cannot_be_opened(tmp_path: Path) -> None:
    """Neither an empty one nor one that is not there."""
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(CameraError) as refused:
            PictureFolder(path, FastPace(ManualClock()), fps=10).open()
        assert refused.value.hint


def test_a_broken_picture_is_an_error_that_names_it(tmp_path: Path) -> None:
    """It is not skipped in silence."""
    _folder(tmp_path, pictures=2)
    (tmp_path / "01.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    source = PictureFolder(tmp_path, FastPace(ManualClock()), fps=10)
    source.open()
    assert source.read() is not None
    with pytest.raises(CameraError, match=r"01\.png"):
        source.read()


@pytest.mark.parametrize(
    ("name", "frames", "size", "last_s"),
    [
        ("intel_asl_again.mkv", 77, (480, 640), 2.533),
        ("intel_head-pose-face-detection-female.gif", 23, (270, 480), 1.83),
        ("intel_face-demographics-walking.gif", 35, (270, 480), 2.83),
    ],
)
def test_real_clips_play_with_their_own_times(
    shared: Path, name: str, frames: int, size: tuple[int, int], last_s: float
) -> None:
    """Matroska and GIF: all frames, their sizes, times strictly ahead."""
    played = _all(VideoFile(shared / "clips" / name, FastPace(ManualClock())))
    assert len(played) == frames
    assert {frame.image.shape[:2] for frame in played} == {size}
    times = np.array([frame.captured_s for frame in played])
    assert np.all(np.diff(times) > 0)
    assert times[-1] == pytest.approx(last_s, abs=0.05)


def test_the_overhead_clip_opens(shared: Path) -> None:
    """An MP4."""
    source = VideoFile(shared / "clips" / "intel_one-by-one-person-detection.mp4", FastPace(ManualClock()))
    source.open()
    frame = source.read()
    source.close()
    assert frame is not None
    assert frame.image.shape == (432, 768, 3)
