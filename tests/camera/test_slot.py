"""The newest-frame slot: live frames replace one another, recorded ones wait."""

from __future__ import annotations

import threading

import numpy as np

from device.camera.slot import FrameSlot
from device.types import Frame


def _frame(number: int) -> Frame:
    return Frame(image=np.zeros((2, 2, 3), np.uint8), captured_s=float(number), number=number)


def _numbers(slot: FrameSlot) -> list[int]:
    numbers = []
    while (frame := slot.take(10)) is not None:
        numbers.append(frame.number)
    return numbers


def test_the_newest_frame_is_taken_and_the_others_are_counted() -> None:
    """Whoever looks away misses frames, never sees old ones."""
    slot = FrameSlot()
    for number in range(4):
        slot.put(_frame(number))
    taken = slot.take(0)
    assert taken is not None
    assert taken.number == 3
    assert slot.dropped == 3
    assert slot.take(0) is None


def test_an_empty_slot_gives_none_and_has_not_ended() -> None:
    """Nothing came in time: that is all."""
    slot = FrameSlot()
    assert slot.take(0) is None
    assert not slot.ended


def test_a_closed_slot_gives_its_last_frame_and_has_then_ended() -> None:
    """What comes afterwards is dropped."""
    slot = FrameSlot()
    slot.put(_frame(0))
    slot.close()
    slot.put(_frame(1))
    ended = [slot.ended]
    frame = slot.take(0)
    ended.append(slot.ended)
    assert frame is not None
    assert frame.number == 0
    assert ended == [False, True]
    assert slot.take(10) is None
    assert slot.dropped == 1


def test_clearing_drops_what_lies_there() -> None:
    """Its camera is not to be believed."""
    slot = FrameSlot()
    slot.clear()
    slot.put(_frame(0))
    slot.clear()
    assert slot.take(0) is None
    assert slot.dropped == 1


def test_a_waiting_taker_wakes_for_a_frame() -> None:
    """Without asking again and again."""
    slot = FrameSlot()
    taken: list[Frame | None] = []
    taker = threading.Thread(target=lambda: taken.append(slot.take(10)), daemon=True)
    taker.start()
    slot.put(_frame(7))
    taker.join(10)
    assert [frame.number for frame in taken if frame is not None] == [7]


def test_a_waiting_taker_wakes_when_the_slot_is_closed() -> None:
    """The gate must end with the camera."""
    slot = FrameSlot()
    taken: list[Frame | None] = []
    taker = threading.Thread(target=lambda: taken.append(slot.take(10)), daemon=True)
    taker.start()
    slot.close()
    taker.join(10)
    assert taken == [None]


def test_a_recording_hands_over_every_frame_and_waits_until_each_was_dealt_with() -> None:
    """So a run gives the same decisions on every machine."""
    slot = FrameSlot()
    story: list[str] = []

    def produce() -> None:
        for number in range(20):
            assert slot.hand_over(_frame(number))
            story.append(f"given {number}")
        slot.close()

    producer = threading.Thread(target=produce, daemon=True)
    producer.start()
    for number in range(20):
        frame = slot.take(10)
        assert frame is not None
        story.append(f"done {frame.number}")
        if number % 2:
            slot.done()  # taking the next one says the same
    assert slot.take(10) is None
    producer.join(10)
    assert story == [f"{word} {number}" for number in range(20) for word in ("done", "given")]
    assert slot.dropped == 0
    assert slot.ended


def test_a_recording_that_waits_goes_on_when_the_slot_is_closed() -> None:
    """Before the frame was taken, while it is dealt with, and ever after."""
    slot = FrameSlot()
    given: list[bool] = []
    producer = threading.Thread(target=lambda: given.append(slot.hand_over(_frame(0))), daemon=True)
    producer.start()
    assert slot.take(10) is not None
    slot.close()
    producer.join(10)
    assert given == [False]
    assert not slot.hand_over(_frame(1))


def test_done_without_a_frame_is_harmless() -> None:
    """Also twice."""
    slot = FrameSlot()
    slot.done()
    slot.put(_frame(0))
    slot.take(0)
    slot.done()
    slot.done()
    slot.close()
    assert _numbers(slot) == []
