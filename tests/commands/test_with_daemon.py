"""Commands against a real daemon: real models, real store, real socket; the camera is a folder of pictures."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from device.config import parse_config
from device.door.signals import ConsoleSignals
from device.wiring.daemon import open_daemon


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two hundred pictures without a face, linked to two files: minutes of an empty doorway."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(2):
        Pillow.new("RGB", (320, 240), (90 + number, 120, 100)).save(folder / f"{number:03}.png")
    for number in range(2, 200):
        os.link(folder / f"{number % 2:03}.png", folder / f"{number:03}.png")
    return folder


@pytest.fixture
def daemon(state_with_pack: Path, pictures: Path) -> Iterator[Any]:
    """A daemon in a thread of its own, ready."""
    from rich.console import Console

    ready = threading.Event()
    config = parse_config(f"camera: {{source: {pictures}, fps: 2}}\n".encode(), origin="test")
    with (
        open(os.devnull, "w") as nowhere,  # noqa: PTH123
        open_daemon(
            state_with_pack, config, signals=ConsoleSignals(Console(file=nowhere)), on_ready=ready.set
        ) as running,
    ):
        thread = threading.Thread(target=running.run, name="daemon")
        thread.start()
        try:
            assert ready.wait(20)
            yield running
        finally:
            running.stop()
            thread.join(20)
        assert not thread.is_alive()


@pytest.fixture
def photo(tmp_path: Path, demo_photos: dict[str, bytes]) -> Path:
    """A photograph of somebody."""
    path = tmp_path / "obama.jpg"
    path.write_bytes(demo_photos["obama.jpg"])
    return path


def test_a_person_comes_and_goes_while_the_door_runs(daemon: Any, doorward: Any, photo: Path) -> None:
    """Enrolled, listed, shut out, erased, verified: each through the socket, the state stays the daemon's."""
    assert doorward("status", "--json").json["daemon"]["pid"] == os.getpid()
    told = doorward("enroll", "Barack", photo, "--json")
    assert told.code == 0, told.err
    assert doorward("enroll", "Eve", photo).code == 65
    assert doorward("people", "disable", "Barack").code == 0
    assert doorward("people", "list", "--json").json["people"][0]["enabled"] is False
    assert doorward("people", "remove", "Barack", "--yes").code == 0
    assert doorward("audit", "verify").code == 0
    assert doorward("people", "list", "--json").json["people"] == []
    entries = doorward("audit", "list", "--json").json["entries"]
    assert [entry["data"]["by_uid"] for entry in entries if entry["kind"] == "person"] == [os.getuid()] * 3


def test_check_asks_the_daemon_for_what_it_owns(daemon: Any, doorward: Any) -> None:
    """Camera and relay are not opened a second time; the installer may not pulse past the daemon."""
    done = doorward("check", "--json")
    parts = {each["name"]: each["outcome"] for each in done.json["checks"]}
    assert parts["daemon"] == "pass"
    assert parts["camera"] in ("pass", "amber")
    assert parts["pack"] == "pass"
    pulse = doorward("check", "--pulse", "--yes", "--json")
    assert pulse.code == 1
    assert {each["name"]: each["outcome"] for each in pulse.json["checks"]}["pulse"] == "fail"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=200), framed=st.booleans())
def test_garbage_on_the_socket_neither_opens_the_door_nor_ends_the_daemon(
    daemon: Any, state: Path, raw: bytes, framed: bool
) -> None:
    """Any bytes: an error as the answer, the relay at rest."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(state / "control.sock"))
        connection.sendall(struct.pack(">I", len(raw)) + raw if framed else raw)
        connection.shutdown(socket.SHUT_WR)
        assert b'"ok": false' in connection.recv(65536)
    assert str(daemon.door_state) == "locked"
    assert daemon.decisions == 0
