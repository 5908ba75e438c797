"""One repository of a registry: manifests, blobs, tags and referrers.

https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from bundler.errors import (
    BundlerError,
    DigestMismatchError,
    InvalidReferenceError,
    LimitError,
    MalformedError,
    NotFoundError,
    RegistryError,
    SizeMismatchError,
    UnsupportedError,
)
from bundler.oci import media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.json import strict
from bundler.oci.manifest import MAX_MANIFEST, Index, parse
from bundler.oci.manifest_digest import manifest_digest
from bundler.oci.reference import is_repository_path, is_tag
from bundler.registry import errors, pagination
from bundler.registry.session import BytesBody

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from bundler.content.streams.reader import Reader
    from bundler.registry.response import Response
    from bundler.registry.session import Session
    from bundler.registry.token_auth import Scopes

MAX_REFERRERS = 10_000

_ACCEPT = ", ".join(media_types.ACCEPT_MANIFESTS)
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
# What registries without the referrers API answer; 404 is what the specification wants.
_NO_REFERRERS_API = frozenset({400, 404, 405, 406, 501})


@dataclass(frozen=True, slots=True)
class PutResult:
    """What a registry says of a manifest that it took."""

    subject: Digest | None
    """The subject whose referrers now list it; None: the registry does not keep such lists."""


class Repository:
    """Requests to one repository; for any number of threads.

    Args:
        session: its registry.
        path: its path there.
        writable: whether it is going to be written to; tokens are asked for accordingly.

    Raises:
        InvalidReferenceError: ``path`` is no repository's path.
    """

    def __init__(self, session: Session, path: str, *, writable: bool = False) -> None:
        if not is_repository_path(path):
            raise InvalidReferenceError(f"{path[:80]!r} is not a repository's path")
        self.session = session
        self.path = path
        self.name = f"{session.host}/{path}"
        actions = "pull,push" if writable else "pull"
        self.scopes: Scopes = (f"repository:{path}:{actions}",)
        self._referrers_api: bool | None = None

    def get_manifest(self, reference: str | Digest) -> tuple[Descriptor, bytes]:
        """A manifest by tag or digest, of 4 MiB at most.

        The descriptor of one that was asked for by digest is what was asked for: the caller
        compares the bytes with it.

        Raises:
            NotFoundError: there is none.
            DigestMismatchError: by tag: the registry announced another digest.
        """
        what = self._called(reference)
        headers = {"Accept": _ACCEPT}
        with self._request(
            "GET", f"manifests/{reference}", what=what, headers=headers, allow=()
        ) as answer:
            if errors.is_html(answer.headers):
                raise errors.from_html_response(answer.url, status=answer.status)
            raw = answer.read(MAX_MANIFEST, what)
        media_type = _manifest_type(answer, raw, what)
        if isinstance(reference, Digest):
            return Descriptor(media_type, reference, len(raw)), raw
        announced = _announced_digest(answer)
        digest = _digest_of(raw, media_type, announced, what)
        if announced not in (None, digest):
            raise DigestMismatchError(what, expected=str(announced), got=str(digest))
        return Descriptor(media_type, digest, len(raw)), raw

    def head_manifest(self, reference: str | Digest) -> Descriptor | None:
        """What a tag or digest stands for, as the registry says; None: nothing."""
        what = self._called(reference)
        headers = {"Accept": _ACCEPT}
        with self._request(
            "HEAD", f"manifests/{reference}", what=what, headers=headers, allow=(404, 405)
        ) as answer:
            digest = reference if isinstance(reference, Digest) else _announced_digest(answer)
            told = answer.status != 405 and digest is not None and answer.length is not None
        if answer.status == 404:
            return None
        if told and digest is not None and answer.length is not None:
            media_type = media_types.parse_content_type(answer.headers.get("Content-Type", ""))
            return Descriptor(media_type, digest, answer.length)
        try:
            return self.get_manifest(reference)[0]
        except NotFoundError:
            return None

    def put_manifest(self, reference: str | Digest, media_type: str, raw: bytes) -> PutResult:
        """Store a manifest, and let ``reference`` stand for it.

        Raises:
            ConflictError: ``reference`` is immutable and stands for something else.
            DigestMismatchError: the registry stored something else.
        """
        what = self._called(reference)
        with self._request(
            "PUT",
            f"manifests/{reference}",
            what=what,
            headers={"Content-Type": media_type},
            body=raw,
        ) as answer:
            stored = _announced_digest(answer)
            subject = _digest(answer.headers.get("OCI-Subject"))
        expected = (
            reference
            if isinstance(reference, Digest)
            else _digest_of(raw, media_type, stored, what)
        )
        if stored is not None and stored.algorithm == expected.algorithm and stored != expected:
            raise DigestMismatchError(what, expected=str(expected), got=str(stored))
        return PutResult(subject)

    def delete_manifest(self, reference: str | Digest) -> None:
        """Delete a manifest with all its tags, by digest; or one tag, where that is possible.

        Raises:
            NotFoundError: there is none.
            UnsupportedError: the registry does not delete.
        """
        self._delete(f"manifests/{reference}", self._called(reference))

    def has_blob(self, digest: Digest, size: int | None = None) -> bool:
        """Whether the registry says that it has a blob, of ``size`` bytes if that is known."""
        with self._request(
            "HEAD", f"blobs/{digest}", what=self._called(digest), allow=(404,)
        ) as answer:
            wrong_size = size is not None and answer.length not in (None, size)
            return answer.status != 404 and not wrong_size

    @contextmanager
    def open_blob(self, digest: Digest, size: int | None, offset: int = 0) -> Iterator[Reader]:
        """The bytes of a blob from ``offset`` on, unverified.

        A registry that does not heed the range is read from the beginning, up to ``offset``.

        Raises:
            NotFoundError: there is no such blob.
            RegistryError: also while reading, temporary, where the stream broke off.
        """
        if size is not None and offset >= size:
            yield BytesIO()
            return
        what = self._called(digest)
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        with self._request("GET", f"blobs/{digest}", what=what, headers=headers) as answer:
            if answer.status == 206:
                _check_range(answer, offset, what)
            elif errors.is_html(answer.headers):
                raise errors.from_html_response(answer.url, status=answer.status)
            stream = _BlobStream(answer, what, None if size is None else size - offset)
            if answer.status != 206:
                stream.skip(offset)
            yield stream

    def list_tags(self) -> list[str]:
        """Every tag, in the order the registry gives them.

        Raises:
            NotFoundError: there is no such repository.
            LimitError: more pages or tags than anybody has.
        """
        url = f"/v2/{quote(self.path)}/tags/list?n={pagination.PAGE_SIZE}"
        pages = pagination.list_strings(
            self.session, url, "tags", subject=self.name, scopes=self.scopes
        )
        tags = list(dict.fromkeys(pages))
        for tag in tags:
            if not is_tag(tag):
                raise MalformedError(f"{self.name}: the registry lists {tag[:80]!r} as a tag")
        return tags

    def list_referrers(self, subject: Digest) -> list[Descriptor]:
        """What names ``subject`` as its subject: from the API, else from the fallback tag."""
        if self._referrers_api is not False:
            found = self._referrers_by_api(subject)
            if found is not None:
                self._referrers_api = True
                return found
            self._referrers_api = False
        index = self.get_fallback_index(subject)
        return [] if index is None else list(index.manifests)

    @property
    def has_referrers_api(self) -> bool:
        """Whether the registry itself lists referrers; known once it was asked for some."""
        return self._referrers_api is True

    def get_fallback_index(self, subject: Digest) -> Index | None:
        """The index that clients keep where a registry does not; None: there is none.

        https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema
        """
        tag = to_fallback_tag(subject)
        try:
            descriptor, raw = self.get_manifest(tag)
        except NotFoundError:
            return None
        parsed = parse(raw, descriptor.media_type, subject=self._called(tag))
        return parsed if isinstance(parsed, Index) else None

    def _referrers_by_api(self, subject: Digest) -> list[Descriptor] | None:
        """None: the registry has no such API."""
        what = f"{self.name}: referrers of {subject}"
        found: list[Descriptor] = []
        url = f"/v2/{quote(self.path)}/referrers/{subject}"
        for answer, body in pagination.iterate_pages(
            self.session, url, subject=what, scopes=self.scopes, allow=_NO_REFERRERS_API
        ):
            media_type = media_types.parse_content_type(answer.headers.get("Content-Type", ""))
            if answer.status != 200 or media_type != media_types.OCI_INDEX:
                if found:
                    raise RegistryError(f"{what}: the registry lists only a part of them")
                return None
            parsed = parse(body, media_type, subject=what)
            if isinstance(parsed, Index):
                found += parsed.manifests
            if len(found) > MAX_REFERRERS:
                raise LimitError(f"{what}: more than the {MAX_REFERRERS:,} allowed")
        return found

    def _delete(self, path: str, what: str) -> None:
        scopes = (*self.scopes, f"repository:{self.path}:delete")
        try:
            self._request("DELETE", path, what=what, scopes=scopes).close()
        except UnsupportedError:
            raise UnsupportedError(
                f"{what}: the registry does not delete",
                hint="deletion has to be enabled in the registry's own configuration",
            ) from None

    def _request(
        self,
        method: str,
        path: str,
        *,
        what: str,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        allow: Collection[int] = (),
        scopes: Scopes | None = None,
    ) -> Response:
        return self.session.request(
            method,
            f"/v2/{quote(self.path)}/{path}",
            subject=what,
            scopes=scopes or self.scopes,
            headers=headers,
            body=None if body is None else BytesBody(body),
            allow=allow,
        )

    def _called(self, reference: str | Digest) -> str:
        """How messages name a part of this repository; tags are checked on the way."""
        if isinstance(reference, Digest):
            return f"{self.name}@{reference}"
        if not is_tag(reference):
            raise InvalidReferenceError(f"{reference[:160]!r} is not a tag")
        return f"{self.name}:{reference}"


def to_fallback_tag(subject: Digest) -> str:
    """The tag under which clients list the referrers of ``subject``."""
    return f"{subject.algorithm}-{subject.hex[:64]}"


@dataclass(slots=True)
class _BlobStream:
    """An answer's body, of which ``left`` bytes are expected; None: nobody knows."""

    answer: Response
    what: str
    left: int | None
    declared: bool = field(init=False)

    def __post_init__(self) -> None:
        chunked = "chunked" in self.answer.headers.get("Transfer-Encoding", "").lower()
        self.declared = self.answer.length is not None or chunked

    def readinto(self, buffer: memoryview, /) -> int:
        count = self.answer.readinto(buffer)
        if self.left is not None:
            if not count and len(buffer) and self.left > 0 and not self.declared:
                raise RegistryError(f"{self.what}: the stream broke off", temporary=True)
            self.left -= count
        return count

    def read(self, size: int = -1, /) -> bytes:
        """All that is left is one byte more than expected at most, and never without end."""
        if size < 0:
            limit = MAX_MANIFEST if self.left is None else self.left + 1
            return self.answer.read(limit, self.what)
        buffer = bytearray(size)
        count = self.readinto(memoryview(buffer))
        return bytes(buffer[:count])

    def skip(self, count: int) -> None:
        """Read past what was asked to be left out."""
        self.left = None if self.left is None else self.left + count
        buffer = memoryview(bytearray(min(count, 1024 * 1024)))
        skipped = 0
        while skipped < count:
            got = self.readinto(buffer[: count - skipped])
            if not got:
                raise SizeMismatchError(self.what, expected=count, got=f"only {skipped}")
            skipped += got


