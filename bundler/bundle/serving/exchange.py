"""HTTP requests and responses as values, without connections."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bundler.bundle.serving.content import StoredBlob

JSON_TYPE = "application/json"
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.ASCII)

ERRORS = {
    "BLOB_UNKNOWN": 404,
    "MANIFEST_UNKNOWN": 404,
    "NAME_UNKNOWN": 404,
    "DIGEST_INVALID": 400,
    "PAGINATION_NUMBER_INVALID": 400,
    "UNAUTHORIZED": 401,
    "UNSUPPORTED": 405,
}
"""The status of each error code of the specification that is used.

https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes
"""


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request; the names of ``headers`` are in lower case."""

    method: str
    target: str
    """The path and the query, as received."""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BlobPart:
    """``length`` bytes of a blob from ``start`` on."""

    blob: StoredBlob
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class ServerResponse:
    """A response; the server adds the headers of the connection and the length of ``body``."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | BlobPart = b""


def error(code: str, message: str, headers: Mapping[str, str] | None = None) -> ServerResponse:
    """Return an error of the specification: its status, and its code in a JSON document."""
    return status_error(ERRORS[code], code, message, headers)


def status_error(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> ServerResponse:
    """Return an error with a status that the specification does not assign to ``code``."""
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    return ServerResponse(status, {"Content-Type": JSON_TYPE, **(headers or {})}, body)


def is_current(request: Request, etag: str) -> bool:
    """Return whether the client has the content with ``etag``, see RFC 9110, section 13.1.2."""
    known = [item.strip() for item in request.headers.get("if-none-match", "").split(",")]
    return "*" in known or etag in [item.removeprefix("W/") for item in known]


def select_range(request: Request, size: int, etag: str) -> tuple[int, int] | None:
    """Return the start and length of the range that is requested; a length of 0: unsatisfiable.

    None: there is no range, or it is to be ignored, as are several ranges, malformed ones, and a
    range of content that has changed (RFC 9110, sections 13.1.5 and 14.2).
    """
    match = _RANGE.fullmatch(request.headers.get("range", "").strip())
    if match is None or request.headers.get("if-range", etag) != etag:
        return None
    first, last = match.groups()
    if not first:
        if not last:
            return None
        length = min(int(last), size)
        return size - length, length
    start = int(first)
    if last and int(last) < start:
        return None
    end = min(int(last) + 1, size) if last else size
    return start, max(0, end - start)
