"""Three press photographs of one man, one of another: each is found when the other two are enrolled, the other never.

The margins are printed (``pytest -s``); what is asserted is the verdict under the shipped threshold, nothing finer.
"""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

from device.cli import run
from tests.scenarios.conftest import Appliance

ONE_MAN = ("obama.jpg", "obama2.jpg", "obama3.jpg")
ANOTHER = "biden.jpg"


@pytest.mark.parametrize("asked", ONE_MAN)
def test_each_photograph_is_found_when_the_other_two_are_enrolled(
    appliance: Appliance,
    demo_photos: dict[str, bytes],
    tmp_path: Path,
    asked: str,
) -> None:
    """And the other man is not."""
    handle = appliance.enrol("Barack", {name: demo_photos[name] for name in ONE_MAN if name != asked})
    told = {name: _identify(appliance, demo_photos, name, folder=tmp_path) for name in (asked, ANOTHER)}
    for name, face in told.items():
        lead = face["similarity"] - face["threshold"]
        print(f"\n{name}: {face['similarity']:.4f}, {lead:+.4f} from the threshold")  # noqa: T201
    assert told[asked]["handle"] == handle
    assert told[asked]["result"] == "match"
    assert told[asked]["similarity"] >= told[asked]["threshold"]
    assert told[ANOTHER]["handle"] is None
    assert told[ANOTHER]["result"] == "no_match"
    assert told[ANOTHER]["similarity"] < told[ANOTHER]["threshold"]


def test_with_both_men_enrolled_each_is_himself(
    appliance: Appliance, demo_photos: dict[str, bytes], tmp_path: Path
) -> None:
    """The best beats the runner-up by more than the shipped margin."""
    one = appliance.enrol("Barack", {name: demo_photos[name] for name in ONE_MAN[:2]})
    other = appliance.enrol("Joe", {ANOTHER: demo_photos[ANOTHER]})
    for name, handle in ((ONE_MAN[2], one), (ANOTHER, other)):
        face = _identify(appliance, demo_photos, name, folder=tmp_path)
        assert face["handle"] == handle
        assert face["margin"] >= appliance.config.gallery.margin


def _identify(appliance: Appliance, photos: dict[str, bytes], name: str, *, folder: Path) -> dict[str, Any]:
    """The only face of a photograph as `doorward identify` tells it, with the threshold."""
    photo = folder / name
    photo.write_bytes(photos[name])
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert run(["--state", str(appliance.state), "identify", str(photo), "--json"]) == 0
    told = json.loads(out.getvalue())
    (face,) = told["faces"]
    return {**face, "threshold": told["threshold"]}
