"""People and templates to store."""

from __future__ import annotations

from datetime import datetime, timezone

import numpy as np

from device.store.database import Database
from device.store.people import insert_person, new_handle
from device.types import Embedding, Person

MODEL = "test-embedder@1"
DIMENSION = 128


def embedding(seed: int, *, model: str = MODEL, dimension: int = DIMENSION) -> Embedding:
    """A random unit vector."""
    vector = np.random.default_rng(seed).normal(size=dimension)
    return Embedding(vector=(vector / np.linalg.norm(vector)).astype(np.float32), model=model)


def person(name: str = "Ada Lovelace", *, handle: str | None = None) -> Person:
    """Somebody who may come in at any time."""
    return Person(
        handle=handle or new_handle(),
        name=name,
        enabled=True,
        valid_from=None,
        valid_until=None,
        enrolled_at=datetime(2026, 1, 5, 9, tzinfo=timezone.utc),
        photos=2,
        models=(MODEL,),
    )


def enrolled(database: Database, name: str = "Ada Lovelace", *, seed: int = 1) -> Person:
    """Somebody stored with two photographs and their mean."""
    somebody = person(name)
    with database.unit() as unit:
        insert_person(unit, somebody, singles=(embedding(seed), embedding(seed + 1)), mean=embedding(seed + 2))
    return somebody
