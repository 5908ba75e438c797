"""The file of --tls-details is read without leniency."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from bundler.config import tls_details
from bundler.config.paths import ConfigPathOverrides
from bundler.config.registry_access import TlsDetails
from bundler.config.settings import Settings
from bundler.config.yaml import table
from bundler.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def read(folder: Path, text: str) -> TlsDetails:
    file = folder / "tls.yaml"
    file.write_text(text)
    return tls_details.read(file)


def test_all_of_it_is_optional(tmp_path: Path) -> None:
    origin = str(tmp_path / "tls.yaml")
    assert read(tmp_path, "") == TlsDetails(origin)
    assert read(tmp_path, "# nothing\n{}\n") == TlsDetails(origin)
    text = "minVersion: '1.3'\ncipherSuites: [A, B]\nnamedGroups: []\n"
    assert read(tmp_path, text) == TlsDetails(origin, "1.3", ("A", "B"), ())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("minVersion: 1.1", "minVersion is not one of 1.2, 1.3"),
        ("minVersion:", "minVersion is empty"),
        ("cipherSuites: ~", "cipherSuites is empty"),
        ("minversion: '1.2'", "unknown key 'minversion'"),
        ("namedGroups: x25519", "not an array of strings"),
        ("namedGroups: [[a]]", "not an array of strings"),
        ("cipherSuites: [a]\ncipherSuites: [b]", "cipherSuites"),
        ("- a", "not a mapping"),
        ("{", "tls.yaml:2:1: not YAML"),
        ("a: &x [*x]", "tls.yaml:1:"),
    ],
)
def test_invalid_file_is_refused(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        read(tmp_path, text)


def test_it_reaches_every_registry(tmp_path: Path) -> None:
    file = tmp_path / "tls.yaml"
    settings = Settings.load(
        {}, tmp_path, 1, ConfigPathOverrides(tls_details=file, etc=tmp_path, usr_share=tmp_path)
    )
    with pytest.raises(ConfigError) as raised:
        settings.get_access("a.example")
    assert raised.value.path == str(file)
    assert isinstance(raised.value.os_error, FileNotFoundError)
    file.write_text("minVersion: '1.3'")
    assert settings.get_access("a.example").tls.details.min_version == "1.3"


@given(st.binary(max_size=100) | st.text("ab:-[]{}&*'\n ,", max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    with contextlib.suppress(ConfigError):
        table.parse(raw, "x.yaml")
