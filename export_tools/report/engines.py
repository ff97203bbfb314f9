"""TensorRT in a report: measured where an engine can be built, named with the reason where not."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial
from typing import Protocol

from device.errors import ModelError
from device.vision.backends.cuda import find_gpu
from device.vision.backends.tensorrt import TensorRtSession, tensorrt_version
from device.vision.manifest import Precision
from export_tools.cards import ModelCard
from export_tools.engine.builder import build_engine
from export_tools.evaluate.latency import LatencyCase


class Engines(Protocol):
    """What opens TensorRT engines of a model, if anything."""

    @property
    def available(self) -> bool:
        """Whether engines can be built here."""

    @property
    def note(self) -> str:
        """Versions, or why there are none."""

    def cases(self, card: ModelCard, artefacts: Mapping[Precision, bytes], *, threads: int) -> dict[str, LatencyCase]:
        """What is timed of a model, by label. Raises PackError where an engine cannot be built."""


class NoEngines:
    """A machine without TensorRT."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    @property
    def available(self) -> bool:
        """Never."""
        return False

    @property
    def note(self) -> str:
        """Why."""
        return f"not run on this machine: {self._reason}"

    def cases(self, card: ModelCard, artefacts: Mapping[Precision, bytes], *, threads: int) -> dict[str, LatencyCase]:
        """Nothing."""
        del card, artefacts, threads
        return {}


class BuiltEngines:
    """Builds an engine for the GPU of this machine from every artefact that TensorRT takes."""

    def __init__(self, note: str) -> None:
        self._note = note

    @property
    def available(self) -> bool:
        """Always."""
        return True

    @property
    def note(self) -> str:
        """TensorRT and GPU."""
        return self._note

    def cases(self, card: ModelCard, artefacts: Mapping[Precision, bytes], *, threads: int) -> dict[str, LatencyCase]:
        """Built now, minutes per model without a timing cache. Raises PackError."""
        found = {}
        for precision, data in artefacts.items():
            if card.refusal(precision, target="tensorrt") is None:
                name = card.model_id(precision)
                engine = build_engine(data, model=name)
                found[f"{name}, tensorrt"] = LatencyCase(
                    make=partial(
                        TensorRtSession,
                        engine.data,
                        model=name,
                        tag=engine.tag,
                        model_sha256=hashlib.sha256(data).hexdigest(),
                    ),
                    model=card.name,
                    precision=precision,
                    backend="tensorrt",
                    threads=threads,
                )
        return found


def find_engines() -> Engines:
    """What this machine offers."""
    try:
        version, gpu = tensorrt_version(), find_gpu()
    except ModelError as exc:
        return NoEngines(exc.message)
    return BuiltEngines(f"TensorRT {version} on {gpu.name}, compute capability {gpu.compute_capability}")
