"""What models are fed in real life, and what their tensors reach then.

There is no second preprocessing: the device's own parts look at pictures through sessions that keep what they are run
with, so the inputs of every role, chip and mirrored chip included, are exactly those of the pipeline.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from device.errors import ModelError, PackError
from device.interfaces import InferenceSession
from device.types import Image
from export_tools.precision.batch import with_input_shape
from export_tools.precision.graph import (
    dump_graph,
    fingerprint,
    float_tensors,
    infer,
    lift_opset,
    load_graph,
    open_session,
)
from export_tools.precision.pictures import PictureSource
from export_tools.precision.ranges import CalibrationSet, Ranges, Span

Tensor = NDArray[np.float32]
Look = Callable[[Image], bool]
"""Runs the device's parts over one picture; tells whether a face was in it."""

MAX_BYTES: Final = 1 << 30
"""Inputs of one model that are kept: two thousand chips with their mirror images, or 480 frames of 480 x 384."""


class RecordingSession:
    """A session that answers as the one it wraps and keeps what it is asked."""

    def __init__(self, session: InferenceSession) -> None:
        self._session = session
        self._inputs: list[Tensor] = []
        self._bytes = 0

    @property
    def model(self) -> str:
        """Id of the model."""
        return self._session.model

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the single input; -1 where the batch is dynamic."""
        return self._session.input_shape

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What it was run with so far, in order."""
        return tuple(self._inputs)

    def run(self, tensor: Tensor) -> tuple[Tensor, ...]:
        """Answer, and keep a copy of the input.

        Raises:
            ModelError: The model failed.
            PackError: More than :data:`MAX_BYTES` would have to be kept (``calibration``).
        """
        outputs = self._session.run(tensor)
        self._bytes += tensor.nbytes
        if self._bytes > MAX_BYTES:
            raise PackError(
                f"the calibration set is too large: {self.model} was run {len(self._inputs)} times",
                reason="calibration",
                hint="some hundred faces are enough: name fewer clips or photographs",
            )
        self._inputs.append(tensor.copy())
        return outputs

    def clear(self) -> None:
        """Forget the inputs."""
        self._inputs.clear()
        self._bytes = 0

    def close(self) -> None:
        """Free the model; harmless when closed already."""
        self._session.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedInputs:
    """What every role was run with.

    Attributes:
        batches: Inputs of each role, in the order of the pictures.
        sources: Photographs and clips that were looked at.
        pictures: Pictures in them.
        without_face: Names of sources in which nobody was found.
    """

    batches: Mapping[str, tuple[Tensor, ...]]
    sources: tuple[str, ...]
    pictures: int
    without_face: tuple[str, ...]


def record_inputs(
    sources: Sequence[PictureSource], *, look: Look, sessions: Mapping[str, RecordingSession]
) -> RecordedInputs:
    """Let the device's parts look at every picture, and take what their sessions were run with.

    Args:
        sources: Photographs and clips.
        look: Runs the parts that were built over these sessions.
        sessions: By role.

    Raises:
        PackError: The set is empty, a picture cannot be read, or no source shows a face (``calibration``).
        ModelError: A model failed.
    """
    for session in sessions.values():
        session.clear()
    pictures = 0
    without_face = []
    for source in sources:
        found = False
        for picture in source.pictures():
            pictures += 1
            found |= look(picture)
        if not found:
            without_face.append(source.name)
    if len(without_face) == len(sources):
        what = "the calibration set is empty" if not sources else "no picture of the calibration set shows a face"
        raise PackError(
            what,
            reason="calibration",
            hint="name a folder with photographs or clips of faces, as the door's camera sees them",
        )
    return RecordedInputs(
        batches={role: session.inputs for role, session in sessions.items()},
        sources=tuple(source.name for source in sources),
        pictures=pictures,
        without_face=tuple(without_face),
    )


