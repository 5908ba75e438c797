"""The answer of a read-only registry to a request, as a function of the request and the content.

Pull and discovery of the distribution specification are supported; every other method is refused.

https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, unquote, urlencode

from bundler.bundle.serving import page
from bundler.bundle.serving.exchange import (
    JSON_TYPE,
    BlobPart,
    Request,
    ServerResponse,
    error,
    is_current,
    select_range,
)
from bundler.errors import MalformedError
from bundler.oci import manifest, media_types
from bundler.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from bundler.bundle.serving.content import ServedContent, ServedRepository, StoredManifest
    from bundler.bundle.serving.password_file import PasswordFile

METHODS = ("GET", "HEAD")
_ORIGIN = re.compile(r"\Ahttps?://[^/?#]*", re.IGNORECASE)
"""The beginning of a target that proxies send."""
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="airbundle", charset="UTF-8"'}
_DEFAULT_PLATFORM = ("linux", "amd64")
"""The platform that registries return to clients that do not accept an index."""


def answer(
    request: Request,
    content: ServedContent,
    users: PasswordFile | None = None,
    *,
    is_encrypted: bool = False,
) -> ServerResponse:
    """Return the response to ``request``, which may have come over an encrypted connection.

    ``users`` may read; None: every client may.
    """
    path, _, query = _ORIGIN.sub("", request.target, count=1).partition("?")
    if users is not None and not users.accepts(request.headers.get("authorization", "")):
        return error("UNAUTHORIZED", "a user name and a password are required", _CHALLENGE)
    if request.method not in METHODS:
        allowed = {"Allow": ", ".join(METHODS)}
        return error("UNSUPPORTED", "this registry is read-only", allowed)
    path = unquote(path)
    if path == "/":
        host = request.headers.get("host", "")
        return page.create_response(content, host, is_encrypted=is_encrypted)
    if path in ("/v2", "/v2/"):
        return _json({})
    if path == "/v2/_catalog":
        return _list("repositories", content.repositories, path, query)
    if not path.startswith("/v2/") or path.count("/") < 4:
        return error("NAME_UNKNOWN", "there is nothing at this path")
    name, kind, reference = path.removeprefix("/v2/").rsplit("/", 2)
    repository = content.repositories.get(name)
    if kind == "referrers":
        return _list_referrers(repository, reference, query)
    if repository is None:
        return error("NAME_UNKNOWN", "the repository does not exist")
    if kind == "manifests":
        return _get_manifest(repository, reference, request)
    if kind == "blobs":
        return _get_blob(repository, reference, request)
    if kind == "tags" and reference == "list":
        return _list("tags", repository.tags, path, query, {"name": name})
    return error("NAME_UNKNOWN", "there is nothing at this path")


def _json(
    value: object, headers: Mapping[str, str] | None = None, media_type: str = JSON_TYPE
) -> ServerResponse:
    return ServerResponse(
        200, {"Content-Type": media_type, **(headers or {})}, json.dumps(value).encode()
    )


def _get_manifest(repository: ServedRepository, reference: str, request: Request) -> ServerResponse:
    found = repository.find_manifest(reference)
    if found is None:
        return error("MANIFEST_UNKNOWN", "the manifest does not exist in this repository")
    if reference in repository.tags:
        found = _find_accepted(repository, found, request.headers.get("accept", ""))
    etag = f'"{found.digest}"'
    headers = {
        "Content-Type": found.media_type,
        "Docker-Content-Digest": found.digest.text,
        "ETag": etag,
    }
    return (
        ServerResponse(304, headers)
        if is_current(request, etag)
        else ServerResponse(200, headers, found.raw)
    )


def _find_accepted(
    repository: ServedRepository, found: StoredManifest, accept: str
) -> StoredManifest:
    """Return an index, or its image for linux/amd64 if the client accepts only single images.

    Other registries do the same for old clients. In all other cases, the manifest is returned as it
    is stored, because clients compare its digest.
    """
    accepted = {media_types.parse_content_type(item) for item in accept.split(",")}
    if (
        found.media_type not in media_types.INDEXES
        or accepted & {found.media_type, "*/*", "application/*"}
        or not accepted & media_types.IMAGE_MANIFESTS
    ):
        return found
    parsed = manifest.parse(found.raw, found.media_type)
    for entry in parsed.manifests if isinstance(parsed, manifest.Index) else ():
        platform = entry.platform
        if platform and (platform.os, platform.architecture) == _DEFAULT_PLATFORM:
            image = repository.manifests.get(entry.digest.text)
            if image is not None and image.media_type in accepted:
                return image
    return found


def _get_blob(repository: ServedRepository, reference: str, request: Request) -> ServerResponse:
    blob = repository.blobs.get(reference)
    if blob is None:
        return error("BLOB_UNKNOWN", "the blob does not exist in this repository")
    etag = f'"{reference}"'
    headers = {
        "Content-Type": media_types.OCTETS,
        "Docker-Content-Digest": reference,
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "max-age=31536000, immutable",
    }
    if is_current(request, etag):
        return ServerResponse(304, headers)
    selected = select_range(request, blob.size, etag) if request.method == "GET" else None
    if selected is None:
        return ServerResponse(200, headers, BlobPart(blob, 0, blob.size))
    start, length = selected
    if length == 0:
        return ServerResponse(416, {**headers, "Content-Range": f"bytes */{blob.size}"})
    headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{blob.size}"
    return ServerResponse(206, headers, BlobPart(blob, start, length))


def _list(
    member: str,
    names: Collection[str],
    path: str,
    query: str,
    more: Mapping[str, str] | None = None,
) -> ServerResponse:
    """Return names in lexical order: at most ``n``, and only those after ``last``.

    https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags
    """
    parameters = _parse_query(query)
    count, last = parameters.get("n"), parameters.get("last")
    ordered = sorted(names, key=_get_order)
    if last is not None:
        ordered = [name for name in ordered if _get_order(name) > _get_order(last)]
    headers = {}
    if count is not None:
        if not (count.isascii() and count.isdigit() and len(count) < 10):
            return error("PAGINATION_NUMBER_INVALID", "n is not a number")
        if 0 < int(count) < len(ordered):
            following = urlencode({"n": count, "last": ordered[int(count) - 1]})
            headers["Link"] = f'<{quote(path)}?{following}>; rel="next"'
        ordered = ordered[: int(count)]
    return _json({**(more or {}), member: ordered}, headers)


def _get_order(name: str) -> tuple[str, str]:
    """Return the key of the lexical order: alphanumeric, regardless of case."""
    return name.lower(), name


def _list_referrers(
    repository: ServedRepository | None, subject: str, query: str
) -> ServerResponse:
    """Return the referrers of ``subject``; an index without entries if it has none.

    https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
    """
    try:
        Digest(subject)
    except MalformedError:
        return error("DIGEST_INVALID", "the subject is not a digest")
    found = list(repository.referrers.get(subject, {}).values()) if repository else []
    headers = {}
    artifact_type = _parse_query(query).get("artifactType")
    if artifact_type:
        found = [item for item in found if item.get("artifactType") == artifact_type]
        headers["OCI-Filters-Applied"] = "artifactType"
    index: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_INDEX,
        "manifests": found,
    }
    return _json(index, headers, media_types.OCI_INDEX)


def _parse_query(query: str) -> dict[str, str]:
    """Return the first value of each parameter; a query with too many of them is ignored."""
    try:
        values = parse_qs(query, keep_blank_values=True, max_num_fields=20)
    except ValueError:
        return {}
    return {name: value[0] for name, value in values.items()}
