"""Push blobs into one repository: whole, streamed, continued after a cut, or mounted.

A small blob is one POST and one PUT; a large one is a POST, a streamed PATCH and a PUT that names
the digest. Nothing is visible in the registry before that last PUT.

https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-blobs
"""

from __future__ import annotations

import re
import threading
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import quote

from bundler.content.streams.reader import read_chunks
from bundler.errors import (
    BundlerError,
    CancelledError,
    ConflictError,
    DeniedError,
    DigestMismatchError,
    NotFoundError,
    RegistryError,
    UnauthorizedError,
    UnsupportedError,
)
from bundler.registry.origin import resolve_location
from bundler.registry.session import COMMIT_TIMEOUT, READ_TIMEOUT, Body, BytesBody

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bundler.content.streams.reader import Content
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.registry.repository import Repository
    from bundler.registry.response import Response

SMALL = 4 * 1024 * 1024
"""Up to so many bytes a blob is read as a whole, and sent with one PUT."""

_SLICE = 256 * 1024  # one slice must be sent within the connect timeout
_RANGE = re.compile(r"(?:bytes=)?0-(\d+)")
_REFUSALS = (ConflictError, DeniedError, NotFoundError, UnauthorizedError, UnsupportedError)
_OCTETS = {"Content-Type": "application/octet-stream"}


