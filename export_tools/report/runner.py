"""One pack after the other: artefacts, their errors, their latency, and what its targets choose."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from device.interfaces import InferenceSession
from device.vision.backends.onnx import OnnxSession
from device.vision.manifest import PRECISIONS, TARGETS, Precision, Role
from export_tools.cards import ModelCard, PackCard
from export_tools.evaluate.latency import ROUNDS, LatencyCase, run_latency
from export_tools.evaluate.results.latency import LatencyRow
from export_tools.precision.artefact import make_artefact, make_excluded_for_measuring, recorded_ranges
from export_tools.precision.calibration import RecordedInputs
from export_tools.precision.drift import run_all
from export_tools.precision.graph import load_graph
from export_tools.precision.pictures import PictureSource
from export_tools.precision.ranges import Ranges
from export_tools.report.conversion import CONVERSIONS
from export_tools.report.engines import Engines
from export_tools.report.errors import drift_of
from export_tools.report.explain import explain
from export_tools.report.faces import Looked, demo_pairs, look_for_faces
from export_tools.report.result import Choice, DetectionError, ModelFigures, PackFigures, PrecisionFigures
from export_tools.report.steps import Steps

Tensor = NDArray[np.float32]

_INPUTS: Final = 16
"""Different real inputs that take turns when a model is timed."""
_NO_RANGES: Final = "no activation ranges were recorded for it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a report is measured.

    Attributes:
        calibration: Folder of photographs and clips beside the demo's photographs.
        threads: Threads per inference.
        rounds: Measured runs per model and precision.
        ranges: Activation ranges by model instead of the recorded ones.
        command: What reproduces the report, for its page.
        measured_on: Date, YYYY-MM-DD.
    """

    calibration: Path | None = None
    threads: int = 1
    rounds: int = ROUNDS
    ranges: Mapping[str, Ranges] = field(default_factory=dict)
    command: str
    measured_on: str


@dataclass(frozen=True, slots=True)
class ConvertedPack:
    """A description and the FP32 file of each of its models.

    Attributes:
        card: The description.
        references: FP32 ONNX files by role.
        excluded_ranges: Activation ranges, by model, of those that may not run in INT8 and are only measured in it.
    """

    card: PackCard
    references: Mapping[Role, bytes]
    excluded_ranges: Mapping[str, Ranges] = field(default_factory=dict)

    def measured(self, role: Role) -> tuple[Precision, ...]:
        """The precisions a model is measured at: all it may run at, and the excluded ones that can be made."""
        card = self.card.models[role]
        with_ranges = card.ranges is not None or card.name in self.excluded_ranges
        excluded = {p for p in card.excluded if with_ranges or not p.startswith("int8")}
        return tuple(p for p in PRECISIONS if p in card.precisions or p in excluded)


