"""The list of the repositories in a registry."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from bundler.transports.docker.mirrors import open_repository

if TYPE_CHECKING:
    from bundler.ports import OpenOptions
    from bundler.transports.docker.reference import DockerReference


def list_repositories(reference: DockerReference, options: OpenOptions, /) -> list[str]:
    """Return the repositories in the registry itself; see ``ListsRepositories``."""
    from bundler.registry import pagination  # noqa: PLC0415 - imports requests

    with ExitStack() as stack:
        endpoint = options.load_settings().get_primary_endpoint(reference.image)
        repository = open_repository(endpoint, options, stack)
        return pagination.list_repositories(repository.session)
