"""Transports, which read images at a source and write images at a destination.

A transport is the kind of a source or destination, such as ``docker:`` or ``oci:``, and the prefix
of its references. Each transport is a package with a module ``transport``, which defines, in this
order, the reference, the source, the destination, and the constant ``TRANSPORT`` that combines
them. The module is imported when the transport is first used. ``shared`` contains code for several
transports. Read ``memory`` first: it is the shortest complete transport.

Imports: ``ports`` and the layers below it, but not ``copy`` or ``trust``.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, cast

from bundler.errors import InvalidReferenceError

if TYPE_CHECKING:
    from bundler.ports import Destination, OpenOptions, Reference, Source
    from bundler.transport_port import Transport

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
    """Return the names of all transports, sorted."""
    return sorted(_MODULES)


def find_transport(name: str) -> Transport:
    """Return the transport with this name, without the colon.

    Raises:
        InvalidReferenceError: no transport has this name.
    """
    module = _MODULES.get(name)
    if module is None:
        raise InvalidReferenceError(
            f"unknown transport {name[:80]!r}", hint=f"use one of: {', '.join(names())}"
        )
    return _load(module)


@cache  # ``import_module`` is slow for the second time, too
def _load(module: str) -> Transport:
    return cast("Transport", import_module(module).TRANSPORT)


def parse(text: str) -> Reference:
    """Parse a reference, ``TRANSPORT:...``.

    Raises:
        InvalidReferenceError: the transport is missing or unknown, or the rest is invalid for it.
    """
    name, colon, rest = text.partition(":")
    is_port = "/" in rest and rest.partition("/")[0].isdecimal()
    if not colon or (name not in _MODULES and ("/" in name or is_port)):
        raise InvalidReferenceError(
            f"{text[:200]!r}: no transport",
            hint=f"write docker://{text[:80]} or oci:{text[:80]}",
        )
    return find_transport(name).parse(rest)


def find_registry_host(text: str) -> str | None:
    """Return the ``host[:port]`` of the registry in the reference ``text``.

    The result is None if the transport does not access registries, or is unknown.

    Raises:
        InvalidReferenceError: the reference is invalid for its transport.
    """
    from bundler.transport_port import FindsRegistryHost  # noqa: PLC0415 - only for registry options

    name, _, rest = text.partition(":")
    if name not in _MODULES:
        return None
    transport = find_transport(name)
    return transport.find_registry_host(rest) if isinstance(transport, FindsRegistryHost) else None


def open_source(reference: Reference, options: OpenOptions) -> Source:
    """Open ``reference`` for reading; the caller closes the source."""
    return find_transport(reference.transport).source(reference, options)


def open_destination(reference: Reference, options: OpenOptions) -> Destination:
    """Open ``reference`` for writing; the caller closes the destination."""
    return find_transport(reference.transport).destination(reference, options)
