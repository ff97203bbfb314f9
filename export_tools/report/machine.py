"""The machine that figures come from: a latency without it says nothing."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Final

from export_tools.report.result import Library, Machine

_CPUINFO: Final = Path("/proc/cpuinfo")
_FLAGS: Final = (
    "sse4_1", "avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "avx512_fp16",
    "amx_int8", "amx_bf16",
    "asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve",
)  # fmt: skip
"""x86: vector widths, VNNI and AMX (8-bit products). ARM: half precision, dot products, 8-bit matrices."""
_LIBRARIES: Final = ("numpy", "onnx", "onnxruntime", "opencv-python-headless")


def this_machine() -> Machine:
    """What this process runs on."""
    processor, flags = describe_processor(_read(_CPUINFO))
    return Machine(
        processor=processor
        or _read(Path("/proc/device-tree/model")).strip("\0\n")
        or platform.processor()
        or "unknown",
        architecture=platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        flags=flags,
        system=f"{platform.system()} {platform.release()}",
        libraries=(
            Library(name="python", version=platform.python_version()),
            *(Library(name=name, version=version(name)) for name in _LIBRARIES),
        ),
    )


def describe_processor(cpuinfo: str) -> tuple[str, tuple[str, ...]]:
    """Name and telling features out of /proc/cpuinfo; the name is empty where ARM does not give one."""
    fields: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip().lower(), value.strip())
    present = set((fields.get("flags") or fields.get("features") or "").split())
    return fields.get("model name", ""), tuple(flag for flag in _FLAGS if flag in present)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
