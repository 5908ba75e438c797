"""The places that images come from and go to, one module each, found by the name before the colon.

A module is imported only when its name is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from bundler.errors import InvalidReferenceError

if TYPE_CHECKING:
    from bundler.ports import Reference, Transport

_MODULES = {
    "atomic": "bundler.transports.openshift.transport",
    "containers-storage": "bundler.transports.containers_storage.transport",
    "dir": "bundler.transports.directory.transport",
    "docker": "bundler.transports.docker.transport",
    "docker-archive": "bundler.transports.docker_archive.transport",
    "docker-daemon": "bundler.transports.docker_daemon.transport",
    "oci": "bundler.transports.oci_layout.transport",
    "oci-archive": "bundler.transports.oci_archive.transport",
    "ostree": "bundler.transports.ostree.transport",
    "sif": "bundler.transports.sif.transport",
    "tarball": "bundler.transports.tarball.transport",
}


def names() -> list[str]:
    """Every transport's name."""
    return sorted(_MODULES)


def transport(name: str) -> Transport:
    """The transport called ``name``.

    Raises:
        InvalidReferenceError: there is none.
    """
    module = _MODULES.get(name)
    if module is None:
        raise InvalidReferenceError(
            f"unknown transport {name[:80]!r}", hint=f"known are {', '.join(names())}"
        )
    return cast("Transport", import_module(module).TRANSPORT)


def parse(text: str) -> Reference:
    """Read ``transport:rest``.

    Raises:
        InvalidReferenceError: no transport, an unknown one, or a rest that it does not take.
    """
    name, colon, rest = text.partition(":")
    if not colon:
        raise InvalidReferenceError(
            f"{text[:200]!r} names no transport",
            hint=f"write docker://{text[:80]} or oci:{text[:80]}",
        )
    return transport(name).parse(rest)
