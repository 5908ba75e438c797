"""TLS contexts for all connections, with the configured TLS restrictions.

Users specify cipher suites and groups by IANA name; these are translated to OpenSSL names.
"""

from __future__ import annotations

import os
import platform
import re
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.config.registry_access import ANY_DETAILS
from bundler.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.config.registry_access import TlsConfig, TlsDetails

_MAX_FILE = 16 * 1024 * 1024
_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_GROUPS = {
    "secp256r1": "prime256v1",
    "secp384r1": "secp384r1",
    "secp521r1": "secp521r1",
    "x25519": "X25519",
    "x448": "X448",
}
_TLS_1_3_SUITE = re.compile(r"TLS_(?:AES|CHACHA20)_[A-Z0-9_]+")
_AES = re.compile(
    r"TLS_(?:(?P<exchange>ECDHE)_(?P<signature>ECDSA|RSA)|RSA)"
    r"_WITH_AES_(?P<bits>128|256)_(?P<mode>GCM|CBC)_(?P<hash>SHA[0-9]*)"
)
_CHACHA20 = re.compile(r"TLS_ECDHE_(?P<signature>ECDSA|RSA)_WITH_CHACHA20_POLY1305_SHA256")


def create_registry_context(tls: TlsConfig) -> ssl.SSLContext:
    """Create the context for connections to a registry.

    Raises:
        ConfigError: a certificate file cannot be used, or ``tls.details`` cannot be applied.
    """
    context = create_redirect_context(tls) if tls.verify else create_unverified_context(tls.details)
    if tls.client_certificate is not None:
        _load_certificate(
            tls.client_certificate,
            lambda path: load_client_certificate(context, path, tls.client_key),
        )
    if tls.embedded is not None and tls.embedded.client is not None:
        origin = tls.embedded.client_origin
        descriptor = os.memfd_create("client-certificate")  # OpenSSL reads files only
        try:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(tls.embedded.client)
            load_client_certificate(context, Path(f"/proc/self/fd/{descriptor}"), None)
        except (OSError, ValueError):
            raise ConfigError(
                f"{origin}: not a usable client certificate",
                path=origin,
                hint="use PEM and an unencrypted client key",
            ) from None
        finally:
            os.close(descriptor)
    return context


def create_redirect_context(tls: TlsConfig) -> ssl.SSLContext:
    """Create the context for hosts that a registry redirects to.

    The context always verifies certificates, and has no client certificate. Raises the same errors
    as ``create_registry_context``.
    """
    embedded = tls.embedded
    if embedded is not None and embedded.authorities is not None:
        # It trusts only these authorities, and not those of the system.
        origin = embedded.authorities_origin
        try:
            context = ssl.create_default_context(cadata=embedded.authorities.decode("ascii"))
        except (OSError, ValueError):
            raise ConfigError(
                f"{origin}: not a usable certificate authority (expected PEM)", path=origin
            ) from None
        _relax(context)
        restrict(context, tls.details)
    else:
        context = create_verifying_context(tls.details)
    for file in tls.ca_files:
        _load_certificate(file, context.load_verify_locations)
    return context


