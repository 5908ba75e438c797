"""Attestations of an export in a real registry, and the recorded verdicts of cosign 3.

``record_attestation_peers`` recorded the verdicts; cosign itself is not needed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bundler.bundle.format.signatures import attestation
from bundler.errors import SigstoreSignatureError
from bundler.oci.digest import Digest
from bundler.trust import keys
from bundler.trust.sigstore import verify_bundle
from bundler.trust.sigstore.bundle import parse_bundle
from bundler.trust.sigstore.keys import parse_public_key
from tests import preloaded
from tests.fakes import images
from tests.interop import servers

if TYPE_CHECKING:
    from subprocess import CompletedProcess

RECORD = json.loads(Path(__file__).with_name("attestation_peers.json").read_bytes())
JUDGED = [case for case in RECORD["cases"] if "attestation" in case]
APP = images.multi_platform("app", "linux/amd64", "linux/arm64")
TOOL = images.image(images.layer({"tool": b"tool"}))


@pytest.mark.parametrize("case", JUDGED, ids=lambda case: case["case"])
def test_verdict_equals_that_of_cosign(case):
    key = keys.parse_public_key(case["key"].encode(), "key")
    try:
        attestation.verify(case["attestation"].encode(), Digest(case["digest"]), [key])
    except SigstoreSignatureError:
        accepted = False
    else:
        accepted = True
    assert accepted == case["accepted"]


def test_cosign_verifies_what_was_exported_and_imported():
    verdicts = {case["case"]: case["accepted"] for case in RECORD["cases"]}
    assert verdicts["export and import"]
    assert not verdicts["export and import, other key"]
    assert not verdicts["export and import, other type"]


def test_attestation_is_no_signature_of_the_image():
    """``cosign verify`` accepts every statement about an image; a bundle manifest does not."""
    verdicts = {case["case"]: case["accepted"] for case in RECORD["cases"]}
    assert verdicts["attestation as a signature of the image"]
    (case,) = [case for case in JUDGED if case["case"] == "key on P-256"]
    key = parse_public_key(case["key"].encode(), "key")
    bundle = parse_bundle(case["attestation"].encode())
    with pytest.raises(SigstoreSignatureError) as raised:
        verify_bundle.verify_by_key(bundle, APP.manifests()[-1].data, [key])
    assert raised.value.problem == "payload"


@pytest.mark.parametrize("kind", ["oci", "dir"])
def test_origin_is_verified_in_a_real_registry(tmp_path: Path, kind: str):
    """This registry has no referrers API: the attestations are found by the fallback tag."""
    images.write_layout(tmp_path / "layout", {"app": APP, "tool": TOOL})
    (tmp_path / "plant-7.yaml").write_text("images: ['oci:layout:app', 'oci:layout:tool']\n")
    key = keys.generate_key()
    keys.write_key_pair(tmp_path / "export", key, None)

    def run(*words: str) -> CompletedProcess[str]:
        result = preloaded.run(
            [*words], cwd=tmp_path, env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
        )
        assert result.returncode == 0, result.stderr
        return result

    run(
        *("export", "plant-7.yaml", "bundle", "--format", kind),
        *("--sign-key", "export.key", "--attest"),
    )
    with servers.registry(tmp_path / "registry") as registry:
        target = f"docker://{registry.host}"
        for _ in range(2):  # a second import changes nothing
            run("import", "bundle", target, "--key", "export.pub", "--tls-verify=false")
        for name in ("app", "tool"):
            shown = run(
                *("verify-attestation", f"{target}/layout:{name}", "--json"),
                *("--key", "export.pub", "--tls-verify=false"),
            )
            (found,) = json.loads(shown.stdout)["attestations"]
            assert found["reference"] == f"localhost/layout:{name}"
            assert found["bundle"]["stream"] == "plant-7"
            assert [signer["id"] for signer in found["signers"]] == [key.public.id]
