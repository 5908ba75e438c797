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
    """The repository of one test in a registry that other tests use, read on request."""

    def __init__(self, registry: servers.Registry, repository: str) -> None:
        self.host = registry.host
        self._repository = repository

    @property
    def repositories(self) -> Mapping[str, Repository]:
        """The current tags and manifests; empty if the repository has none."""
        found = self._read(self._repository)
        return {self._repository: found} if found.tags else {}

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
