"""Load the keys and certificates that a ``sigstoreSigned`` requirement of policy.json names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bundler.config import config_file
from bundler.config.policy_json import Fulcio, Keys, Pki
from bundler.errors import ConfigError
from bundler.trust.sigstore.attachments.attachment import SigstoreKeys, TrustedFulcio, TrustedPki
from bundler.trust.sigstore.keys import parse_public_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cryptography import x509

    from bundler.config.policy_json import SigstoreSigned
    from bundler.trust.sigstore.attachments.attachment import AttachmentTrust


def load_trust(requirement: SigstoreSigned) -> AttachmentTrust:
    """Read the files of a requirement, and parse its keys and certificates.

    Raises:
        ConfigError: a file cannot be read, or does not contain a key or certificates.
        UnsupportedError: the algorithm, the curve or the size of a key is not accepted.
    """
    log_keys = []
    for pem, subject in _read_all(requirement.rekor):
        key = parse_public_key(pem, subject)
        if key.algorithm != "ecdsa":
            raise ConfigError(f"{subject}: the key of a log must be an ECDSA key", path=subject)
        log_keys.append(key)
    if isinstance(requirement.signer, Keys):
        loaded = [parse_public_key(pem, subject) for pem, subject in _read_all(requirement.signer)]
        return SigstoreKeys(tuple(loaded), tuple(log_keys))
    from bundler.trust.sigstore.certificates import (  # noqa: PLC0415 - loads x509, not for keys
        Authority,
        OidcIdentity,
        PkiIdentity,
    )

    match requirement.signer:
        case Fulcio() as fulcio:
            identity = OidcIdentity(fulcio.oidc_issuer, fulcio.subject_email)
            return TrustedFulcio(Authority(_load(fulcio.authority)), identity, tuple(log_keys))
        case Pki() as pki:
            authority = Authority(_load(pki.roots), _load(pki.intermediates))
            return TrustedPki(authority, PkiIdentity(pki.subject_hostname, pki.subject_email))


def _load(keys: Keys) -> tuple[x509.Certificate, ...]:
    from bundler.trust.sigstore.certificates import (  # noqa: PLC0415 - as above
        load_trusted_certificates,
    )

    return tuple(
        certificate
        for pem, subject in _read_all(keys)
        for certificate in load_trusted_certificates(pem, subject)
    )


def _read_all(keys: Keys) -> Iterator[tuple[bytes, str]]:
    """Yield the content of each file or inline item, and its name in messages."""
    for path in keys.paths:
        yield config_file.read(Path(path), required=True), path
    for number, data in enumerate(keys.data, 1):
        yield data, f"inline key {number} of policy.json"
