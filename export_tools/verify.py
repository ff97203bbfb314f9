"""A built pack against what it should be: seal, signature, every file, and the answers of its models.

Each artefact runs, on everything that may run it here, on the pictures in the pack, and is held against what the FP32
model answered to them where the pack was built. A model that loads and gives other numbers is found nowhere else.
"""

from __future__ import annotations

import math
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from numpy.typing import NDArray

from device.errors import ModelError, PackError
from device.interfaces import InferenceSession
from device.vision.backends.onnx import OnnxSession
from device.vision.backends.tensorrt import TensorRtSession
from device.vision.manifest import FAMILIES, Family, ModelEntry, Precision, Role, Target
from device.vision.pack import Pack, load_pack, read_signature
from export_tools import golden

SessionOpener = Callable[[Pack, Role], InferenceSession]
Outputs = Sequence[NDArray[np.float32]]

_EMBEDDERS: Final = FAMILIES["embedder"]
MEASURED: Final[Mapping[Family, Mapping[Precision, float]]] = {
    "blazeface-full": {"fp16": 2.8e-4},
    "yunet": {"fp16": 6.2e-3, "int8-u8": 1.95e-1, "int8-s8": 3.65e-1},
    "facemesh": {"fp16": 3.3e-4, "int8-u8": 1.33e-2, "int8-s8": 7.4e-3},
    "mediapipe-iris": {"fp16": 3.5e-4, "int8-u8": 4.0e-2, "int8-s8": 2.5e-2},
    "minifasnet": {"fp16": 2.0e-3},
    "dlib-resnet": {"fp16": 5.4e-7, "int8-u8": 6.2e-4, "int8-s8": 8.6e-4},
    # None was at hand to be measured: ten times what dlib's network shows.
    "arcface": {"fp16": 5.4e-6, "int8-u8": 6.2e-3, "int8-s8": 8.6e-3},
}
"""Drift on the pack's drawings with ONNX Runtime 1.31.1 on x86-64 with AVX512-VNNI; what drift is: :func:`drift_of`.

INT8 drifts as the recorded activation ranges make it: new ranges, new figures. A test measures them again.
"""
FACTORS: Final[Mapping[Precision, float]] = {"fp16": 4.0, "int8-u8": 2.0, "int8-s8": 2.0}
"""What other processors may add. ONNX Runtime rounds to FP16 between operators only, an accelerator within them too;
integers add up to the same everywhere, only scales and what stays in float round differently."""
EMBEDDER_FACTORS: Final[Mapping[Precision, float]] = {**FACTORS, "fp16": 16.0}
"""1 - cosine is a square: four times the error of every number is sixteen times of it."""
CERTAIN_LOGIT: Final = 8.0
"""A probability of 0.9997: how far beyond it the logit lies changes nothing that the door does. On the drawings the
mesh's presence is 21 to 30, and INT8 moves it by 2.8 there, by 1.3 where there is no face."""
FP32_SHARE: Final = 1e-4
"""Where the pack was built FP32 answers the same to the bit. Another order of summation moved outputs by 1.3e-6 of
their range (detector in LiteRT and in ONNX Runtime)."""
FP32_COSINE: Final = 1e-7
"""What moves every number by 1e-4 moves it by 1e-8."""


