"""Configuration files are read with a limit and without blocking."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from bundler.config import config_file
from bundler.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def test_missing_file_is_none(tmp_path: Path):
    assert config_file.read(tmp_path / "none") is None


def test_path_below_a_file_is_none(tmp_path: Path):
    (tmp_path / "file").touch()
    assert config_file.read(tmp_path / "file" / "below") is None


def test_symbolic_links_are_followed(tmp_path: Path):
    (tmp_path / "real").write_bytes(b"x")
    (tmp_path / "link").symlink_to("real")
    assert config_file.read(tmp_path / "link") == b"x"


def test_null_device_is_empty(tmp_path: Path):
    (tmp_path / "null").symlink_to("/dev/null")
    assert config_file.read(tmp_path / "null") == b""


def test_fifo_is_refused_without_blocking(tmp_path: Path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ConfigError) as raised:
        config_file.read(tmp_path / "fifo")
    assert raised.value.path == str(tmp_path / "fifo")


def test_directory_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError) as raised:
        config_file.read(tmp_path)
    assert raised.value.path == str(tmp_path)


def test_device_is_refused(tmp_path: Path):
    (tmp_path / "zero").symlink_to("/dev/zero")
    with pytest.raises(ConfigError) as raised:
        config_file.read(tmp_path / "zero")
    assert raised.value.path == str(tmp_path / "zero")


def test_symbolic_link_loop_is_refused(tmp_path: Path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ConfigError) as raised:
        config_file.read(tmp_path / "loop")
    assert raised.value.path == str(tmp_path / "loop")
    assert raised.value.os_error is not None
    assert raised.value.os_error.errno == errno.ELOOP


def test_file_beyond_limit_is_refused(tmp_path: Path):
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ConfigError) as raised:
        config_file.read(path)
    assert (raised.value.path, raised.value.os_error) == (str(path), None)


def test_path_with_nul_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError):
        config_file.read(tmp_path / "a\0b")