def record_ranges(model: bytes, batches: Iterable[Tensor], *, name: str, description: str, sources: int = 1) -> Ranges:
    """Run a model and note the least and the greatest value of every tensor in it.

    MinMax: measured on 182 chips it was as good as entropy for the embedder, and it is the one method whose result does
    not depend on how the samples are binned.

    Args:
        model: The FP32 ONNX file; free height and width are fixed by the batches themselves.
        batches: float32 inputs as the device makes them.
        name: Id under which the ranges are kept, without the precision.
        description: What the set consists of, in words.
        sources: Photographs and clips behind the batches.

    Raises:
        PackError: No batch (``calibration``), or the model does not run on one (``unconvertible``, ``calibration``).
    """
    recorder = _Recorder(model)
    for batch in batches:
        recorder.add(batch)
    if not recorder.rows:
        raise PackError(
            f"there is no calibration input for {name}",
            reason="calibration",
            hint="name a folder with photographs or clips of faces",
        )
    return Ranges(
        format=1,
        model=name,
        fingerprint=fingerprint(model),
        method="minmax",
        calibration=CalibrationSet(
            description=description, sources=sources, inputs=recorder.rows, sha256=recorder.digest.hexdigest()
        ),
        recorded_with={tool: version(tool) for tool in ("numpy", "onnx", "onnxruntime")},
        tensors={
            tensor: Span(low=float(low), high=float(high)) for tensor, (low, high) in sorted(recorder.spans.items())
        },
    )


@dataclass(slots=True)
class _Recorder:
    """One model under observation; a session per input shape."""

    model: bytes
    rows: int = 0
    spans: dict[str, tuple[np.float32, np.float32]] = field(default_factory=dict)
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    _observed: dict[tuple[int, ...], tuple[tuple[str, ...], InferenceSession]] = field(default_factory=dict)

    def add(self, batch: Tensor) -> None:
        if batch.dtype != np.float32 or not np.isfinite(batch).all():
            raise PackError("a calibration input is not finite float32", reason="calibration", hint="check the set")
        batch = np.ascontiguousarray(batch)
        if batch.shape not in self._observed:
            self._observed[batch.shape] = self._observe(batch.shape)
        names, session = self._observed[batch.shape]
        try:
            outputs = session.run(batch)
        except ModelError as exc:
            raise PackError(
                f"the model fails on a calibration input: {exc.message}", reason="calibration", hint="check the set"
            ) from exc
        for place, name in enumerate(names):
            low, high = outputs[2 * place][0], outputs[2 * place + 1][0]
            before = self.spans.get(name, (low, high))
            self.spans[name] = min(before[0], low), max(before[1], high)
        self.rows += batch.shape[0]
        self.digest.update(repr(batch.shape).encode() + batch.astype("<f4").tobytes())

    def _observe(self, shape: tuple[int, ...]) -> tuple[tuple[str, ...], InferenceSession]:
        """The model with two outputs for every tensor, its least and its greatest value."""
        proto = lift_opset(load_graph(with_input_shape(_free_batch(self.model), shape)))
        kinds = float_tensors(infer(proto))
        names = tuple(name for name, kind in kinds.items() if kind == TensorProto.FLOAT)
        graph = proto.graph
        del graph.output[:]
        flat = numpy_int64([-1], "observed/flat")
        graph.initializer.append(flat)
        for place, name in enumerate(names):
            graph.node.append(helper.make_node("Reshape", [name, flat.name], [f"observed/{place}"]))
            for kind in ("ReduceMin", "ReduceMax"):
                output = f"observed/{place}/{kind}"
                graph.node.append(helper.make_node(kind, [f"observed/{place}"], [output], axes=[0], keepdims=1))
                graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, [1]))
        return names, open_session(dump_graph(proto), name="calibration")


def numpy_int64(values: Sequence[int], name: str) -> onnx.TensorProto:
    """A constant of whole numbers."""
    return helper.make_tensor(name, TensorProto.INT64, [len(values)], list(values))


def _free_batch(model: bytes) -> bytes:
    """The same model with nothing said about the batch, so that it can be fixed to any."""
    proto = load_graph(model)
    weights = {tensor.name for tensor in proto.graph.initializer}
    for value in (*proto.graph.input, *proto.graph.output):
        dims = value.type.tensor_type.shape.dim
        if value.name not in weights and dims:
            dims[0].Clear()
            dims[0].dim_param = "N"
    del proto.graph.value_info[:]
    return bytes(proto.SerializeToString(deterministic=True))