class Uploads:
    """The blobs that go into one repository; for any number of threads, each with its own blob."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._open: dict[Digest, str] = {}
        self._lock = threading.Lock()

    def push(self, digest: Digest | None, content: Content) -> Descriptor:
        """Send ``content`` from its position on; what was stored.

        Args:
            digest: what it must be; None: whatever ``content`` turns out to be.
            content: read to its end; its owner closes it.

        Raises:
            RegistryError: temporary where the connection broke; ``offset`` then tells how much
                arrived. Otherwise nothing is kept.
        """
        resuming = content.position > 0
        if content.size is not None and content.size - content.position <= SMALL:
            data = _read_whole(content)
            location = self._location(digest, resuming=resuming)
            return self._finish(location, content.descriptor(), BytesBody(data))
        location = self._location(digest, resuming=resuming)
        try:
            location = self._stream(location, content, digest)
        except CancelledError:
            raise
        except BundlerError as error:
            if not (isinstance(error, RegistryError) and error.temporary):
                self._abandon(location)
            elif digest is not None:
                self._remember(digest, location)
            raise
        return self._finish(location, content.descriptor(), BytesBody(b""))

    def find_offset(self, digest: Digest) -> int:
        """How many bytes of a push that broke off the registry holds; the next push goes on."""
        location = self._forget(digest)
        if location is None:
            return 0
        try:
            with self._request("GET", location, f"blobs/uploads of {digest}") as answer:
                held = _RANGE.fullmatch(answer.headers.get("Range", ""))
                location = self._next(answer, location)
        except CancelledError:
            raise
        except BundlerError:
            return 0
        # The specification cannot tell one byte from none.
        offset = 0 if held is None or held[1] == "0" else int(held[1]) + 1
        if offset:
            self._remember(digest, location)
        else:
            self._abandon(location)
        return offset

    def mount(self, digest: Digest, origin: str) -> bool:
        """Take a blob from repository ``origin`` of the same registry; False: it will not."""
        query = f"?mount={digest}&from={quote(origin, safe='')}"
        scopes = (*self._repository.scopes, f"repository:{origin}:pull")
        try:
            answer = self._start(f"{digest}", query, scopes)
        except _REFUSALS:
            return False
        with answer:
            if answer.status == 201:
                return True
            # Refused: an upload has begun instead, which the push that follows can use.
            if answer.status == 202:
                self._remember(digest, self._next(answer, answer.url))
        return False

    def close(self) -> None:
        """Have the registry drop what was not finished, as far as it is willing."""
        with self._lock:
            locations = list(self._open.values())
            self._open.clear()
        for location in locations:
            self._abandon(location)

    def _location(self, digest: Digest | None, *, resuming: bool) -> str:
        """The upload to go on with, or a new one."""
        known = None if digest is None else self._forget(digest)
        if known is not None:
            return known
        if resuming:
            raise RegistryError(f"{digest}: the upload to go on with is gone", temporary=True)
        with self._start(str(digest or "a new blob"), "", self._repository.scopes) as answer:
            return self._next(answer, answer.url)

    def _start(self, what: str, query: str, scopes: tuple[str, ...]) -> Response:
        path = f"/v2/{quote(self._repository.path)}/blobs/uploads/{query}"
        return self._request("POST", path, what, scopes=scopes, body=BytesBody(b""))

    def _stream(self, location: str, content: Content, digest: Digest | None) -> str:
        """Send all of ``content`` in one PATCH; where to finish."""
        headers = dict(_OCTETS)
        if content.position and content.size is not None:
            headers["Content-Range"] = f"{content.position}-{content.size - 1}"
        body = _Stream(content)
        what = str(digest or "a new blob")
        try:
            with self._request("PATCH", location, what, headers=headers, body=body) as answer:
                location = self._next(answer, location)
        except BundlerError:
            # urllib3 takes an OSError of ours for one of the network's.
            if body.failure is not None:
                raise body.failure from None
            raise
        if not body.complete:
            raise RegistryError(f"{what}: the registry did not want all of it", temporary=True)
        return location

    def _finish(self, location: str, stored: Descriptor, body: BytesBody) -> Descriptor:
        """Name the digest, and send the rest; the blob is there when this returns."""
        separator = "&" if "?" in location else "?"
        url = f"{location}{separator}digest={quote(stored.digest.text, safe='')}"
        try:
            with self._request(
                "PUT",
                url,
                str(stored.digest),
                headers=_OCTETS,
                body=body,
                read_timeout=COMMIT_TIMEOUT,
            ) as answer:
                told = answer.headers.get("Docker-Content-Digest", stored.digest.text)
        except NotFoundError:
            # A PUT whose answer got lost was repeated, and its upload is no more.
            if not self._repository.has_blob(stored.digest):
                raise
            return stored
        if told != stored.digest.text and told.startswith(f"{stored.digest.algorithm}:"):
            what = f"{self._repository.name}: blob"
            raise DigestMismatchError(what, expected=stored.digest.text, got=told[:160])
        return stored

    def _abandon(self, location: str) -> None:
        with suppress(BundlerError):
            self._request("DELETE", location, "an upload", once=True).close()

    def _request(
        self,
        method: str,
        target: str,
        what: str,
        *,
        headers: dict[str, str] | None = None,
        body: Body | None = None,
        scopes: tuple[str, ...] | None = None,
        read_timeout: float = READ_TIMEOUT,
        once: bool = False,
    ) -> Response:
        return self._repository.session.request(
            method,
            target,
            subject=f"{self._repository.name}@{what}",
            scopes=scopes or self._repository.scopes,
            headers=headers,
            body=body,
            read_timeout=read_timeout,
            once=once,
        )

    def _next(self, answer: Response, current: str) -> str:
        """Where the upload goes on: the answer's Location."""
        location = answer.headers.get("Location")
        if location is None:
            if current != answer.url:
                return current
            raise RegistryError(f"{self._repository.name}: the registry began no upload")
        return resolve_location(answer.url, location)

    def _remember(self, digest: Digest, location: str) -> None:
        with self._lock:
            self._open[digest] = location

    def _forget(self, digest: Digest) -> str | None:
        with self._lock:
            return self._open.pop(digest, None)


class _Stream:
    """The rest of ``content``, through one buffer; can be sent once."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self.size = None if content.size is None else content.size - content.position
        self.spent = False
        self.complete = False
        self.failure: BundlerError | None = None

    def chunks(self) -> Iterable[memoryview]:
        """Its bytes; a piece is good until the next one is asked for."""
        self.spent = True
        try:
            for chunk in read_chunks(self._content):
                for start in range(0, len(chunk), _SLICE):
                    yield chunk[start : start + _SLICE]
        except BundlerError as error:
            self.failure = error
            raise
        self.complete = True


def _read_whole(content: Content) -> bytes:
    """All that is left of a small ``content``: verified before the first byte is sent."""
    data = bytearray()
    while chunk := content.read(SMALL):
        data += chunk
    return bytes(data)
