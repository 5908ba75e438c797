"""Record the verdicts of other programs on our sigstore signatures, and keep signatures of theirs.

    python -m tests.interop.record_sigstore_peers COSIGN SKOPEO

COSIGN is cosign 3 and SKOPEO is Skopeo 1.22 or newer, neither of which Debian 12 has. The verdicts
are written to ``sigstore_peers.json``, the signatures to ``tests/trust/sigstore/vectors/peers``.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, utils

from bundler.oci import signature as signatures
from bundler.oci.digest import Digest
from bundler.oci.signature import SIGNATURE_ANNOTATION, SIGSTORE_PAYLOAD, SigstoreSignature
from bundler.trust.private_keys import encrypted_key
from bundler.trust.sigstore import bundle, dsse, keys
from bundler.trust.sigstore.verify_bundle import COSIGN_SIGNATURE
from tests.fakes import images, sigstore as fake
from tests.interop import servers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RECORD = Path(__file__).with_name("sigstore_peers.json")
VECTORS = Path(__file__).parents[1] / "trust" / "sigstore" / "vectors" / "peers"
PASSPHRASE = "peers"
NAME = "registry.example.org/app:1"
SBOM = "https://spdx.dev/Document"
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_TIME = re.compile(r'time="[^"]*" level=\w+ msg=')


@dataclass
class Recorder:
    """Runs programs in a directory, and records their verdicts."""

    cosign: str
    skopeo: str
    work: Path
    registry: str = ""
    cases: list[dict[str, object]] = field(default_factory=list)

    def run(self, *command: object, check: bool = True) -> subprocess.CompletedProcess[str]:
        programs = {"cosign": self.cosign, "skopeo": self.skopeo}
        words = [str(word) for word in command]
        result = subprocess.run(
            [programs.get(words[0], words[0]), *words[1:]],
            cwd=self.work,
            env={
                "HOME": str(self.work),
                "PATH": os.environ["PATH"],  # noqa: TID251 - as the user runs it
                "COSIGN_PASSWORD": PASSPHRASE,
                "PYTHONPATH": str(Path(__file__).parents[2]),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        if check and result.returncode:
            raise AssertionError(f"{words}: {result.stderr}")
        return result

    def airbundle(self, *arguments: object) -> None:
        result = self.run(*servers.AIRBUNDLE, *arguments, check=False)
        if result.returncode:
            raise AssertionError(result.stderr)

    def judge(self, case: str, accepted: bool, *command: object) -> None:
        """Record the verdict of another program, which must be as expected."""
        result = self.run(*command, check=False)
        lines = [line for line in result.stderr.splitlines() if not line.startswith("Flag --")]
        line = _TIME.sub("", lines[-1] if lines and result.returncode else "")
        text = " ".join(str(word) for word in command)
        for path, replacement in ((str(self.work), "."), (self.registry, "REGISTRY")):
            if path:
                text, line = text.replace(path, replacement), line.replace(path, replacement)
        self.cases.append(
            {
                "case": case,
                "accepted": result.returncode == 0,
                "command": text,
                "message": line[:300],
            }
        )
        print(case, result.returncode, line[:120])
        assert (result.returncode == 0) == accepted, result.stderr

    def judge_directory(
        self, case: str, accepted: bool, directory: str, **requirement: object
    ) -> None:
        """Let Skopeo copy a ``dir:`` image with a policy of one requirement.

        The requirement and the signature are recorded too, with the content of all files.
        """
        shutil.rmtree(self.work / "copy", ignore_errors=True)
        identity = {"type": "exactReference", "dockerReference": NAME}
        inline = self._inline(requirement)
        entry = {"type": "sigstoreSigned", "signedIdentity": identity} | inline
        (self.work / "policy.json").write_text(json.dumps({"default": [entry]}))
        self.judge(
            case, accepted, "skopeo", "--policy", "policy.json", "copy", f"dir:{directory}",
            "dir:copy",
        )  # fmt: skip
        signature = (self.work / directory / "signature-1").read_bytes()
        manifest = (self.work / directory / "manifest.json").read_bytes()
        self.cases[-1] |= {
            "requirement": entry,
            "signature": base64.b64encode(signature).decode(),
            "manifest": manifest.decode(),
        }

    def judge_keyless_bundle(
        self,
        case: str,
        accepted: bool,
        document: dict[str, Any],
        root: dict[str, Any],
        artifact: bytes,
    ) -> None:
        """Let cosign verify a bundle with a trusted root; record all of them."""
        (self.work / "artifact").write_bytes(artifact)
        (self.work / "bundle.json").write_text(json.dumps(document))
        (self.work / "root.json").write_text(json.dumps(root))
        is_statement = "dsseEnvelope" in document
        command = "verify-blob-attestation" if is_statement else "verify-blob"
        self.judge(
            f"keyless bundle: {case}", accepted, "cosign", command, "--bundle", "bundle.json",
            "--trusted-root", "root.json", "--certificate-identity", fake.EMAIL,
            "--certificate-oidc-issuer", fake.ISSUER, "--insecure-ignore-sct",
            *(("--type", SBOM) if is_statement else ()), "artifact",
        )  # fmt: skip
        self.cases[-1] |= {"bundle": document, "root": root, "artifact": artifact.decode()}

    def _inline(self, members: dict[str, object]) -> dict[str, object]:
        """Replace the paths in a requirement by the content of the files."""
        found: dict[str, object] = {}
        for name, value in members.items():
            if isinstance(value, dict):
                found[name] = self._inline(value)
            elif name.endswith("Path"):
                raw = (self.work / str(value)).read_bytes()
                found[name.removesuffix("Path") + "Data"] = base64.b64encode(raw).decode()
            else:
                found[name] = value
        return found


def main(cosign: str, skopeo: str) -> None:
    """Record everything."""
    shutil.rmtree(VECTORS, ignore_errors=True)
    VECTORS.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        recorder = Recorder(cosign, skopeo, work)
        images.write_layout(work / "layout", {"app": images.image()})
        (work / "pass").write_text(PASSPHRASE)
        for name in ("site", "other"):
            recorder.airbundle(
                "generate-sigstore-key", "--output-prefix", name, "--passphrase-file", "pass"
            )
        record_keys(recorder)
        record_hostile_signatures(recorder)
        record_services(recorder)
        record_bundles_of_files(recorder)
        record_keyless_bundles(recorder)
        with servers.registry(work / "registry") as registry:
            recorder.registry = registry.host
            record_registry(recorder)
            record_referrer(recorder)
        versions = {
            "cosign": json.loads(recorder.run("cosign", "version", "--json").stdout)["gitVersion"],
            "skopeo": recorder.run("skopeo", "--version").stdout.split()[2],
        }
    cases = ",\n".join(json.dumps(case) for case in recorder.cases)  # one case a line
    RECORD.write_text(f'{{"programs": {json.dumps(versions)}, "cases": [\n{cases}\n]}}\n')


def sign_layout(recorder: Recorder, directory: str, *flags: object) -> Path:
    recorder.airbundle(
        "copy", *flags, "--sign-identity", NAME, "oci:layout:app", f"dir:{directory}"
    )
    return recorder.work / directory


def key_flags(name: str) -> tuple[str, ...]:
    return (
        "--sign-by-sigstore-private-key", f"{name}.private", "--sign-passphrase-file", "pass"
    )  # fmt: skip


def record_keys(recorder: Recorder) -> None:
    """Keys of every algorithm, in both directions."""
    sign_layout(recorder, "signed", *key_flags("site"))
    recorder.judge_directory("key of airbundle", True, "signed", keyPath="site.pub")
    recorder.judge_directory("other key", False, "signed", keyPath="other.pub")
    algorithms = {
        "p384": ec.generate_private_key(ec.SECP384R1()),
        "p521": ec.generate_private_key(ec.SECP521R1()),
        "rsa": rsa.generate_private_key(65537, 2048),
        "ed25519": ed25519.Ed25519PrivateKey.generate(),
    }
    for name, key in algorithms.items():
        der = key.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        private = recorder.work / f"{name}.private"
        private.write_bytes(encrypted_key.encrypt(der, PASSPHRASE.encode()))
        (recorder.work / f"{name}.pub").write_bytes(fake.spki_pem(key))
        sign_layout(recorder, f"signed-{name}", *key_flags(name))
        recorder.judge_directory(f"{name} key", True, f"signed-{name}", keyPath=f"{name}.pub")
    recorder.run(
        "skopeo", "generate-sigstore-key", "--output-prefix", "skopeo", "--passphrase-file", "pass"
    )
    sign_layout(recorder, "signed-skopeo", *key_flags("skopeo"))
    recorder.judge_directory("key of Skopeo", True, "signed-skopeo", keyPath="skopeo.pub")
    recorder.run("cosign", "generate-key-pair", "--output-key-prefix", "cosign")
    (recorder.work / "cosign.key").rename(recorder.work / "cosign.private")
    sign_layout(recorder, "signed-cosign", *key_flags("cosign"))
    recorder.judge_directory("key of cosign", True, "signed-cosign", keyPath="cosign.pub")
    recorder.run(
        "skopeo", "--insecure-policy", "copy", *key_flags("site"), "--sign-identity", NAME,
        "oci:layout:app", "dir:by-skopeo",
    )  # fmt: skip
    keep(recorder, "skopeo-key", "by-skopeo", "site.pub")
    for name in ("skopeo.private", "cosign.private"):
        keep_file(recorder, name)


def record_hostile_signatures(recorder: Recorder) -> None:
    """Signatures that are genuine, but odd."""
    key = serialization.load_der_private_key(
        encrypted_key.decrypt(
            (recorder.work / "site.private").read_bytes(), PASSPHRASE.encode(), "key"
        ),
        None,
    )
    raw = (recorder.work / "signed" / "signature-1").read_bytes()
    original = signatures.parse(raw)
    assert isinstance(original, SigstoreSignature)
    r, s = utils.decode_dss_signature(base64.b64decode(original.annotations[SIGNATURE_ANNOTATION]))
    payload = original.payload
    variants = {
        "malleated twin": (True, payload, utils.encode_dss_signature(r, _ORDER - s)),
        "bare numbers": (True, payload, r.to_bytes(32, "big") + s.to_bytes(32, "big")),
        "byte after the signature": (False, payload, utils.encode_dss_signature(r, s) + b"\0"),
    }
    digest = b'"docker-manifest-digest":'
    payloads = {
        "other type": payload.replace(b"cosign container image", b"atomic container"),
        "duplicate key": payload.replace(digest, digest + b'"sha256:' + b"0" * 64 + b'",' + digest),
        "unknown member": payload.replace(b'{"critical"', b'{"more":1,"critical"'),
        "not JSON": b"not JSON",
        "bytes after the document": payload + b"{}",
        "other digest": payload.replace(b"sha256:", b"sha512:" + b"0" * 64),
    }
    variants |= {
        name: (False, changed, fake.sign(key, changed)) for name, changed in payloads.items()
    }
    for name, (accepted, changed, signature) in variants.items():
        annotations = {SIGNATURE_ANNOTATION: base64.b64encode(signature).decode()}
        variant = SigstoreSignature(SIGSTORE_PAYLOAD, changed, annotations).to_bytes()
        directory = f"variant-{len(recorder.cases)}"
        shutil.copytree(recorder.work / "signed", recorder.work / directory)
        (recorder.work / directory / "signature-1").write_bytes(variant)
        recorder.judge_directory(name, accepted, directory, keyPath="site.pub")


def record_services(recorder: Recorder) -> None:
    """A certificate of Fulcio and a log, in both directions."""
    work = recorder.work
    with fake.FakeServices() as services:
        (work / "ca.pem").write_bytes(fake.pem(services.fulcio.root))
        (work / "log.pub").write_bytes(fake.spki_pem(services.log.key))
        (work / "params.yaml").write_text(
            f"fulcio:\n  fulcioURL: {services.url}\n  oidcMode: staticToken\n"
            f"  oidcIDToken: {fake.create_token()}\nrekorURL: {services.url}\n"
        )
        sign_layout(recorder, "keyless", "--sign-by-sigstore", "params.yaml")
        recorder.run(
            "skopeo", "--insecure-policy", "copy", "--sign-by-sigstore", "params.yaml",
            "--sign-identity", NAME, "oci:layout:app", "dir:keyless-by-skopeo",
        )  # fmt: skip
    fulcio = {"caPath": "ca.pem", "oidcIssuer": fake.ISSUER, "subjectEmail": fake.EMAIL}
    log = {"rekorPublicKeyPath": "log.pub"}
    recorder.judge_directory("Fulcio and Rekor", True, "keyless", fulcio=fulcio, **log)
    for member in ("oidcIssuer", "subjectEmail"):
        other = fulcio | {member: "other"}
        recorder.judge_directory(f"other {member}", False, "keyless", fulcio=other, **log)
    recorder.judge_directory(
        "other log", False, "keyless", fulcio=fulcio, rekorPublicKeyPath="site.pub"
    )
    keep(recorder, "skopeo-keyless", "keyless-by-skopeo", "ca.pem", "log.pub")


def record_bundles_of_files(recorder: Recorder) -> None:
    """Bundles of a file and of a statement about it, in both directions."""
    work = recorder.work
    key = keys.parse_private_key(
        (work / "site.private").read_bytes(), PASSPHRASE.encode(), "site.private"
    )
    (work / "file").write_bytes(b"an artifact\n")
    (work / "file.json").write_bytes(bundle.sign_artifact(key, b"an artifact\n"))
    statement = dsse.Statement(SBOM, ({"sha256": Digest.of(b"an artifact\n").hex},), {"a": 1})
    envelope = dsse.sign_envelope(key, dsse.IN_TOTO, statement.to_bytes())
    (work / "statement.json").write_bytes(bundle.create_key_bundle(key.public, envelope))
    options = ("--key", "site.pub", "--insecure-ignore-tlog")
    verify = ("cosign", "verify-blob", *options, "--bundle", "file.json")
    recorder.judge("bundle of a file", True, *verify, "file")
    recorder.judge("bundle of another file", False, *verify, "pass")
    attested = ("cosign", "verify-blob-attestation", *options, "--bundle", "statement.json")
    recorder.judge("statement in a bundle", True, *attested, "--type", SBOM, "file")
    recorder.judge(
        "statement of another type", False, *attested, "--type", "slsaprovenance", "file"
    )
    recorder.judge("statement about another file", False, *attested, "--type", SBOM, "pass")
    recorder.run(
        "cosign", "sign-blob", "--key", "site.private", "--use-signing-config=false",
        "--tlog-upload=false", "-y", "--bundle", "by-cosign.json", "file",
    )  # fmt: skip
    (VECTORS / "cosign-file").mkdir()
    for name in ("file", "by-cosign.json"):
        shutil.copy(work / name, VECTORS / "cosign-file" / name)


def record_keyless_bundles(recorder: Recorder) -> None:
    """Bundles by a certificate, genuine and altered, verified with a trusted root."""
    fulcio, log = fake.FakeFulcio(), fake.FakeLog()
    expired = fulcio.renew_intermediate(fake.NOW - fake.MINUTE)
    for number in range(5):
        log.record(b"%d" % number)
    artifact = b"an artifact\n"
    statement = dsse.Statement(SBOM, ({"sha256": Digest.of(artifact).hex},), {"a": 1}).to_bytes()

    def create(**options: object) -> dict[str, Any]:
        return fake.create_keyless_bundle(artifact, fulcio, log, **options)

    root = fake.create_trusted_root(fulcio, log)
    cases = {
        "genuine": (True, create(), root),
        "genuine statement": (True, create(statement=statement), root),
        "other identity": (False, create(email="other@example.org"), root),
        "other provider": (False, create(issuer="https://other"), root),
        "other log": (False, create(), fake.create_trusted_root(fulcio, fake.FakeLog())),
        "other authority": (False, create(), fake.create_trusted_root(fake.FakeFulcio(), log)),
        "expired intermediate": (False, create(), fake.create_trusted_root(expired, log)),
        "recorded too early": (False, create(moment=fake.NOW - 5 * fake.MINUTE), root),
        "recorded too late": (False, create(moment=fake.NOW + fake.DAY), root),
        "entry of another bundle": (False, exchange_entry(create(), create()), root),
    }
    other_hash = fake.encode(bytes(32))
    changes: dict[str, Callable[[dict[str, Any]], object]] = {
        "no promise": lambda entry: entry.pop("inclusionPromise"),
        "no proof": lambda entry: entry.pop("inclusionProof"),
        "other time": lambda entry: entry.update(integratedTime="1764500000"),
        "other index": lambda entry: entry.update(logIndex="1"),
        "other promise": lambda entry: entry["inclusionPromise"].update(
            signedEntryTimestamp=other_hash
        ),
        "other index in proof": lambda entry: entry["inclusionProof"].update(logIndex="1"),
        "other size in proof": lambda entry: entry["inclusionProof"].update(treeSize="99"),
        "other root in proof": lambda entry: entry["inclusionProof"].update(rootHash=other_hash),
        "longer proof": lambda entry: entry["inclusionProof"]["hashes"].append(other_hash),
        "other checkpoint": lambda entry: entry["inclusionProof"]["checkpoint"].update(
            envelope=fake.FakeLog().sign_note("rekor.example.org - 1\n9\nAAAA\n")
        ),
    }
    for name, change in changes.items():
        document = create()
        change(document["verificationMaterial"]["tlogEntries"][0])
        cases[name] = (False, document, root)
    for name, (accepted, document, trusted) in cases.items():
        recorder.judge_keyless_bundle(name, accepted, document, trusted, artifact)


def exchange_entry(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Return the first bundle with the log entry of the second one."""
    first["verificationMaterial"]["tlogEntries"] = second["verificationMaterial"]["tlogEntries"]
    return first


