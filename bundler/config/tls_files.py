"""Readers of the files that configure TLS: certs.d, and the file of ``--tls-details``.

The formats are those of containers-certs.d(5) and containers-tls-details.yaml(5). In certs.d,
``*.crt`` files are CA certificates, and ``X.cert`` with ``X.key`` is a client certificate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.config import config_file
from bundler.config.registry_access import TlsConfig, TlsDetails
from bundler.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def find_certificates(directories: Iterable[Path], host: str) -> TlsConfig:
    """List the certificates for the registry ``host[:port]``.

    The first of ``directories`` that has a subdirectory for ``host`` applies. Raises the same
    errors as ``read_certificates``.
    """
    for directory in directories:
        candidate = directory / host
        try:
            candidate.stat()
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue  # like Skopeo, ignore directories that only root may read
        return read_certificates(candidate)
    return TlsConfig()


def read_certificates(directory: Path) -> TlsConfig:
    """List the certificates in ``directory`` without reading them.

    Raises:
        ConfigError: the directory cannot be read, or contains a certificate without its key, a key
            without its certificate, or several client certificates.
    """
    entries = config_file.list_directory(directory)
    if entries is None:
        raise ConfigError(f"{directory}: no such directory", path=str(directory))
    names = [entry.name for entry in entries]
    certificates = [name[:-5] for name in names if name.endswith(".cert")]
    keys = [name[:-4] for name in names if name.endswith(".key")]
    for name in names:
        file = directory / name
        if name.endswith((".crt", ".cert", ".key")) and not file.is_file():
            raise ConfigError(f"{file}: not a readable file", path=str(file))
        if name.endswith(".cert") and name[:-5] not in keys:
            raise ConfigError(
                f"{file}: missing key {name[:-5]}.key",
                path=str(file),
                hint="add the key, or rename a CA certificate to *.crt",
            )
        if name.endswith(".key") and name[:-4] not in certificates:
            raise ConfigError(f"{file}: missing certificate {name[:-4]}.cert", path=str(file))
    if len(keys) > 1:
        raise ConfigError(
            f"{directory}: {len(keys)} client certificates (expected at most one)",
            path=str(directory),
            hint="leave one certificate and its key in the directory",
        )
    return TlsConfig(
        ca_files=tuple(directory / name for name in names if name.endswith(".crt")),
        client_certificate=directory / f"{keys[0]}.cert" if keys else None,
        client_key=directory / f"{keys[0]}.key" if keys else None,
    )


def read_tls_details(path: Path) -> TlsDetails:
    """Read the file of ``--tls-details``: TLS versions, cipher suites and groups.

    Raises:
        ConfigError: the file does not exist, cannot be read, or is invalid.
    """
    document = config_file.parse_yaml(config_file.read(path, required=True), str(path))
    document.refuse_unknown(("minVersion", "cipherSuites", "namedGroups"))
    for key, value in document.value.items():
        if value is None:  # ambiguous: either no restriction, or nothing is allowed
            raise document.problem(f"{key} is empty")
    version = document.one_of("minVersion", ("1.2", "1.3")) if "minVersion" in document else None
    return TlsDetails(
        str(path),
        version,
        document.texts("cipherSuites") if "cipherSuites" in document else None,
        document.texts("namedGroups") if "namedGroups" in document else None,
    )
