"""Requests to Fulcio, which issues certificates, and to Rekor, which records signatures.

The user configures the URLs. Responses are untrusted, but no key verifies them here: a signature is
verified by the users of the image.

https://github.com/sigstore/fulcio/blob/main/fulcio.proto
https://github.com/sigstore/rekor/blob/main/openapi.yaml
"""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler.errors import BundlerError, MalformedError, RefusedRequestError
from bundler.oci.json.base64_strict import encode
from bundler.oci.json.table import Table
from bundler.trust.oidc.identity_token import find_token_subject
from bundler.trust.sigstore import certificates, pem
from bundler.trust.sigstore.logs import log_entry, rekor

if TYPE_CHECKING:
    from datetime import datetime

    from bundler.trust.sigstore.keys import SigningKey
    from bundler.trust.web_service import Reply, Send

_UUID = re.compile(r"[0-9a-f]{64,80}")


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A certificate of Fulcio for a key that is used once."""

    pem: bytes = field(repr=False)
    chain_pem: bytes = field(repr=False)
    """The intermediate certificates and the root."""
    expires: datetime


def request_certificate(send: Send, url: str, token: str, key: SigningKey) -> IssuedCertificate:
    """Request a certificate for ``key`` and the user that an OIDC identity token names.

    Raises:
        ConfigError: the token is malformed.
        RefusedRequestError: Fulcio refuses the request, or its response is malformed.
        RegistryError: there is no response.
    """
    subject = f"certificate from {url}"
    request = {
        "publicKey": {"content": encode(key.public.spki), "algorithm": "ecdsa"},
        "signedEmailAddress": encode(key.sign(find_token_subject(token).encode())),
    }
    reply = send(
        "POST",
        f"{url.rstrip('/')}/api/v1/signingCert",
        subject=subject,
        headers={"Authorization": f"Bearer {token}", "Accept": "application/pem-certificate-chain"},
        body=json.dumps(request).encode(),
    )
    if reply.status not in (200, 201):
        raise _create_refusal(reply, subject)
    with suppress(BundlerError):
        found = certificates.parse_certificates(reply.body, subject)
        if found and certificates.get_key(found[0]) == key.public:
            issued, *chain = map(certificates.get_pem, found)
            return IssuedCertificate(issued, b"".join(chain), found[0].not_valid_after_utc)
    raise RefusedRequestError(f"{subject}: the response is not a certificate for the key")


def record_signature(
    send: Send, url: str, verifier_pem: bytes, signature: bytes, payload: bytes
) -> rekor.Promise:
    """Record a signature in the log at ``url``; return the promise of its inclusion.

    Raises:
        RefusedRequestError: the log refuses the entry, or its response is about another one.
        RegistryError: there is no response.
    """
    subject = f"log entry in {url}"
    entries = f"{url.rstrip('/')}/api/v1/log/entries"
    digest = hashlib.sha256(payload).hexdigest()
    spec = {
        "data": {"hash": {"algorithm": "sha256", "value": digest}},
        "signature": {
            "content": encode(signature),
            "publicKey": {"content": encode(verifier_pem)},
        },
    }
    proposed = json.dumps({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": spec}).encode()
    reply = send("POST", entries, subject=subject, body=proposed)
    if reply.status == 409:  # it has been recorded before
        uuid = reply.location.rpartition("/")[2]
        if not _UUID.fullmatch(uuid):
            raise _create_refusal(reply, subject)
        reply = send("GET", f"{entries}/{uuid}", subject=subject)
    if reply.status not in (200, 201):
        raise _create_refusal(reply, subject)
    try:
        document = Table.parse(reply.body, subject)
        if len(document.value) != 1:  # the entry is a member named by its UUID
            raise MalformedError(f"{subject}: wrong number of entries")
        table = document.table(next(iter(document.value)))
        promised = table.table("verification").base64("signedEntryTimestamp")
        promise = rekor.Promise(rekor.parse_recorded_entry(table), promised)
        entry = log_entry.parse_log_entry(promise.entry.body)
        entry.check(pem.decode_block(verifier_pem), signature, payload)
    except BundlerError:
        raise RefusedRequestError(
            f"{subject}: the response is not an entry for the signature"
        ) from None
    return promise


def _create_refusal(reply: Reply, subject: str) -> RefusedRequestError:
    """Create the error for a response; services explain it in ``message``."""
    reason = ""
    with suppress(BundlerError):
        reason = Table.parse(reply.body, subject).optional_text("message") or ""
    safe = "".join(char if char.isprintable() else " " for char in reason[:200])
    return RefusedRequestError(
        f"{subject}: HTTP status {reply.status}{f': {safe}' if safe else ''}"
    )
