"""The content of a real registry, in the form in which the fake of OpenShift's API reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import requests

from tests.fakes.registry import OCI_MANIFEST, Repository

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.interop import servers

_TIMEOUT = 10


class RegistryContent:
    """The repositories of a registry, read when they are requested."""

    def __init__(self, registry: servers.Registry) -> None:
        self.host = registry.host

    @property
    def repositories(self) -> Mapping[str, Repository]:
        """The current tags and manifests, by repository."""
        return {name: self._read(name) for name in self._get("_catalog").get("repositories", ())}

    def _read(self, name: str) -> Repository:
        tags = self._get(f"{name}/tags/list").get("tags") or ()
        found = Repository()
        for tag in tags:
            response = requests.get(
                f"http://{self.host}/v2/{name}/manifests/{tag}",
                headers={"Accept": OCI_MANIFEST},
                timeout=_TIMEOUT,
            )
            digest = response.headers["Docker-Content-Digest"]
            found.tags[tag] = digest
            found.manifests[digest] = (response.headers["Content-Type"], response.content)
        return found

    def _get(self, path: str) -> dict:
        return requests.get(f"http://{self.host}/v2/{path}", timeout=_TIMEOUT).json()
