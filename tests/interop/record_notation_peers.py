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
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.fakes import images, notation as fake
from tests.fakes.notation import COSE, DAY, JWS, PREFIX, Signature, Signer
from tests.interop import servers

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORD = Path(__file__).with_name("notation_peers.json")
IMAGE = images.image()
NOW = datetime.now(UTC).replace(microsecond=0)
ROOT, OTHER_ROOT = fake.create_root(), fake.create_root("other")
SIGNER = fake.create_signer(root=ROOT)
AUTHORITY = fake.create_timestamp_authority()
CA = {"ca:corp": [ROOT.certificate]}
TSA = CA | {"tsa:time": [AUTHORITY.chain[-1]]}
MINE = "x509.subject: C=US, ST=WA, O=Example, CN=builder"


@dataclass
class Case:
    """A signature, and the trust configuration that it is verified with."""

    name: str
    signature: Signature
    stores: dict[str, list[x509.Certificate]] = field(default_factory=lambda: CA)
    identities: tuple[str, ...] = ("*",)
    verification: dict[str, Any] = field(default_factory=dict)
    timestamp: Signer | None = None
    """The authority that timestamps the signature."""
    stamped: bytes | None = None
    """The content of the timestamp; None: the signature."""
    wait: float = 0
    """The time in seconds before the verification."""


def list_cases() -> Iterator[Case]:
    for algorithm in fake.ALGORITHMS:
        signer = fake.create_signer(root=ROOT, key=fake.get_key(algorithm))
        yield Case(f"valid, {algorithm}", sign(signer))
    yield from list_contents()
    yield from list_certificates()
    yield from list_policies()
    yield from list_headers()
    yield from list_timestamps()


def sign(signer: Signer = SIGNER, **more: Any) -> Signature:
    return Signature(signer, IMAGE.root, **{"signing_time": NOW, **more})


def list_contents() -> Iterator[Case]:
    yield Case("not expired", sign(expiry=NOW + DAY))
    yield Case("expired", sign(signing_time=NOW - DAY, expiry=NOW))
    yield Case("expires before it was made", sign(expiry=NOW - DAY))
    yield Case("false signature", sign(false=True))
    for name, value in (
        ("digest", "sha256:" + "0" * 64), ("size", 7), ("mediaType", images.OCI["index"])
    ):  # fmt: skip
        described = IMAGE.root.descriptor() | {name: value}
        yield Case(f"other {name}", sign(payload=fake.encode({"targetArtifact": described})))
    annotated = IMAGE.root.descriptor(annotations={"a": "b"})
    yield Case("annotations", sign(payload=fake.encode({"targetArtifact": annotated})))
    yield Case("no target", sign(payload=b"{}"))
    other_case = {"targetartifact": IMAGE.root.descriptor()}
    yield Case("target in another case", sign(payload=fake.encode(other_case)))


def list_certificates() -> Iterator[Case]:
    yield Case("other authority", sign(), {"ca:corp": [OTHER_ROOT.certificate]})
    yield Case("intermediate in the store", sign(), {"ca:corp": [SIGNER.chain[1]]})
    alone = fake.issue(fake.subject("alone"))
    yield Case("self-signed", sign(alone), {"ca:corp": [alone.certificate]})
    expired = fake.create_signer(root=ROOT, end=NOW - timedelta(hours=1))
    yield Case("certificate expired", sign(expired, signing_time=NOW - DAY))
    yield Case("certificate not yet valid", sign(fake.create_signer(root=ROOT, start=NOW + DAY)))
    chain = SIGNER.chain
    for name, items in {
        "without root": chain[:2], "only the signer": chain[:1], "reversed": chain[::-1],
        "root twice": [*chain, chain[-1]], "no certificates": [],
        "another chain too": [*chain, *fake.create_signer().chain],
    }.items():  # fmt: skip
        yield Case(name, sign(chain=items))
    stranger = fake.create_signer(root=fake.create_root())
    yield Case("root of the same name", sign(stranger, chain=[*stranger.chain[:2], chain[-1]]))
    for name, options in {
        "for signing code": {"purposes": (ExtendedKeyUsageOID.CODE_SIGNING,)},
        "for any purpose": {"purposes": (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)},
        "for servers": {"purposes": (ExtendedKeyUsageOID.SERVER_AUTH,)},
        "for timestamps": {"purposes": (ExtendedKeyUsageOID.TIME_STAMPING,)},
        "no key usage": {"usage": ()},
        "key usage not critical": {"critical": False},
        "key may sign certificates": {"usage": ("digital_signature", "key_cert_sign")},
        "key for something else": {"usage": ("content_commitment",)},
        "signer is an authority": {"constraints": True},
        "signer is no authority": {"constraints": False},
        "signed with SHA-224": {"algorithm": hashes.SHA224()},
    }.items():
        yield Case(f"certificate: {name}", sign(fake.create_signer(root=ROOT, **options)))
    for name, options in {
        "no authority": {"usage": ("key_cert_sign",)},
        "not critical": {"authority": True, "critical": False},
        "may not sign certificates": {"authority": True, "usage": ("crl_sign",)},
        "path length": {"authority": True, "path_length": 0},
    }.items():
        middle = fake.issue(fake.subject("first"), ROOT, **options)
        if name == "path length":
            middle = fake.issue(fake.subject("second"), middle, authority=True)
        yield Case(f"issuer: {name}", sign(fake.issue(fake.subject("builder"), middle)))


