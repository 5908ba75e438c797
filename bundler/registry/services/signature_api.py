"""Client of the signature API of OpenShift's registry, which stores simple signatures of images.

A registry with this API sends the header ``X-Registry-Supports-Signatures``. Signatures can be
added, but not removed.

https://github.com/containers/image/blob/v5.36.2/docs/signature-protocols.md
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from urllib.parse import quote

from bundler.gocompat import json_encoding
from bundler.oci.json import base64_strict
from bundler.oci.json.table import Table
from bundler.registry.exchange.request import BytesBody

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.oci.digest import Digest
    from bundler.registry.repository import Repository

MAX_LIST = 4 * 1024 * 1024
"""Maximum size in bytes of all signatures of a manifest, encoded."""

_VERSION = 2
_TYPE = "atomic"


def list_signatures(repository: Repository, manifest: Digest, limit: int) -> list[bytes]:
    """Return the simple signatures of a manifest, unverified.

    Raises:
        LimitError: there are more than ``limit`` signatures, or they are too large.
        MalformedError: the list is malformed.
        RegistryError: the registry refuses the request.
    """
    subject = f"{repository.name}: signatures of {manifest}"
    _, raw = repository.session.fetch(
        _create_url(repository, manifest), MAX_LIST, subject=subject, scopes=repository.scopes
    )
    return [
        entry.base64("content")
        for entry in Table.parse(raw, subject).tables("signatures", limit)
        if entry.value.get("schemaVersion") == _VERSION and entry.value.get("type") == _TYPE
    ]


def add_signatures(
    repository: Repository, manifest: Digest, signatures: Sequence[bytes], limit: int
) -> None:
    """Add the simple signatures that the registry does not list yet.

    Raises:
        BundlerError: the registry refuses a request; earlier signatures remain stored.
    """
    present = list_signatures(repository, manifest, limit)
    for content in signatures:
        if content in present:
            continue
        value = {
            "schemaVersion": _VERSION,
            "name": f"{manifest}@{secrets.token_hex(16)}",
            "type": _TYPE,
            "content": base64_strict.encode(content),
        }
        repository.session.request(
            "PUT",
            _create_url(repository, manifest),
            subject=f"{repository.name}: signature of {manifest}",
            scopes=repository.scopes,
            body=BytesBody(json_encoding.dumps(value)),
        ).close()


def _create_url(repository: Repository, manifest: Digest) -> str:
    return f"/extensions/v2/{quote(repository.path)}/signatures/{manifest}"
