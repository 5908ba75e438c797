"""Trust stores: directories with the certificates of trusted authorities.

``DIRECTORY/x509/TYPE/NAME`` contains certificates in PEM or DER, and nothing else.

https://github.com/notaryproject/specifications/blob/main/specs/trust-store-trust-policy.md#trust-store
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography import x509

from bundler.config import config_file
from bundler.errors import ConfigError
from bundler.trust.notation.chain import is_issued_by
from bundler.trust.sigstore.certificates import MALFORMED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from bundler.trust.notation.trust_policy import StoreType

_MAX_CERTIFICATES = 1_000
_PEM = b"-----BEGIN "


@dataclass(frozen=True, slots=True)
class TrustedCertificate:
    """A certificate of a trust store."""

    type: StoreType
    name: str
    """The name of the store."""
    certificate: x509.Certificate = field(repr=False)


def read_stores(
    directory: Path, stores: Iterable[tuple[StoreType, str]]
) -> tuple[TrustedCertificate, ...]:
    """Read the certificates of the named stores in a trust store.

    Raises:
        ConfigError: a store does not exist, is empty, or contains anything else.
    """
    found: list[TrustedCertificate] = []
    for kind, name in stores:
        folder = directory / "x509" / kind / name
        if folder.is_symlink() or not folder.is_dir():
            raise _create_error(folder, "not a directory", f"the trust policy names {kind}:{name}")
        count = len(found)
        for path in config_file.list_directory(folder) or ():
            if path.is_symlink() or not path.is_file():
                raise _create_error(path, "not a regular file")
            for certificate in _read_certificates(path):
                _check_trusted(certificate, kind, path)
                found.append(TrustedCertificate(kind, name, certificate))
                if len(found) > _MAX_CERTIFICATES:
                    limit = f"expected at most {_MAX_CERTIFICATES:,}"
                    raise _create_error(folder, f"too many certificates ({limit})")
        if len(found) == count:
            raise _create_error(folder, "contains no certificate")
    return tuple(found)


def _read_certificates(path: Path) -> Iterator[x509.Certificate]:
    data = config_file.read(path, required=True)
    try:
        if _PEM in data:
            yield from x509.load_pem_x509_certificates(data)
        else:
            yield x509.load_der_x509_certificate(data)
    except MALFORMED:
        raise _create_error(path, "not a certificate in PEM or DER") from None


def _check_trusted(certificate: x509.Certificate, kind: StoreType, path: Path) -> None:
    """Check that a certificate is that of an authority, or its own issuer."""
    is_root = is_issued_by(certificate, certificate)
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        is_authority = constraints.value.ca
    except x509.ExtensionNotFound:
        is_authority = False
    except MALFORMED:
        raise _create_error(path, "a certificate has malformed extensions") from None
    if not (is_root if kind == "tsa" else is_root or is_authority):
        raise _create_error(path, "the certificate is neither a root nor that of an authority")


def _create_error(path: Path, problem: str, hint: str | None = None) -> ConfigError:
    return ConfigError(f"{path}: {problem}", path=str(path), hint=hint)
