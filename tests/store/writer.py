"""A process that appends audit entries and says so, one line per committed entry, until it is killed."""

from __future__ import annotations

import sys
from pathlib import Path

from device.app.ledger import Ledger
from device.audit.records import PersonEvent, PersonRecord
from device.keys import StateKeys
from device.sim.clock import ManualClock
from device.store.database import Database
from device.store.lock import StateLock
from device.store.people import insert_person
from tests.store.samples import embedding, person


def main() -> None:
    """Write for ever into the state directory of the command line."""
    directory = Path(sys.argv[1])
    with StateLock(directory):
        database = Database.open(
            directory, keys=StateKeys.derive(b"k" * 32), quota_mb=64, reserve_pages=64, create=True
        )
        ledger = Ledger(database, clock=ManualClock(), boot_id="boot")
        template = embedding(1)
        while True:
            somebody = person()
            with database.unit() as unit:
                insert_person(unit, somebody, singles=(template,), mean=template)
                entry = ledger.record(PersonRecord(PersonEvent.ENROLLED, somebody), urgent=False)
            sys.stdout.write(f"{entry.seq} {entry.hash.hex()}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