def record_registry(recorder: Recorder) -> None:
    """Signatures in a registry: attachments by tag, and bundles as referrers."""
    work, host = recorder.work, recorder.registry
    (work / "registries.d").mkdir()
    (work / "registries.d" / "default.yaml").write_text(
        "default-docker:\n  use-sigstore-attachments: true\n"
    )
    skopeo = ("skopeo", "--insecure-policy", "--registries.d", "registries.d", "copy")
    recorder.airbundle(
        "--registries.d", "registries.d", "copy", "--dest-tls-verify=false", *key_flags("site"),
        "--sign-identity", NAME, "oci:layout:app", f"docker://{host}/ours:1",
    )  # fmt: skip
    digest = Digest.of((work / "signed" / "manifest.json").read_bytes())
    flags = ("--key", "site.pub", "--insecure-ignore-tlog")
    verify = ("cosign", "verify", *flags, "--new-bundle-format=false")
    recorder.judge("attachment by tag", True, *verify, f"{host}/ours@{digest}")
    others = ("cosign", "verify", "--key", "other.pub", *flags[2:], "--new-bundle-format=false")
    recorder.judge("attachment of another key", False, *others, f"{host}/ours@{digest}")
    recorder.run(*skopeo, "--dest-tls-verify=false", "oci:layout:app", f"docker://{host}/theirs:1")
    sign = (
        "cosign", "sign", "--key", "site.private", "--use-signing-config=false",
        "--tlog-upload=false", "-y",
    )  # fmt: skip
    recorder.run(*sign, "--new-bundle-format=false", f"{host}/theirs@{digest}")
    recorder.run(
        *skopeo, "--src-tls-verify=false", f"docker://{host}/theirs:1", "dir:cosign-attachment"
    )
    keep(recorder, "cosign-attachment", "cosign-attachment")
    recorder.run(*sign, f"{host}/theirs@{digest}")
    (work / "sbom.json").write_text('{"spdxVersion":"SPDX-2.3"}')
    recorder.run(
        "cosign", "attest", *sign[2:], "--predicate", "sbom.json", "--type", SBOM,
        f"{host}/theirs@{digest}",
    )  # fmt: skip
    (VECTORS / "cosign-bundles").mkdir()
    shutil.copy(work / "signed" / "manifest.json", VECTORS / "cosign-bundles" / "manifest.json")
    for number, raw in enumerate(fetch_bundles(f"http://{host}/v2/theirs", digest), 1):
        (VECTORS / "cosign-bundles" / f"bundle-{number}.json").write_bytes(raw)


