"""Notation signatures in a real registry, which has no referrers API."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.request import Request, urlopen

import pytest

from tests.fakes import images, notation as fake
from tests.fakes.notation import COSE, JWS, ROOT, Signature

if TYPE_CHECKING:
    from pathlib import Path

    from tests.interop import servers

IMAGE = images.image()
SIGNER = fake.create_signer(root=ROOT)


@pytest.mark.parametrize("form", [JWS, COSE], ids=["jws", "cose"])
def test_required_signature_is_found_and_carried(
    airbundle: servers.Client,
    registry: servers.Registry,
    repository: str,
    tmp_path: Path,
    form: str,
) -> None:
    signature = Signature(SIGNER, IMAGE.root, signing_time=datetime.now(UTC).replace(microsecond=0))
    signed = fake.artifact(IMAGE, signature.to_envelope(form), form)
    images.write_layout(tmp_path / "layout", {"app": IMAGE, "signature": signed})
    name = f"{registry.host}/{repository}"
    source = f"oci:{tmp_path / 'layout'}:app"
    airbundle.ok("copy", "--referrers", "--dest-tls-verify=false", source, f"docker://{name}:1")
    fake.write_trust(tmp_path, {"ca:corp": [ROOT.certificate]})
    manifest, bundle = tmp_path / "apps.yaml", tmp_path / "bundle"
    manifest.write_text(
        f"images:\n- ref: {name}:1\n  verify:\n"
        "  - notation: {policy: trustpolicy.json, trustStore: truststore}\n"
    )
    export = ("export", "--unsigned", "--tls-verify=false", str(manifest), str(bundle))
    assert "CN=builder" in airbundle.ok(*export)

    airbundle.ok(
        "import", "--allow-unsigned", "--reason", "test", "--tls-verify=false", str(bundle),
        f"docker://{registry.host}/inside",
    )  # fmt: skip
    tag = IMAGE.digest.replace(":", "-")
    request = Request(
        f"http://{registry.host}/v2/inside/{repository}/manifests/{tag}",
        headers={"Accept": images.OCI["index"]},
    )
    with urlopen(request) as response:
        [entry] = json.load(response)["manifests"]
    assert (entry["digest"], entry["artifactType"]) == (signed.digest, fake.ARTIFACT)

    fake.write_trust(tmp_path, {"ca:corp": [ROOT.certificate]}, ("x509.subject: C=US,ST=WA,O=X",))
    result = airbundle(*export)
    assert result.returncode == 4