def load_client_certificate(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    """Load a client certificate and its key; None: the key is in the file of the certificate.

    An encrypted key is refused before it is decrypted, because the file determines the cost.

    Raises:
        OSError, ValueError: a file cannot be used.
        ConfigError: a file is too large.
    """
    check_size(certificate)
    if key is not None:
        check_size(key)

    def refuse() -> str:
        raise ValueError("the key is encrypted")

    context.load_cert_chain(certificate, key, password=refuse)


def check_size(file: Path) -> None:
    """Check the size of a file of certificates or keys, which OpenSSL reads completely.

    Raises:
        OSError: it does not exist, or may not be read.
        ConfigError: it is too large.
    """
    size = file.stat().st_size
    if size > _MAX_FILE:
        raise ConfigError(
            f"{file}: too large (expected at most {_MAX_FILE:,} bytes, got {size:,})",
            path=str(file),
        )


def _load_certificate(file: Path, load: Callable[[Path], None]) -> None:
    try:
        check_size(file)
        load(file)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not usable"
        raise ConfigError(
            f"{file}: not a usable certificate: {reason}",
            path=str(file),
            hint="use PEM files and an unencrypted client key",
        ) from None


def create_verifying_context(details: TlsDetails = ANY_DETAILS) -> ssl.SSLContext:
    """Create a context that trusts the certificate authorities of the system.

    Verification is the same in all versions of Python. As in Go, CA certificates without key usage
    (as created by ``openssl req -x509``) and CA certificates that are not self-signed are accepted.

    Raises:
        ConfigError: ``details`` cannot be applied.
    """
    context = ssl.create_default_context()
    _relax(context)
    restrict(context, details)
    return context


def _relax(context: ssl.SSLContext) -> None:
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN


def create_unverified_context(details: TlsDetails = ANY_DETAILS) -> ssl.SSLContext:
    """Create a context that accepts any certificate.

    The system's CA certificates are not loaded, because that takes longer than pulling a small
    image.

    Raises:
        ConfigError: ``details`` cannot be applied.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    restrict(context, details)
    return context


def restrict(context: ssl.SSLContext, details: TlsDetails) -> None:
    """Apply ``details``; raise ConfigError if OpenSSL or Python does not support them."""
    if details.min_version is not None:
        context.minimum_version = _VERSIONS[details.min_version]
    if details.cipher_suites is not None:
        _restrict_ciphers(context, details)
    if details.named_groups is None:
        return
    subject = f"{details.origin}: namedGroups"
    if len(details.named_groups) != 1:
        raise ConfigError(
            f"{subject}: {len(details.named_groups)} groups (expected one)",
            hint="list one group, such as secp256r1",
        )
    name = details.named_groups[0]
    # Some ssl modules, such as that of Debian 12, refuse X25519 and X448 although OpenSSL supports
    # them.
    try:
        context.set_ecdh_curve(_GROUPS.get(name.casefold(), name))
    except ssl.SSLError:
        raise ConfigError(
            f"{subject}: Python {platform.python_version()} does not support {name[:80]!r}",
            hint="specify secp256r1, secp384r1 or secp521r1, or use a newer Python",
        ) from None
    except ValueError:
        message = f"{subject}: {ssl.OPENSSL_VERSION} does not support {name[:80]!r}"
        raise ConfigError(message) from None


def _restrict_ciphers(context: ssl.SSLContext, details: TlsDetails) -> None:
    subject = f"{details.origin}: cipherSuites"
    requested = set(details.cipher_suites or ())
    modern = {name for name in requested if _TLS_1_3_SUITE.fullmatch(name)}
    older = {name: _to_openssl_cipher(name, subject) for name in requested - modern}
    if not older:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    if not modern:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    if (not older and not modern) or (not modern and details.min_version == "1.3"):
        raise ConfigError(f"{subject}: no usable cipher suite remains")
    if older:
        try:
            context.set_ciphers(":".join(sorted(older.values())))
        except ssl.SSLError:
            raise ConfigError(
                f"{subject}: {ssl.OPENSSL_VERSION} supports none of the cipher suites"
            ) from None
    offered = {cipher["name"] for cipher in context.get_ciphers()}
    missing = sorted(name for name, cipher in older.items() if cipher not in offered)
    if missing:
        raise ConfigError(f"{subject}: {ssl.OPENSSL_VERSION} does not support {missing[0]}")
    # Python cannot select individual TLS 1.3 cipher suites: either all are enabled, or none.
    known = {name for name in offered if _TLS_1_3_SUITE.fullmatch(name)}
    if modern and modern != known:
        raise ConfigError(
            f"{subject}: expected all TLS 1.3 cipher suites or none",
            hint=f"list all of {', '.join(sorted(known))}, or none of them",
        )


def _to_openssl_cipher(name: str, subject: str) -> str:
    """Return the OpenSSL name of a TLS 1.2 cipher suite."""
    if found := _CHACHA20.fullmatch(name):
        return f"ECDHE-{found['signature']}-CHACHA20-POLY1305"
    found = _AES.fullmatch(name)
    if found is None:
        raise ConfigError(f"{subject}: unknown cipher suite {name[:80]!r}")
    mode = "GCM" if found["mode"] == "GCM" else None
    parts = (found["exchange"], found["signature"], f"AES{found['bits']}", mode, found["hash"])
    return "-".join(filter(None, parts))