def record_referrer(recorder: Recorder) -> None:
    """A bundle that was copied to a registry as a referrer of an image."""
    work, host = recorder.work, recorder.registry
    image = images.image()
    key = keys.parse_private_key(
        (work / "site.private").read_bytes(), PASSPHRASE.encode(), "site.private"
    )
    statement = dsse.Statement(COSIGN_SIGNATURE, ({"sha256": Digest(image.digest).hex},))
    envelope = dsse.sign_envelope(key, dsse.IN_TOTO, statement.to_bytes())
    raw = bundle.create_key_bundle(key.public, envelope)
    referrer = images.artifact(bundle.MEDIA_TYPE, raw, media_type=bundle.MEDIA_TYPE, subject=image)
    images.write_layout(work / "signed-layout", {"app": image, "bundle": referrer})
    recorder.airbundle(
        "copy", "--referrers", "--dest-tls-verify=false", "oci:signed-layout:app",
        f"docker://{host}/referrer:1",
    )  # fmt: skip
    verify = ("cosign", "verify", "--insecure-ignore-tlog", "--key")
    name = f"{host}/referrer@{image.digest}"
    recorder.judge("bundle as referrer", True, *verify, "site.pub", name)
    recorder.judge("bundle of another key as referrer", False, *verify, "other.pub", name)


