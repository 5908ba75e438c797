"""TLS contexts: every one is made here, and restricted to what a user allows of TLS.

Names are those of IANA's registries; OpenSSL has others for many of them.
"""

from __future__ import annotations

import platform
import re
import ssl
from typing import TYPE_CHECKING

from bundler.config.registry_access import ANY_DETAILS
from bundler.errors import ConfigError

if TYPE_CHECKING:
    from bundler.config.registry_access import TlsDetails

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_GROUPS = {
    "secp256r1": "prime256v1",
    "secp384r1": "secp384r1",
    "secp521r1": "secp521r1",
    "x25519": "X25519",
    "x448": "X448",
}
_OF_TLS_1_3 = re.compile(r"TLS_(?:AES|CHACHA20)_[A-Z0-9_]+")
_AES = re.compile(
    r"TLS_(?:(?P<exchange>ECDHE)_(?P<signature>ECDSA|RSA)|RSA)"
    r"_WITH_AES_(?P<bits>128|256)_(?P<mode>GCM|CBC)_(?P<hash>SHA[0-9]*)"
)
_CHACHA20 = re.compile(r"TLS_ECDHE_(?P<signature>ECDSA|RSA)_WITH_CHACHA20_POLY1305_SHA256")


def verifying_context(details: TlsDetails = ANY_DETAILS) -> ssl.SSLContext:
    """A client's context that trusts the system's authorities, alike on every Python.

    Python 3.13 and later verify more strictly than OpenSSL does by default, and refuse an
    authority without key usage, as a plain ``openssl req -x509`` makes it. They also take an
    authority that is not self-signed, as Go does.

    Raises:
        ConfigError: ``details`` cannot be kept.
    """
    context = ssl.create_default_context()
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    restrict(context, details)
    return context


def unverified_context(details: TlsDetails = ANY_DETAILS) -> ssl.SSLContext:
    """A client's context that takes any certificate.

    The system's authorities are not loaded: that takes longer than to pull a small image.

    Raises:
        ConfigError: ``details`` cannot be kept.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    restrict(context, details)
    return context


def restrict(context: ssl.SSLContext, details: TlsDetails) -> None:
    """Let ``context`` use nothing but what ``details`` allows.

    Raises:
        ConfigError: the OpenSSL or Python that runs here cannot be held to that.
    """
    if details.min_version is not None:
        context.minimum_version = _VERSIONS[details.min_version]
    if details.cipher_suites is not None:
        _restrict_ciphers(context, details)
    if details.named_groups is not None:
        _restrict_groups(context, details)


def _restrict_ciphers(context: ssl.SSLContext, details: TlsDetails) -> None:
    what = f"{details.origin}: cipherSuites"
    wanted = set(details.cipher_suites or ())
    modern = {name for name in wanted if _OF_TLS_1_3.fullmatch(name)}
    older = {name: _cipher(name, what) for name in wanted - modern}
    if not older:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    if not modern:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    if (not older and not modern) or (not modern and details.min_version == "1.3"):
        raise ConfigError(f"{what}: no cipher suite is left to use")
    if older:
        try:
            context.set_ciphers(":".join(sorted(older.values())))
        except ssl.SSLError:
            raise ConfigError(f"{what}: {ssl.OPENSSL_VERSION} has none of them") from None
    offered = {cipher["name"] for cipher in context.get_ciphers()}
    missing = sorted(name for name, cipher in older.items() if cipher not in offered)
    if missing:
        raise ConfigError(f"{what}: {ssl.OPENSSL_VERSION} has no {missing[0]}")
    # Python has no call for the suites of TLS 1.3: it is all of them, or none.
    known = {name for name in offered if _OF_TLS_1_3.fullmatch(name)}
    if modern and modern != known:
        raise ConfigError(
            f"{what}: of TLS 1.3 this program can use all cipher suites or none",
            hint=f"name all of {', '.join(sorted(known))}, or none of them",
        )


def _cipher(name: str, what: str) -> str:
    """OpenSSL's name of a cipher suite of TLS 1.2."""
    if found := _CHACHA20.fullmatch(name):
        return f"ECDHE-{found['signature']}-CHACHA20-POLY1305"
    found = _AES.fullmatch(name)
    if found is None:
        raise ConfigError(f"{what}: {name[:80]!r} is not a cipher suite that is known here")
    mode = "GCM" if found["mode"] == "GCM" else None
    parts = (found["exchange"], found["signature"], f"AES{found['bits']}", mode, found["hash"])
    return "-".join(filter(None, parts))


def _restrict_groups(context: ssl.SSLContext, details: TlsDetails) -> None:
    what = f"{details.origin}: namedGroups"
    names = details.named_groups or ()
    if len(names) != 1:
        raise ConfigError(
            f"{what}: this program can hold TLS to one group, not to {len(names)}",
            hint="name one of them, such as secp256r1",
        )
    # Some ssl modules (Debian 12's among them) raise SSLError for each group that is not a curve
    # in Weierstrass form, such as X25519, although OpenSSL has it.
    try:
        context.set_ecdh_curve(_GROUPS.get(names[0].casefold(), names[0]))
    except ssl.SSLError:
        raise ConfigError(
            f"{what}: Python {platform.python_version()} cannot restrict TLS to {names[0][:80]!r}",
            hint="specify secp256r1, secp384r1 or secp521r1, or use a newer Python",
        ) from None
    except ValueError:
        raise ConfigError(f"{what}: {ssl.OPENSSL_VERSION} has no {names[0][:80]!r}") from None
