"""Hold every TensorRT and pycuda name the code uses against the real bindings, and record what they say.

    python -m export_tools.engine.api_check --out docs/tensorrt-api.md

The pinned wheels of the bindings (``bindings.yaml``) are fetched, and loaded in a process of their own beside empty
libraries; of pycuda, whose extension needs a CUDA toolkit to be compiled, the registrations in its source are read.
Needs a C compiler, Linux on x86-64, and one of the Pythons in ``bindings.yaml``. No GPU and no TensorRT.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

import yaml
from pydantic import Field

from device.commands.output import complain
from device.errors import DoorwardError, PackError
from device.vision.manifest import Strict
from export_tools.engine import inspect_bindings
from export_tools.engine.api_names import STUBS, Used, boost_names, matching_signature, takes, used_names
from export_tools.sources.fetch import Fetcher, default_cache
from export_tools.sources.pins import Archive, Member

BINDINGS: Final = Path(__file__).with_name("bindings.yaml")
COMMAND: Final = "python -m export_tools.engine.api_check --out docs/tensorrt-api.md"
_LIBRARIES: Final = ("nvinfer", "nvinfer_plugin", "nvonnxparser")
#: What the bindings look up in the libraries. Nothing calls it here.
_FUNCTIONS: Final = (
    "createInferBuilder_INTERNAL",
    "createInferRefitter_INTERNAL",
    "createInferRuntime_INTERNAL",
    "createNvOnnxParserRefitter_INTERNAL",
    "createNvOnnxParser_INTERNAL",
    "getBuilderPluginRegistry",
    "getNvOnnxParserVersion",
    "getPluginRegistry",
    "initLibNvInferPlugins",
)
_STUB: Final = "".join(f"void *{name}(void) {{ return 0; }}\n" for name in _FUNCTIONS)
_PACKAGE: Final = "tensorrt_bindings/"
_TIMEOUT_S: Final = 120
#: What Python calls, not we: there is no parameter to name.
_OPERATOR: Final = re.compile(r"\.__(?!init)\w+__$")
MISSING: Final = "**missing**"


class Wheel(Strict):
    """Bindings for one Python."""

    python: Annotated[str, Field(pattern=r"^3\.[0-9]{1,2}$")]
    archive: Archive


class Source(Strict):
    """A source file of pycuda."""

    archive: Archive
    member: Member


class Pins(Strict):
    """`bindings.yaml`."""

    format: Literal[1]
    tensorrt: list[Wheel]
    pycuda: Source


def load_pins() -> Pins:
    """What the code is held against."""
    return Pins.model_validate(yaml.safe_load(BINDINGS.read_text(encoding="utf-8")))


@dataclass(frozen=True, slots=True)
class Finding:
    """What one version says about one name."""

    version: str
    name: str
    found: bool
    signature: str
    """The matching one, a member's value, or empty."""


def inspect_tensorrt(wheel: Path, version: str, names: list[Used]) -> list[Finding]:
    """Load bindings and look the names up.

    Raises:
        PackError: They cannot be unpacked or loaded here.
    """
    with tempfile.TemporaryDirectory() as scratch:
        try:
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(scratch, [name for name in archive.namelist() if name.startswith(_PACKAGE)])
            for library in _LIBRARIES:
                name = f"lib{library}.so.{version.partition('.')[0]}"
                command = ["cc", "-shared", "-xc", "-", f"-Wl,-soname,{name}", "-o", f"{scratch}/{name}"]
                subprocess.run(command, input=_STUB, check=True, capture_output=True, text=True, timeout=_TIMEOUT_S)
            answer = subprocess.run(
                [sys.executable, "-I", inspect_bindings.__file__, scratch],
                input=json.dumps([used.name for used in names]),
                check=True,
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_S,
            )
        except (OSError, zipfile.BadZipFile, subprocess.SubprocessError) as exc:
            reason = getattr(exc, "stderr", None) or exc
            raise PackError(
                f"the bindings of TensorRT {version} cannot be loaded: {reason}",
                reason="bindings",
                hint="this check needs Linux on x86-64, a C compiler, and a Python named in bindings.yaml",
            ) from exc
    said = json.loads(answer.stdout)
    return [judge(used, said[used.name], version=version) for used in names]