def _check_range(answer: Response, offset: int, what: str) -> None:
    told = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if told is None or int(told[1]) != offset:
        raise RegistryError(f"{what}: the registry sent another range than bytes {offset:,} on")


def _manifest_type(answer: Response, raw: bytes, what: str) -> str:
    """What the registry says it is; a body that says otherwise is refused by whoever parses it."""
    told = media_types.parse_content_type(answer.headers.get("Content-Type", ""))
    if told in media_types.MANIFESTS:
        return told
    # Some registries serve every manifest as application/json or text/plain.
    try:
        own = _member(strict.load_object(raw, subject=what), "mediaType")
        return own or parse(raw, None, subject=what).media_type
    except BundlerError:
        return told or media_types.OCI_MANIFEST


def _member(value: dict[str, Any], key: str) -> str | None:
    item = value.get(key)
    return item if isinstance(item, str) else None


def _digest_of(raw: bytes, media_type: str, announced: Digest | None, what: str) -> Digest:
    """A manifest's digest, by the algorithm of the one that was announced."""
    if media_type in media_types.SCHEMA1:
        return manifest_digest(raw, subject=what)
    return Digest.of(raw, "sha256" if announced is None else announced.algorithm)


def _announced_digest(answer: Response) -> Digest | None:
    return _digest(answer.headers.get("Docker-Content-Digest"))


def _digest(text: str | None) -> Digest | None:
    try:
        return None if text is None else Digest(text.strip())
    except MalformedError:
        return None
