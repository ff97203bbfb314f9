"""The check against the real bindings: that it covers what the code uses, and that it can fail."""

from __future__ import annotations

import ast
import inspect
import sys
from pathlib import Path
from typing import Any

import pytest

from export_tools.engine import api_check
from export_tools.engine.api_check import MISSING, Finding, inspect_pycuda, judge, load_pins, record
from export_tools.engine.api_names import STUBS, Used, boost_names, matching_signature, used_names
from tests.standins.gpu import Machine, install

ROOT = Path(__file__).resolve().parents[2]
TENSORRT = used_names(STUBS / "tensorrt" / "__init__.pyi")
PYCUDA = used_names(STUBS / "pycuda" / "driver.pyi")
RECORD = ROOT / "docs" / "tensorrt-api.md"
CODE = [
    ROOT / "device" / "vision" / "backends" / "tensorrt.py",
    ROOT / "device" / "vision" / "backends" / "cuda.py",
    *(ROOT / "export_tools" / "engine").glob("[bt]*.py"),
]


def _attributes() -> tuple[set[str], set[str]]:
    """Every attribute in the code, and those that hang directly on a foreign module."""
    everything, direct = set(), set()
    for path in CODE:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                everything.add(node.attr)
                if isinstance(node.value, ast.Name) and node.value.id in {"trt", "driver"}:
                    direct.add(node.attr)
    return everything, direct


def test_the_code_uses_no_foreign_name_that_is_not_checked() -> None:
    """What hangs on the modules, by reading; what hangs on their objects, mypy sees."""
    _, direct = _attributes()
    assert direct
    assert direct <= {used.name for used in (*TENSORRT, *PYCUDA)}


def test_nothing_is_checked_that_the_code_does_not_use() -> None:
    """The table stays as short as the adapter is thin."""
    everything, _ = _attributes()
    called = {used.name.rpartition(".")[2] for used in (*TENSORRT, *PYCUDA) if used.kind in {"function", "attribute"}}
    assert {name for name in called if not name.startswith("__")} - everything - {"log"} == set()


