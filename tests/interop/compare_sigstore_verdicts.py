"""Compare our verdicts on generated sigstore signatures with those of Skopeo.

    scripts/torture certificates --skopeo PROGRAM [--seed N] [--count N]

Skopeo 1.22 or newer is needed; that of Debian 12 does not verify sigstore signatures. Each case is
a policy with one requirement, of keys, Fulcio or a private PKI, and a signature of which some parts
are altered. The cases with different verdicts are printed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from bundler.config import policy_json
from bundler.errors import BundlerError
from bundler.oci import signature as signatures
from bundler.oci.digest import Digest
from bundler.oci.signature import (
    BUNDLE_ANNOTATION,
    CERTIFICATE_ANNOTATION,
    CHAIN_ANNOTATION,
    SIGNATURE_ANNOTATION,
    SIGSTORE_PAYLOAD,
    SigstoreSignature,
)
from bundler.trust.sigstore.attachments.attachment import verify_attachment
from bundler.trust.sigstore.attachments.payload import Payload
from bundler.trust.sigstore.attachments.policy_trust import load_trust
from tests.fakes import images, sigstore as fake

_RECORDED = 20
NAME = "registry.example.org/app:1"
HOST = "build.example.org"
KINDS = ("key", "key", "recorded", "fulcio", "fulcio", "pki", "pki")
TIMESTAMPS = (1, 1.0, 1e3, 1.5, -1, "1", None, True, 2**53, 1e300)
NAMES = (
    [x509.RFC822Name(fake.EMAIL)],
    [x509.DNSName(HOST)],
    [x509.DNSName("*.example.org")],
    [x509.DNSName(HOST), x509.RFC822Name(fake.EMAIL)],
    [],
    [x509.IPAddress(ip_address("10.0.0.1"))],
    [x509.UniformResourceIdentifier("https://example.org")],
    [x509.DNSName(HOST.upper())],
    [x509.DNSName(f"{HOST}.")],
)
HOSTS = (HOST, HOST, HOST.upper(), "10.0.0.1", "[10.0.0.1]", "example.org", f"{HOST}.")
ISSUER = fake.ISSUER.encode()
ISSUERS = (
    [],
    [(fake.ISSUER_V1, ISSUER)],
    [(fake.ISSUER_V2, fake.utf8_string(fake.ISSUER))],
    [(fake.ISSUER_V2, fake.utf8_string(fake.ISSUER) + b"\0")],
    [(fake.ISSUER_V1, b"x"), (fake.ISSUER_V2, fake.utf8_string(fake.ISSUER))],
    [(fake.ISSUER_V2, bytes([0x13, len(ISSUER)]) + ISSUER)],
    [(fake.ISSUER_V2, b"")],
)
USAGES = (
    (),
    (ExtendedKeyUsageOID.SERVER_AUTH,),
    (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,),
    (ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.SERVER_AUTH),
)


@dataclass
class Generator:
    """Creates requirements and signatures of one manifest."""

    choose: random.Random
    manifest: bytes
    directory: Path
    """Where the files of requirements are written."""

    def __post_init__(self) -> None:
        self.now = datetime.now(UTC)
        self.keys = [fake.create_key() for _ in range(3)]
        self.authorities = [fake.FakeFulcio(start=self.now - 2 * fake.DAY) for _ in range(2)]
        self.logs = [fake.FakeLog(), fake.FakeLog()]

    def happens(self, probability: float) -> bool:
        return self.choose.random() < probability

    def pick(self, items: list[Any]) -> Any:
        """Return the first item, which is the trusted one, or rarely the second."""
        return items[0] if self.happens(0.9) else items[1]

    def create(self) -> tuple[dict[str, Any], SigstoreSignature]:
        kind = self.choose.choice(KINDS)
        key = self.pick(self.keys)
        payload = Payload.create(NAME, Digest.of(self.manifest), self.now).to_bytes()
        if self.happens(0.5):
            payload = self.alter_payload(payload)
        signature = fake.sign(key, payload)
        text = fake.encode(signature)
        annotations = {
            SIGNATURE_ANNOTATION: self.alter_base64(signature) if self.happens(0.4) else text
        }
        verifier = fake.spki_pem(key)
        if kind in ("fulcio", "pki"):
            verifier = self.add_certificate(annotations, key, issuers=kind == "fulcio")
        if kind in ("recorded", "fulcio") or self.happens(0.2):
            self.add_promise(annotations, key, verifier, signature, payload)
        if self.happens(0.05):
            annotations.pop(self.choose.choice(list(annotations)))
        media_type = SIGSTORE_PAYLOAD if self.happens(0.97) else "application/x"
        requirement = self.create_requirement(kind)
        return requirement, SigstoreSignature(media_type, payload, annotations)

    def create_requirement(self, kind: str) -> dict[str, Any]:
        identity = {"type": "exactReference", "dockerReference": NAME}
        entry: dict[str, Any] = {"type": "sigstoreSigned", "signedIdentity": identity}
        root = fake.pem(self.authorities[0].root)
        logs = [fake.spki_pem(log.key) for log in self.logs]
        log = self.put_several("rekorPublicKey", logs if self.happens(0.2) else logs[:1])
        if kind == "key":
            return entry | self.put_several("key", [fake.spki_pem(self.keys[0])])
        if kind == "recorded":
            both = [fake.spki_pem(key) for key in (self.keys[2], self.keys[0])]
            return entry | self.put_several("key", both) | log
        if kind == "fulcio":
            fulcio = {"oidcIssuer": fake.ISSUER, "subjectEmail": fake.EMAIL}
            return entry | {"fulcio": fulcio | self.put("ca", root)} | log
        pki = self.put("caRoots", root)
        if self.happens(0.5):
            pki |= self.put("caIntermediates", fake.pem(self.authorities[0].intermediate))
        subjects = self.choose.randrange(3)
        if subjects != 1:
            pki["subjectEmail"] = fake.EMAIL
        if subjects != 0:
            pki["subjectHostname"] = self.choose.choice(HOSTS)
        return entry | {"pki": pki}

    def put(self, name: str, content: bytes) -> dict[str, Any]:
        """Return a member of a requirement with the content, or with the path of a file."""
        if self.happens(0.7):
            return {f"{name}Data": fake.encode(content)}
        return {f"{name}Path": self.write(content)}

    def put_several(self, name: str, contents: list[bytes]) -> dict[str, Any]:
        """Return a member with several contents or paths; rarely, a file does not exist."""
        if len(contents) == 1 and self.happens(0.5):
            return self.put(name, contents[0])
        if self.happens(0.7):
            return {f"{name}Datas": [fake.encode(content) for content in contents]}
        paths = [self.write(content) for content in contents]
        if self.happens(0.1):
            paths.append(str(self.directory / "missing"))
        return {f"{name}Paths": paths}

    def write(self, content: bytes) -> str:
        path = self.directory / f"{hashlib.sha256(content).hexdigest()}.pem"
        path.write_bytes(content)
        return str(path)

    def add_certificate(self, annotations: dict[str, str], key: Any, *, issuers: bool) -> bytes:
        authority = self.pick(self.authorities)
        options: dict[str, Any] = {"names": self.choose.choice(NAMES)}
        if self.happens(0.3):
            options["usages"] = self.choose.choice(USAGES)
        if self.happens(0.3):
            options["ca"] = self.happens(0.5)
        if issuers and self.happens(0.5):
            options["extensions"] = self.choose.choice(ISSUERS)
        verifier = fake.pem(authority.issue(key, moment=self.now, **options))
        intermediate, root = fake.pem(authority.intermediate), fake.pem(authority.root)
        chain = self.choose.choice(
            [authority.chain_pem] * 5
            + [intermediate, b"", root, authority.chain_pem * 2, root + intermediate]
        ).decode()
        annotations[CERTIFICATE_ANNOTATION] = self.alter_pem(verifier.decode())
        if self.happens(0.9):
            annotations[CHAIN_ANNOTATION] = self.alter_pem(chain)
        return verifier

    def add_promise(
        self,
        annotations: dict[str, str],
        key: Any,
        verifier: bytes,
        signature: bytes,
        payload: bytes,
    ) -> None:
        if self.happens(0.15):
            others = (
                verifier + b"\n",
                verifier * 2,
                b"x" + verifier,
                verifier.replace(b"\n", b"\r\n"),
                fake.spki_pem(self.keys[1]),
                fake.spki_pem(key),
            )
            verifier = self.choose.choice(others)
        recorded = signature if self.happens(0.93) else fake.sign(key, payload)
        body = fake.hashedrekord(verifier, recorded, payload if self.happens(0.95) else b"x")
        if self.happens(0.1):
            body = body.replace(b"0.0.1", self.choose.choice([b"0.0.2", b"1"]))
        if self.happens(0.05):
            body = body.replace(b"sha256", b"sha512")
        moment = self.now + self.choose.choice([0, 0, 0, 0, 0, -5, 20]) * fake.MINUTE
        promise = self.pick(self.logs).record(body, moment).to_annotation()
        annotations[BUNDLE_ANNOTATION] = self.alter_promise(promise)

    def alter_payload(self, raw: bytes) -> bytes:
        text, document = raw.decode(), json.loads(raw)
        choose = self.choose.choice
        critical = document["critical"]
        match self.choose.randrange(12):
            case 0:
                return choose([f"{text}\n", f" {text}  ", json.dumps(document, indent=2)]).encode()
            case 1:
                document["optional"] = None
            case 2 | 3:
                document["optional"] = {"timestamp": choose(TIMESTAMPS)}
            case 4:
                document["optional"] = {"creator": choose(["x", "", None, 1, []])}
            case 5:
                document["optional"] = {"other": choose([None, 1, {"a": 1}, [1.5]])}
            case 6:
                critical["type"] = choose(["atomic container signature", "", None, 1])
            case 7:
                critical["identity"]["docker-reference"] = choose([None, "", 1, "other.org/x:1"])
            case 8:
                digest = Digest.of(self.manifest)
                others = [Digest.of(self.manifest, "sha512").text, digest.text.upper(), None]
                critical["image"]["docker-manifest-digest"] = choose([*others, f"{digest}0"])
            case 9:
                return text.replace("critical", "\\u0063ritical", 1).encode()
            case 10:
                return text.replace('"optional"', '"Optional"').encode()
            case _:
                return choose([raw.replace(b"{", b'{"critical":{},', 1), raw + b"\xff"])
        return json.dumps(document).encode()

    def alter_base64(self, data: bytes) -> str:
        text = fake.encode(data)
        variants = [
            f"{text}\n",
            f"{text[:10]}\r\n{text[10:]}",
            text.rstrip("="),
            base64.urlsafe_b64encode(data).decode(),
            f" {text}",
            fake.encode(data + b"\0"),
            "",
        ]
        return self.choose.choice(variants)

    def alter_promise(self, text: str) -> str:
        document = json.loads(text)
        payload, choose = document["Payload"], self.choose.choice
        match self.choose.randrange(18):
            case 0:
                return choose([f"{text}\n", text.replace('"logIndex"', '"LogIndex"')])
            case 1:
                choose([document, payload])["more"] = 1
            case 2:
                payload["integratedTime"] = choose([1.5, "1", None, -5, 1])
            case 3:
                del payload[choose(list(payload))]
            case 4:
                signed = document["SignedEntryTimestamp"]
                document["SignedEntryTimestamp"] = choose([None, "", signed[:-4]])
            case 5:
                payload["logID"] = choose(["", "x", "\u00e9", None, 5])
            case _:
                return text
        return json.dumps(document)

    def alter_pem(self, text: str) -> str:
        if self.happens(0.7):
            return text
        variants = [
            f"{text}\n\n",
            f"\n{text}",
            text + fake.pem(self.authorities[0].intermediate).decode(),
            text.replace("CERTIFICATE", "TRUSTED CERTIFICATE"),
            f"text before\n{text}",
            f"{text}text after\n",
        ]
        return self.choose.choice(variants)


def accept(
    requirement: dict[str, Any], raw: bytes, manifest: bytes, now: datetime | None = None
) -> tuple[bool, str]:
    """Return our verdict at a time, by default the present, and the reason."""
    policy = policy_json.parse(json.dumps({"default": [requirement]}).encode(), "policy.json")
    (parsed,) = policy.default
    try:
        found = verify_attachment(
            signatures.parse(raw), load_trust(parsed), manifest, now or datetime.now(UTC)
        )
    except BundlerError as error:
        return False, error.message
    return found.payload.reference == NAME, found.payload.reference


def compare(seed: int, count: int, skopeo: str, record: Path | None = None) -> int:
    """Compare ``count`` cases; return the number of different verdicts, which are printed.

    With ``record``, as many accepted cases as rejected ones are written to this file.
    """
    different = 0
    verdicts: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        environment = {"HOME": directory, "PATH": os.environ["PATH"]}  # noqa: TID251 - for Skopeo

        def run(*arguments: object) -> subprocess.CompletedProcess[str]:
            words = [skopeo, *map(str, arguments)]
            return subprocess.run(
                words, cwd=work, env=environment, capture_output=True, text=True, check=False
            )

        images.write_layout(work / "layout", {"app": images.image()})
        run("--insecure-policy", "copy", "oci:layout:app", "dir:image")
        manifest = (work / "image" / "manifest.json").read_bytes()
        (work / "files").mkdir()
        generator = Generator(random.Random(seed), manifest, work / "files")
        for number in range(count):
            requirement, signature = generator.create()
            raw = signature.to_bytes()
            (work / "image" / "signature-1").write_bytes(raw)
            (work / "policy.json").write_text(json.dumps({"default": [requirement]}))
            shutil.rmtree(work / "copy", ignore_errors=True)
            theirs = run("--policy", "policy.json", "copy", "-q", "dir:image", "dir:copy")
            ours, reason = accept(requirement, raw, manifest)
            case = {"requirement": requirement, "signature": base64.b64encode(raw).decode()}
            verdicts[theirs.returncode == 0].append(case | {"accepted": theirs.returncode == 0})
            if ours != (theirs.returncode == 0):
                different += 1
                print(f"case {number}: ours {ours}: {reason}; theirs: {theirs.stderr[-300:]}")
        if record is not None:
            stored = [case for case in verdicts[True] if "Path" not in json.dumps(case)]
            other = [case for case in verdicts[False] if "Path" not in json.dumps(case)]
            lines = ",\n".join(map(json.dumps, [*stored[:_RECORDED], *other[:_RECORDED]]))
            text = json.dumps(
                {
                    "skopeo": "1.22.0-dev",
                    "now": generator.now.isoformat(),
                    "manifest": base64.b64encode(manifest).decode(),
                }
            )
            record.write_text(f'{text[:-1]}, "cases": [\n{lines}\n]}}\n')
    accepted = len(verdicts[True])
    print(f"seed {seed}: {count} signatures, {accepted} accepted, {different} different verdicts")
    return different
