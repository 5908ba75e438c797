"""Lookaside signatures of one repository: files in a directory tree, or the same tree on a server.

::

    BASE/REPOSITORY@sha256=HEX/signature-1      and so on, up to the first that is missing

A directory is read and written, a server is only read. All signatures are bounded in number, size
and time, because a server can return one for every number.

https://github.com/containers/image/blob/v5.36.2/docs/signature-protocols.md
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from bundler.content.files import atomic_write
from bundler.content.files.os_errors import to_bundler_error
from bundler.content.files.safe_directory import Directory
from bundler.errors import (
    ConfigError,
    LimitError,
    NotFoundError,
    RegistryError,
    SignatureStoreError,
)
from bundler.oci import signature
from bundler.oci.signature import MAX_SIGNATURE
from bundler.registry.auth.origin import redact
from bundler.silence import Silence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bundler.oci.digest import Digest
    from bundler.registry.services.lookaside_client import LookasideClient

MAX_SIGNATURES = 128
"""Maximum number of signatures of one manifest, as in containers/image."""
MAX_TOTAL = 16 * 1024 * 1024
"""Maximum size in bytes of all signatures of one manifest."""

_PARALLEL = 8  # manifests whose signatures are written at the same time
_MAX_TIME = 600.0  # seconds, for all signatures of one manifest
_URL_SAFE = "/@=:!$&'()*+,;~"  # characters that are not encoded in the path of a URL


class Lookaside:
    """The signatures of one repository at the URL ``base``, of the scheme file, http or https.

    ``path`` is that of the repository in its registry. ``create_client`` returns the client of
    servers, which the caller closes.

    Raises:
        ConfigError: ``base`` has no absolute path.
    """

    def __init__(
        self, base: str, path: str, create_client: Callable[[], LookasideClient] | None = None
    ) -> None:
        self._base = urlsplit(base)
        self._path = path
        self._create_client = create_client
        self._is_directory = self._base.scheme == "file"
        if self._is_directory and not self._base.path.startswith("/"):
            raise ConfigError(f"{base[:200]}: no absolute path (expected file:///PATH)")

    def read(self, manifest: Digest) -> list[bytes]:
        """Return the signatures of a manifest, unverified.

        Raises:
            LimitError: there are too many signatures, or they are too large.
            MalformedError: a signature has an unknown format.
            RegistryError: the server refuses a request, or takes too long.
        """
        found: list[bytes] = []
        room = MAX_TOTAL
        pairs = self._read_files(manifest) if self._is_directory else self._fetch(manifest)
        for subject, raw in pairs:
            if len(found) == MAX_SIGNATURES:
                raise LimitError(
                    f"{subject}: too many signatures (expected at most {MAX_SIGNATURES})"
                )
            room -= len(raw)
            if room < 0:
                raise LimitError(
                    f"{subject}: signatures too large in total"
                    f" (expected at most {MAX_TOTAL:,} bytes)"
                )
            found.append(signature.parse(raw, subject).to_bytes())
        return found

    def write_all(self, signatures: Mapping[Digest, Sequence[bytes]]) -> None:
        """Replace the signatures of manifests in a directory, durably, several at the same time.

        A file system synchronises several files in about the time that it needs for one.

        Raises:
            MediumError, NoSpaceError: a file cannot be written.
        """
        if len(signatures) == 1:
            self.write(*next(iter(signatures.items())))
            return
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - for several manifests only

        with ThreadPoolExecutor(_PARALLEL) as threads:
            list(threads.map(self.write, signatures.keys(), signatures.values()))

    def write(self, manifest: Digest, signatures: Sequence[bytes]) -> None:
        """Replace the signatures of a manifest in a directory, durably.

        Raises:
            MediumError, NoSpaceError: a file cannot be written.
        """
        directory = self._get_directory(manifest)
        missing = [path for path in (directory, *directory.parents) if not path.exists()]
        try:
            directory.mkdir(0o755, parents=True, exist_ok=True)
        except OSError as error:
            raise to_bundler_error(error, directory, "cannot create") from error
        for path in missing:
            atomic_write.sync_directory(path.parent)
        with Directory.open(directory) as opened:
            named = {f"signature-{number}": raw for number, raw in enumerate(signatures, 1)}
            atomic_write.write_files(opened, named)
            _remove_from(opened, len(signatures) + 1)

    def delete(self, manifest: Digest) -> None:
        """Delete the signatures of a manifest in a directory, if there are any.

        Raises:
            MediumError: a file cannot be deleted.
        """
        try:
            with Directory.open(self._get_directory(manifest)) as opened:
                _remove_from(opened, 1)
        except NotFoundError:
            return

    def check_writable(self, manifest: Digest, problem: str) -> None:
        """Check that the signatures are in a directory; ``problem`` begins the message if not.

        Raises:
            SignatureStoreError: the signatures are on a server.
        """
        if not self._is_directory:
            url = redact(self._create_url(manifest, 1))
            raise SignatureStoreError(
                f"{problem}: signatures on a web server cannot be changed: {url}",
                problem="read-only",
                location=url,
                hint="configure lookaside-staging: file:///PATH in registries.d",
            )

    def _read_files(self, manifest: Digest) -> Iterator[tuple[str, bytes]]:
        directory = self._get_directory(manifest)
        number = 1
        try:
            with Directory.open(directory, follow_links=True) as opened:
                while True:
                    name = f"signature-{number}"
                    yield str(directory / name), opened.read(name, limit=MAX_SIGNATURE)
                    number += 1
        except NotFoundError:
            return

    def _fetch(self, manifest: Digest) -> Iterator[tuple[str, bytes]]:
        if self._create_client is None:
            return
        client, silence, number = self._create_client(), Silence(), 1
        deadline = time.monotonic() + _MAX_TIME
        while True:
            url = self._create_url(manifest, number)
            raw = client.fetch(url, MAX_SIGNATURE, silence)
            if raw is None:
                return
            yield redact(url), raw
            if time.monotonic() > deadline:
                raise RegistryError(f"{redact(url)}: the server sends signatures too slowly")
            number += 1

    def _create_url(self, manifest: Digest, number: int) -> str:
        base = quote(unquote(self._base.path), safe=_URL_SAFE)
        path = f"{base}{self._to_suffix(manifest)}/signature-{number}"
        return urlunsplit(self._base._replace(path=path, fragment=""))

    def _get_directory(self, manifest: Digest) -> Path:
        return Path(f"{unquote(self._base.path)}{self._to_suffix(manifest)}")

    def _to_suffix(self, manifest: Digest) -> str:
        return f"/{self._path}@{manifest.algorithm}={manifest.hex}"


def _remove_from(directory: Directory, number: int) -> None:
    """Remove ``signature-<number>`` and the following ones, up to the first that is missing."""
    names = set(directory.list_names())
    first = number
    while (name := f"signature-{number}") in names:
        directory.remove(name)
        number += 1
    if number > first:
        atomic_write.sync_directory(directory)
