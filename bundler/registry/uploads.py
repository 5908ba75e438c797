"""Blob uploads to one repository, with resumption and mounting.

A small blob is uploaded by a POST and a PUT; a large one by a POST, a streamed PATCH, and a PUT
with the digest. The final PUT makes the blob visible. If a proxy limits the size of requests, a
large blob is divided over several PATCH requests.

https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-blobs
"""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Unpack
from urllib.parse import quote

from bundler.content.streams import BUFFER_SIZE
from bundler.errors import (
    BundlerError,
    CancelledError,
    ConflictError,
    DeniedError,
    MisreportedDigestError,
    NotFoundError,
    RefusedRequestError,
    RegistryError,
    Remedy,
    UnauthorizedError,
    UnsupportedError,
)
from bundler.registry.exchange.request import CHUNK_SIZE, BytesBody

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bundler.content.streams import Content
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.registry.exchange.request import RequestOptions
    from bundler.registry.exchange.response import Response
    from bundler.registry.repository import Repository
    from bundler.registry.upload_journal import UploadJournal

MAX_SINGLE_PUT = 4 * 1024 * 1024
"""Maximum size in bytes of a blob that is read into memory and sent with one PUT."""

_ABANDON_TIMEOUT = 10.0  # seconds; the registry removes an unfinished upload sooner or later

_RANGE = re.compile(r"(?:bytes=)?0-(\d+)")
_REFUSALS = (ConflictError, DeniedError, NotFoundError, UnauthorizedError, UnsupportedError)
# A restarted registry may not know the uploads that it began before.
_LOST = frozenset({"BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID"})
_ECR = re.compile(r"\.dkr\.ecr\.[a-z0-9.-]+$")
_OCTETS = {"Content-Type": "application/octet-stream"}