def fetch_bundles(repository: str, digest: Digest) -> Iterator[bytes]:
    """Yield the bundles that refer to a manifest."""
    tag = digest.text.replace(":", "-")
    for entry in fetch(f"{repository}/manifests/{tag}")["manifests"]:
        manifest = fetch(f"{repository}/manifests/{entry['digest']}")
        with urlopen(f"{repository}/blobs/{manifest['layers'][0]['digest']}") as response:
            yield response.read()


def fetch(url: str) -> dict[str, list[dict[str, str]]]:
    accepted = f"{images.OCI['index']}, {images.OCI['manifest']}"
    with urlopen(Request(url, headers={"Accept": accepted})) as response:
        document: dict[str, list[dict[str, str]]] = json.load(response)
    return document


def keep(recorder: Recorder, name: str, directory: str, *files: str) -> None:
    """Keep the manifest and the signatures of a ``dir:`` image, and other files."""
    target = VECTORS / name
    target.mkdir()
    for path in (recorder.work / directory).iterdir():
        if path.name == "manifest.json" or path.name.startswith("signature-"):
            shutil.copy(path, target / path.name)
    for file in files:
        shutil.copy(recorder.work / file, target / file)


def keep_file(recorder: Recorder, name: str) -> None:
    shutil.copy(recorder.work / name, VECTORS / name)


if __name__ == "__main__":
    main(*sys.argv[1:])
