"""Client of one repository: manifests, blobs, tags and referrers.

https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Unpack
from urllib.parse import quote

from bundler.errors import (
    BundlerError,
    InvalidReferenceError,
    LimitError,
    MalformedError,
    MisreportedDigestError,
    NotFoundError,
    RefusedRequestError,
    SizeMismatchError,
    UnsupportedError,
)
from bundler.oci import media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.json import strict
from bundler.oci.manifest import MAX_MANIFEST, Index, compute_manifest_digest, parse
from bundler.oci.reference import is_repository_path, is_tag
from bundler.registry import pagination
from bundler.registry.exchange.request import BytesBody
from bundler.registry.exchange.response import BlobStream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.content.streams import Reader
    from bundler.registry.exchange.request import RequestOptions, Scopes
    from bundler.registry.exchange.response import Response
    from bundler.registry.session import Session

MAX_REFERRERS = 10_000

_ACCEPT = ", ".join(media_types.ACCEPT_MANIFESTS)
# Statuses that indicate a registry without the referrers API. The specification requires 404.
_NO_REFERRERS_API = frozenset({400, 404, 405, 406, 501})


class Repository:
    """Client of one repository; thread-safe.

    If ``writable``, tokens that permit pushes are requested.

    Raises:
        InvalidReferenceError: ``path`` is not a valid repository path.
    """

    def __init__(self, session: Session, path: str, *, writable: bool = False) -> None:
        if not is_repository_path(path):
            raise InvalidReferenceError(f"{path[:80]!r}: not a valid repository path")
        self.session = session
        self.path = path
        self.name = f"{session.host}/{path}"
        actions = "pull,push" if writable else "pull"
        self.scopes: Scopes = (f"repository:{path}:{actions}",)
        self.has_referrers_api: bool | None = None
        """Whether the registry has the referrers API; None before the first ``list_referrers``."""

    def get_manifest(self, reference: str | Digest) -> tuple[Descriptor, bytes]:
        """Return the descriptor and the bytes of a manifest of at most 4 MiB.

        If ``reference`` is a digest, the caller must verify the bytes. If it is a tag, the digest
        is computed.

        Raises:
            NotFoundError: the manifest does not exist.
            MisreportedDigestError: ``reference`` is a tag, and the registry reports another digest.
        """
        subject, headers = self._to_subject(reference), {"Accept": _ACCEPT}
        url = f"/v2/{quote(self.path)}/manifests/{reference}"
        response, raw = self.session.fetch(
            url, MAX_MANIFEST, subject=subject, scopes=self.scopes, headers=headers
        )
        media_type = response.media_type
        if media_type not in media_types.MANIFESTS:
            # Some registries serve every manifest as application/json or text/plain.
            try:
                stated = strict.load_object(raw, subject=subject).get("mediaType")
                if not isinstance(stated, str) or not stated:
                    stated = parse(raw, None, subject=subject).media_type
                media_type = stated
            except BundlerError:
                media_type = media_type or media_types.OCI_MANIFEST
        if isinstance(reference, Digest):
            return Descriptor(media_type, reference, len(raw)), raw
        reported = _read_digest(response)
        digest = _compute_digest(raw, media_type, reported, subject)
        if reported not in (None, digest):
            raise MisreportedDigestError(subject, expected=str(reported), got=str(digest))
        return Descriptor(media_type, digest, len(raw)), raw

    def head_manifest(
        self, reference: str | Digest, *, for_deletion: bool = False
    ) -> Descriptor | None:
        """Return the descriptor that the registry reports; None if the manifest does not exist."""
        headers, allow = {"Accept": _ACCEPT}, (404, 405)
        scopes = self._deletion_scopes if for_deletion else self.scopes
        with self._request(
            "HEAD", "manifests", reference, headers=headers, allowed_statuses=allow, scopes=scopes
        ) as response:
            digest = reference if isinstance(reference, Digest) else _read_digest(response)
        if response.status == 404:
            return None
        if response.status != 405 and digest is not None and response.length is not None:
            return Descriptor(response.media_type, digest, response.length)
        try:
            return self.get_manifest(reference)[0]
        except NotFoundError:
            return None

    def put_manifest(self, reference: str | Digest, media_type: str, raw: bytes) -> Digest | None:
        """Upload a manifest; return its subject if the registry now lists it as a referrer.

        Raises:
            ConflictError: ``reference`` is an immutable tag of another manifest.
            MisreportedDigestError: the registry reports another digest.
        """
        subject, headers = self._to_subject(reference), {"Content-Type": media_type}
        with self._request(
            "PUT", "manifests", reference, headers=headers, body=BytesBody(raw)
        ) as response:
            stored = _read_digest(response)
            referred_subject = _read_digest(response, "OCI-Subject")
        expected = (
            reference
            if isinstance(reference, Digest)
            else _compute_digest(raw, media_type, stored, subject)
        )
        if stored is not None and stored.algorithm == expected.algorithm and stored != expected:
            raise MisreportedDigestError(subject, expected=str(expected), got=str(stored))
        return referred_subject

    def delete_manifest(self, reference: str | Digest) -> None:
        """Delete a manifest and its tags or, if the registry supports that, a single tag.

        Raises:
            NotFoundError: the manifest or tag does not exist.
            UnsupportedError: the registry does not support deletion.
        """
        try:
            self._request("DELETE", "manifests", reference, scopes=self._deletion_scopes).close()
        except UnsupportedError:
            raise UnsupportedError(
                f"{self._to_subject(reference)}: the registry does not support deletion",
                hint="enable deletion in the configuration of the registry",
            ) from None

    @property
    def _deletion_scopes(self) -> Scopes:
        return (*self.scopes, f"repository:{self.path}:delete")

    def has_blob(self, digest: Digest, size: int | None = None) -> bool:
        """Return whether the repository contains a blob, of ``size`` bytes if specified."""
        with self._request("HEAD", "blobs", digest, allowed_statuses=(404,)) as response:
            wrong_size = size is not None and response.length not in (None, size)
            return response.status != 404 and not wrong_size

    def get_blob(self, blob: Descriptor, limit: int) -> bytes:
        """Return a blob of at most ``limit`` bytes completely, verified.

        Raises:
            LimitError: the blob is larger.
            NotFoundError: the blob does not exist.
            IntegrityError: the content does not match the descriptor.
        """
        subject, url = self._to_subject(blob.digest), f"/v2/{quote(self.path)}/blobs/{blob.digest}"
        if blob.size > limit:
            raise LimitError(f"{subject}: more than the {limit:,} bytes allowed")
        _, raw = self.session.fetch(url, limit, subject=subject, scopes=self.scopes)
        if len(raw) != blob.size:
            raise SizeMismatchError(subject, expected=blob.size, got=f"{len(raw)}")
        blob.digest.verify(raw, subject)
        return raw

    @contextmanager
    def open_blob(self, digest: Digest, size: int | None, offset: int = 0) -> Iterator[Reader]:
        """Open a stream of the unverified bytes of a blob, starting at ``offset``.

        If the registry ignores the range, the bytes before ``offset`` are read and discarded.

        Raises:
            NotFoundError: the blob does not exist.
            RegistryError: the request failed. Reading a truncated blob raises it too, as temporary.
        """
        if size is not None and offset >= size:
            yield BytesIO()
            return
        subject = self._to_subject(digest)
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        with ExitStack() as stack:
            response = stack.enter_context(self._request("GET", "blobs", digest, headers=headers))
            response.keep_encoding(size, offset)
            if response.status == 206 and response.is_encoded:
                # The range is a part of the compressed body.
                response.close()
                response = stack.enter_context(self._request("GET", "blobs", digest))
                response.keep_encoding(size)
            yield BlobStream.from_offset(response, subject, size, offset)

    def list_tags(self) -> list[str]:
        """Return all tags, in the order of the registry and without duplicates.

        The list may contain texts that are not valid tags, such as digests.

        Raises:
            NotFoundError: the repository does not exist.
            LimitError: the list has too many pages or tags.
        """
        url = f"/v2/{quote(self.path)}/tags/list"
        pages = pagination.list_strings(
            self.session, url, "tags", subject=self.name, scopes=self.scopes
        )
        return list(dict.fromkeys(pages))

    def list_referrers(self, subject: Digest) -> list[Descriptor]:
        """Return the referrers of ``subject``, from the API or else from the fallback tag.

        Their annotations, which the manifests contain, are left out: their number is unlimited.
        """
        if self.has_referrers_api is not False:
            found = self._list_referrers_by_api(subject)
            self.has_referrers_api = found is not None
            if found is not None:
                return found
        index = self.get_fallback_index(subject)
        return [] if index is None else list(map(_strip, index.manifests))

    def get_fallback_index(self, subject: Digest) -> Index | None:
        """Return the index at the fallback tag of ``subject``; None if it does not exist.

        Clients maintain this index of referrers in registries without the referrers API.
        """
        tag = to_fallback_tag(subject)
        try:
            descriptor, raw = self.get_manifest(tag)
        except NotFoundError:
            return None
        parsed = parse(raw, descriptor.media_type, subject=self._to_subject(tag))
        return parsed if isinstance(parsed, Index) else None

    def _list_referrers_by_api(self, manifest: Digest) -> list[Descriptor] | None:
        """Return the referrers from the API; None if the registry does not support it."""
        subject = f"{self.name}: referrers of {manifest}"
        found: list[Descriptor] = []
        url = f"/v2/{quote(self.path)}/referrers/{manifest}"
        for response, body in pagination.iterate_pages(
            self.session,
            url,
            subject=subject,
            scopes=self.scopes,
            allowed_statuses=_NO_REFERRERS_API,
        ):
            media_type = response.media_type
            if response.status != 200 or media_type != media_types.OCI_INDEX:
                if found:
                    raise RefusedRequestError(
                        f"{subject}: the registry returned an incomplete list"
                    )
                return None
            parsed = parse(body, media_type, subject=subject)
            if isinstance(parsed, Index):
                found += map(_strip, parsed.manifests)
            if len(found) > MAX_REFERRERS:
                raise LimitError(f"{subject}: more than the {MAX_REFERRERS:,} referrers allowed")
        return found

    def _request(
        self, method: str, kind: str, reference: str | Digest, **options: Unpack[RequestOptions]
    ) -> Response:
        options.setdefault("scopes", self.scopes)
        subject, url = self._to_subject(reference), f"/v2/{quote(self.path)}/{kind}/{reference}"
        return self.session.request(method, url, subject=subject, **options)

    def _to_subject(self, reference: str | Digest) -> str:
        """Return the subject for messages; raise InvalidReferenceError for an invalid tag."""
        if isinstance(reference, Digest):
            return f"{self.name}@{reference}"
        if not is_tag(reference):
            raise InvalidReferenceError(f"{reference[:160]!r}: not a valid tag")
        return f"{self.name}:{reference}"


def to_fallback_tag(subject: Digest) -> str:
    """Return the fallback tag: the tag of the index that lists the referrers of ``subject``.

    https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema
    """
    return f"{subject.algorithm}-{subject.hex[:64]}"


def _compute_digest(raw: bytes, media_type: str, reported: Digest | None, subject: str) -> Digest:
    """Compute the digest of a manifest, with the algorithm of ``reported`` (default: SHA-256)."""
    if media_type in media_types.SCHEMA1:
        return compute_manifest_digest(raw, subject=subject)
    return Digest.of(raw, "sha256" if reported is None else reported.algorithm)


def _read_digest(response: Response, header: str = "Docker-Content-Digest") -> Digest | None:
    text = response.headers.get(header)
    try:
        return None if text is None else Digest(text.strip())
    except MalformedError:
        return None


def _strip(referrer: Descriptor) -> Descriptor:
    return replace(referrer, annotations={}, urls=())
