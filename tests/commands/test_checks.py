"""Each test of `check` finds what it is there for, and none of them raises."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from device.commands import checks, owner_checks
from device.commands.checks import CheckResult, Outcome
from device.config import Config, parse_config
from device.errors import CameraError, StateError
from device.keys import KeyFile
from device.sim.clock import ManualClock
from device.sim.relay import SimulatedRelay
from device.types import Frame
from device.vision.manifest import PAD_ROLES


class Camera:
    """Delivers given pictures, one each thirtieth of a second."""

    description = "test camera"
    live = True

    def __init__(self, *images: Any) -> None:
        self._frames: Iterator[Frame] = iter(
            Frame(image=image, captured_s=number / 30, number=number) for number, image in enumerate(images)
        )
        self.open_now = False

    def open(self) -> None:
        """Note it."""
        self.open_now = True

    def read(self) -> Frame | None:
        """The next picture."""
        return next(self._frames, None)

    def close(self) -> None:
        """Note it."""
        self.open_now = False


def noise(seed: int, *, level: int = 128) -> Any:
    return np.random.default_rng(seed).integers(max(level - 20, 0), min(level + 20, 255), (48, 64, 3)).astype(np.uint8)


def test_a_live_camera_passes_and_is_let_go() -> None:
    """Size, rate and brightness are told."""
    camera = Camera(*(noise(seed) for seed in range(20)))
    result = checks.check_camera(camera, ManualClock())
    assert result.outcome is Outcome.PASS
    assert "64x48, 30 fps" in result.detail
    assert not camera.open_now


@pytest.mark.parametrize(
    ("images", "outcome"),
    [
        ((), Outcome.FAIL),
        ((noise(1),) * 10, Outcome.FAIL),
        (tuple(noise(seed, level=10) for seed in range(10)), Outcome.AMBER),
        (tuple(noise(seed, level=250) for seed in range(10)), Outcome.AMBER),
    ],
)
def test_a_camera_without_use_is_told(images: tuple[Any, ...], outcome: Outcome) -> None:
    """No frame, frozen, too dark, too bright."""
    result = checks.check_camera(Camera(*images), ManualClock())
    assert result.outcome is outcome
    assert result.advice


def test_a_camera_that_breaks_is_closed() -> None:
    """Whatever happens while reading."""
    camera = Camera()

    def broken() -> None:
        raise CameraError("unplugged", hint="plug it in")

    camera.read = broken  # type: ignore[method-assign]
    result = checks.guarded("camera", lambda: checks.check_camera(camera, ManualClock()))
    assert (result.outcome, result.advice) == (Outcome.FAIL, "plug it in")
    assert not camera.open_now


def test_the_relay_is_not_touched_without_pulse() -> None:
    """Opened, looked at, closed."""
    clock = ManualClock()
    relay = SimulatedRelay(clock, max_pulse_s=10)
    result = checks.check_relay(relay, pulse_s=None, wait=clock.advance)
    assert result.outcome is Outcome.AMBER
    assert relay.pulses == ()


def test_the_pulse_is_made_and_waited_for() -> None:
    """Driven during, let go after."""
    clock = ManualClock()
    relay = SimulatedRelay(clock, max_pulse_s=10)
    assert "pulsed for 3 s" in checks.check_relay(relay, pulse_s=3.0, wait=clock.advance).detail
    assert len(relay.pulses) == 1


def test_a_relay_that_sticks_fails() -> None:
    """Still driven after its time."""
    relay = SimulatedRelay(ManualClock(), max_pulse_s=10)
    assert checks.check_relay(relay, pulse_s=3.0, wait=lambda _: None).outcome is Outcome.FAIL


def test_a_relay_driven_at_rest_fails() -> None:
    """The door stands open: wrong polarity."""
    relay = SimulatedRelay(ManualClock(), max_pulse_s=10)
    relay.pulse(5)
    assert checks.check_relay(relay, pulse_s=None, wait=lambda _: None).outcome is Outcome.FAIL


def test_a_weak_key_source_is_amber(tmp_path: Path) -> None:
    """It works, and it says why it is weak."""
    source = KeyFile(tmp_path / "state.key", create=True)
    assert checks.check_key(source).outcome is Outcome.AMBER


def test_the_state_directory_must_be_private(tmp_path: Path) -> None:
    """Missing, open to others, a file."""
    assert checks.check_state_directory(tmp_path / "none").outcome is Outcome.AMBER
    tmp_path.chmod(0o700)
    assert checks.check_state_directory(tmp_path).outcome is Outcome.PASS
    tmp_path.chmod(0o755)
    assert checks.check_state_directory(tmp_path).outcome is Outcome.FAIL
    file = tmp_path / "file"
    file.touch()
    assert checks.check_state_directory(file).outcome is Outcome.FAIL


def test_a_board_must_be_the_one_that_is_configured() -> None:
    """A Pi configuration on something else fails."""
    pi = Config.model_validate({"platform": "pi"})
    assert checks.check_platform(pi, model="Raspberry Pi 5 Model B Rev 1.0").outcome is Outcome.PASS
    assert checks.check_platform(pi, model="").outcome is Outcome.FAIL
    assert checks.check_platform(Config(), model="").outcome is Outcome.AMBER


@pytest.mark.parametrize(("trusted", "outcome"), [(True, Outcome.PASS), (False, Outcome.AMBER)])
def test_an_untrusted_clock_is_amber(trusted: bool, outcome: Outcome) -> None:
    """It limits who is let in."""
    assert checks.check_clock(ManualClock(trusted=trusted)).outcome is outcome


STATUS: dict[str, Any] = {
    "gallery": {"people": 2, "enabled": 2, "needs_template": [], "model": "m"},
    "threshold": 0.9547,
    "database": {"used_share": 0.1, "quota_bytes": 2**29, "reserve": True, "scrub_pending": False},
}


@pytest.mark.parametrize(
    ("similarity", "outcome"), [(0.95, Outcome.PASS), (0.9547, Outcome.AMBER), (float("nan"), Outcome.AMBER)]
)
def test_two_people_too_much_alike_are_told(similarity: float, outcome: Outcome) -> None:
    """From the door's threshold on, and when it cannot be told."""
    told = {"closest_pair": {"names": ["Ada", "Eve"], "similarity": similarity}}
    assert owner_checks.check_gallery(told, STATUS).outcome is outcome


