"""A policy decides by the most specific scope."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bundler import transports
from bundler.config.policy_json import SignedBy, SigstoreSigned, parse
from bundler.errors import RejectedByPolicyError
from bundler.trust.policy import policy as policies
from bundler.trust.policy.policy import check_reference, list_scopes

if TYPE_CHECKING:
    from pathlib import Path

ACCEPT, REJECT = [{"type": "insecureAcceptAnything"}], [{"type": "reject"}]
SIGNED = [{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/k"}]
DIGEST = "sha256:" + "a" * 64


def refuse(requirement: SignedBy | SigstoreSigned) -> None:
    raise RejectedByPolicyError("no signature", rule="signedBy")


def check(image: str, default: object, known: object = (), *, require_signed: bool = False) -> None:
    document = {"default": default, "transports": dict(known)}  # type: ignore[call-overload]
    policies.check(
        parse(json.dumps(document).encode(), "/p/policy.json"),
        transports.parse(image),
        refuse,
        require_signed=require_signed,
    )


def test_scopes_of_a_registry_image_are_namespaces_and_domains() -> None:
    assert list_scopes(transports.parse("docker://a.b.example:5000/ns/repo:1")) == [
        "a.b.example:5000/ns/repo:1",
        "a.b.example:5000/ns/repo",
        "a.b.example:5000/ns",
        "a.b.example:5000",
        "*.b.example",
        "*.example",
    ]
    assert list_scopes(transports.parse(f"docker://busybox@{DIGEST}"))[:3] == [
        f"docker.io/library/busybox@{DIGEST}",
        "docker.io/library/busybox",
        "docker.io/library",
    ]
    assert list_scopes(transports.parse("docker://localhost/x"))[0] == "localhost/x:latest"


def test_scopes_of_a_local_image_are_resolved_directories(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    real = str(tmp_path / "real")
    assert list_scopes(transports.parse(f"dir:{tmp_path}/link"))[:2] == [real, str(tmp_path)]
    assert list_scopes(transports.parse(f"oci:{tmp_path}/link:app"))[:2] == [real, str(tmp_path)]
    assert "" not in list_scopes(transports.parse(f"dir:{tmp_path}"))


@pytest.mark.parametrize("scope", ["r.example/a/b:1", "r.example/a/b", "r.example/a", "r.example"])
def test_narrowest_scope_applies(scope: str) -> None:
    docker = {"": REJECT, "*.example": REJECT, scope: ACCEPT}
    check("docker://r.example/a/b:1", REJECT, {"docker": docker})
    docker = {"": ACCEPT, "*.example": ACCEPT, scope: REJECT}
    with pytest.raises(RejectedByPolicyError) as raised:
        check("docker://r.example/a/b:1", ACCEPT, {"docker": docker})
    assert (raised.value.rule, raised.value.reference) == ("reject", "docker://r.example/a/b:1")
    assert "/p/policy.json" in (raised.value.hint or "")


def test_scope_does_not_match_part_of_a_path_component() -> None:
    for scope in ("r.example/a/b", "r.example/a/bb:1", "r.exam", "*.r.example", "example"):
        check("docker://r.example/a/bb:2", ACCEPT, {"docker": {scope: REJECT}})


def test_default_applies_to_a_transport_without_scopes() -> None:
    with pytest.raises(RejectedByPolicyError):
        check("dir:/x", REJECT, {"docker": {"": ACCEPT}})
    check("docker-archive:/x.tar", REJECT, {"docker-archive": {"": ACCEPT}})


def test_image_must_meet_all_requirements() -> None:
    with pytest.raises(RejectedByPolicyError):
        check("dir:/x", [*ACCEPT, *REJECT])


def test_signature_is_verified_unless_an_earlier_requirement_decides() -> None:
    for requirements, rule in (
        ([*ACCEPT, *SIGNED], "signedBy"),
        ([*SIGNED, *REJECT], "signedBy"),
        ([*REJECT, *SIGNED], "reject"),
    ):
        with pytest.raises(RejectedByPolicyError) as raised:
            check("dir:/x", requirements)
        assert raised.value.rule == rule
        assert "/p/policy.json" in (raised.value.hint or "")


def test_reference_decides_unless_a_signature_is_required_first() -> None:
    def decide(requirements: object, *, require_signed: bool = False) -> bool:
        policy = parse(json.dumps({"default": requirements}).encode(), "p")
        return check_reference(policy, transports.parse("dir:/x"), require_signed=require_signed)

    assert decide(ACCEPT)
    assert not decide([*ACCEPT, *SIGNED, *REJECT], require_signed=True)
    for requirements in ([*ACCEPT, *REJECT], [*REJECT, *SIGNED]):
        with pytest.raises(RejectedByPolicyError):
            decide(requirements)
    with pytest.raises(RejectedByPolicyError):
        decide(ACCEPT, require_signed=True)


def test_require_signed_refuses_a_policy_without_signatures() -> None:
    with pytest.raises(RejectedByPolicyError) as unsigned:
        check("dir:/x", ACCEPT, require_signed=True)
    with pytest.raises(RejectedByPolicyError) as rejected:
        check("dir:/x", REJECT, require_signed=True)
    assert (unsigned.value.rule, rejected.value.rule) == ("requireSigned", "reject")
    assert unsigned.value.scope == "dir:/x"
