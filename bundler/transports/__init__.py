"""Transports: how the images at a source or destination are read and written.

A transport is the kind of a source or destination and the prefix of its references, ``docker:`` or
``oci:``. Each one is a folder with a module ``transport``, which reads in this order: reference,
source, destination, and the constant ``TRANSPORT`` that ties them. A transport module is imported
when its name is first used. ``shared`` contains code for several transports; ``memory`` is the
shortest complete transport, so read that one first.

Imports: ``ports`` and the layers below it, but not ``copy`` or ``trust``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from bundler.errors import InvalidReferenceError

if TYPE_CHECKING:
    from bundler.ports import Destination, OpenOptions, Reference, Source, Transport

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
    """Return the transport with this name.

    Raises:
        InvalidReferenceError: no transport has this name.
    """
    module = _MODULES.get(name)
    if module is None:
        raise InvalidReferenceError(
            f"unknown transport {name[:80]!r}", hint=f"known are {', '.join(names())}"
        )
    return cast("Transport", import_module(module).TRANSPORT)


def parse(text: str) -> Reference:
    """Parse ``TRANSPORT:...``.

    Raises:
        InvalidReferenceError: the transport is missing or unknown, or rejects the rest.
    """
    name, colon, rest = text.partition(":")
    if not colon:
        raise InvalidReferenceError(
            f"{text[:200]!r} names no transport",
            hint=f"write docker://{text[:80]} or oci:{text[:80]}",
        )
    return find_transport(name).parse(rest)


def open_source(reference: Reference, options: OpenOptions) -> Source:
    """Open ``reference`` for reading, by its transport; the caller closes the source.

    Raises:
        BundlerError: it cannot be read.
    """
    return find_transport(reference.transport).source(reference, options)


def open_destination(reference: Reference, options: OpenOptions) -> Destination:
    """Open ``reference`` for writing, by its transport; the caller closes the destination.

    Raises:
        BundlerError: it cannot be written.
    """
    return find_transport(reference.transport).destination(reference, options)