@dataclass(frozen=True, slots=True)
class Backend:
    """Something that runs models; ``open`` raises ModelError or PackError."""

    name: Target
    open: SessionOpener


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftRow:
    """One model on one backend.

    Attributes:
        output: The output that moved furthest; empty without numbers.
        drift: How far, see :func:`drift_of`; None without numbers, NaN or infinite where they are none.
        limit: The most that is allowed.
        fault: Why there are no numbers; empty where there are.
    """

    role: Role
    model_id: str
    backend: Target
    precision: Precision
    output: str
    drift: float | None
    limit: float
    fault: str = ""

    @property
    def passed(self) -> bool:
        """Whether there is a finite drift within the limit."""
        return self.drift is not None and math.isfinite(self.drift) and self.drift <= self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was found in a pack whose seal and files are right.

    Attributes:
        signed: Whether a signature lies beside the manifest.
        signature_checked: Whether it is of the key that was asked for.
        rows: Every model on every backend.
    """

    pack: Pack
    signed: bool
    signature_checked: bool
    rows: tuple[DriftRow, ...]

    def require(self) -> None:
        """Raises PackError (``drift``) that names every model that does not answer as it should."""
        failed = [row for row in self.rows if not row.passed]
        if not failed:
            return
        told = "; ".join(f"{row.role} ({row.precision}) on {row.backend}: {_told(row)}" for row in failed)
        raise PackError(f"the models do not answer as they did when the pack was built: {told}", reason="drift",
                        hint=_hint(failed[0]))  # fmt: skip


def backends_of(pack: Pack) -> tuple[Backend, ...]:
    """What runs the models of this pack: ONNX Runtime their files, TensorRT the engines of a pack that has some."""
    onnx = Backend("onnxruntime", _open_onnx)
    return (onnx, Backend("tensorrt", _open_tensorrt)) if pack.manifest.target == "tensorrt" else (onnx,)


def verify(
    directory: Path,
    *,
    mac_key: bytes,
    signed_by: Ed25519PublicKey | None = None,
    name: str | None = None,
    backends: Sequence[Backend] | None = None,
) -> Verification:
    """Check a pack to the byte, then run its models. Drift is told, not raised: see :meth:`Verification.require`.

    Args:
        directory: The folder of the pack.
        mac_key: 32 bytes, :attr:`device.keys.StateKeys.pack_mac`.
        signed_by: Whose signature the manifest must carry.
        name: Which pack it must be.
        backends: What runs the models; :func:`backends_of` the pack if None.

    Raises:
        PackError: Seal, signature, manifest, a file or the golden vectors are not what they should be.
    """
    pack = load_pack(directory, mac_key=mac_key, signed_by=signed_by, name=name)
    pack.require_whole()
    vectors = pack.read_file(pack.manifest.golden)
    rows: list[DriftRow] = []
    for role, entry in pack.manifest.models.items():
        expected = golden.load(vectors, role, entry.preprocessing)
        rows.extend(_row(pack, role, expected, backend) for backend in backends or backends_of(pack))
    return Verification(
        pack=pack,
        signed=read_signature(directory) is not None,
        signature_checked=signed_by is not None,
        rows=tuple(rows),
    )


def drift_of(entry: ModelEntry, wanted: Outputs, given: Outputs) -> tuple[str, float]:
    """The output that moved furthest and how far; not finite where a number is none.

    For embedders 1 - cosine, the worst picture. For all others the greatest difference as a share of what FP32 gave,
    of its span or its magnitude, whichever is larger; outputs that are one quantity on several grids (``obj_8``,
    ``obj_16``) share theirs, because a grid without a face holds nothing but numbers near zero. In INT8 the mesh's
    presence, a logit, counts up to :data:`CERTAIN_LOGIT` only; FP32 and FP16 have to give the very number.

    Raises:
        ModelError: The answers are not of this model.
    """
    names = [output.name for output in entry.outputs]
    if not [part.shape for part in wanted] == [part.shape for part in given] or len(wanted) != len(names):
        raise ModelError("its outputs differ from the recorded ones in number or shape")
    if entry.family in _EMBEDDERS:
        return names[0], _turned(wanted[0], given[0])
    wanted, given = _as_read(entry, wanted), _as_read(entry, given)
    scales: dict[str, float] = {}
    lows: dict[str, float] = {}
    highs: dict[str, float] = {}
    for name, part in zip(names, wanted, strict=True):
        kind = _quantity(name)
        lows[kind] = min(lows.get(kind, math.inf), float(part.min()))
        highs[kind] = max(highs.get(kind, -math.inf), float(part.max()))
        scales[kind] = max(highs[kind] - lows[kind], abs(highs[kind]), abs(lows[kind]))
    drifts = []
    for name, before, after in zip(names, wanted, given, strict=True):
        moved = float(np.abs(before.astype(np.float64) - after).max())
        drifts.append((name, _share(moved, scales[_quantity(name)])))
    return max(drifts, key=lambda each: (not math.isfinite(each[1]), each[1]))


def limit_of(entry: ModelEntry, backend: Target) -> float | None:
    """The most drift that is allowed; None where nobody measured this family at this precision.

    TensorRT multiplies FP32 in TF32 unless told otherwise, whose mantissa is that of FP16: it gets the limit of FP16.
    """
    precision: Precision = "fp16" if entry.precision == "fp32" and backend == "tensorrt" else entry.precision
    if precision == "fp32":
        return FP32_COSINE if entry.family in _EMBEDDERS else FP32_SHARE
    measured = MEASURED[entry.family].get(precision)
    factors = EMBEDDER_FACTORS if entry.family in _EMBEDDERS else FACTORS
    return None if measured is None else factors[precision] * measured


def saturates(*, machine: str, cpuinfo: str) -> bool:
    """Whether products of unsigned and signed 8-bit numbers saturate on this processor: x86-64 without VNNI."""
    return machine == "x86_64" and "vnni" not in cpuinfo


def _row(pack: Pack, role: Role, expected: golden.GoldenVectors, backend: Backend) -> DriftRow:
    entry = pack.model(role)
    limit = limit_of(entry, backend.name)
    output, drift, fault = "", None, ""
    if limit is None:
        fault = f"no limit is known for {entry.family} at {entry.precision}"
    else:
        try:
            session = backend.open(pack, role)
            try:
                given = golden.run(session, expected.inputs, batch=entry.input.shape[0])
                output, drift = drift_of(entry, expected.outputs, given)
            finally:
                session.close()
        except ModelError as exc:
            fault = exc.message
    return DriftRow(
        role=role,
        model_id=entry.model_id,
        backend=backend.name,
        precision=entry.precision,
        output=output,
        drift=drift,
        limit=limit or 0.0,
        fault=fault,
    )


def _open_onnx(pack: Pack, role: Role) -> InferenceSession:
    return OnnxSession(pack.read(role), model=pack.model(role).model_id, threads=1)


def _open_tensorrt(pack: Pack, role: Role) -> InferenceSession:
    entry = pack.model(role)
    data = pack.read_engine(role)
    if entry.engine is None:
        raise ModelError(f"the {role} model has no engine")
    return TensorRtSession(data, model=entry.model_id, tag=entry.engine, model_sha256=entry.sha256)


def _as_read(entry: ModelEntry, outputs: Outputs) -> Outputs:
    if entry.family != "facemesh" or not entry.precision.startswith("int8"):
        return outputs
    return [
        np.clip(part, -CERTAIN_LOGIT, CERTAIN_LOGIT) if output.name == "presence" else part
        for output, part in zip(entry.outputs, outputs, strict=True)
    ]


def _quantity(name: str) -> str:
    return re.sub(r"_[0-9]+$", "", name)


def _share(moved: float, scale: float) -> float:
    if scale > 0:
        return moved / scale
    return 0.0 if moved == 0 else math.inf


def _turned(wanted: NDArray[np.float32], given: NDArray[np.float32]) -> float:
    before, after = wanted.astype(np.float64), given.astype(np.float64)
    lengths = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        return math.nan
    # Rounding may leave a cosine a hair above one.
    return max(0.0, 1.0 - float((np.einsum("nd,nd->n", before, after) / lengths).min()))


def _told(row: DriftRow) -> str:
    if row.drift is None:
        return row.fault
    if not math.isfinite(row.drift):
        return f"{row.output} is not finite"
    return f"{row.output} drifts by {row.drift:.2e}, allowed are {row.limit:.2e}"


def _hint(row: DriftRow) -> str:
    if row.drift is None:
        return "build the pack again on this device: doorward-export build --force"
    if row.precision.startswith("int8") and row.backend == "onnxruntime" and _saturates_here():
        return (
            "this processor has no VNNI and saturates 8-bit products; build with another precision: "
            f"doorward-export build --precision {row.role}=fp32"
        )
    other = f", or with another precision: --precision {row.role}=fp32" if row.precision != "fp32" else ""
    return f"build the pack again on this device: doorward-export build --force{other}"


def _saturates_here() -> bool:
    try:
        cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return saturates(machine=platform.machine(), cpuinfo=cpuinfo)
