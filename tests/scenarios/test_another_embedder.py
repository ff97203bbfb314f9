"""The owner brings an embedder: described, built in, calibrated, and everybody enrolled anew; nothing opens in between.

The network is in SFace's form and was never trained: it tells photographs apart by light and dark, which is enough to
show which templates are compared. Commands are the owner's own, run in the order in which they are needed.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from device import cli as device_cli
from device.types import Reason
from device.wiring.models import adopt_pack
from device.wiring.stage import Actor
from export_tools import cli as export_cli
from export_tools.cards import load_pack_card
from export_tools.sources.fetch import default_cache
from tests.scenarios.conftest import SCENE, Appliance
from tests.standins.embedder import sface_like

BARACK, JOE = "obama.jpg", "biden.jpg"
#: Looser than any cosine of the new embedder that was calibrated, and than any of the old one.
BY_HAND = "gallery: {threshold: 0.05}\naccess: {same_face: 0.05}\n"


@dataclass(frozen=True)
class Bench:
    """An appliance on which the owner works with both command lines."""

    folder: Path

    @property
    def state(self) -> Path:
        """Of the appliance."""
        return self.folder / "state"

    @property
    def appliance(self) -> Appliance:
        """For scenes."""
        return Appliance(self.state)

    def doorward(self, *words: str | Path, code: int = 0) -> Any:
        """Run `doorward`; what it printed for machines, else what it complained about."""
        return _run(lambda: device_cli.run(["--state", str(self.state), *map(str, words)]), code=code)

    def configured(self, text: str, *words: str, code: int = 0) -> Any:
        """The same with a configuration file."""
        (self.folder / "config.yaml").write_text(text, encoding="utf-8")
        return self.doorward("--config", self.folder / "config.yaml", *words, code=code)

    def export(self, *words: str | Path, code: int = 0) -> Any:
        """Run `doorward-export`."""
        return _run(lambda: export_cli.run([*map(str, words), "--json"]), code=code)

    def identify(self, name: str) -> dict[str, Any]:
        """The only face of a photograph."""
        (face,) = self.doorward("identify", self.folder / "photos" / name, "--top", "5", "--json")["faces"]
        return dict(face)

    def checks(self) -> dict[str, dict[str, str]]:
        """What `check` says, by part; the camera is missing here."""
        return {each["name"]: each for each in self.doorward("check", "--json", code=1)["checks"]}

    def build(self, *words: str | Path, code: int = 0) -> Any:
        """Build the pack ``door`` from cached archives."""
        return self.export(
            "build", "--target", "onnxruntime", "--offline", "--state", self.state,
            "--mirror", self.folder, "--cache", self.folder / "cache", *words, code=code,
        )  # fmt: skip

    def calibrate(self) -> Any:
        """From two people, which proves nothing; it is said to be unproven."""
        images = self.folder / "strangers"
        for person, names in {"one": ("obama.jpg", "obama2.jpg", "obama3.jpg"), "other": (JOE,)}.items():
            (images / person).mkdir(parents=True)
            for name in names:
                shutil.copy2(self.folder / "photos" / name, images / person)
        return self.export(
            "calibrate", "--state", self.state, "--images", images, "--target-fmr", "0.1", "--photos", "1",
            "--accept-unproven", "--workers", "1", "--embeddings", self.folder / "embeddings",
        )  # fmt: skip


def _run(call: Any, *, code: int) -> Any:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        ended = call()
    assert ended == code, err.getvalue() + out.getvalue()
    try:
        return json.loads(out.getvalue())
    except ValueError:
        return err.getvalue()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, door_state: Path, demo_photos: dict[str, bytes]) -> Bench:
    """Two people enrolled with the pack's own embedder, which then was replaced; not calibrated yet."""
    bench = Bench(tmp_path_factory.mktemp("bench"))
    (bench.folder / "photos").mkdir()
    for name, content in demo_photos.items():
        (bench.folder / "photos" / name).write_bytes(content)
    adopt_pack(door_state, bench.state, SCENE)
    (bench.folder / "cache").mkdir()
    for source in load_pack_card("door")[0].sources.values():
        (bench.folder / "cache" / source.file).symlink_to(default_cache() / source.file)
    for person, name in (("Barack", BARACK), ("Joe", JOE)):
        bench.doorward("enroll", person, bench.folder / "photos" / name)
    (bench.folder / "mine.onnx").write_bytes(sface_like())
    bench.export(
        "describe-embedder", bench.folder / "mine.onnx", "--name", "mine", "--licence", "Apache-2.0",
        "--commercial-use", "yes", "--mean", "0", "--divisor", "1", "--out", bench.folder / "card.yaml",
    )  # fmt: skip
    bench.build("--embedder", bench.folder / "card.yaml")
    return bench


@pytest.fixture
def switched(built: Bench, tmp_path: Path) -> Bench:
    """The same, for one test."""
    shutil.copytree(built.folder, tmp_path / "bench", symlinks=True)
    return Bench(tmp_path / "bench")


@pytest.fixture
def calibrated(switched: Bench) -> Bench:
    """And calibrated: nobody has a template of the embedder yet."""
    assert switched.calibrate()["written"]
    return switched


def _photos(bench: Bench, **folders: str) -> Path:
    """A folder with a folder per person, each with one photograph."""
    for name, photo in folders.items():
        (bench.folder / "people" / name).mkdir(parents=True)
        shutil.copy2(bench.folder / "photos" / photo, bench.folder / "people" / name)
    return bench.folder / "people"