def test_people_of_another_model_are_told() -> None:
    """They stand before a door that does not know them."""
    status = {**STATUS, "gallery": {**STATUS["gallery"], "needs_template": ["x"]}}
    assert owner_checks.check_gallery({"closest_pair": None}, status).outcome is Outcome.AMBER


def test_a_damaged_database_fails_and_a_full_one_is_amber() -> None:
    """In this order of weight."""
    assert owner_checks.check_database({"integrity": []}, STATUS).outcome is Outcome.PASS
    assert owner_checks.check_database({"integrity": ["page 7"]}, STATUS).outcome is Outcome.FAIL
    assert owner_checks.check_database({"integrity": None}, STATUS).outcome is Outcome.AMBER
    full = {**STATUS, "database": {**STATUS["database"], "used_share": 0.95}}
    assert owner_checks.check_database({"integrity": []}, full).outcome is Outcome.AMBER


def test_a_broken_chain_fails() -> None:
    """With the entry's number."""
    result = owner_checks.check_audit({"sound": False, "seq": 7, "detail": "altered", "entries": 6})
    assert result.outcome is Outcome.FAIL
    assert "7" in result.detail


@pytest.mark.parametrize(
    ("camera", "outcome"),
    [("ok", Outcome.PASS), ("starting", Outcome.AMBER), ("lost", Outcome.FAIL), ("", Outcome.FAIL)],
)
def test_the_daemons_camera_is_judged_by_its_state(camera: str, outcome: Outcome) -> None:
    """What the daemon says about it; silence is no pass."""
    results = owner_checks.check_daemon(
        {"pid": 1, "camera": {"state": camera}, "door": "locked", "simulated_relay": False}
    )
    assert {each.name: each.outcome for each in results} == {
        "daemon": Outcome.PASS,
        "camera": outcome,
        "relay": Outcome.PASS,
    }


@pytest.mark.parametrize("error", [StateError("gone", hint="look"), RuntimeError("odd"), OSError(5, "io")])
def test_no_test_ever_raises(error: Exception) -> None:
    """Whatever breaks is a line of the table."""

    def broken() -> CheckResult:
        raise error

    result = checks.guarded("part", broken)
    assert result.outcome is Outcome.FAIL
    assert result.advice


# -- the proof of life -------------------------------------------------------------------------------------------------


def door_plus() -> Any:
    """As much of a pack with passive networks as the check looks at."""
    return SimpleNamespace(manifest=SimpleNamespace(models=dict.fromkeys(PAD_ROLES), pack="door-plus"))


WEAKER = [
    ("liveness.passive_within_s", 4.0, 2.0),
    ("liveness.planarity_window_s", 0.9, 0.7),
    ("liveness.answer_max_s", 3.5, 2.5),
    ("access.compare_every_s", 0.05, 0.2),
    ("access.max_turn_deg", 20.0, 10.0),
    ("vision.max_yaw_deg", 30.0, 20.0),
    ("vision.max_pitch_deg", 30.0, 20.0),
    ("vision.max_roll_deg", 40.0, 30.0),
]


@pytest.mark.parametrize(("name", "weaker", "stricter"), WEAKER, ids=[name for name, _, _ in WEAKER])
def test_a_setting_that_is_weaker_than_shipped_is_amber_and_named(name: str, weaker: float, stricter: float) -> None:
    """The other way is nobody's worry, nor is what is shipped."""
    section, key = name.split(".")

    def told(value: float) -> CheckResult:
        config = parse_config(f"{section}: {{{key}: {value}}}".encode(), origin="test")
        return checks.check_liveness(config, door_plus())

    found = told(weaker)
    assert (found.outcome, found.detail) == (Outcome.AMBER, f"level standard; weaker than shipped: {name}")
    assert told(stricter).outcome is Outcome.PASS
    assert checks.check_liveness(Config(), door_plus()).outcome is Outcome.PASS


def test_every_setting_in_the_lists_exists_and_stands_in_one_of_them() -> None:
    """A renamed setting must not make the check crash on a door, nor one be weaker both ways."""
    lists = {
        "liveness": (checks._STRICTER_UP, checks._STRICTER_DOWN),
        "access": (checks._ACCESS_UP, checks._ACCESS_DOWN),
        "vision": ((), checks._VISION_DOWN),
    }
    for section, (up, down) in lists.items():
        assert set(up) | set(down) <= set(type(getattr(Config(), section)).model_fields)
        assert not set(up) & set(down)