class Uploads:
    """Uploader of blobs to one repository; thread-safe if all threads upload different blobs."""

    def __init__(self, repository: Repository, journal: UploadJournal | None = None) -> None:
        """With ``journal``, uploads that are interrupted remain, and a later run resumes them."""
        self._repository = repository
        self._journal = journal
        self._chunk = repository.session.upload_chunk
        self._locations: dict[Digest, str] = {}
        """The URLs of interrupted uploads."""
        self._started: dict[Digest, str] = {}
        """The URLs of uploads that the registry started in place of a mount."""

    def push(self, digest: Digest | None, content: Content) -> Descriptor:
        """Upload a blob; return its descriptor.

        ``digest`` is the expected digest; if it is None, the one that ``content`` computes is used.
        If ``content`` is not at its start, the interrupted upload of ``digest`` is resumed.

        Raises:
            RegistryError: the upload failed. After a temporary error, the upload can be resumed at
                the offset that ``find_offset`` returns; otherwise it was cancelled.
        """
        try:
            return self._push(digest, content)
        except NotFoundError as error:
            codes = {entry.code for entry in error.exchange.entries} if error.exchange else set()
            if codes & _LOST:
                message = f"{self._repository.name}@{digest}: the registry lost the upload"
                raise RegistryError(message, temporary=True) from error
            raise

    def find_offset(self, digest: Digest) -> int:
        """Return the offset at which the next push of ``digest`` must resume.

        The offset is the number of bytes that the registry received in an interrupted upload; 0 if
        none.
        """
        location, session = self._locations.pop(digest, None), self._repository.session
        kept = None
        if location is None and self._journal is not None:
            kept = self._journal.find(self._repository.name, digest)
        if location is None and kept is None:
            return 0
        try:
            location = location or session.resolve_location(f"{session.origin}/", kept or "")
            with self._request("GET", location, f"blobs/uploads of {digest}") as response:
                received = _RANGE.fullmatch(response.headers.get("Range", ""))
                location = self._next_url(response, location)
        except CancelledError:
            raise
        except BundlerError as error:
            if not (isinstance(error, RegistryError) and error.temporary):
                self._forget(digest)
            return 0  # if the registry is unavailable, a later run may resume the upload
        # The range 0-0 is ambiguous in the specification: it may mean one byte or none.
        offset = 0 if received is None or received[1] == "0" else int(received[1]) + 1
        if offset:
            self._remember(digest, location)
        else:
            self._forget(digest)
            self._abandon(location)
        return offset

    def mount(self, digest: Digest, source: str) -> bool:
        """Mount a blob from the repository ``source``; return False if it must be pushed."""
        query = f"?mount={digest}&from={quote(source, safe='')}"
        scopes = (*self._repository.scopes, f"repository:{source}:pull")
        try:
            response = self._start(f"{digest}", query, scopes)
        except _REFUSALS:
            return False
        with response:
            if response.status == 201:
                return True
            # The registry started an upload instead of mounting; the next push uses it.
            if response.status == 202:
                self._started[digest] = self._next_url(response, response.url)
        return False

    def close(self) -> None:
        """Cancel the unfinished uploads that no later run resumes; errors are ignored."""
        unfinished = [*self._started.values()]
        if self._journal is None:
            unfinished += self._locations.values()
        self._started.clear()
        self._locations.clear()
        for location in unfinished:
            self._abandon(location)

    def _push(self, digest: Digest | None, content: Content) -> Descriptor:
        resuming = content.position > 0
        largest = min(MAX_SINGLE_PUT, self._chunk or MAX_SINGLE_PUT)
        if content.size is not None and content.size - content.position <= largest:
            # Read the rest first, which verifies it before it is sent.
            data = b"".join(iter(partial(content.read, MAX_SINGLE_PUT), b""))
            location = self._find_or_start(digest, resuming=resuming)
            finish = self._finish_resumed if resuming else self._finish
            return finish(location, content.descriptor(), BytesBody(data))
        location = self._find_or_start(digest, resuming=resuming)
        complete = False
        try:
            while not complete:
                if digest is not None:
                    self._remember(digest, location)
                location, complete = self._send_chunk(location, content, digest)
        except CancelledError:
            raise
        except BundlerError as error:
            if not (isinstance(error, RegistryError) and error.temporary):
                if digest is not None:
                    self._forget(digest)
                self._abandon(location)
            raise
        finish = self._finish_resumed if resuming else self._finish
        stored = finish(location, content.descriptor(), BytesBody(b""))
        self._forget(stored.digest)
        return stored

    def _finish_resumed(self, location: str, stored: Descriptor, body: BytesBody) -> Descriptor:
        """Finish an upload as ``_finish`` does; one that the registry refuses is begun anew."""
        try:
            found = self._finish(location, stored, body)
        except RefusedRequestError as error:
            self._forget(stored.digest)
            message = f"{stored.digest}: the registry does not accept the resumed upload"
            raise RegistryError(message, temporary=True) from error
        self._forget(stored.digest)
        return found

    def _remember(self, digest: Digest, location: str) -> None:
        """Keep the URL of an upload until it ends."""
        self._locations[digest] = location
        if self._journal is not None:
            self._journal.keep(self._repository.name, digest, location)

    def _forget(self, digest: Digest) -> None:
        self._locations.pop(digest, None)
        if self._journal is not None:
            self._journal.forget(self._repository.name, digest)

    def _find_or_start(self, digest: Digest | None, *, resuming: bool) -> str:
        """Return the URL of the interrupted upload, or of a new one."""
        if digest is not None:
            known = self._locations.pop(digest, None) or self._started.pop(digest, None)
            if known is not None:
                return known
        if resuming:
            raise RegistryError(
                f"{digest}: the interrupted upload no longer exists", temporary=True
            )
        with self._start(str(digest or "a new blob"), "", self._repository.scopes) as response:
            return self._next_url(response, response.url)

    def _start(self, subject: str, query: str, scopes: tuple[str, ...]) -> Response:
        path = f"/v2/{quote(self._repository.path)}/blobs/uploads/{query}"
        try:
            return self._request("POST", path, subject, scopes=scopes, body=BytesBody(b""))
        except RegistryError as error:
            if error.status is None and _ECR.search(self._repository.session.host):
                error.suggest(
                    Remedy("create the repository: ECR may close the connection if it is missing")
                )
            raise

    def _send_chunk(
        self, location: str, content: Content, digest: Digest | None
    ) -> tuple[str, bool]:
        """Send the next PATCH; return the URL of the next request, and whether it was the last."""
        headers, subject = dict(_OCTETS), str(digest or "a new blob")
        body = _StreamBody(content, self._chunk)
        if body.size is not None and (content.position or body.size == self._chunk):
            headers["Content-Range"] = f"{content.position}-{content.position + body.size - 1}"
        try:
            with self._request("PATCH", location, subject, headers=headers, body=body) as response:
                location = self._next_url(response, location)
        except BundlerError:
            # urllib3 reports an OSError of the body as a network error.
            if body.failure is not None:
                raise body.failure from None
            raise
        if not body.complete:
            message = f"{subject}: the registry responded before it received the whole body"
            raise RegistryError(message, temporary=True)
        return location, body.is_last

    def _finish(self, location: str, stored: Descriptor, body: BytesBody) -> Descriptor:
        """Send the final PUT with the digest and ``body``, which makes the blob visible."""
        digest, separator = stored.digest.text, "&" if "?" in location else "?"
        url = f"{location}{separator}digest={quote(digest, safe='')}"
        try:
            with self._request("PUT", url, digest, headers=_OCTETS, body=body) as response:
                reported = response.headers.get("Docker-Content-Digest", digest)
        except NotFoundError:
            # If the response to a successful PUT was lost, the retried PUT finds no upload.
            if not self._repository.has_blob(stored.digest):
                raise
            return stored
        if reported != digest and reported.startswith(f"{stored.digest.algorithm}:"):
            subject = f"{self._repository.name}: blob"
            raise MisreportedDigestError(subject, expected=digest, got=reported[:160])
        return stored

    def _abandon(self, location: str) -> None:
        with suppress(BundlerError):
            self._request(
                "DELETE", location, "an upload", no_retry=True, response_timeout=_ABANDON_TIMEOUT
            ).close()

    def _request(
        self, method: str, target: str, subject: str, **options: Unpack[RequestOptions]
    ) -> Response:
        options.setdefault("scopes", self._repository.scopes)
        subject = f"{self._repository.name}@{subject}"
        try:
            return self._repository.session.request(method, target, subject=subject, **options)
        except RefusedRequestError as error:
            if error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                error.suggest(*list_size_remedies(self._chunk))
            raise

    def _next_url(self, response: Response, current: str) -> str:
        """Return the URL for the next upload request: the Location, or else ``current``."""
        location = response.headers.get("Location")
        if location is None:
            if current != response.url:
                return current
            raise RefusedRequestError(
                f"{self._repository.name}: no Location in the response of the registry"
            )
        return self._repository.session.resolve_location(response.url, location)


