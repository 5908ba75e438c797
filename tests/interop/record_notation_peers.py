"""Record the verdicts of notation on our Notation signatures, and keep signatures of its own.

    python -m tests.interop.record_notation_peers NOTATION

NOTATION is notation 1.3, which Debian 12 does not have: in a copy of the module
github.com/notaryproject/notation, ``go build ./cmd/notation``. The signatures and the verdicts are
written to ``notation_peers.json``.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

from cryptography.hazmat.primitives import serialization

from tests.fakes import images, notation as fake
from tests.fakes.notation import COSE, JWS
from tests.interop import servers
from tests.interop.notation_cases import IMAGE, MINE, ROOT, Case, list_cases, sign

if TYPE_CHECKING:
    from cryptography import x509

RECORD = Path(__file__).with_name("notation_peers.json")


@dataclass
class Recorder:
    """Runs notation with a configuration of its own."""

    notation: str
    work: Path
    registry: str
    cases: list[dict[str, object]] = field(default_factory=list)
    certificates: list[str] = field(default_factory=list)

    def run(self, *command: object, check: bool = True) -> subprocess.CompletedProcess[str]:
        result = subprocess.run(
            [str(word) for word in command],
            cwd=self.work,
            env={
                "HOME": str(self.work),
                "XDG_CONFIG_HOME": str(self.work / "config"),
                "NOTATION_EXPERIMENTAL": "1",  # for signatures in a layout
                "PATH": os.environ["PATH"],  # noqa: TID251 - as the user runs it
                "PYTHONPATH": str(Path(__file__).parents[2]),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        if check and result.returncode:
            raise AssertionError(f"{command}: {result.stderr}")
        return result

    def copy(self, envelope: bytes, form: str, repository: str) -> None:
        layout = self.work / repository
        named = {"app": IMAGE, "signature": fake.artifact(IMAGE, envelope, form)}
        images.write_layout(layout, named)
        self.run(
            *servers.AIRBUNDLE, "copy", "--referrers", "--dest-tls-verify=false",
            f"oci:{layout}:app", f"docker://{self.registry}/{repository}:1",
        )  # fmt: skip

    def write_trust(self, case: Case) -> dict[str, Any]:
        directory = self.work / "config" / "notation"
        self.run("rm", "-rf", directory / "truststore")
        directory.mkdir(parents=True, exist_ok=True)
        return fake.write_trust(directory, case.stores, case.identities, **case.verification)

    def judge(self, case: Case, form: str, envelope: bytes, repository: str) -> bool:
        """Record the verdict of notation on an image in the registry, and all that led to it."""
        policy = self.write_trust(case)
        command = ("verify", "--insecure-registry")
        name = f"{self.registry}/{repository}@{IMAGE.digest}"
        result = self.run(self.notation, *command, "--verbose", name, check=False)
        reasons = re.findall(r"failed verification with error: (.*)", result.stderr)
        reasons += re.findall(r"^Error: (.*)", result.stderr, re.MULTILINE)
        message = reasons[0].replace(self.registry, "REGISTRY") if reasons else ""
        message = message.replace(str(self.work), ".")
        self.cases.append(
            {
                "case": case.name,
                "form": form,
                "accepted": result.returncode == 0,
                "command": f"notation {' '.join(command)} REGISTRY/{repository}@DIGEST",
                "message": message[:300] if result.returncode else "",
                "moment": datetime.now(UTC).isoformat(timespec="seconds"),
                "policy": policy,
                "stores": {
                    name: [self.keep_certificate(item) for item in items]
                    for name, items in case.stores.items()
                },
                "envelope": (
                    envelope.decode() if form == JWS else base64.b64encode(envelope).decode()
                ),
            }
        )
        print(case.name, form, result.returncode, message[:150])
        return result.returncode == 0

    def keep_certificate(self, certificate: x509.Certificate) -> int:
        """Return the number of a certificate, which is recorded once."""
        pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
        if pem not in self.certificates:
            self.certificates.append(pem)
        return self.certificates.index(pem)

    def fetch_envelope(self, repository: str) -> bytes:
        """Return the envelope that notation pushed."""
        url = f"http://{self.registry}/v2/{repository}"
        tag = IMAGE.digest.replace(":", "-")
        (entry,) = fetch(f"{url}/manifests/{tag}")["manifests"]
        (layer,) = fetch(f"{url}/manifests/{entry['digest']}")["layers"]
        with urlopen(f"{url}/blobs/{layer['digest']}") as response:
            return response.read()


def fetch(url: str) -> Any:
    accepted = f"{images.OCI['index']}, {images.OCI['manifest']}"
    with urlopen(Request(url, headers={"Accept": accepted})) as response:
        return json.load(response)


def record_own_signatures(recorder: Recorder) -> None:
    """Signatures that notation makes, with keys of each algorithm."""
    directory = recorder.work / "config" / "notation"
    keys = []
    for algorithm in fake.ALGORITHMS:
        signer = fake.create_signer(root=ROOT, key=fake.get_key(algorithm))
        key, chain = directory / f"{algorithm}.key", directory / f"{algorithm}.crt"
        pem = serialization.Encoding.PEM
        key.write_bytes(
            signer.key.private_bytes(
                pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        chain.write_bytes(b"".join(item.public_bytes(pem) for item in signer.chain))
        keys.append({"name": algorithm, "keyPath": str(key), "certPath": str(chain)})
    (directory / "signingkeys.json").write_text(json.dumps({"keys": keys}))
    for number, (algorithm, form) in enumerate(
        (algorithm, form) for algorithm in fake.ALGORITHMS for form in (JWS, COSE)
    ):
        repository = f"notation-{number}"
        recorder.run(
            *servers.AIRBUNDLE, "copy", "--dest-tls-verify=false",
            f"oci:{recorder.work / 'case-0'}:app", f"docker://{recorder.registry}/{repository}:1",
        )  # fmt: skip
        recorder.run(
            recorder.notation, "sign", "--insecure-registry", "--key", algorithm,
            "--signature-format", "jws" if form == JWS else "cose", "--expiry", "24h",
            f"{recorder.registry}/{repository}@{IMAGE.digest}",
        )  # fmt: skip
        envelope = recorder.fetch_envelope(repository)
        case = Case(f"made by notation, {algorithm}", sign(), identities=(MINE,))
        assert recorder.judge(case, form, envelope, repository)
        assert recorder.cases[-1]["accepted"]


def record_carried_signature(recorder: Recorder) -> None:
    """A signature of notation that a bundle carried into another registry."""
    with servers.registry(recorder.work / "inside") as inside:
        case = Case("made by notation, carried in a bundle", sign(), identities=(MINE,))
        recorder.write_trust(case)
        trust = recorder.work / "config" / "notation"
        (recorder.work / "carried.yaml").write_text(
            f"images:\n- ref: {recorder.registry}/notation-0:1\n  verify:\n"
            f"  - notation: {{policy: {trust}/trustpolicy.json, trustStore: {trust}/truststore}}\n"
        )
        recorder.run(
            *servers.AIRBUNDLE, "export", "--unsigned", "--tls-verify=false", "carried.yaml",
            "carried",
        )  # fmt: skip
        medium = f"{recorder.work / 'carried'}@{IMAGE.digest}"
        recorder.run(
            recorder.notation, "verify", "--oci-layout", medium, "--scope", "local/carried"
        )
        recorder.run(
            *servers.AIRBUNDLE, "import", "--allow-unsigned", "--reason", "a recording",
            "--tls-verify=false", "carried", f"docker://{inside.host}",
        )  # fmt: skip
        outside, recorder.registry = recorder.registry, inside.host
        envelope = recorder.fetch_envelope("notation-0")
        assert recorder.judge(case, JWS, envelope, "notation-0")
        recorder.registry = outside


def main(notation: str) -> None:
    """Record everything."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        with servers.registry(work / "registry") as registry:
            recorder = Recorder(notation, work, registry.host)
            number = 0
            for case in list_cases():
                forms = {}
                for form in (JWS, COSE):
                    envelope = case.signature.to_envelope(form)
                    if case.timestamp is not None:
                        content = case.stamped or case.signature.primitive(envelope)
                        token = fake.create_timestamp(case.timestamp, content)
                        envelope = fake.attach_timestamp(envelope, token)
                    forms[form] = envelope
                time.sleep(case.wait)
                for form, envelope in forms.items():
                    recorder.copy(envelope, form, f"case-{number}")
                    recorder.judge(case, form, envelope, f"case-{number}")
                    number += 1
            record_own_signatures(recorder)
            record_carried_signature(recorder)
            version = recorder.run(notation, "version").stdout.split()
        target = IMAGE.root.descriptor()
    cases = ",\n".join(json.dumps(case) for case in recorder.cases)  # one case a line
    head = json.dumps(
        {
            "notation": version[version.index("Version:") + 1],
            "target": target,
            "certificates": recorder.certificates,
        }
    )
    RECORD.write_text(f'{head[:-1]}, "cases": [\n{cases}\n]}}\n')


if __name__ == "__main__":
    main(*sys.argv[1:])