def judge(used: Used, said: dict[str, str] | None, *, version: str) -> Finding:
    """Whether what bindings say about a name is what the code expects."""
    if said is None or said["kind"] != used.kind:
        return Finding(version, used.name, found=False, signature="")
    if used.kind != "function" or _OPERATOR.search(used.name):
        return Finding(version, used.name, found=True, signature=said["doc"].partition("\n")[0])
    signature = matching_signature(said["doc"], used)
    return Finding(version, used.name, found=signature is not None, signature=signature or "")


def inspect_pycuda(source: str, version: str, names: list[Used]) -> list[Finding]:
    """Look the names up in the registrations of the extension."""
    registered = boost_names(source)
    found = []
    for used in names:
        said = registered.get(used.name)
        found.append(Finding(version, used.name, said is not None and takes(said, used), said or ""))
    return found


def record(tensorrt: list[list[Finding]], pycuda: list[Finding], archives: list[Archive]) -> str:
    """The table, as it stands in the documentation."""
    lines = [
        "# TensorRT and pycuda: the names the code uses, held against the real bindings",
        "",
        f"Written by `{COMMAND}`.",
        "",
        "The names are those of `stubs/`, against which mypy holds the code. An entry says that the bindings have the",
        "name and take the parameters the code gives; for members of enumerations it is the value. The bindings were",
        "loaded beside empty libraries, and of pycuda the source was read: this shows names and signatures, not",
        "behaviour.",
        "",
        "Against:",
        "",
        *(f"- `{archive.file}`, sha256 `{archive.sha256}`" for archive in archives),
        "",
        "## tensorrt",
        "",
        f"| name | {' | '.join(findings[0].version for findings in tensorrt)} | signature in the first |",
        f"|---|{'---|' * len(tensorrt)}---|",
    ]
    for row in zip(*tensorrt, strict=True):
        cells = [_cell(finding) for finding in row]
        signature = row[0].signature if "(" in row[0].signature else ""
        lines.append(f"| `{row[0].name}` | {' | '.join(cells)} | {_code(signature)} |")
    lines += ["", "## pycuda.driver", "", f"| name | {pycuda[0].version} | registration |", "|---|---|---|"]
    lines += [f"| `{one.name}` | {'yes' if one.found else MISSING} | {_code(one.signature)} |" for one in pycuda]
    return "\n".join(lines) + "\n"


def _cell(finding: Finding) -> str:
    if not finding.found:
        return MISSING
    return finding.signature if finding.signature.isdecimal() else "yes"


def _code(text: str) -> str:
    return f"`{text.replace('tensorrt_bindings.tensorrt.', '').replace('|', '/')}`" if text else ""


def check(fetcher: Fetcher) -> tuple[str, list[Finding]]:
    """Fetch, inspect, compare.

    Returns:
        The record, and everything in it that is missing.

    Raises:
        DownloadError: An archive cannot be had.
        PackError: The bindings cannot be loaded here.
    """
    pins = load_pins()
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    wheels = [wheel.archive for wheel in pins.tensorrt if wheel.python == python]
    if not wheels:
        raise PackError(
            f"no bindings are pinned for Python {python}",
            reason="bindings",
            hint=f"run it with Python {' or '.join(sorted({wheel.python for wheel in pins.tensorrt}))}",
        )
    names = used_names(STUBS / "tensorrt" / "__init__.pyi")
    tensorrt = [inspect_tensorrt(fetcher.fetch(wheel), wheel.version, names) for wheel in wheels]
    (source,) = fetcher.members(pins.pycuda.archive, [pins.pycuda.member])
    driver = used_names(STUBS / "pycuda" / "driver.pyi")
    pycuda = inspect_pycuda(source.decode(), pins.pycuda.archive.version, driver)
    missing = [finding for findings in (*tensorrt, pycuda) for finding in findings if not finding.found]
    return record(tensorrt, pycuda, [*wheels, pins.pycuda.archive]), missing


def main() -> int:
    """Run the check; 0 when nothing is missing."""
    parser = argparse.ArgumentParser(description="Hold the names the code uses against the real bindings.")
    parser.add_argument("--out", type=Path, help="write the record here instead of to standard output")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="folder that keeps the archives")
    parser.add_argument("--mirror", type=Path, help="folder with the archives, used instead of the package index")
    parser.add_argument("--offline", action="store_true", help="never open a network connection")
    options = parser.parse_args()
    try:
        text, missing = check(Fetcher(cache=options.cache, mirror=options.mirror, offline=options.offline))
    except DoorwardError as exc:
        complain(exc.message, hint=exc.hint)
        return exc.exit_code
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
    for finding in missing:
        sys.stderr.write(f"{finding.version}: {finding.name} is missing or takes other parameters\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
