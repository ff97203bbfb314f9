"""`doorward pad-report` on the device itself: a report that was signed by hand is not in the audit log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from device.app.ledger import Ledger
from device.app.pad_report import Report
from device.app.pad_seal import public_key, signed
from device.clock import SystemClock
from device.commands.pad_table import show_report
from device.config import Config
from device.errors import AuditError, NotFoundError
from device.wiring.state import open_state, state_keys
from tests.app.test_pad_test import about, report, result, standing
from tests.commands.test_pad_walks import quick, typed, walk

__all__ = ("quick", "typed", "walk")


def forged(state: Path, file: Path) -> Report:
    """A report that pleases: whoever may run pad-test can read the key."""
    seed = state_keys(state).report_seed
    made = report(result(), key=public_key(seed))
    file.write_bytes(signed(made, seed=seed))
    return made


def test_a_report_that_was_signed_by_hand_is_not_found(
    state_with_pack: Path, doorward: Any, walk: Any, tmp_path: Path
) -> None:
    """The attack: the signature is good. The control: the real one is found."""
    walk("\n")
    real, fake = tmp_path / "report.json", tmp_path / "fake.json"
    forged(state_with_pack, fake)
    found = doorward("pad-report", real)
    assert (found.code, found.err) == (0, "")
    assert "audit log    found" in found.out
    done = doorward("pad-report", fake)
    assert done.code == NotFoundError.exit_code
    assert "signature    good" in done.out
    assert "audit log    NOT FOUND" in done.out
    assert "hint: trust no figure of it" in done.err


def test_machines_are_told_too(state_with_pack: Path, doorward: Any, walk: Any, tmp_path: Path) -> None:
    """One document each, whatever was found."""
    walk("\n")
    fake = tmp_path / "fake.json"
    forged(state_with_pack, fake)
    assert doorward("pad-report", tmp_path / "report.json", "--json").json["audit_log"] == "found"
    done = doorward("pad-report", fake, "--json")
    assert (done.code, done.json["audit_log"]) == (66, "not_found")


def test_the_key_on_the_command_line_does_not_keep_the_log_from_being_searched(
    state_with_pack: Path, doorward: Any, walk: Any, tmp_path: Path
) -> None:
    """On the device itself; elsewhere there is no log to search, and that is said."""
    walk("\n")
    fake = tmp_path / "fake.json"
    forged(state_with_pack, fake)
    key = public_key(state_keys(state_with_pack).report_seed).hex()
    assert doorward("pad-report", fake, "--key", key).code == NotFoundError.exit_code
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    for other in ("elsewhere", "nowhere"):
        done = doorward("pad-report", fake, "--key", key, before=("--state", str(tmp_path / other)))
        assert done.code == 0, done.err
        assert "audit log    not looked at: it is on the device that signed" in done.out
    state_keys(tmp_path / "elsewhere", create=True)
    done = doorward("pad-report", fake, "--key", key, "--json", before=("--state", str(tmp_path / "elsewhere")))
    assert (done.code, done.json["audit_log"]) == (0, "not_at_hand")


def test_to_look_makes_no_log(state: Path, doorward: Any, tmp_path: Path) -> None:
    """A key without a database stays one."""
    state_keys(state, create=True)
    before = sorted(path.name for path in state.iterdir())
    forged(state, tmp_path / "fake.json")
    assert doorward("pad-report", tmp_path / "fake.json").code == NotFoundError.exit_code
    assert sorted(path.name for path in state.iterdir()) == before


def test_a_broken_log_speaks_for_no_report(
    state_with_pack: Path, doorward: Any, walk: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """76, though the entry is there."""
    walk("\n")
    whole = Ledger.entries

    def without_the_first(self: Ledger, **given: Any) -> Any:
        return (each for each in whole(self, **given) if each.seq > 1)

    monkeypatch.setattr(Ledger, "entries", without_the_first)
    done = doorward("pad-report", tmp_path / "report.json")
    assert (done.code, done.out) == (AuditError.exit_code, "")


def test_a_walk_with_a_copy_of_the_state_is_not_in_the_log(
    state_with_pack: Path, doorward: Any, walk: Any, quick: Any, typed: Any, tmp_path: Path
) -> None:
    """The attack: key and packs copied, walked there until the figures please. The device knows nothing of it."""
    import shutil

    with open_state(state_with_pack, Config(), clock=SystemClock(), create=True):
        pass
    copy = tmp_path / "copy"
    shutil.copytree(state_with_pack, copy)
    typed("\n")
    words = ("pad-test", "--report", tmp_path / "copied.json", "--bona-fide", "0", "--species", "print:1")
    assert doorward(*words, before=(*quick, "--state", str(copy))).code == 0
    assert json.loads((tmp_path / "copied.json").read_bytes())["report"]["about"]["walk"]["number"] == 1
    assert doorward("pad-report", tmp_path / "copied.json").code == NotFoundError.exit_code


# -- what people read --------------------------------------------------------------------------------------------------


def shown(made: Report, capsys: pytest.CaptureFixture[str]) -> str:
    """A report as people see it."""
    show_report(made)
    return capsys.readouterr().out


def test_gates_that_are_too_strict_to_be_attacked_are_seen(capsys: pytest.CaptureFixture[str]) -> None:
    """The attack: vision.min_face_px 400, so that no attack gets a response and none of them counts."""
    made = report(result(responded=False), result(number=2, responded=False))
    strict = {**made.about.vision, "min_face_px": 400.0}
    out = shown(made.model_copy(update={"about": about(vision=strict)}), capsys)
    assert "not as shipped: vision.min_face_px 400.0 (40.0)" in out
    assert "2, APNRR 100 %" in out
    assert "2 of 2 got no response, and whether they would have passed is not known" in out
    assert about().config_sha256 in out
    assert "as shipped: all of liveness, vision, access" in shown(made, capsys)


def test_the_living_without_a_response_are_told_too(capsys: pytest.CaptureFixture[str]) -> None:
    """BPNRR beside BPCER."""
    assert "1, BPNRR 50 %" in shown(report(result("bona_fide"), result("bona_fide", 2, responded=False)), capsys)


def test_earlier_walks_are_told_with_what_they_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """Also those whose reports nobody shows."""
    from device.app.pad_report import EarlierRow

    earlier = (EarlierRow(species="print", tries=15, no_response=2, alive=1),)
    walk = standing(number=4, earlier_reported=1, earlier_untried=1, earlier_tries=earlier)
    out = shown(report().model_copy(update={"about": about(walk=walk)}), capsys)
    assert "walk 4 of this device; 2 of the earlier 3 left no report (1 of these before a first try)" in out
    assert "earlier walks together: print 1 of 13 found alive (2 more without response)" in out
    assert f"its start is audit entry 7, {'5' * 64}" in out


def test_tries_that_were_left_out_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """The attack: skip what is left of a species as soon as it passes."""
    made = report().model_copy(update={"about": about(planned={"print": 5}, skipped={"print": 3})})
    assert "left out on purpose: print 3 of 5" in shown(made, capsys)


def test_the_report_says_who_can_sign(capsys: pytest.CaptureFixture[str]) -> None:
    """In its own words."""
    assert "Whoever may run this test can read the device's key, and so sign any report" in shown(report(), capsys)
