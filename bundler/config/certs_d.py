"""A registry's own authorities and our certificate for it, from a directory.

containers-certs.d(5): ``*.crt`` are authorities; ``X.cert`` and ``X.key`` are a pair.
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
    """What a directory holds; the files themselves are not read here."""

    ca_files: tuple[Path, ...] = ()
    client_certificate: Path | None = None
    client_key: Path | None = None


def find(directories: Iterable[Path], host: str) -> Certificates:
    """What the first of ``directories`` with one for ``host[:port]`` holds."""
    for directory in directories:
        candidate = directory / host
        try:
            candidate.stat()
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue  # others may not look into an administrator's directory; so does Skopeo
        return read(candidate)
    return Certificates()


def read(directory: Path) -> Certificates:
    """What ``directory`` holds.

    Raises:
        ConfigError: it cannot be read, a certificate lacks its key or a key its certificate,
            or there are several pairs.
    """
    try:
        names = sorted(entry.name for entry in directory.iterdir())
    except OSError as error:
        raise ConfigError(
            f"{directory}: no directory of certificates that can be read: {error.strerror}"
        ) from None
    for name in names:
        if name.endswith((".crt", ".cert", ".key")) and not (directory / name).is_file():
            raise ConfigError(f"{directory / name}: not a file that can be read")
    pairs = [name[:-5] for name in names if name.endswith(".cert")]
    for stem in pairs:
        if f"{stem}.key" not in names:
            raise ConfigError(
                f"{directory / stem}.cert: its key {stem}.key is missing",
                hint="a certificate of an authority ends with .crt",
            )
    for name in names:
        if name.endswith(".key") and name[:-4] not in pairs:
            raise ConfigError(f"{directory / name}: its certificate {name[:-4]}.cert is missing")
    if len(pairs) > 1:
        raise ConfigError(
            f"{directory}: {len(pairs)} client certificates, but only one can be sent",
            hint="name a directory with one pair by --cert-dir",
        )
    return Certificates(
        ca_files=tuple(directory / name for name in names if name.endswith(".crt")),
        client_certificate=directory / f"{pairs[0]}.cert" if pairs else None,
        client_key=directory / f"{pairs[0]}.key" if pairs else None,
    )