def list_policies() -> Iterator[Case]:
    for number, identity in enumerate(
        (
            MINE, MINE.replace("builder", "other"), MINE + ", OU=more",
            "x509.subject: C=US, ST=WA, O=Example", "x509.subject:O=Example,S=WA,C=US",
            "x509.subject: C=US, ST=WA, O=example", "x509.subject: C=US, ST=WA",
            r"x509.subject: C=US, ST=WA, O=Exa\6dple", "x509.subject: C=US, ST=WA, O=Other",
        )
    ):  # fmt: skip
        yield Case(f"identity {number}: {identity}", sign(), identities=(identity,))
    comma = fake.create_signer(root=ROOT)
    comma = fake.issue(fake.subject("builder", O="Example, Inc."), comma.issuer)
    yield Case("escaped identity", sign(comma), identities=(
        r"x509.subject: C=US, ST=WA, O=Example\, Inc.",))  # fmt: skip
    attributes = [*fake.subject("builder"), x509.NameAttribute(NameOID.EMAIL_ADDRESS, "a@b.org")]
    named = fake.issue(x509.Name(attributes), comma.issuer)
    yield Case("subject with an email address", sign(named), identities=(MINE,))
    twice = fake.subject("builder", OU="a")
    twice = x509.Name([*twice, x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "b")])
    yield Case("subject with a part twice", sign(fake.issue(twice, comma.issuer)),
               identities=(MINE,))  # fmt: skip
    expired = sign(signing_time=NOW - DAY, expiry=NOW)
    for level in ("permissive", "audit"):
        yield Case(f"expired, level {level}", expired, verification={"level": level})
        yield Case(f"valid, level {level}", sign(), verification={"level": level})
    yield Case("expired, only logged", expired, verification={"override": {"expiry": "log"}})


def list_headers() -> Iterator[Case]:
    scheme = f"{PREFIX}signingScheme"
    authority = {"signingAuthority:corp": [ROOT.certificate]}
    by_authority = sign(scheme=fake.AUTHORITY_SCHEME)
    yield Case("signing authority", by_authority, authority)
    yield Case("signing authority in the store of users", by_authority)
    yield Case("user in the store of signing authorities", sign(), authority)
    early = sign(scheme=fake.AUTHORITY_SCHEME, signing_time=NOW - 3000 * DAY)
    yield Case("signing authority before the certificate", early, authority)
    yield Case("unknown scheme", sign(scheme="notary.x509.other"))
    yield Case("no time", sign(headers={f"{PREFIX}signingTime": None}))
    yield Case("unknown header", sign(headers={"com.example.build": "7"}))
    yield Case("unknown critical header", sign(
        headers={"com.example.rule": "x"}, critical=[scheme, "com.example.rule"]))  # fmt: skip
    yield Case("missing critical header", sign(critical=[scheme, "com.example.rule"]))
    plugin = {f"{PREFIX}verificationPlugin": "com.example.plugin"}
    yield Case("plugin", sign(headers=plugin, critical=[scheme, *plugin]))
    yield Case("plugin, not critical", sign(headers=plugin))
    yield Case("nothing is critical", sign(critical=[]))
    yield Case("expiry is not critical", sign(expiry=NOW + DAY, critical=[scheme]))
    yield Case("other algorithm", sign(algorithm="ES384"))


def list_timestamps() -> Iterator[Case]:
    stamped = {"timestamp": AUTHORITY}
    after = {"verifyTimestamp": "afterCertExpiry"}
    yield Case("timestamp", sign(), TSA, **stamped)
    yield Case("timestamp without a store for it", sign(), **stamped)
    yield Case("no timestamp", sign(), TSA)
    yield Case("no timestamp, not needed", sign(), TSA, verification=after)
    yield Case("timestamp of another signature", sign(), TSA, stamped=b"x", **stamped)
    stranger = fake.create_timestamp_authority()
    yield Case("timestamp of another authority", sign(), TSA, timestamp=stranger)
    late = sign(fake.create_signer(root=ROOT, end=NOW - timedelta(hours=1)))
    yield Case("timestamp after the certificate", late, TSA, **stamped)
    end = datetime.now(UTC) + timedelta(seconds=20)
    soon = sign(fake.create_signer(root=ROOT, end=end))
    yield Case("certificate expired after the timestamp", soon, TSA, wait=21, **stamped)
    yield Case("the same, required then", soon, TSA, verification=after, **stamped)
    yield Case("the same without a timestamp", soon, TSA, verification=after)


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
