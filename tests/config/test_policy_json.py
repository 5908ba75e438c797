"""Strict reader of policy.json."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from bundler.config.policy_json import (
    Fulcio,
    InsecureAcceptAnything,
    Keys,
    Pki,
    Policy,
    Reject,
    SignedBy,
    SignedIdentity,
    SigstoreSigned,
    load,
    parse,
)
from bundler.errors import ConfigError, PolicyFileError

if TYPE_CHECKING:
    from tests.config.world import World

KEY = base64.b64encode(b"a key").decode()
ANYTHING = {"type": "insecureAcceptAnything"}
REKOR = {"rekorPublicKeyPath": "/rekor.pub"}
FULCIO = {"caPath": "/ca.pem", "oidcIssuer": "https://login", "subjectEmail": "a@b.c"}
PKI = {"caRootsPath": "/roots.pem", "subjectHostname": "h"}


def policy(*requirements: Any, **transports: Any) -> Policy:
    document = {"default": list(requirements), "transports": transports}
    return parse(json.dumps(document).encode(), "policy.json")


def gpg(**members: Any) -> dict[str, Any]:
    return {"type": "signedBy", "keyType": "GPGKeys", **members}


def sigstore(**members: Any) -> dict[str, Any]:
    return {"type": "sigstoreSigned", **members}


def test_requirements_are_parsed_by_scope() -> None:
    found = policy(
        {"type": "reject"}, docker={"": [ANYTHING], "a.b/c": [ANYTHING, {"type": "reject"}]}
    )
    assert found.default == (Reject(),)
    anything = InsecureAcceptAnything()
    assert found.transports["docker"] == {"": (anything,), "a.b/c": (anything, Reject())}


@pytest.mark.parametrize(
    ("requirement", "read"),
    [
        (gpg(keyPath="/k"), SignedBy("GPGKeys", Keys(("/k",)))),
        (gpg(keyPaths=["/k", "/l"]), SignedBy("GPGKeys", Keys(("/k", "/l")))),
        (gpg(keyData=KEY), SignedBy("GPGKeys", Keys(data=(b"a key",)))),
        (sigstore(keyDatas=[KEY]), SigstoreSigned(Keys(data=(b"a key",)))),
        (sigstore(keyPath="/k", **REKOR), SigstoreSigned(Keys(("/k",)), Keys(("/rekor.pub",)))),
        (
            sigstore(fulcio=FULCIO, **REKOR),
            SigstoreSigned(
                Fulcio(Keys(("/ca.pem",)), "https://login", "a@b.c"), Keys(("/rekor.pub",))
            ),
        ),
        (sigstore(pki=PKI), SigstoreSigned(Pki(Keys(("/roots.pem",)), subject_hostname="h"))),
    ],
)
def test_signature_requirements_are_parsed(requirement: Any, read: object) -> None:
    assert policy(requirement).default == (read,)


@pytest.mark.parametrize(
    ("identity", "read"),
    [
        ({"type": "matchExact"}, SignedIdentity("matchExact")),
        ({"type": "matchRepository"}, SignedIdentity("matchRepository")),
        (
            {"type": "exactReference", "dockerReference": "busybox:1"},
            SignedIdentity("exactReference", "docker.io/library/busybox:1"),
        ),
        (
            {"type": "exactRepository", "dockerRepository": "a.b/c"},
            SignedIdentity("exactRepository", "a.b/c"),
        ),
        (
            {"type": "remapIdentity", "prefix": "mirror:5000", "signedPrefix": "vendor.com/x"},
            SignedIdentity("remapIdentity", prefix="mirror:5000", signed_prefix="vendor.com/x"),
        ),
    ],
)
def test_signed_identities_are_parsed(identity: Any, read: SignedIdentity) -> None:
    found = policy(gpg(keyPath="/k", signedIdentity=identity)).default[0]
    assert isinstance(found, SignedBy)
    assert found.identity == read


@pytest.mark.parametrize(
    ("requirement", "problem"),
    [
        ({"type": "trustMe"}, "unknown requirement type 'trustMe'"),
        ({}, "unknown requirement type"),
        ({"Type": "reject"}, "unknown requirement type"),
        ("reject", "not an object"),
        ({"type": "reject", "keyPath": "/k"}, "unknown key 'keyPath'"),
        (gpg(), "exactly one of keyPath, keyPaths, keyData"),
        (gpg(keyPath="/k", keyData=KEY), "mutually exclusive"),
        (gpg(keyPaths=[]), "keyPaths is empty"),
        (gpg(keyPath=""), "keyPath is missing or empty"),
        (gpg(keyData="!"), "not valid base64"),
        (gpg(keyPath="/k", keyType="none"), "keyType is not one of"),
        (sigstore(), "exactly one of"),
        (sigstore(keyPath="/k", pki=PKI), "exactly one of"),
        (sigstore(fulcio=FULCIO), "fulcio requires rekorPublicKeyPath"),
        (sigstore(fulcio={**FULCIO, "subjectEmail": ""}, **REKOR), "subjectEmail is missing"),
        (sigstore(pki={"caRootsPath": "/r"}), "at least one of subjectHostname"),
        (sigstore(pki=PKI, **REKOR), "mutually exclusive"),
        (gpg(keyPath="/k", signedIdentity={"type": "any"}), "unknown signedIdentity type"),
        (
            gpg(keyPath="/k", signedIdentity={"type": "exactReference", "dockerReference": "a/b"}),
            "expected a reference with a tag",
        ),
        (
            gpg(
                keyPath="/k", signedIdentity={"type": "exactRepository", "dockerRepository": "a:b"}
            ),
            "expected a repository",
        ),
        (
            gpg(
                keyPath="/k",
                signedIdentity={"type": "remapIdentity", "prefix": "a/", "signedPrefix": "b"},
            ),
            "expected a registry or a repository",
        ),
    ],
)
def test_invalid_requirement_is_refused(requirement: Any, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        policy(requirement)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not JSON"),
        ("[]", "not an object"),
        ("{}", "default: expected"),
        ('{"default": []}', "non-empty list of requirements"),
        ('{"default": null}', "non-empty list of requirements"),
        ('{"default": [{"type": "reject"}], "Transports": {}}', "unknown key 'Transports'"),
        ('{"default": [{"type": "reject"}], "default": []}', "duplicate key 'default'"),
        ('{"default": [{"type": "reject", "type": "insecureAcceptAnything"}]}', "duplicate key"),
        ('{"default": [{"type": "reject"}]} {}', "not JSON"),
        ("[" * 100, "nested too deeply"),
    ],
)
def test_invalid_document_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        parse(text.encode(), "policy.json")


@pytest.mark.parametrize("transport", ["dir", "oci", "oci-archive", "sif"])
@pytest.mark.parametrize("scope", ["/", "images", "/a/../b", "/a/", "//a", "/./a"])
def test_relative_or_unclean_path_scope_is_refused(transport: str, scope: str) -> None:
    with pytest.raises(PolicyFileError) as raised:
        policy(ANYTHING, **{transport: {scope: [ANYTHING]}})
    assert raised.value.path is not None


def test_unscoped_transports_refuse_scopes() -> None:
    with pytest.raises(PolicyFileError) as raised:
        policy(ANYTHING, **{"docker-archive": {"/a": [ANYTHING]}})
    assert raised.value.path is not None


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_arbitrary_bytes_are_parsed_or_refused(raw: bytes) -> None:
    with contextlib.suppress(ConfigError):
        parse(raw, "policy.json")


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.sampled_from(["", "reject", "signedBy", "/k"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "default", "transports", "keyPath", "keyType", "fulcio", "pki"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(VALUES)
def test_arbitrary_value_is_parsed_or_refused(value: Any) -> None:
    with contextlib.suppress(ConfigError):
        policy(value, docker={"a": value})
    with contextlib.suppress(ConfigError):
        policy({"type": "sigstoreSigned", "keyPath": value, "signedIdentity": value})


def test_first_existing_file_applies(world: World) -> None:
    assert load(world.settings().paths) is None
    reject = {"default": [{"type": "reject"}]}
    world.write("etc/containers/policy.json", reject)
    found = load(world.settings().paths)
    assert found is not None
    assert found.default == (Reject(),)
    world.write("home/.config/containers/policy.json", {"default": [ANYTHING]})
    found = load(world.settings().paths)
    assert found is not None
    assert found.default == (InsecureAcceptAnything(),)


def test_policy_accepts_everything_only_if_every_scope_does() -> None:
    assert policy(ANYTHING, docker={"": [ANYTHING]}).accepts_everything
    assert not policy(ANYTHING, docker={"": [{"type": "reject"}]}).accepts_everything
    assert not policy(ANYTHING, {"type": "reject"}).accepts_everything


def test_missing_specified_file_is_refused(world: World) -> None:
    world.environment["CONTAINERS_POLICY_JSON"] = str(world.root / "none.json")
    with pytest.raises(PolicyFileError) as raised:
        load(world.settings().paths)
    assert raised.value.path == str(world.root / "none.json")
    assert isinstance(raised.value.os_error, FileNotFoundError)
