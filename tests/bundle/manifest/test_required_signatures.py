"""``verify`` and ``onMissing`` in a bundle manifest and with its lock file."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bundler.bundle.manifest import load
from bundler.bundle.manifest.expand import expand
from bundler.bundle.manifest.lockfile import restore_options
from bundler.copy.signature_requirements import (
    IdentitySignature,
    KeySignature,
    NotationSignature,
    PolicySignature,
)
from bundler.errors import ConflictError, InvalidBundleManifestError

IMAGE = "registry.corp/app:1"


@pytest.fixture
def read(tmp_path):
    for name in ("a.pub", "b.pub", "root.json", "policy.json", "trustpolicy.json"):
        (tmp_path / name).write_text("content")
    (tmp_path / "truststore").mkdir()

    def read_text(text):
        path = tmp_path / "signed.yaml"
        path.write_text(text)
        return load.load(path, environment={})

    return read_text


def requests(manifest):
    return expand(manifest, lambda _: [])


def test_requirements_of_every_kind_are_read(read, tmp_path):
    manifest = read(
        f"images:\n- ref: {IMAGE}\n  verify:\n  - key: [a.pub, ./b.pub]\n"
        "  - {issuer: https://idp, identity: ci@corp, trustedRoot: root.json}\n"
        "  - policy: policy.json\n"
        "  - notation: {policy: trustpolicy.json, trustStore: ./truststore}\n"
    )
    [request] = requests(manifest)
    assert request.verify == (
        KeySignature((tmp_path / "a.pub", tmp_path / "b.pub")),
        IdentitySignature("https://idp", "ci@corp", tmp_path / "root.json"),
        PolicySignature(tmp_path / "policy.json"),
        NotationSignature(tmp_path / "trustpolicy.json", tmp_path / "truststore"),
    )
    assert request.on_missing == "fail"


def test_entry_replaces_the_requirements_of_the_defaults(read):
    manifest = read(
        "defaults:\n  verify: [{key: a.pub}]\n  onMissing: warn\nimages:\n"
        f"- {IMAGE}\n- ref: registry.corp/b:1\n  verify: []\n"
        "- ref: registry.corp/c:1\n  verify: [{key: b.pub}]\n  onMissing: fail\n"
    )
    first, second, third = requests(manifest)
    assert (first.verify[0].files[0].name, first.on_missing) == ("a.pub", "warn")
    assert second.verify == ()
    assert (third.verify[0].files[0].name, third.on_missing) == ("b.pub", "fail")


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        ("{}", "exactly one of"),
        ("{key: a.pub, policy: policy.json}", "exactly one of"),
        ("{key: missing.pub}", "no such file"),
        ("{key: []}", "empty"),
        ("{key: ''}", "got nothing"),
        ("{issuer: https://idp, identity: ci@corp}", "trustedRoot"),
        ("{key: a.pub, issuer: https://idp}", "`issuer` requires"),
        ("{notation: {}}", "`policy` is missing"),
        ("{notation: {policy: trustpolicy.json}}", "`trustStore` is missing"),
        ("{notation: {policy: missing.json, trustStore: truststore}}", "no such file"),
        ("{notation: {policy: trustpolicy.json, trustStore: missing}}", "no such file"),
        ("{notation: {policy: [trustpolicy.json], trustStore: truststore}}", "expected"),
        ("{notation: {policy: '', trustStore: truststore}}", "got nothing"),
        ("{notation: {policy: trustpolicy.json, store: truststore}}", "unknown key `store`"),
        ("{notation: trustpolicy.json}", "a mapping with `policy` and `trustStore`"),
        ("{notation: null}", "expected"),
        (
            "{key: a.pub, notation: {policy: trustpolicy.json, trustStore: truststore}}",
            "exactly one of",
        ),
        ("a.pub", "expected"),
        ("null", "expected"),
    ],
)
def test_invalid_requirement_is_refused(read, item, problem):
    with pytest.raises(InvalidBundleManifestError, match=r"signed\.yaml:") as raised:
        read(f"images:\n- ref: {IMAGE}\n  verify:\n  - {item}\n")
    assert problem in raised.value.message


@pytest.mark.parametrize("member", ["verify: null", "verify: a.pub", "onMissing: ignore"])
def test_invalid_member_is_refused(read, member):
    with pytest.raises(InvalidBundleManifestError):
        read(f"images:\n- ref: {IMAGE}\n  {member}\n")


def test_same_image_with_other_requirements_is_a_conflict(read):
    manifest = read(f"images:\n- {IMAGE}\n- ref: {IMAGE}\n  verify: [{{key: a.pub}}]\n")
    with pytest.raises(ConflictError, match="verify"):
        requests(manifest)


def test_locked_image_keeps_the_requirements_of_its_entry(read):
    manifest = read(f"images:\n- ref: {IMAGE}\n  verify: [{{key: a.pub}}]\n")
    [request] = requests(manifest)
    locked = replace(request, verify=(), on_missing="warn", signatures="none")
    [restored] = restore_options([locked], manifest)
    assert (restored.verify, restored.on_missing) == (request.verify, "fail")
    assert restored.signatures == "applicable"


@pytest.mark.parametrize("origin", ["", "signed.yaml:99"])
def test_locked_image_without_an_entry_is_refused(read, origin):
    """Otherwise, its requirements would be lost."""
    manifest = read(f"images:\n- ref: {IMAGE}\n  verify: [{{key: a.pub}}]\n")
    [request] = requests(manifest)
    with pytest.raises(ConflictError):
        restore_options([replace(request, origin=origin)], manifest)
