"""Which index is asked: pip's own configuration decides."""

from __future__ import annotations

from pathlib import Path

import pytest
from pypi_simple import PYPI_SIMPLE_ENDPOINT

from device.errors import DownloadError
from export_tools.sources.index import IndexSettings, open_session, pip_settings, settings_in, without_credentials

FROM_FILE = "global.cert='/c.pem'\nglobal.index-url='http://file.example/simple'\ninstall.cert='/other.pem'\n"
FROM_ENVIRONMENT = ":env:.cert='/d.pem'\n:env:.index-url='http://environment.example/simple'\n"


@pytest.fixture
def pip_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration file that pip is told to read; the machine's own may still add settings it does not name."""
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = http://file.example/simple\n", encoding="utf-8")
    return tmp_path / "pip.conf"


def test_pip_itself_is_asked(pip_file: Path) -> None:
    """Its files and its environment are its own business."""
    assert pip_file.is_file()
    assert pip_settings().address == "http://file.example/simple"


def test_the_environment_comes_before_the_file() -> None:
    """As for pip itself."""
    assert settings_in(FROM_FILE) == IndexSettings("http://file.example/simple", "/c.pem")
    assert settings_in(FROM_ENVIRONMENT + FROM_FILE) == IndexSettings("http://environment.example/simple", "/d.pem")


@pytest.mark.parametrize("configuration", ["", "global.cert=''\nglobal.index-url=''\n", "install.cert='/c.pem'\n"])
def test_without_a_setting_the_index_client_decides(configuration: str) -> None:
    """No host is named in this project."""
    assert settings_in(configuration) == IndexSettings(PYPI_SIMPLE_ENDPOINT, None)


def test_a_pip_in_the_callers_folder_is_not_run(
    pip_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A download folder may hold anything."""
    (tmp_path / "pip.py").write_text("open('ran', 'w')\n")
    monkeypatch.chdir(tmp_path)
    pip_settings()
    assert not (tmp_path / "ran").exists()


def test_an_index_on_a_disk_is_refused_with_a_way_out() -> None:
    """A folder is a mirror."""
    with pytest.raises(DownloadError) as failure:
        settings_in("global.index-url='file:///srv/simple'\n")
    assert "--mirror" in failure.value.hint


def test_a_password_in_the_address_is_not_shown() -> None:
    """Neither in messages nor in hints."""
    assert IndexSettings("https://user:secret@host.example/simple").shown == "https://host.example/simple"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("403 for url: http://robot:S3cret@host:81/simple/x/", "403 for url: http://host:81/simple/x/"),
        ("https://robot@host/ and https://a:p@ss@host/", "https://host/ and https://host/"),
        ("https://host/file@2.whl, write to me@host", "https://host/file@2.whl, write to me@host"),
    ],
)
def test_user_and_password_are_taken_out_of_every_address_of_a_message(text: str, shown: str) -> None:
    """And nothing else is."""
    assert without_credentials(text) == shown


def test_the_session_trusts_what_pip_trusts() -> None:
    """A company's own certificates work without further settings."""
    with open_session(IndexSettings("https://host.example/simple", "/c.pem")) as session:
        assert session.verify == "/c.pem"


@pytest.mark.parametrize("certificates", [None, ""])
def test_without_certificates_of_its_own_the_session_still_verifies(certificates: str | None) -> None:
    """An empty setting must not switch verification off."""
    with open_session(IndexSettings("https://host.example/simple", certificates)) as session:
        assert session.verify is True