def test_no_door_runs_with_an_embedder_that_was_not_calibrated(switched: Bench) -> None:
    """Neither by itself nor with thresholds written by hand; people can still be shown and erased."""
    for told in (switched.doorward("run", code=70), switched.configured(BY_HAND, "run", code=70)):
        assert "no threshold" in told
        assert "doorward-export calibrate" in told
    assert switched.configured(BY_HAND, "identify", str(switched.folder / "photos" / BARACK), code=70)
    assert switched.checks()["threshold"]["outcome"] == "fail"
    people = switched.doorward("people", "list", "--json")["people"]
    assert [(each["name"], each["ready"]) for each in people] == [("Barack", False), ("Joe", False)]
    folder = _photos(switched, Barack=BARACK)
    assert switched.doorward("people", "reenroll", folder, code=70)
    switched.doorward("people", "remove", "Joe", "--yes")
    assert switched.doorward("audit", "verify", "--json")["sound"]


def test_thresholds_of_another_embedder_open_nothing(calibrated: Bench) -> None:
    """One that is looser than what was measured is refused; a stricter one is pointed out."""
    assert "another embedder" in calibrated.configured(BY_HAND, "run", code=78)
    assert "another embedder" in calibrated.configured("access: {same_face: 0.05}\n", "run", code=78)
    told = calibrated.configured("gallery: {threshold: 0.9547}\n", "check", "--json", code=1)
    (threshold,) = (each for each in told["checks"] if each["name"] == "threshold")
    assert threshold["outcome"] == "amber"
    assert "by hand: gallery.threshold 0.9547" in threshold["detail"]


def test_nobody_is_recognised_before_everybody_is_enrolled_anew(calibrated: Bench) -> None:
    """The very photographs that were enrolled: nothing is compared with templates of the old embedder."""
    gallery = calibrated.checks()["gallery"]
    assert gallery["outcome"] == "amber"
    assert "2 without a template of mine-" in gallery["detail"]
    assert "reenroll" in gallery["advice"]
    for name in (BARACK, JOE):
        face = calibrated.identify(name)
        assert (face["result"], face["similarity"], face["candidates"]) == ("no_match", None, [])
    (decision,) = calibrated.appliance.play([_actor(calibrated, BARACK)])
    assert decision.reason is Reason.NO_MATCH
    assert (decision.claimed, decision.similarity) == (None, None)


def test_people_are_recognised_again_from_photographs(calibrated: Bench) -> None:
    """One after the other: who was enrolled anew is let in, who waits is not, and nobody for the other."""
    folder = _photos(calibrated, Barack=BARACK)
    told = calibrated.doorward("people", "reenroll", folder, "--json")
    assert {each["name"]: each["result"] for each in told["people"]} == {"Barack": "enrolled", "Joe": "waits"}
    assert calibrated.identify(BARACK)["identity"] == "Barack"
    assert calibrated.identify(JOE)["result"] == "no_match"
    (joe,) = told["waiting"]
    told = calibrated.doorward("people", "reenroll", _photos(calibrated, **{joe[:8]: JOE}), "--json")
    assert {each["name"]: each["result"] for each in told["people"]} == {"Barack": "ready", "Joe": "enrolled"}
    assert told["waiting"] == []
    assert calibrated.identify(JOE)["identity"] == "Joe"
    assert calibrated.checks()["gallery"]["outcome"] == "pass"
    (decision,) = calibrated.appliance.play([_actor(calibrated, BARACK)])
    assert decision.granted


def test_the_way_back_stays_open_until_old_templates_are_erased(calibrated: Bench) -> None:
    """Both models' templates live side by side; the pack's own embedder finds its own again, or finds nobody."""
    calibrated.doorward("people", "reenroll", _photos(calibrated, Barack=BARACK))
    refused = calibrated.build(code=70)
    assert "--drop-calibration" in refused
    calibrated.build("--drop-calibration")
    assert {calibrated.identify(name)["identity"] for name in (BARACK, JOE)} == {"Barack", "Joe"}
    calibrated.build("--embedder", calibrated.folder / "card.yaml")
    shutil.rmtree(calibrated.folder / "strangers")
    calibrated.calibrate()
    told = calibrated.doorward("people", "reenroll", calibrated.folder / "people", "--drop-old", "--json")
    barack, joe = (calibrated.doorward("people", "show", name, "--json") for name in ("Barack", "Joe"))
    assert told["dropped"] == [barack["handle"]]
    assert [len(person["models"]) for person in (barack, joe)] == [1, 1]
    assert barack["ready"]
    # Joe waits: what there is of him is kept.
    assert not joe["ready"]
    calibrated.build("--drop-calibration")
    assert calibrated.identify(BARACK)["identity"] is None
    assert calibrated.identify(JOE)["identity"] == "Joe"


def test_another_file_under_the_old_name_is_another_embedder(calibrated: Bench) -> None:
    """Retrained, or fed in another way: neither the calibration nor the templates of the first are taken over."""
    calibrated.doorward("people", "reenroll", _photos(calibrated, Barack=BARACK))
    (calibrated.folder / "mine.onnx").write_bytes(sface_like(seed=2))
    card = calibrated.folder / "card.yaml"
    words = ("describe-embedder", calibrated.folder / "mine.onnx", "--name", "mine", "--licence", "Apache-2.0")
    calibrated.export(*words, "--commercial-use", "yes", "--mean", "0", "--divisor", "1", "--out", card, "--force")
    assert "--drop-calibration" in calibrated.build("--embedder", card, code=70)
    calibrated.build("--embedder", card, "--drop-calibration")
    assert "no threshold" in calibrated.doorward("run", code=70)
    assert not any(each["ready"] for each in calibrated.doorward("people", "list", "--json")["people"])


def _actor(bench: Bench, name: str) -> Actor:
    return Actor(photo=(bench.folder / "photos" / name).read_bytes(), name=name)
