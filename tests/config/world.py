"""Configuration files and credential helpers of a user, below a temporary directory."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bundler.config.paths import ConfigPathOverrides
from bundler.config.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

UID = 1000


def entry(username: str = "user", password: str = "secret") -> dict[str, str]:
    """Return an entry of an authfile."""
    return {"auth": base64.b64encode(f"{username}:{password}".encode()).decode()}


@dataclass
class World:
    """Directories with the files that ``Settings`` reads."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def etc(self) -> Path:
        return self.root / "etc"

    @property
    def auth_json(self) -> Path:
        return self.root / "run" / "containers" / str(UID) / "auth.json"

    def write(self, path: str | Path, content: str | bytes | dict[str, Any]) -> Path:
        """Write a file below the root, as JSON if ``content`` is a dictionary."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, dict):
            content = json.dumps(content)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        return target

    def helper(self, name: str, script: str) -> Path:
        """Install ``docker-credential-NAME``, a shell script that receives the verb as ``$1``."""
        program = self.write(f"bin/docker-credential-{name}", f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        self.environment["PATH"] = f"{self.root / 'bin'}:{os.defpath}"
        return program

    def settings(
        self, *, authfile: Path | None = None, registries_conf: Path | None = None
    ) -> Settings:
        return Settings.load(
            self.environment,
            self.home,
            UID,
            ConfigPathOverrides(
                authfile=authfile,
                registries_conf=registries_conf,
                etc=self.etc,
                usr_share=self.root / "usr_share",
                run=self.root / "run",
            ),
        )
