"""What may be in the repository."""

from __future__ import annotations

import re
from pathlib import Path

# In pieces, so that this file does not name them either.
REGISTRY_HOSTS = (
    ("pypi", "org"),
    ("pythonhosted", "org"),
    ("debian", "org"),
    ("ubuntu", "com"),
    ("raspberrypi", "com/debian"),
    ("piwheels", "org"),
    ("anaconda", "org"),
    ("npmjs", "org"),
    ("crates", "io"),
    ("docker", "io"),
    ("golang", "org"),
)
MAX_FILE_BYTES = 1 << 20


def test_no_file_names_a_package_registry(project_files: tuple[Path, ...]) -> None:
    """Any index or mirror serves the project; which one is pip's configuration and nobody else's business."""
    hosts = "|".join(re.escape(".".join(pieces)) for pieces in REGISTRY_HOSTS)
    pattern = re.compile(rf"\b({hosts})\b".encode())
    named = {str(path): match.group() for path in project_files if (match := pattern.search(path.read_bytes()))}
    assert not named


def test_no_file_is_large(project_files: tuple[Path, ...]) -> None:
    """Weights and pictures are fetched, never committed."""
    assert not [str(path) for path in project_files if path.stat().st_size >= MAX_FILE_BYTES]


def test_no_weights_pictures_of_people_or_keys_are_part_of_the_project(project_files: tuple[Path, ...]) -> None:
    """They lie in the state directory or in the cache."""
    suffixes = {
        ".onnx",
        ".tflite",
        ".dat",
        ".pth",
        ".pt",
        ".caffemodel",
        ".jpg",
        ".jpeg",
        ".mkv",
        ".mp4",
        ".gif",
        ".key",
    }
    assert not [str(path) for path in project_files if path.suffix.lower() in suffixes]


def test_every_package_folder_introduces_itself(root: Path) -> None:
    """A folder of code opens with a docstring that says what it is for."""
    folders = {path.parent for package in ("device", "export_tools") for path in (root / package).rglob("*.py")}
    mute = [
        str(folder)
        for folder in folders
        if not (folder / "__init__.py").is_file() or not (folder / "__init__.py").read_text().startswith('"""')
    ]
    assert not mute
