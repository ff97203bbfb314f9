"""What may import what, beyond the layers that import-linter holds."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

DRIVERS = ("sqlcipher3", "hnswlib", "onnxruntime", "gpiozero")


def _modules(root: Path) -> dict[str, ast.Module]:
    files = [path for package in ("device", "export_tools") for path in (root / package).rglob("*.py")]
    return {str(path.relative_to(root)): ast.parse(path.read_text()) for path in files}


def _imported(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_driver_is_imported_in_one_module_only(root: Path, driver: str) -> None:
    """Whoever wants to know what the project does with a driver reads one file."""
    assert len([name for name, tree in _modules(root).items() if driver in _imported(tree)]) <= 1


def test_cameras_are_opened_in_one_module_only(root: Path) -> None:
    """cv2 is an image library everywhere but there."""
    openers = {
        name
        for name, tree in _modules(root).items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "VideoCapture"
    }
    assert len(openers) <= 1


@pytest.mark.parametrize("reference", ["ai_edge_litert", "dlib", "face_recognition_models", "mediapipe", "tensorflow"])
def test_reference_runtimes_are_for_tests_only(root: Path, reference: str) -> None:
    """The product runs without the libraries its models come from."""
    assert not [name for name, tree in _modules(root).items() if reference in _imported(tree)]


def test_nothing_is_validated_by_assert(root: Path) -> None:
    """``python -O`` would drop the check."""
    assert not [
        f"{name}:{node.lineno}"
        for name, tree in _modules(root).items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Assert)
    ]
