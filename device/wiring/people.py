"""The enrolled people, and the verbs of an appliance that does not run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from device.app.control import ControlVerbs
from device.app.enrolment import Enroller, EnrolmentRules
from device.app.roster import Roster
from device.clock import SystemClock
from device.config import Config
from device.errors import ConfigError, PackError
from device.vision.pack import Pack
from device.vision.quality import Gates
from device.wiring.models import Vision, load_vision, make_index, match_threshold, open_pack
from device.wiring.state import State, open_state


def open_roster(state: State, pack: Pack, config: Config) -> Roster:
    """The enrolled people, searchable with this pack's embeddings."""
    return Roster(state.database, state.ledger, make_index=lambda: make_index(pack, config), clock=state.clock)


def make_enroller(vision: Vision, roster: Roster, config: Config) -> Enroller:
    """What judges photographs for this gallery."""
    gates = Gates.for_enrolment(config.vision, config.gallery.enrolment)
    loosest = vision.pack.thresholds.match[0]
    return Enroller(
        find_faces=lambda image: vision.find_faces(image, gates=gates),
        embed=vision.embedder.embed,
        roster=roster,
        rules=EnrolmentRules(gates=gates, similar=loosest.cosine, match=match_threshold(vision.pack, config)),
    )


@contextmanager
def open_offline(directory: Path, config: Config) -> Iterator[ControlVerbs]:
    """The verbs without a daemon: own the state for one command; models are loaded when a verb needs them.

    Without a usable pack or a valid threshold people can still be shown and removed; what needs them raises the error.
    """
    clock = SystemClock()
    with open_state(directory, config, clock=clock, create=True) as state:
        pack: Pack | None = None
        broken = PackError("there is no pack")
        try:
            pack = open_pack(directory, config, state.keys)
        except PackError as exc:
            broken = exc
        usable = pack
        roster = Roster(
            state.database,
            state.ledger,
            make_index=None if usable is None else lambda: make_index(usable, config),
            clock=clock,
        )

        @cache
        def enroller() -> Enroller:
            if usable is None:
                raise broken
            return make_enroller(load_vision(usable, config), roster, config)

        yield ControlVerbs(
            database=state.database,
            ledger=state.ledger,
            roster=roster,
            enroller=enroller,
            threshold=_threshold(usable, config),
            margin=config.gallery.margin,
            run_on_gate=lambda job: job(),
            health=dict,
        )


def _threshold(pack: Pack | None, config: Config) -> float | None:
    """The door's threshold; None where there is none: then nothing is compared with it, and no daemon starts."""
    if pack is None:
        return None
    try:
        return match_threshold(pack, config)
    except (PackError, ConfigError):
        return None
