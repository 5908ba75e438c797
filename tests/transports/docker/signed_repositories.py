"""Repositories whose signatures have a location in registries.d, and a lookaside server."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bundler.config.paths import ConfigPaths
from bundler.config.registry_access import RegistryLimits, RegistryOverride
from bundler.config.settings import Settings
from bundler.ports import OpenOptions
from bundler.transports.docker.transport import TRANSPORT, DockerDestination, DockerSource
from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from pathlib import Path


class LookasideServer(FakeRegistry):
    """A web server with the files below a directory, and with faults on demand."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root

    def answer(self, request):
        path = self.root / urlsplit(request.target).path.lstrip("/")
        if path.is_file():
            return 200, {"Content-Type": "application/octet-stream"}, path.read_bytes()
        return 404, {"Content-Type": "text/html"}, b"<html>not found</html>"


class SignedRepository:
    """The repository ``tests/app`` of a registry, with the section ``config`` of registries.d."""

    def __init__(self, registry: FakeRegistry, directory: Path, config: str = "") -> None:
        self.registry = registry
        self.lookaside = directory / "lookaside"
        self.files = directory / "registries.d"
        self.files.mkdir(exist_ok=True)
        self.configure(config)

    def configure(self, config: str) -> None:
        """Write the settings of the repository; empty: the defaults apply."""
        text = f"docker:\n  {self.registry.host}/tests/app:\n    {{{config}}}\n"
        (self.files / "tests.yaml").write_text(text)

    def options(self, **more) -> OpenOptions:
        """Return the options for opening the repository."""
        paths = ConfigPaths(registries_d=(self.files,), lookaside=self.lookaside)
        limits = RegistryLimits(patience=2.0, stall_timeout=1.0, response_timeout=2.0)
        override = RegistryOverride(plain_http=True, limits=limits)
        overrides = {self.registry.host: override}
        return OpenOptions(lambda: Settings(paths), overrides=overrides, **more)

    def source(self) -> DockerSource:
        """Open the repository for reading."""
        return TRANSPORT.source(self.reference, self.options())

    def destination(self) -> DockerDestination:
        """Open the repository for writing."""
        return TRANSPORT.destination(self.reference, self.options())

    @property
    def reference(self):
        """The image ``app``."""
        return TRANSPORT.parse(f"//{self.registry.host}/tests/app:app")
