"""An export and an import accept only images that policy.json accepts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from bundler.trust.sigstore import keys
from tests.fakes import images

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle
    from tests.fakes.openpgp import GnuPG

NAME = "localhost/layout:app"
SIGNER, OTHER = keys.generate_signing_key(), keys.generate_signing_key()
ANOTHER_NAME = {"type": "exactRepository", "dockerRepository": "example.com/a"}
ACCEPT, REJECT = [{"type": "insecureAcceptAnything"}], [{"type": "reject"}]


@dataclass
class Site:
    """A bundle manifest with one image, and policies."""

    path: Path
    run: RunAirbundle

    def write_policy(self, requirements: object, transport: str = "docker", scope: str = "") -> str:
        document = {"default": REJECT, "transports": {transport: {scope: requirements}}}
        (self.path / "policy.json").write_text(json.dumps(document))
        return "--policy=policy.json"

    def sigstore_signed(self, key: keys.SigningKey, **members: object) -> list[dict[str, object]]:
        (self.path / "site.pub").write_bytes(key.public.to_pem())
        path = str(self.path / "site.pub")
        return [{"type": "sigstoreSigned", "keyPath": path} | members]

    def import_bundle(self, *options: str) -> tuple[int, str]:
        command = ("import", "stick", "oci:target", "--allow-unsigned", "--reason", "test")
        result = self.run(*command, *options)
        return result.status, result.stderr


@pytest.fixture
def site(tmp_path: Path, run_airbundle: RunAirbundle) -> Site:
    """A bundle of an image and its sigstore signature, which is exported without a policy."""
    app = images.multi_platform("app", "linux/amd64", "linux/arm64")
    signed = dict(
        images.cosign_signature(child, reference=NAME, sign=SIGNER.sign) for child in app.children
    )
    images.write_layout(tmp_path / "layout", {"app": app, **signed})
    (tmp_path / "plant.yaml").write_text("name: plant\nimages:\n  - oci:./layout:app\n")
    exported = run_airbundle("export", "plant.yaml", "stick", "--unsigned", "--insecure-policy")
    assert exported.status == 0, exported.stderr
    return Site(tmp_path, run_airbundle)


def test_import_verifies_signatures_in_the_bundle(site: Site) -> None:
    policy = site.write_policy(site.sigstore_signed(SIGNER), scope="localhost/layout")
    status, message = site.import_bundle(policy, "--require-signed")
    assert status == 0, message
    assert (site.path / "target" / "index.json").exists()


@pytest.mark.parametrize(
    ("members", "key"), [({}, OTHER), ({"signedIdentity": ANOTHER_NAME}, SIGNER)]
)
def test_import_refuses_other_signatures(site: Site, members, key) -> None:
    status, message = site.import_bundle(site.write_policy(site.sigstore_signed(key, **members)))
    assert status == 4
    assert f"docker://{NAME}: the policy requires a signature" in message
    assert not (site.path / "target").exists()


def test_import_applies_the_policy_to_the_name_in_the_bundle(site: Site) -> None:
    assert site.import_bundle(site.write_policy(ACCEPT, scope=NAME))[0] == 0
    for transport, scope in (("docker", "localhost/other"), ("oci", ""), ("dir", "")):
        status, message = site.import_bundle(site.write_policy(ACCEPT, transport, scope))
        assert status == 4
        assert f"docker://{NAME}: rejected by policy" in message
        assert "--policy" not in message.partition("hint: ")[2]


def test_import_refuses_unsigned_image_if_the_policy_needs_no_signature(site: Site) -> None:
    status, message = site.import_bundle(site.write_policy(ACCEPT), "--require-signed")
    assert status == 4
    assert "the policy requires no signature for this image" in message
    site.write_policy(REJECT)
    assert site.import_bundle("--insecure-policy")[0] == 0


def test_dry_run_of_an_import_applies_the_policy(site: Site) -> None:
    assert site.import_bundle(site.write_policy(REJECT), "--dry-run")[0] == 4


def test_import_without_signatures_in_the_bundle_is_refused(site: Site) -> None:
    (site.path / "plant.yaml").write_text(
        "name: plant\ndefaults: {referrers: none}\nimages:\n  - oci:./layout:app\n"
    )
    options = ("--unsigned", "--insecure-policy")
    assert site.run("export", "plant.yaml", "stick", *options).status == 0
    status, message = site.import_bundle(site.write_policy(site.sigstore_signed(SIGNER)))
    assert status == 4
    assert "no signature exists" in message


def test_export_verifies_simple_signatures(site: Site, gnupg: GnuPG) -> None:
    key = gnupg.generate("site <site@example.com>")
    (site.path / "site.gpg").write_bytes(gnupg.export(key))
    environment = {"GNUPGHOME": str(gnupg.home)}
    sign = ("copy", "oci:layout:app", "dir:signed", "--all", "--insecure-policy", "--sign-by", key)
    signed = site.run(*sign, "--sign-identity", "example.com/app:1", env=environment)
    assert signed.status == 0, signed.stderr
    (site.path / "plant.yaml").write_text("name: plant\nimages:\n  - dir:./signed\n")
    requirement = {
        "type": "signedBy",
        "keyType": "GPGKeys",
        "keyPath": str(site.path / "site.gpg"),
        "signedIdentity": {"type": "exactReference", "dockerReference": "example.com/app:1"},
    }
    policy = site.write_policy([requirement], "dir")
    export = ("export", "plant.yaml", "new", "--unsigned", policy)
    accepted = site.run(*export)
    assert accepted.status == 0, accepted.stderr
    for path in (site.path / "signed").glob("*.signature-1"):
        path.write_bytes((site.path / "signed" / "signature-1").read_bytes())
    rejected = site.run(*export[:2], "other", *export[3:])
    assert rejected.status == 4
    assert "the signature is for another digest" in rejected.stderr
    assert not (site.path / "other").exists()
    estimated = site.run(*export[:2], "other", *export[3:], "--dry-run")
    assert estimated.status == 4


def test_policy_of_the_user_applies_without_an_option(site: Site) -> None:
    directory = site.path / "home" / ".config" / "containers"
    directory.mkdir(parents=True)
    (directory / "policy.json").write_text(json.dumps({"default": REJECT}))
    assert site.import_bundle()[0] == 4
    assert site.run("export", "plant.yaml", "new", "--unsigned").status == 4
