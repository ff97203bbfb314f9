"""An installer's walk with rendered presentations: counted as the door would decide, signed, and no relay anywhere."""

from __future__ import annotations

import random
from pathlib import Path
from typing import NoReturn

import pytest

from device.app.pad_report import Report
from device.app.pad_seal import public_key, verified
from device.app.pad_test import Answer, Outcome, Walk, parse_species, plan_of
from device.wiring.pad_test import open_pad_test
from device.wiring.stage import Actor
from device.wiring.state import state_keys
from tests.scenarios.conftest import Appliance, Silence

NAME = "Barack Obama"


class RelayTouchedError(Exception):
    """Somebody made a relay."""


@pytest.fixture
def photos(tmp_path: Path, demo_photos: dict[str, bytes]) -> Path:
    """The demo's photographs in a folder."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, content in demo_photos.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def no_relay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever makes a door, a relay or a pulse fails."""

    def touched(*_: object, **__: object) -> NoReturn:
        raise RelayTouchedError

    monkeypatch.setattr("device.sim.relay.SimulatedRelay.__init__", touched)
    monkeypatch.setattr("device.door.controller.DoorController.__init__", touched)
    monkeypatch.setattr("device.door.gpiozero_relay.GpioRelay.__init__", touched)


def walked(
    appliance: Appliance,
    photos: Path,
    species: str,
    *,
    bona_fide: int = 0,
    numbers: tuple[int, ...] = (1,),
) -> tuple[Walk, Report, bytes]:
    """A walk with the tries of these numbers, its report out of the signed bytes, and these."""
    walk = Walk(plan_of(bona_fide=bona_fide, species=parse_species(species)))
    with open_pad_test(
        appliance.state,
        appliance.config,
        signals=Silence(),
        name=NAME,
        photos=photos,
        rng=random.Random(0),  # noqa: S311  # a scene that can be repeated
    ) as kit:
        underway = kit.begin(walk, by_uid=1000)
        walk.run(
            ask=lambda planned: Answer.READY if planned.number in numbers else Answer.SKIP,
            attempt=underway.attempt,
            tell=lambda _: None,
        )
        raw = underway.sign(underway.report())
        underway.end(raw)
    return walk, verified(raw, key=public_key(state_keys(appliance.state).report_seed)), raw


def test_a_walk_counts_what_the_door_would_have_decided_and_touches_no_relay(
    appliance: Appliance, obama: str, photos: Path, no_relay: None
) -> None:
    """The living is let in by name, the print and the phone are not; the audit says that it was a test."""
    walk, report, raw = walked(appliance, photos, "print:1,replay_phone:1", bona_fide=1)
    assert [each.outcome for each in walk.results] == [Outcome.ALIVE, Outcome.REFUSED, Outcome.REFUSED]
    living = report.figures.bona_fide
    assert living is not None
    assert living.frr is not None
    assert (living.bpcer.count, living.frr.count) == (0, 0)
    assert [(each.apcer.count, each.apcer.trials) for each in report.figures.attacks] == [(0, 1), (0, 1)]
    assert report.about.simulated
    assert report.about.complete
    assert all(try_.steps for try_ in report.tries)
    assert any(isinstance(step.parallax, float) for try_ in report.tries for step in try_.steps)
    for secret in (obama, obama[:8], NAME, "Barack"):
        assert secret.encode() not in raw
    assert len(raw) < 16 * 1024
    entries = appliance.audit()
    assert [entry["kind"] for entry in entries] == ["person", "pad_test_start", "pad_test"]


def test_the_relay_trap_catches_a_door(
    appliance: Appliance, obama: str, demo_photos: dict[str, bytes], no_relay: None
) -> None:
    """The control: a daemon does make a relay."""
    with pytest.raises(RelayTouchedError):
        appliance.play([Actor(demo_photos["obama.jpg"], name="obama.jpg")])


@pytest.mark.parametrize(("gate", "passes"), [("no_planarity", 1), (None, 0)], ids=["without", "with"])
def test_a_print_that_passes_is_counted_as_an_error(
    appliance: Appliance, obama: str, photos: Path, request: pytest.FixtureRequest, gate: str | None, passes: int
) -> None:
    """The control of the figures: without the planarity gate this very print is taken for living; with it, not."""
    if gate is not None:
        request.getfixturevalue(gate)
    walk, report, _ = walked(appliance, photos, "print:2", numbers=(2,))
    assert [each.outcome is Outcome.ALIVE for each in walk.results] == [bool(passes)]
    (attack,) = report.figures.attacks
    assert (attack.apcer.count, attack.apcer.trials) == (passes, 1)
    assert report.about.skipped == {"print": 1}
    assert not [entry for entry in appliance.audit() if entry["kind"] in ("decision", "door")]


def test_the_command_shows_the_walk(appliance: Appliance, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody has to press Enter; a report that was shown once can be shown again."""
    from device.cli import run

    report = photos.parent / "report.json"
    words = [
        "--state",
        str(appliance.state),
        "pad-test",
        "--simulate",
        "--photos",
        str(photos),
        "--report",
        str(report),
    ]
    assert run([*words, "--bona-fide", "0", "--species", "replay_monitor:1"]) == 0
    out = capsys.readouterr().out
    assert "SIMULATED" in out
    assert "try 1 of 1, replay monitor: rendered" in out
    assert "door says: " in out
    assert run(["--state", str(appliance.state), "pad-report", str(report)]) == 0
    out = capsys.readouterr().out
    assert "signature    good" in out
    assert "audit log    found" in out
