"""A site with a trust file, and the keys of its people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bundler.trust import keys

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import CommandResult, RunAirbundle

ALICE, BOB, CAROL, EXPORT, RECEIPT = (keys.generate_key() for _ in range(5))
NAMED = {"alice": ALICE, "bob": BOB, "carol": CAROL, "export": EXPORT, "receipt": RECEIPT}


class Site:
    """Runs the commands of a site that has its trust file in ``trust.json``."""

    def __init__(self, directory: Path, run: RunAirbundle) -> None:
        self.directory = directory
        self._run = run
        for name, key in NAMED.items():
            keys.write_key_pair(directory / name, key, None)

    def __call__(self, line: str, *more: object, status: int = 0) -> CommandResult:
        result = self._run(*line.split(), *more)
        assert result.status == status, result.stderr
        return result

    def read_fingerprint(self, file: str) -> str:
        return json.loads(self(f"trust show {file} --json").stdout)["fingerprint"]

    def install(self, path: str) -> None:
        digits = self.read_fingerprint("1.json")
        self(f"trust init 1.json --trust {path} --fingerprint", digits)

    def set_up(self) -> None:
        """Create and install version 1: two of Alice and Bob; the exporter for one stream."""
        self("trust add 1.json --key alice.pub --key bob.pub --role trust --threshold trust=2")
        self("trust add 1.json --key export.pub --role bundle --stream plant-7")
        self("trust sign 1.json --key alice.key --key bob.key")
        self(
            "trust init 1.json --trust site/trust.json --fingerprint",
            self.read_fingerprint("1.json"),
        )


@pytest.fixture
def site(tmp_path: Path, run_airbundle: RunAirbundle) -> Site:
    return Site(tmp_path, run_airbundle)