class Runner:
    """Measures packs and remembers the models that were measured.

    Args:
        settings: How.
        held_out: What no model was calibrated with.
        photos: The demo's photographs by name.
        steps: Who is told how far it is.
        engines: What builds TensorRT engines, or says why there are none.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        held_out: Sequence[PictureSource],
        photos: Mapping[str, bytes],
        steps: Steps,
        engines: Engines,
    ) -> None:
        self._settings = settings
        self._held_out = held_out
        self._photos = photos
        self._steps = steps
        self._engines = engines
        self._models: dict[str, ModelFigures] = {}
        self._artefacts: dict[tuple[str, Precision], bytes] = {}

    @property
    def models(self) -> tuple[ModelFigures, ...]:
        """Those of all packs so far, each once."""
        return tuple(self._models.values())

    def measure(self, pack: ConvertedPack, seen: RecordedInputs) -> PackFigures:
        """Everything about one pack; its models are remembered.

        Args:
            pack: Description and FP32 files.
            seen: What its models were run with on the held-out side.

        Raises:
            PackError: An artefact cannot be made.
            ModelError: A model failed.
        """
        card = pack.card
        self._steps.step(f"{card.pack}: faces, chips and pairs")
        looked = self._look(pack)
        with ExitStack() as stack:
            pairs = demo_pairs(
                card,
                self._photos,
                detector=self._open(stack, pack, "detector", "fp32"),
                mesh=self._open(stack, pack, "landmarks", "fp32"),
                embedders={p: self._open(stack, pack, "embedder", p) for p in card.models["embedder"].precisions},
            )
        for role, model in card.models.items():
            if model.name not in self._models:
                detection = looked.detection if role == "detector" else {}
                self._models[model.name] = self._model(pack, role, seen.batches[role], detection)
        choices = tuple(
            Choice(
                role=role,
                model=model.name,
                target=target,
                precision=model.precision[target],
                reason=explain(model, self._models[model.name], target=target, thresholds=card.thresholds),
            )
            for role, model in card.models.items()
            for target in TARGETS
        )
        return PackFigures(
            pack=card.pack,
            choices=choices,
            alignment=looked.alignment,
            pairs=pairs,
            match_cosine=card.thresholds.match_cosine if card.thresholds is not None else None,
        )

    def _look(self, pack: ConvertedPack) -> Looked:
        with ExitStack() as stack:
            detectors = {p: self._open(stack, pack, "detector", p) for p in pack.measured("detector")}
            mesh = self._open(stack, pack, "landmarks", "fp32")
            return look_for_faces(pack.card, detectors, mesh=mesh, sources=self._held_out)

    def _model(
        self,
        pack: ConvertedPack,
        role: Role,
        batches: Sequence[Tensor],
        detection: Mapping[Precision, DetectionError],
    ) -> ModelFigures:
        card = pack.card.models[role]
        figures: dict[Precision, PrecisionFigures] = {}
        with ExitStack() as stack:
            reference: tuple[Tensor, ...] = ()
            for precision in pack.measured(role):
                self._steps.step(f"{card.name}: {precision}")
                data = self._artefact(pack, role, precision)
                session = self._open(stack, pack, role, precision)
                answers = run_all(session, batches)
                drift = None
                if precision == "fp32":
                    reference = answers
                else:
                    drift = drift_of(card, reference, answers).model_copy(
                        update={"detection": detection.get(precision)}
                    )
                figures[precision] = PrecisionFigures(
                    precision=precision,
                    excluded=card.excluded.get(precision),
                    size_bytes=len(data),
                    sha256=hashlib.sha256(data).hexdigest(),
                    drift=drift,
                )
        self._steps.step(f"{card.name}: latency")
        rows = self._time(card, {each: self._artefact(pack, role, each) for each in figures}, batches)
        ranges = self._ranges(pack, card)
        return ModelFigures(
            name=card.name,
            role=role,
            family=card.family,
            parameters=count_parameters(pack.references[role]),
            licence=card.licence.id,
            conversion=CONVERSIONS.get(card.name),
            ranges=ranges.calibration.description if ranges is not None else None,
            precisions=tuple(
                figures[precision].model_copy(
                    update={"latency": tuple(row for row in rows if row.precision == precision)}
                )
                if precision in figures
                else PrecisionFigures(precision=precision, excluded=card.excluded.get(precision, _NO_RANGES))
                for precision in PRECISIONS
            ),
        )

    def _time(
        self, card: ModelCard, artefacts: Mapping[Precision, bytes], batches: Sequence[Tensor]
    ) -> tuple[LatencyRow, ...]:
        threads = self._settings.threads
        cases = {
            f"{card.model_id(precision)}, onnxruntime": LatencyCase(
                make=partial(OnnxSession, data, model=card.model_id(precision), threads=threads),
                model=card.name,
                precision=precision,
                backend="onnxruntime",
                threads=threads,
            )
            for precision, data in artefacts.items()
        }
        cases |= self._engines.cases(card, artefacts, threads=threads)
        return run_latency(cases, inputs={card.name: _spread(batches)}, rounds=self._settings.rounds).rows

    def _open(self, stack: ExitStack, pack: ConvertedPack, role: Role, precision: Precision) -> InferenceSession:
        data = self._artefact(pack, role, precision)
        name = pack.card.models[role].model_id(precision)
        return stack.enter_context(closing(OnnxSession(data, model=name, threads=self._settings.threads)))

    def _artefact(self, pack: ConvertedPack, role: Role, precision: Precision) -> bytes:
        card = pack.card.models[role]
        key = (card.name, precision)
        if key not in self._artefacts:
            ranges = self._ranges(pack, card) if precision.startswith("int8") else None
            make = make_excluded_for_measuring if precision in card.excluded else make_artefact
            self._artefacts[key] = make(card, pack.references[role], precision, ranges=ranges)
        return self._artefacts[key]

    def _ranges(self, pack: ConvertedPack, card: ModelCard) -> Ranges | None:
        if card.ranges is None:
            return pack.excluded_ranges.get(card.name)
        return self._settings.ranges.get(card.name) or recorded_ranges(card)


def count_parameters(model: bytes) -> int:
    """Weights of floating point in an ONNX file, as it is computed: rewritten PReLUs included."""
    tensors = load_graph(model).graph.initializer
    return sum(math.prod(tensor.dims) for tensor in tensors if tensor.data_type == TensorProto.FLOAT)


def _spread(batches: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """So many of them, evenly out of all."""
    places = np.unique(np.linspace(0, len(batches) - 1, min(_INPUTS, len(batches))).astype(int))
    return tuple(batches[place] for place in places)
