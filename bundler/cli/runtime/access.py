"""How the references of one side of a command are accessed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.config.registry_access import RegistryOverride


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """The settings for a registry, a container engine or layouts; None if unset."""

    registry: RegistryOverride | None = None
    daemon_host: str | None = None
    """The address of the container engine of ``docker-daemon:``."""
    shared_blob_dir: Path | None = None
    """The blob directory that layouts of ``oci:`` share."""

    def overrides(self, text: str) -> dict[str, RegistryOverride]:
        """Return the registry settings by the registry or engine that the reference ``text`` names.

        Empty for a reference that names neither.
        """
        if self.registry is None:
            return {}
        transport, _, rest = text.partition(":")
        if transport == "docker-daemon" and self.daemon_host is not None:
            return {self.daemon_host: self.registry}
        if transport != "docker":
            return {}
        from bundler.oci.reference import ImageReference  # noqa: PLC0415 - loads hashlib

        return {ImageReference.parse(rest.removeprefix("//")).domain: self.registry}
