"""Record the verdicts of cosign on attestations of an export, in a registry.

    python -m tests.interop.record_attestation_peers COSIGN

COSIGN is cosign 3, which Debian 12 does not have. The verdicts are written to
``attestation_peers.json``, each with the attestation, the key and the command.
"""

from __future__ import annotations

import base64
import json
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from bundler.bundle.format.inventory.inventory import Producer
from bundler.bundle.format.signatures import attestation
from bundler.bundle.format.signatures.attestation import ExportStatement, SourceRecord
from bundler.oci.digest import Digest
from bundler.trust import keys
from bundler.trust.sigstore import bundle as sigstore, dsse
from tests.fakes import images
from tests.interop import servers
from tests.interop.record_sigstore_peers import Recorder

RECORD = Path(__file__).with_name("attestation_peers.json")
APP = images.multi_platform("app", "linux/amd64", "linux/arm64")
STATEMENT = ExportStatement(
    "registry.example.org/app:1",
    Digest(APP.digest),
    SourceRecord("docker", Digest(APP.digest), "docker://registry.example.org/app:1"),
    "plant-7",
    1795417200,
    datetime(2026, 11, 23, 7, tzinfo=UTC),
    Producer("airbundle", "1.0"),
)


def main(cosign: str) -> None:
    """Record everything."""
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        recorder = Recorder(cosign, "skopeo", work)
        signers = {name: keys.generate_key() for name in ("export", "other")}
        signers["ed25519"] = keys.generate_key("ed25519")
        for name, key in signers.items():
            keys.write_key_pair(work / name, key, None)
        with servers.registry(work / "registry") as registry:
            recorder.registry = registry.host
            record_export(recorder)
            for name, (accepted, raw, signer) in create_variants(signers).items():
                judge_variant(recorder, name, accepted, raw, signer)
        version = json.loads(recorder.run("cosign", "version", "--json").stdout)["gitVersion"]
    cases = ",\n".join(json.dumps(case) for case in recorder.cases)  # one case a line
    RECORD.write_text(f'{{"programs": {{"cosign": "{version}"}}, "cases": [\n{cases}\n]}}\n')


def record_export(recorder: Recorder) -> None:
    """An image that was exported with an attestation, and imported."""
    images.write_layout(recorder.work / "layout", {"app": APP})
    (recorder.work / "plant-7.yaml").write_text("images: ['oci:layout:app']\n")
    recorder.airbundle("export", "plant-7.yaml", "bundle", "--sign-key", "export.key", "--attest")
    recorder.airbundle(
        "import", "bundle", f"docker://{recorder.registry}", "--key", "export.pub",
        "--tls-verify=false", "--records", "records",
    )  # fmt: skip
    name = f"{recorder.registry}/layout:app"
    recorder.judge("export and import", True, *format_command("export"), name)
    recorder.judge("export and import, other key", False, *format_command("other"), name)
    recorder.judge(
        "export and import, other type", False,
        *format_command("export", "https://slsa.dev/provenance/v1"), name,
    )  # fmt: skip
    verify = ("cosign", "verify", "--key", "export.pub", "--insecure-ignore-tlog")
    recorder.judge("attestation as a signature of the image", True, *verify, name)


def format_command(key: str, kind: str = attestation.TYPE) -> tuple[str, ...]:
    """Return the command of cosign, without the name of the image."""
    return (
        "cosign", "verify-attestation", "--key", f"{key}.pub", "--type", kind,
        "--insecure-ignore-tlog",
    )  # fmt: skip


def create_variants(
    signers: dict[str, keys.PrivateKey],
) -> dict[str, tuple[bool, bytes, str]]:
    """Return the expected verdict, the attestation and the name of the signer for each case."""
    export = signers["export"]
    payload = STATEMENT.to_bytes()
    document = json.loads(payload)

    def sign(content: bytes, kind: str = dsse.IN_TOTO, signed: bytes | None = None) -> bytes:
        covered = dsse.encode_pae(kind, content) if signed is None else signed
        return wrap(dsse.Envelope(kind, content, export.sign(covered)).to_json())

    def wrap(envelope: object) -> bytes:
        material = {"publicKey": {"hint": ""}}
        return json.dumps(
            {
                "mediaType": sigstore.MEDIA_TYPE,
                "verificationMaterial": material,
                "dsseEnvelope": envelope,
            }
        ).encode()

    def change(**members: object) -> bytes:
        return json.dumps(document | members).encode()

    other_image = replace(STATEMENT, digest=Digest("sha256:" + "00" * 32))
    envelope = json.loads(sign(payload))["dsseEnvelope"]
    altered = base64.b64encode(payload.replace(b"1795417200", b"1795417201")).decode()
    return {
        "key on P-256": (True, attestation.sign(STATEMENT, export), "export"),
        "key on Ed25519": (True, attestation.sign(STATEMENT, signers["ed25519"]), "ed25519"),
        "other signer": (False, attestation.sign(STATEMENT, signers["other"]), "export"),
        "other image": (False, attestation.sign(other_image, export), "export"),
        "other type": (False, sign(change(predicateType="urn:airbundle:export:v2")), "export"),
        "altered payload": (False, wrap(envelope | {"payload": altered}), "export"),
        "signature of the bare payload": (False, sign(payload, signed=payload), "export"),
        "other type of payload": (False, sign(payload, "application/json"), "export"),
        "no subject": (False, sign(change(subject=[])), "export"),
        "two signatures": (
            False, wrap(envelope | {"signatures": envelope["signatures"] * 2}), "export"
        ),
        "not a statement": (False, sign(b'{"_type":"airbundle/bundle/v1"}'), "export"),
    }  # fmt: skip


def judge_variant(recorder: Recorder, name: str, accepted: bool, raw: bytes, signer: str) -> None:
    """Let cosign judge one attestation, as the only referrer of the image."""
    number = len(recorder.cases)
    annotations = {
        "dev.sigstore.bundle.content": "dsse-envelope",
        "dev.sigstore.bundle.predicateType": attestation.TYPE,
    }
    referrer = images.artifact(
        sigstore.MEDIA_TYPE,
        raw,
        media_type=sigstore.MEDIA_TYPE,
        subject=APP,
        annotations=annotations,
    )
    layout = recorder.work / f"layout-{number}"
    images.write_layout(layout, {"app": APP, "attestation": referrer})
    target = f"{recorder.registry}/variant-{number}:app"
    recorder.airbundle(
        "copy", "--all", "--referrers", "--dest-tls-verify=false", f"oci:{layout}:app",
        f"docker://{target}",
    )  # fmt: skip
    recorder.judge(name, accepted, *format_command(signer), target)
    recorder.cases[-1] |= {
        "attestation": raw.decode(),
        "key": (recorder.work / f"{signer}.pub").read_text(),
        "digest": APP.digest,
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
