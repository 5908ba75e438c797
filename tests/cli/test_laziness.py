"""A command loads only what it works with."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images

if TYPE_CHECKING:
    from pathlib import Path

CODE = """
import atexit, sys
from bundler.cli.main import main
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
main(sys.argv[1:])
"""

YAML = {"yaml", "jsonschema"}
KEYS = {"cryptography", "nacl"}
NETWORK = {"requests", "urllib3", "ssl"}
COMPRESSION = {"zstandard", "lzma", "bz2"}


@pytest.fixture
def loaded_by(tmp_path: Path, hermetic_environment: dict[str, str]):
    """Runs a command in a directory with a layout and a bundle of it; the modules it loaded."""

    def run(*arguments: str) -> set[str]:
        done = subprocess.run(
            [sys.executable, "-c", CODE, *arguments],
            cwd=tmp_path,
            env=hermetic_environment,
            capture_output=True,
            text=True,
            check=False,
        )
        *said, modules = done.stderr.splitlines()
        assert done.returncode == 0, said
        return set(modules.split())

    images.write_layout(tmp_path / "layout", {"app": images.image()})
    (tmp_path / "apps.txt").write_text("oci:layout:app\n")
    run("export", "--unsigned", "apps.txt", "bundle")
    return run


def test_a_copy_on_disk_needs_no_network_no_keys_and_no_yaml(loaded_by) -> None:
    loaded = loaded_by("copy", "oci:layout:app", "dir:image")
    assert not loaded & (YAML | KEYS | NETWORK | COMPRESSION)


def test_an_unsigned_export_needs_no_keys(loaded_by) -> None:
    loaded = loaded_by("export", "--unsigned", "apps.txt", "bundle")
    assert not loaded & (KEYS | {"requests", "zstandard"})


def test_an_import_without_keys_and_target_file_needs_neither_keys_nor_yaml(loaded_by) -> None:
    loaded = loaded_by("import", "--allow-unsigned", "bundle", "oci:inside")
    assert not loaded & (YAML | KEYS | NETWORK | COMPRESSION)


def test_a_list_of_a_bundle_needs_nothing_but_the_bundle(loaded_by) -> None:
    assert not loaded_by("ls", "bundle") & (YAML | KEYS | NETWORK | COMPRESSION)
