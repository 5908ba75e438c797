"""Altered bytes of signatures and their evidence are refused, and raise no other error."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest
from cryptography import x509
from hypothesis import given, strategies as st

from bundler.errors import SigstoreSignatureError
from bundler.oci.digest import Digest
from bundler.oci.signature import (
    BUNDLE_ANNOTATION,
    CERTIFICATE_ANNOTATION,
    SIGNATURE_ANNOTATION,
)
from bundler.trust.sigstore import certificates, keys
from bundler.trust.sigstore.attachments.attachment import TrustedFulcio, verify_attachment
from bundler.trust.sigstore.attachments.payload import parse_payload
from bundler.trust.sigstore.bundle import parse_bundle, sign_artifact
from bundler.trust.sigstore.certificates import Authority, OidcIdentity
from bundler.trust.sigstore.dsse import parse_statement, sign_envelope
from bundler.trust.sigstore.logs.log_entry import parse_log_entry
from bundler.trust.sigstore.logs.rekor import parse_annotation
from bundler.trust.sigstore.verify_bundle import verify_by_key
from tests.fakes import sigstore as fake

# cryptography warns about serial numbers that are not positive, before it refuses the chain.
pytestmark = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")

MANIFEST = b'{"schemaVersion":2}'
DIGEST = Digest.of(MANIFEST)
FULCIO = fake.FakeFulcio()
LOG = fake.FakeLog()
PRIVATE = fake.create_key()
TRUST = TrustedFulcio(
    Authority((FULCIO.root,)),
    OidcIdentity(fake.ISSUER, fake.EMAIL),
    (keys.accept_public_key(LOG.key.public_key(), "log"),),
)


def keyless(certificate=None, chain=FULCIO.chain_pem):
    certificate = certificate or FULCIO.issue(PRIVATE)
    return fake.attach(PRIVATE, DIGEST, certificate=certificate, chain=chain, log=LOG)


def is_accepted(signature) -> bool:
    """Return the verdict; an error of any other kind fails the test."""
    try:
        verify_attachment(signature, TRUST, MANIFEST, fake.NOW)
    except SigstoreSignatureError:
        return False
    return True


def flip_each(data: bytes):
    for index in range(len(data)):
        altered = bytearray(data)
        altered[index] ^= 1 << index % 8
        yield index, bytes(altered)


def annotate(signature, name, text):
    return replace(signature, annotations={**signature.annotations, name: text})


@pytest.mark.parametrize(
    ("name", "decode"),
    [(SIGNATURE_ANNOTATION, base64.b64decode), (BUNDLE_ANNOTATION, parse_annotation)],
)
def test_every_altered_byte_of_annotation_is_refused(name, decode):
    """The last digit of base64 may have unused bits, which do not change the content."""
    signature = keyless()
    assert is_accepted(signature)
    text = signature.annotations[name]
    for _, altered in flip_each(text.encode()):
        changed = altered.decode("latin-1")
        if is_accepted(annotate(signature, name, changed)):
            assert decode(altered) == decode(text.encode())


def test_every_altered_byte_of_certificate_is_refused():
    """The log recorded the altered certificate, so that only the chain is left to refuse it."""
    original = FULCIO.issue(PRIVATE)
    assert is_accepted(keyless(original))
    for _, altered in flip_each(fake.der(original)):
        try:
            certificate = x509.load_der_x509_certificate(altered)
        except (ValueError, x509.InvalidVersion):
            continue
        assert not is_accepted(keyless(certificate))


def test_every_altered_byte_of_intermediate_certificate_is_refused():
    original = FULCIO.issue(PRIVATE)
    for _, altered in flip_each(fake.der(FULCIO.intermediate)):
        chain = b"-----BEGIN CERTIFICATE-----\n%s-----END CERTIFICATE-----\n" % base64.encodebytes(
            altered
        )
        assert not is_accepted(keyless(original, chain + fake.pem(FULCIO.root)))


def test_every_altered_byte_of_pem_raises_no_other_error():
    signature = keyless()
    text = signature.annotations[CERTIFICATE_ANNOTATION].encode()
    for _, altered in flip_each(text):
        is_accepted(annotate(signature, CERTIFICATE_ANNOTATION, altered.decode("latin-1")))


@pytest.mark.parametrize("envelope", [False, True])
def test_every_altered_byte_of_key_bundle_is_refused_or_means_nothing(envelope):
    """The hint and the stated digest are not used, so their content is free."""
    key = keys.generate_signing_key()
    if envelope:
        from bundler.trust.sigstore import bundle, dsse  # noqa: PLC0415 - only here

        statement = dsse.Statement("https://sigstore.dev/cosign/sign/v1", ({"sha256": DIGEST.hex},))
        signed = sign_envelope(key, dsse.IN_TOTO, statement.to_bytes())
        raw = bundle.create_key_bundle(key.public, signed)
    else:
        raw = sign_artifact(key, MANIFEST)
    original = parse_bundle(raw)
    verify_by_key(original, MANIFEST, [key.public])
    for _, altered in flip_each(raw):
        try:
            parsed = parse_bundle(altered)
            verify_by_key(parsed, MANIFEST, [key.public])
        except SigstoreSignatureError:
            continue
        assert replace(parsed, key_hint=original.key_hint) == original


PARSERS = [
    parse_bundle,
    parse_payload,
    parse_log_entry,
    parse_annotation,
    lambda raw: certificates.parse_certificate(raw, "certificate"),
    lambda raw: parse_statement(sign_envelope(KEY, "application/vnd.in-toto+json", raw)),
]
KEY = keys.generate_signing_key()
MEMBERS = (
    "critical optional type image identity mediaType kind verificationMaterial messageSignature"
    " dsseEnvelope payload spec SignedEntryTimestamp Payload body integratedTime apiVersion"
    " tlogEntries publicKey certificate signatures subject digest"
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(MEMBERS.split()), inner, max_size=5)
    ),
    max_leaves=12,
)


@given(document=JSON)
def test_any_document_is_refused_without_another_error(document):
    raw = json.dumps(document).encode()
    for parse in PARSERS:
        with pytest.raises(SigstoreSignatureError):
            parse(raw)


@given(raw=st.binary(max_size=200))
def test_any_bytes_are_refused_without_another_error(raw):
    for parse in PARSERS:
        with pytest.raises(SigstoreSignatureError):
            parse(raw)
