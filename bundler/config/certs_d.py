"""Reader of certs.d: certificate authorities and client certificates, by registry.

In the format of containers-certs.d(5), ``*.crt`` are certificates of authorities, and ``X.cert``
with ``X.key`` is a client certificate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Certificates:
    """Paths of the certificates in a directory. The files are not read."""

    ca_files: tuple[Path, ...] = ()
    client_certificate: Path | None = None
    client_key: Path | None = None


def find(directories: Iterable[Path], host: str) -> Certificates:
    """List the certificates for a registry.

    Args:
        directories: the candidates for certs.d; the first with a directory for ``host`` applies.
        host: ``host[:port]`` of the registry.

    Raises:
        ConfigError: as for ``read``.
    """
    for directory in directories:
        candidate = directory / host
        try:
            candidate.stat()
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue  # like Skopeo, ignore directories that only root may read
        return read(candidate)
    return Certificates()


def read(directory: Path) -> Certificates:
    """List the certificates in ``directory``.

    Raises:
        ConfigError: the directory cannot be read, or contains a certificate without its key, a key
            without its certificate, or several client certificates.
    """
    try:
        names = sorted(entry.name for entry in directory.iterdir())
    except OSError as error:
        raise ConfigError(f"{directory}: cannot be read: {error.strerror}") from None
    for name in names:
        if name.endswith((".crt", ".cert", ".key")) and not (directory / name).is_file():
            raise ConfigError(f"{directory / name}: not a readable file")
    pairs = [name[:-5] for name in names if name.endswith(".cert")]
    for stem in pairs:
        if f"{stem}.key" not in names:
            raise ConfigError(
                f"{directory / stem}.cert: its key {stem}.key is missing",
                hint="the name of an authority's certificate ends with .crt",
            )
    for name in names:
        if name.endswith(".key") and name[:-4] not in pairs:
            raise ConfigError(f"{directory / name}: its certificate {name[:-4]}.cert is missing")
    if len(pairs) > 1:
        raise ConfigError(
            f"{directory}: {len(pairs)} client certificates (expected at most one)",
            hint="use --cert-dir with a directory that contains one pair",
        )
    return Certificates(
        ca_files=tuple(directory / name for name in names if name.endswith(".crt")),
        client_certificate=directory / f"{pairs[0]}.cert" if pairs else None,
        client_key=directory / f"{pairs[0]}.key" if pairs else None,
    )
