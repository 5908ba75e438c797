"""Trust policies and trust stores of notation, identities included."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives import serialization

from bundler.errors import ConfigError, TrustError
from bundler.trust.notation.identity import check_identity, parse_identity
from bundler.trust.notation.trust_policy import read_trust_policy
from bundler.trust.notation.trust_store import read_stores
from tests.fakes import notation as fake
from tests.fakes.notation import ROOT

STATEMENT = {
    "name": "all",
    "registryScopes": ["*"],
    "signatureVerification": {"level": "strict"},
    "trustStores": ["ca:corp"],
    "trustedIdentities": ["x509.subject: C=US, ST=WA, O=Example"],
}


@pytest.fixture
def read(tmp_path):
    def run(*statements, version="1.0", **members):
        path = tmp_path / "trustpolicy.json"
        document = {"version": version, "trustPolicies": list(statements), **members}
        path.write_text(json.dumps(fake.merge(document, {})))
        return read_trust_policy(path)

    return run


def test_exact_scope_precedes_the_global_one(read):
    exact = STATEMENT | {
        "name": "exact",
        "registryScopes": ["corp.org/a", "corp.org:5000/b"],
    }
    policy = read(STATEMENT, exact)
    assert policy.find_statement("corp.org/a").name == "exact"
    assert policy.find_statement("corp.org:5000/b").name == "exact"
    assert policy.find_statement("corp.org/a/b").name == "all"
    with pytest.raises(TrustError):
        read(exact).find_statement("corp.org/c")


def test_statement_that_requires_nothing_is_not_met(read):
    skip = {"name": "s", "registryScopes": ["*"], "signatureVerification": {"level": "skip"}}
    with pytest.raises(TrustError):
        read(skip).find_statement("corp.org/a")


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": None},
        {"registryScopes": None},
        {"registryScopes": []},
        {"registryScopes": ["*", "corp.org/a"]},
        {"registryScopes": ["corp.org/*"]},
        {"registryScopes": ["corp.org/a:1"]},
        {"registryScopes": ["corp.org/a", "corp.org/a"]},
        {"registryScopes": ["busybox"]},
        {"registryScopes": ["https://corp.org/a"]},
        {"registryScopes": "*"},
        {"signatureVerification": None},
        {"signatureVerification": {}},
        {"signatureVerification": {"level": "Strict"}},
        {"signatureVerification": {"level": "strict", "verifyTimestamp": "never"}},
        {"signatureVerification": {"level": "strict", "override": {"expiry": 1}}},
        {"signatureVerification": {"level": "strict", "overrides": {}}},
        {"signatureVerification": {"level": "skip"}},
        {"trustStores": None},
        {"trustStores": []},
        {"trustStores": ["corp"]},
        {"trustStores": ["CA:corp"]},
        {"trustStores": ["ca:"]},
        {"trustStores": ["ca:.."]},
        {"trustStores": ["ca:../../etc"]},
        {"trustStores": ["x509:corp"]},
        {"trustedIdentities": None},
        {"trustedIdentities": []},
        {"trustedIdentities": ["*", "*"]},
        {"trustedIdentities": ["x509.subject"]},
        {"trustedIdentities": ["x509.subject:"]},
        {"trustedIdentities": ["x509.subject: C=US, ST=WA"]},
        {"trustedIdentities": ["plugin.identity: me"]},
        {"trustedIdentities": ["x509.subject: C=US, ST=WA, O=A",
                               "x509.subject: C=US, ST=WA, O=A, OU=B"]},
        {"trustedIdentities": ["x509.subject: C=US, ST=WA, O=A"] * 2},
        {"trustedIdentities": [f"x509.subject: C=US, ST=WA, O={n}" for n in range(101)]},
        {"globalPolicy": True},
    ],
)  # fmt: skip
def test_invalid_statement_is_refused(read, changes):
    with pytest.raises(ConfigError) as raised:
        read(fake.merge(STATEMENT, changes))
    assert raised.value.path.endswith("trustpolicy.json")


@pytest.mark.parametrize(
    ("statements", "members"),
    [
        ((), {}),
        ((STATEMENT, STATEMENT), {}),
        ((STATEMENT, STATEMENT | {"name": "other"}), {}),
        ((STATEMENT, STATEMENT | {"registryScopes": ["corp.org/a"]}), {}),
        ((STATEMENT,), {"version": "2.0"}),
        ((STATEMENT,), {"version": None}),
        ((STATEMENT,), {"trustpolicies": []}),
    ],
)
def test_invalid_document_is_refused(read, statements, members):
    with pytest.raises(ConfigError):
        read(*statements, **members)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("C=US, ST=WA, O=a", ["US", "WA", "a"]),
        (" C=US,S=WA,O=a b ", ["US", "WA", "a b"]),
        (r"C=US, ST=WA, O=a\, b\; \\ c", ["US", "WA", r"a, b; \ c"]),
        (r"C=US, ST=WA, O=a\ ", ["US", "WA", "a "]),
        (r"C=US, ST=WA, O=\C3\A9", ["US", "WA", "é"]),
        ("C=US, ST=WA, O=a, CN=x = y", ["US", "WA", "a", "x = y"]),
        ("C = US; ST = WA ;O =a ", ["US", "WA", "a"]),
    ],
)
def test_identity_is_parsed(text, values):
    assert list(parse_identity(text).values()) == values


@pytest.mark.parametrize(
    "text",
    [
        "",
        "C=US",
        "C=US, ST=WA, O=",
        "C=US, ST=WA, O=a,",
        "C=US, ST=WA, O=a, O=b",
        "C=US, ST=WA, S=WA, O=a",
        "C=US, ST=WA, O=a+OU=b",
        "C=US, ST=WA, O=a, c=x",
        "C=US, ST=WA, O=a, 2.5.4.3=x",
        "C=US, ST=WA, O=a, E=x",
        "C=US, ST=WA, O=a; cn=x",
        "C=USA, ST=WA, O=a",
        "C=US, ST=WA, O=a\\",
        "C=US, ST=WA, O=#04024869",
        "C=US" * 10_000,
        "\\" * 10_001,
    ],
)
def test_malformed_identity_is_refused(text):
    with pytest.raises(ValueError):
        parse_identity(text)


@pytest.mark.parametrize("more", [{"C": ""}, {"O": ""}])
def test_subject_without_required_attribute_has_no_identity(more):
    name = fake.subject("builder")
    kept = [item for item in name if item.rfc4514_attribute_name not in more]
    with pytest.raises(TrustError):
        check_identity(type(name)(kept), [parse_identity("C=US, ST=WA, O=Example")])


@pytest.fixture
def store(tmp_path):
    def run(kind="ca", **files):
        folder = tmp_path / "x509" / kind / "corp"
        folder.mkdir(parents=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
        return read_stores(tmp_path, [(kind, "corp")])

    run.folder = tmp_path / "x509/ca/corp"
    return run


def encode(signer, form="PEM"):
    return signer.certificate.public_bytes(getattr(serialization.Encoding, form))


def test_certificates_are_read_in_both_forms(store):
    other = fake.create_root("other")
    found = store(a=encode(ROOT) + encode(other), b=encode(fake.create_root(), "DER"))
    assert [item.name for item in found] == ["corp"] * 3


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"a": b""},
        {"a": b"text"},
        {"a": encode(ROOT), "b": b"text"},
        {"a": encode(fake.create_signer())},
        {"a": encode(ROOT)[:-50]},
    ],
)
def test_store_with_anything_else_is_refused(store, files):
    with pytest.raises(ConfigError):
        store(**files)


def test_intermediate_authority_is_no_root_of_timestamps(store):
    middle = fake.create_signer().issuer
    with pytest.raises(ConfigError):
        store("tsa", a=encode(middle))


@pytest.mark.parametrize("kind", ["directory", "link", "linked store", "missing"])
def test_links_and_directories_are_refused(store, tmp_path, kind):
    folder = store.folder
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a").write_bytes(encode(ROOT))
    folder.parent.mkdir(parents=True)
    match kind:
        case "directory":
            (folder / "more").mkdir(parents=True)
        case "link":
            folder.mkdir()
            (folder / "a").symlink_to(elsewhere / "a")
        case "linked store":
            folder.symlink_to(elsewhere)
    with pytest.raises(ConfigError):
        read_stores(tmp_path, [("ca", "corp")])