def test_the_bindings_are_imported_in_one_module_of_the_device_and_by_the_builder() -> None:
    """Whoever wants to know what the project does with a driver reads one file."""
    importers: dict[str, set[str]] = {"tensorrt": set(), "pycuda": set()}
    for path in [*(ROOT / "device").rglob("*.py"), *(ROOT / "export_tools").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                if (root := name.partition(".")[0]) in importers:
                    importers[root].add(str(path.relative_to(ROOT)))
    assert {name for name in importers["tensorrt"] if name.startswith("device/")} == {
        "device/vision/backends/tensorrt.py"
    }
    assert {name.rpartition("/")[0] for name in importers["tensorrt"]} == {
        "device/vision/backends",
        "export_tools/engine",
    }
    assert importers["pycuda"] == {"device/vision/backends/cuda.py"}


def test_the_record_is_of_these_names_and_these_archives_and_nothing_is_missing() -> None:
    """Who changes what the code uses runs the check again."""
    text = RECORD.read_text()
    names = [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]
    assert names == [used.name for used in (*TENSORRT, *PYCUDA)]
    assert MISSING not in text
    pins = load_pins()
    for version in {wheel.archive.version for wheel in pins.tensorrt}:
        assert any(
            wheel.archive.sha256 in text and f" {version} |" in text
            for wheel in pins.tensorrt
            if wheel.archive.version == version
        )
    assert pins.pycuda.archive.sha256 in text


def test_the_stand_ins_offer_these_names_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same parameters: a test cannot pass with what the real bindings do not have."""
    install(Machine(), monkeypatch)
    for module, names in ((sys.modules["tensorrt"], TENSORRT), (sys.modules["pycuda.driver"], PYCUDA)):
        for used in names:
            thing: Any = module
            for part in used.name.split("."):
                thing = getattr(thing, part)
            if used.kind == "function" and not used.name.endswith(("__int__", "__len__", "__getitem__")):
                parameters = [name for name in inspect.signature(thing).parameters if name != "self"]
                assert parameters == list(used.parameters), used.name
        methods = {used.name for used in names}
        for kind in [thing for thing in vars(module).values() if isinstance(thing, type)]:
            public = {f"{kind.__name__}.{name}" for name in vars(kind) if not name.startswith("_")}
            foreign = {name for name in public - methods if not isinstance(getattr(kind, name.split(".")[1]), kind)}
            assert not foreign


# ---- The check itself


@pytest.mark.parametrize(
    ("documentation", "parameters", "fits"),
    [
        ("get(self: T, name: str) -> int", ("name",), True),
        ("get(self: T, name: str, k: int = 0) -> int", ("name",), True),
        ("get(self: T, name: str, k: int) -> int", ("name",), False),
        ("get(self: T, title: str) -> int", ("name",), False),
        ("get(self: T) -> int", ("name",), False),
        ("get(self: T, table: Dict[str, int] = {}, name: str = '') -> int", ("name",), False),
        ("get(*args)\n1. get(self: T, a: Tuple[int, int]) -> int\n2. get(self: T, name: str) -> int", ("name",), True),
        ("no signature", (), False),
    ],
)
def test_a_signature_fits_when_it_takes_the_parameters_as_given(
    documentation: str, parameters: tuple[str, ...], fits: bool
) -> None:
    """By name, in order, and with nothing else required."""
    assert (matching_signature(documentation, Used("T.get", "function", parameters)) is not None) is fits


def test_what_bindings_lack_or_have_as_something_else_is_found() -> None:
    """No such name; a property that became a function; other parameters."""
    used = Used("T.get", "function", ("name",))
    doc = "get(self: T, name: str) -> int"
    assert judge(used, {"kind": "function", "doc": doc}, version="1").found
    for said in (None, {"kind": "attribute", "doc": doc}, {"kind": "function", "doc": doc.replace("name", "index")}):
        assert not judge(used, said, version="1").found


SOURCE = """
  py::def("init", init,
      py::arg("flags")=0);
  {
    typedef device cl;
    py::class_<cl>("Device", py::no_init)
      .def("__init__", py::make_constructor(make_device))
      .DEF_SIMPLE_METHOD(name)
      .add_property("handle", &cl::handle_int)
      ;
  }
  DEF_SIMPLE_FUNCTION(mem_get_info);
  py::def("copy", py_copy, (py::args("dest"), py::arg("src"), py::arg("stream")=py::object()));
"""


def test_registrations_are_read_from_the_source() -> None:
    """Classes, methods, properties and functions."""
    assert set(boost_names(SOURCE)) == {
        *("init", "Device", "Device.__init__", "Device.name", "Device.handle", "mem_get_info", "copy")
    }


@pytest.mark.parametrize(
    ("used", "found"),
    [
        (Used("copy", "function", ("dest", "src", "stream")), True),
        (Used("copy", "function", ("dest", "src")), True),
        (Used("copy", "function", ("src", "dest")), False),
        (Used("Device.name", "function"), True),
        (Used("Device.pci_bus_id", "function"), False),
        (Used("mem_alloc", "function", ("bytes",)), False),
    ],
)
def test_what_the_source_does_not_register_is_found(used: Used, found: bool) -> None:
    """And other parameters, where it names them."""
    assert inspect_pycuda(SOURCE, "1", [used])[0].found is found


def test_the_record_shows_what_is_missing() -> None:
    """One row per name, one column per version."""
    rows = [[Finding("1", "A", True, "a(x: int) -> int")], [Finding("2", "A", False, "")]]
    text = record(rows, [Finding("3", "b", False, "")], [])
    assert f"| `A` | yes | {MISSING} | `a(x: int) -> int` |" in text
    assert f"| `b` | {MISSING} |  |" in text


def test_without_bindings_for_this_python_the_check_says_which_it_needs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And fails."""
    pins = load_pins()
    monkeypatch.setattr(api_check, "load_pins", lambda: pins.model_copy(update={"tensorrt": []}))
    monkeypatch.setattr(sys, "argv", ["api_check", "--offline"])
    assert api_check.main() == 70
    assert "no bindings are pinned" in capsys.readouterr().err
