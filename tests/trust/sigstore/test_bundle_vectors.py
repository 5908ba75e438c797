"""Bundles that were signed with the public instances of sigstore, verified offline."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bundler.errors import ConfigError, LimitError, SigstoreSignatureError
from bundler.trust.sigstore.bundle import parse_bundle
from bundler.trust.sigstore.certificates import OidcIdentity
from bundler.trust.sigstore.trusted_root import parse_trusted_root, read_trusted_root
from bundler.trust.sigstore.verify_bundle import verify_by_identity

VECTORS = Path(__file__).parent / "vectors" / "bundles"
STAGING = read_trusted_root(VECTORS / "staging.trusted_root.json")
PRODUCTION = read_trusted_root(VECTORS / "production.trusted_root.json")
GITHUB = "https://github.com/login/oauth"
ACCEPTED = [
    ("bundle.txt", ".sigstore", "a@tny.town"),
    ("bundle_v3.txt", ".sigstore", "william@yossarian.net"),
    ("staging-rekor-v2.txt", ".sigstore.json", "jku@goto.fi"),
]


def load(name, end):
    return parse_bundle((VECTORS / f"{name}{end}").read_bytes()), (VECTORS / name).read_bytes()


def verify(name, end, subject, root=STAGING, change=lambda bundle: bundle, **options):
    bundle, artifact = load(name, end)
    return verify_by_identity(
        change(bundle), artifact, OidcIdentity(GITHUB, subject), root, **options
    )


def refuse(problem, *arguments, **options):
    with pytest.raises(SigstoreSignatureError) as caught:
        verify(*arguments, **options)
    assert caught.value.problem == problem, caught.value.message


@pytest.mark.parametrize(("name", "end", "subject"), ACCEPTED)
def test_bundle_is_accepted_for_its_signer(name, end, subject):
    """Versions 0.1 and 0.3 with promises, and an entry of Rekor 2 with a timestamp."""
    found = verify(name, end, subject)
    assert found.statement is None
    assert len(found.times) == 1


@pytest.mark.parametrize(("name", "end", "subject"), ACCEPTED)
def test_bundle_is_refused_for_other_instance(name, end, subject):
    refuse("log", name, end, subject, PRODUCTION)


@pytest.mark.parametrize(("name", "end", "subject"), ACCEPTED)
def test_bundle_is_refused_for_other_subject(name, end, subject):
    refuse("subject", name, end, subject.upper())


@pytest.mark.parametrize(("name", "end", "subject"), ACCEPTED)
def test_bundle_is_refused_for_other_artifact(name, end, subject):
    bundle, artifact = load(name, end)
    with pytest.raises(SigstoreSignatureError, match="about another content"):
        verify_by_identity(bundle, artifact + b"x", OidcIdentity(GITHUB, subject), STAGING)


@pytest.mark.parametrize(("name", "end", "subject"), ACCEPTED)
def test_bundle_is_refused_without_trusted_certificate_log(name, end, subject):
    others = tuple(replace(log, ids=(b"other",)) for log in STAGING.certificate_logs)
    refuse("certificate", name, end, subject, replace(STAGING, certificate_logs=others))


@pytest.mark.parametrize(("name", "end", "subject"), ACCEPTED)
def test_bundle_is_refused_by_other_authority(name, end, subject):
    root = replace(STAGING, authorities=PRODUCTION.authorities)
    refuse("certificate", name, end, subject, root)
    refuse("certificate", name, end, subject, replace(STAGING, authorities=()))


def test_entry_of_other_artifact_is_refused():
    """CVE-2022-36056: the entry of the log is genuine, but is about another signature."""
    refuse("log", "bundle_cve_2022_36056.txt", ".sigstore", "william@yossarian.net")


def test_bundle_without_trusted_time_is_refused():
    """The proof of inclusion does not cover the time of the entry."""
    refuse(
        "timestamp",
        "bundle_v3_no_signed_time.txt",
        ".sigstore.json",
        "william@yossarian.net",
        PRODUCTION,
    )


REKOR_2 = ACCEPTED[2]


def test_timestamp_of_other_authority_is_refused():
    refuse("timestamp", *REKOR_2, replace(STAGING, timestamp_authorities=()))
    refuse(
        "timestamp",
        *REKOR_2,
        replace(STAGING, timestamp_authorities=PRODUCTION.timestamp_authorities),
    )


def test_timestamp_of_other_signature_is_refused():
    other = load(*REKOR_2[:2])[0].timestamps
    name = ACCEPTED[1]
    refuse("timestamp", *name, change=lambda bundle: replace(bundle, timestamps=other))


@pytest.mark.parametrize("token", [b"", b"\x30\x00", b"x" * 100, b"\x30\x84" + b"\xff" * 4])
def test_malformed_timestamp_is_refused(token):
    refuse("timestamp", *REKOR_2, change=lambda bundle: replace(bundle, timestamps=(token,)))


def test_every_altered_byte_of_timestamp_is_refused():
    """A valid token may differ in a few bytes that neither sign nor state anything."""
    token = load(*REKOR_2[:2])[0].timestamps[0]
    accepted = 0
    for index in range(0, len(token), 7):
        altered = bytearray(token)
        altered[index] ^= 1
        try:
            found = verify(
                *REKOR_2,
                change=lambda bundle, altered=altered: replace(
                    bundle, timestamps=(bytes(altered),)
                ),
            )
        except SigstoreSignatureError:
            continue
        assert found.times == verify(*REKOR_2).times
        accepted += 1
    assert accepted <= 3


def test_statement_of_other_type_or_artifact_is_refused():
    bundle = parse_bundle((VECTORS / "provenance.sigstore.json").read_bytes())
    identity = OidcIdentity(
        "https://token.actions.githubusercontent.com",
        "https://github.com/sigstore/sigstore-js/.github/workflows/release.yml@refs/heads/main",
    )
    problems = []
    for kind in ("https://slsa.dev/provenance/v1", "https://spdx.dev/Document"):
        with pytest.raises(SigstoreSignatureError) as caught:
            verify_by_identity(bundle, b"", identity, PRODUCTION, predicate_type=kind)
        problems.append(caught.value.problem)
    assert sorted(problems) == ["digest", "payload"]


@pytest.mark.parametrize(
    "change",
    [
        lambda root: root.update(mediaType="other"),
        lambda root: root.update(tlogs={}),
        lambda root: root["certificateAuthorities"][0]["certChain"].update(certificates=[]),
        lambda root: root["certificateAuthorities"][0]["certChain"].update(
            certificates=[{"rawBytes": "AAAA"}]
        ),
        lambda root: root["tlogs"][0]["publicKey"]["validFor"].update(start="today"),
        lambda root: root["tlogs"][0].update(baseUrl="https://[x"),
        lambda root: root.update(ctlogs=[{}] * 1000),
    ],
    ids=range(7),
)
def test_malformed_trusted_root_is_a_configuration_error(change):
    document = json.loads((VECTORS / "production.trusted_root.json").read_bytes())
    change(document)
    with pytest.raises((ConfigError, LimitError)):
        parse_trusted_root(json.dumps(document).encode(), Path("trusted_root.json"))


def test_log_with_unsupported_key_is_not_trusted():
    document = json.loads((VECTORS / "production.trusted_root.json").read_bytes())
    document["tlogs"][0]["publicKey"]["rawBytes"] = "AAAA"
    root = parse_trusted_root(json.dumps(document).encode(), Path("trusted_root.json"))
    assert root.logs == ()