def list_size_remedies(chunk: int | None) -> list[Remedy]:
    """Return the next steps if requests of at most ``chunk`` bytes are too large for a proxy."""
    proxy = Remedy("raise the limit of the proxy (client_max_body_size in nginx)")
    if chunk is not None:
        return [Remedy(f"specify a limit below the current one of {chunk:,} bytes"), proxy]
    return [
        Remedy("upload in pieces with {option} 90MiB", "upload-chunk"),
        Remedy("upload in pieces with limits: {chunk: 90MiB}", in_file=True),
        proxy,
    ]


class _StreamBody:
    """Body that streams the rest of ``content``, or its next ``limit`` bytes; it is sent once."""

    def __init__(self, content: Content, limit: int | None) -> None:
        self._content = content
        self.size = None if content.size is None else content.size - content.position
        self._limit = limit
        if limit is not None and self.size is not None:
            # The end of the content is read, and thus verified, as part of the last body.
            self._limit = limit if self.size > limit else None
            self.size = min(self.size, limit)
        self.spent = False
        self.complete = False
        """Whether all bytes of the body were sent."""
        self.is_last = False
        """Whether the end of the content was reached."""
        self.failure: BundlerError | None = None

    def chunks(self) -> Iterable[memoryview]:
        """Yield the content in chunks; each is valid until the next is requested."""
        self.spent = True
        buffer = memoryview(bytearray(BUFFER_SIZE))
        rest = sys.maxsize if self._limit is None else self._limit
        try:
            while rest and (count := self._content.readinto(buffer[: min(rest, BUFFER_SIZE)])):
                rest -= count
                for start in range(0, count, CHUNK_SIZE):
                    yield buffer[start : min(start + CHUNK_SIZE, count)]
        except BundlerError as error:
            self.failure = error
            raise
        self.complete = True
        self.is_last = rest > 0
