"""Generated policies and signed images, and the verdicts of airbundle and Skopeo on them.

    scripts/torture policies sigstore [--seed N] [--count N] [--skopeo PROGRAM]

The images of one policy are in directories, and in a registry with a lookaside store. Skopeo judges
them in one ``sync`` each, airbundle in this process. The verdicts have to be equal, and so have the
reasons, except for those that contain messages of GnuPG or of a JSON parser.
"""

from __future__ import annotations

import base64
import json
import random
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pysequoia import Tsk, sign

from bundler import transports
from bundler.cancel import Cancellation
from bundler.cli.frontends.skopeo.messages.policy_errors import describe_rejection
from bundler.cli.runtime.policy_file import PolicyFileCheck
from bundler.config import policy_json
from bundler.config.paths import ConfigPathOverrides
from bundler.config.registry_access import RegistryOverride
from bundler.config.settings import Settings
from bundler.copy.image import ImageRequest
from bundler.copy.resolving.platform_selection import EVERYTHING, PlatformSelection
from bundler.copy.resolving.resolve import resolve
from bundler.errors import RejectedByPolicyError
from bundler.oci.digest import Digest
from bundler.oci.platform import Platform
from bundler.oci.signature import SIGNATURE_ANNOTATION, SIGSTORE_PAYLOAD, SigstoreSignature
from bundler.ports import OpenOptions
from bundler.trust.sigstore import keys
from bundler.trust.sigstore.attachments.payload import Payload
from bundler.trust.simple_signing.simple_signing import SimplePayload
from tests.fakes import images
from tests.fakes.openpgp import LONG_AGO, GnuPG
from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

BATCH = 40
"""The number of images that are judged by one policy."""

NAMES = (
    "r.example/app:1", "r.example/app:2", "r.example/app", "r.example/a/b:1", "busybox:1",
    "docker.io/library/busybox:1", "r.example/app@sha256:" + "a" * 64, "Not a name",
)  # fmt: skip
_PLATFORMS = ("linux/amd64", "linux/arm64")
_SINGLE = images.image()
_MULTI = images.multi_platform("app", *_PLATFORMS)
_OTHER = Digest.of(b"another manifest")
_CLOCK = ("--faked-system-time", LONG_AGO)
_LOCAL = PlatformSelection(best=Platform("linux", "amd64"))

Requirement = dict[str, Any]
Verdict = tuple[bool, tuple[str, ...]]
"""Whether an image is accepted, and the reasons if not."""


@dataclass
class Case:
    """An image to judge."""

    reference: str
    """The reference with its transport, as in messages of Skopeo."""
    image: images.Image
    scopes: dict[str, list[Requirement]]
    """Requirements by scope of its transport."""
    signatures: dict[str, list[bytes]]
    """The signatures of each manifest, by digest."""


@dataclass
class Difference:
    """A case with different verdicts."""

    case: Case
    ours: Verdict
    theirs: Verdict

    def __str__(self) -> str:
        scopes = json.dumps(self.case.scopes)
        return f"{self.case.reference}: {self.ours} (Skopeo: {self.theirs}) {scopes}"


class Signers:
    """Keys of several kinds and states, each with a file of its public key."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._secret: dict[str, Tsk] = {}
        self._home = GnuPG()
        for name in ("good", "other", "revoked"):
            key = self._home.generate(f"{name} <{name}@example.com>")
            self._secret[name] = Tsk.from_bytes(self._home.gpg("--export-secret-keys", key))
            if name == "revoked":
                self._home.revoke(key)
            (directory / f"{name}.gpg").write_bytes(self._home.export(key))
        self._expired = self._home.generate(
            "expired <expired@example.com>", expires="1d", time=LONG_AGO
        )
        (directory / "expired.gpg").write_bytes(self._home.export(self._expired))
        key = self._home.generate("late <late@example.com>", time=LONG_AGO)
        (directory / "late.gpg").write_bytes(self._home.export(key))
        content = SimplePayload(NAMES[0], Digest(_SINGLE.digest)).to_bytes()
        self.late = self._home.sign(content, key, options=(*_CLOCK, "--default-sig-expire", "1d"))
        """A signature of the image under the first name, which has expired."""
        (directory / "empty.gpg").write_bytes(b"")
        (directory / "garbage.gpg").write_bytes(b"not a key")
        self._sigstore = {name: keys.generate_signing_key() for name in ("site", "third")}
        for name, signer in self._sigstore.items():
            (directory / f"{name}.pub").write_bytes(signer.public.to_pem())

    def close(self) -> None:
        """Stop the agent of GnuPG."""
        self._home.close()

    def sign_simple(self, key: str, content: bytes) -> bytes:
        """Create a simple signature."""
        if key == "expired":
            return self._home.sign(content, self._expired, options=_CLOCK)
        return sign(self._secret[key].signer(), content, armor=False)

    def sign_sigstore(self, key: str, content: bytes) -> bytes:
        """Create a sigstore signature."""
        text = base64.b64encode(self._sigstore[key].sign(content)).decode()
        return SigstoreSignature(SIGSTORE_PAYLOAD, content, {SIGNATURE_ANNOTATION: text}).to_bytes()


class Generator:
    """Creates random policies and signatures."""

    def __init__(
        self, seed: int, signers: Signers, base: Path, host: str, *, sigstore: bool
    ) -> None:
        self.random = random.Random(seed)
        self._sigstore = sigstore
        self._signers = signers
        self._base = base
        self._host = host
        self._counter = 0

    def create_policy(self, cases: Sequence[Case]) -> dict[str, Any]:
        """Create a policy with the scopes of all cases, and with requirements for all others."""
        transport: dict[str, dict[str, object]] = {"dir": {}, "docker": {}}
        for case in cases:
            transport[case.reference.partition(":")[0]].update(case.scopes)
        for scopes, wide in (
            (transport["dir"], str(self._base)),
            (transport["docker"], self._host),
        ):
            for scope in ("", wide):
                if self.random.random() < 0.4:
                    scopes[scope] = self._create_requirements(NAMES, "m")
        return {"default": self._create_requirements(NAMES, "m"), "transports": transport}

    def create_case(self) -> Case:
        """Create an image in a directory or a registry."""
        self._counter += 1
        if self.random.random() < 0.6:
            path = f"{self._base}/c{self._counter}/a/image"
            image = _MULTI if self.random.random() < 0.25 else _SINGLE
            wide = f"{self._base}/c{self._counter}"
            scopes = [path, f"{wide}/a", wide, f"{wide}/a/im", f"{wide}/a/image/manifest.json"]
            return self._complete(f"dir:{path}", image, scopes, NAMES, "m")
        repository = f"{self._host}/c{self._counter}/app"
        own = f"{repository}{self.random.choice((':1', f'@{_SINGLE.digest}'))}"
        scopes = [own, repository, repository[:-4], f"{repository}:2", f"{repository[:-1]}"]
        names = (
            *(own, own, own, f"{repository}:1", f"{repository}:2", repository),
            *(own.replace(repository, f"r.example/m{self._counter}/app"), f"{repository[:-4]}/b:1"),
            *NAMES[:1],
        )
        reference = f"docker://{own}"
        return self._complete(reference, _SINGLE, scopes, names, f"m{self._counter}")

    def _complete(
        self,
        reference: str,
        image: images.Image,
        scopes: Sequence[str],
        names: Sequence[str],
        target: str,
    ) -> Case:
        chosen = self.random.choices(scopes[:3], k=self.random.choice((0, 1, 1, 1, 2)))
        chosen += self.random.choices(scopes, k=self.random.choice((0, 0, 0, 1)))
        requirements = {scope: self._create_requirements(names, target) for scope in chosen}
        signatures = {
            manifest.digest: [
                self._create_signature(manifest.digest, names)
                for _ in range(self.random.choice((0, 1, 1, 1, 2, 2, 3)))
            ]
            for manifest in image.manifests()
        }
        return Case(reference, image, requirements, signatures)

    def _create_requirements(self, names: Sequence[str], target: str) -> list[Requirement]:
        count = self.random.choice((1, 1, 1, 2, 3))
        return [self._create_requirement(names, target) for _ in range(count)]

    def _create_requirement(self, names: Sequence[str], target: str) -> Requirement:
        signed = "sigstoreSigned" if self._sigstore else "signedBy"
        kind = self.random.choices((signed, "insecureAcceptAnything", "reject"), (16, 3, 1))[0]
        found: Requirement = {"type": kind}
        if kind == signed:
            found |= self._choose_keys(kind)
            identity = self._create_identity(names, target)
            if identity is not None:
                found["signedIdentity"] = identity
        return found

    def _choose_keys(self, kind: str) -> Requirement:
        directory = self._signers.directory
        if kind == "sigstoreSigned":
            name = self.random.choice(("site", "site", "site", "third", "missing"))
            return {"keyPath": str(directory / f"{name}.pub")}
        files = self.random.choices(
            ("good", "other", "expired", "revoked", "late", "empty", "garbage", "missing"),
            (60, 10, 5, 5, 5, 2, 2, 1),
            k=self.random.choice((1, 1, 2)),
        )
        key_type = self.random.choices(("GPGKeys", "signedByGPGKeys"), (40, 1))[0]
        paths = [str(directory / f"{name}.gpg") for name in files]
        if len(files) > 1:
            return {"keyType": key_type, "keyPaths": paths}
        if files == ["good"] and self.random.random() < 0.3:
            inline = base64.b64encode(Path(paths[0]).read_bytes()).decode()
            return {"keyType": key_type, "keyData": inline}
        return {"keyType": key_type, "keyPath": paths[0]}

    def _create_identity(self, names: Sequence[str], target: str) -> Requirement | None:
        full = [name for name in names if name and "/app" in name and name[-3:] != "app"]
        match self.random.choices(range(7), (2, 1, 1, 2, 4, 2, 1))[0]:
            case 1:
                return {"type": "matchExact"}
            case 2:
                return {"type": "matchRepoDigestOrExact"}
            case 3:
                return {"type": "matchRepository"}
            case 4:
                return {"type": "exactReference", "dockerReference": self.random.choice(full)}
            case 5:
                return {"type": "exactRepository", "dockerRepository": "r.example/app"}
            case 6:
                prefix = full[0].rpartition("/")[0]
                return {
                    "type": "remapIdentity",
                    "prefix": self.random.choice((prefix, f"{prefix}/app", self._host)),
                    "signedPrefix": self.random.choice((f"r.example/{target}", "r.example")),
                }
        return None

    def _create_signature(self, digest: str, names: Sequence[str]) -> bytes:
        choose = self.random.choices
        signed = choose((Digest(digest), _OTHER), (9, 1))[0]
        name = choose(names, [4, *[1] * (len(names) - 1)])[0]
        simple, attached = (20, 65) if self._sigstore else (75, 10)
        kind = choose(range(9), (simple, attached, 3, 2, 2, 2, 2, 2, 1))[0]
        if kind == 1:
            key = choose(("site", "third"), (4, 1))[0]
            return self._signers.sign_sigstore(key, Payload(name, signed).to_bytes())
        content = SimplePayload(name, signed).to_bytes()
        if kind == 2:
            content = self._alter_payload(content)
        elif kind == 3:
            return self._signers.late
        elif kind == 4:
            annotations = choose(({}, {SIGNATURE_ANNOTATION: "bm8="}))[0]
            media_type = choose((SIGSTORE_PAYLOAD, "application/x"))[0]
            payload = Payload(name, signed).to_bytes()
            return SigstoreSignature(media_type, payload, annotations).to_bytes()
        key = choose(("good", "other", "expired", "revoked"), (12, 2, 1, 1))[0]
        message = self._signers.sign_simple(key, content)
        if kind == 5:
            return message[: self.random.randrange(len(message))]
        if kind == 6:
            position = self.random.randrange(1, len(message))
            return message[:position] + bytes([message[position] ^ 1]) + message[position + 1 :]
        if kind == 7:
            return message + message
        if kind == 8:
            return choose((b"", b"text", b"\0", b"\0sigstore-json\n{}", b"\0x\n{}"))[0]
        return message

    def _alter_payload(self, content: bytes) -> bytes:
        return self.random.choice(
            (
                b"no JSON",
                b"{}",
                content + b"x",
                content.replace(b"atomic", b"cosign"),
                content.replace(b'"optional":{', b'"optional":{"more":[1],'),
                content.replace(b'"critical":{', b'"critical":{"more":1,'),
                content.replace(b'"optional":{', b'"optional":{"creator":7,'),
            )
        )


def compare(
    seed: int, count: int, skopeo: str, *, sigstore: bool = False
) -> Iterator[tuple[int, list[Difference], Counter[str]]]:
    """Judge ``count`` images by both programs, in batches.

    The policies require simple signatures, or with ``sigstore``, sigstore signatures, which Skopeo
    in Debian 12 does not support.

    Yields:
        The number of images, those with different verdicts, and the counts of reasons.
    """
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="policies-"))).resolve()
        registry = stack.enter_context(FakeRegistry())
        signers_directory = work / "keys"
        signers_directory.mkdir()
        signers = stack.enter_context(closing(Signers(signers_directory)))
        generator = Generator(seed, signers, work / "in", registry.host, sigstore=sigstore)
        for first in range(0, count, BATCH):
            cases = [generator.create_case() for _ in range(min(BATCH, count - first))]
            policy = generator.create_policy(cases)
            everything = generator.random.random() < 0.5
            for case in cases:
                _write(case, work, registry)
            theirs = _judge_by_skopeo(
                cases, policy, work, registry.host, skopeo, everything=everything
            )
            ours = _judge(cases, policy, work, registry.host, everything=everything)
            differences = [
                Difference(case, mine, other)
                for case, mine, other in zip(cases, ours, theirs, strict=True)
                if mine != other
            ]
            counts = Counter(reason.partition(" ")[0] for _, found in ours for reason in found)
            counts["accepted"] += sum(accepted for accepted, _ in ours)
            yield len(cases), differences, counts
            for name in ("in", "lookaside"):
                shutil.rmtree(work / name, ignore_errors=True)
            registry.repositories.clear()


def _write(case: Case, work: Path, registry: FakeRegistry) -> None:
    transport, _, rest = case.reference.partition(":")
    if transport == "docker":
        _, repository = rest.removeprefix("//").split("/", 1)
        name = re.split("[:@]", repository)[0]
        for blob in case.image.blobs:
            registry.add_blob(name, blob.data)
        registry.add_manifest(name, "1", case.image.root.data)
        for digest, signatures in case.signatures.items():
            directory = work / "lookaside" / f"{name}@{digest.replace(':', '=')}"
            _write_signatures(directory, "", signatures)
        return
    directory = Path(rest)
    directory.mkdir(parents=True)
    (directory / "version").write_text("Directory Transport Version: 1.1\n")
    for blob in case.image.all_blobs():
        (directory / blob.digest.partition(":")[2]).write_bytes(blob.data)
    for manifest in case.image.manifests():
        digest = manifest.digest.partition(":")[2]
        front = "" if manifest.digest == case.image.digest else f"{digest}."
        (directory / f"{front}manifest.json").write_bytes(manifest.data)
        _write_signatures(directory, front, case.signatures[manifest.digest])


def _write_signatures(directory: Path, front: str, signatures: Sequence[bytes]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for number, signature in enumerate(signatures, 1):
        (directory / f"{front}signature-{number}").write_bytes(signature)


def _judge(
    cases: Sequence[Case], policy: Mapping[str, object], work: Path, host: str, *, everything: bool
) -> list[Verdict]:
    parsed = policy_json.parse(json.dumps(policy).encode(), "policy.json")
    paths = ConfigPathOverrides(registries_d=work / "registries.d")
    settings = Settings.load({}, work / "home", 1000, paths)
    options = OpenOptions(lambda: settings, overrides={host: RegistryOverride(tls_verify=False)})
    with ExitStack() as resources:
        check = PolicyFileCheck(parsed, Cancellation(), resources, require_signed=False)
        return [_judge_one(case, check, options, everything=everything) for case in cases]


def _judge_one(
    case: Case, check: PolicyFileCheck, options: OpenOptions, *, everything: bool
) -> Verdict:
    try:
        reference = transports.parse(case.reference)
        selection = EVERYTHING if everything else _LOCAL
        with closing(transports.open_source(reference, options)) as source:
            resolve(ImageRequest(reference, selection=selection), source, check)
    except RejectedByPolicyError as error:
        return False, _normalize(describe_rejection(error))
    return True, ()


_FAILURE = re.compile(
    r'level=error msg="((?:[^"\\]|\\.)*)" error="?((?:[^"\\]|\\.)*)"?$', re.MULTILINE
)
_REFERENCE = re.compile(r'^Error copying ref "(.*)"$')


def _judge_by_skopeo(
    cases: Sequence[Case],
    policy: Mapping[str, object],
    work: Path,
    host: str,
    skopeo: str,
    *,
    everything: bool,
) -> list[Verdict]:
    (work / "policy.json").write_text(json.dumps(policy))
    settings = work / "registries.d"
    settings.mkdir(exist_ok=True)
    (settings / "default.yaml").write_text(
        f"default-docker: {{lookaside: 'file://{work}/lookaside'}}\n"
    )
    command = [skopeo, "--policy", str(work / "policy.json"), "--registries.d", str(settings)]
    command += ["sync", "--keep-going", *["--all"] * everything]
    command += ["--remove-signatures", "--dest-tls-verify=false"]
    runs = []
    if (work / "in").exists():
        runs.append(["--src", "dir", "--dest", "docker", str(work / "in"), f"{host}/out"])
    listed: dict[str, list[str]] = {}
    for case in cases:
        if case.reference.startswith("docker:"):
            repository = case.reference.removeprefix(f"docker://{host}/")
            name, version = re.split("[:@]", repository, maxsplit=1)
            listed[name] = [version]
    if listed:
        document = {host: {"images": listed, "tls-verify": False}}
        (work / "sync.yaml").write_text(json.dumps(document))
        runs.append(["--src", "yaml", "--dest", "docker", str(work / "sync.yaml"), f"{host}/out"])
    failures: dict[str, str] = {}
    for run in runs:
        result = subprocess.run(
            [*command, *run],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        if "level=fatal" in result.stderr and "Sync failed" not in result.stderr:
            raise AssertionError(result.stderr)
        for message, error in _FAILURE.findall(result.stderr):
            reference = _REFERENCE.match(json.loads(f'"{message}"'))
            assert reference is not None, result.stderr
            failures[reference[1]] = json.loads(f'"{error}"')
    found: list[Verdict] = []
    for case in cases:
        failure = failures.pop(case.reference, None)
        found.append((True, ()) if failure is None else (False, _normalize(failure)))
    assert not failures, failures
    return found


# The reasons of which both programs decide the words. Older versions of Skopeo do not quote names.
_COMPARED = (
    "A signature was required, but no signature exists", "Signature for digest ",
    "Signature for identity ", "No public keys imported", "Unimplemented ", "Running image ",
    "open ", "missing ",
)  # fmt: skip


def _normalize(message: str) -> tuple[str, ...]:
    """Return the reasons of a rejection; those with other words become ``other``."""
    front, rejected, reasons = message.partition("Source image rejected: ")
    assert rejected, message
    reasons = reasons.removeprefix("None of the signatures were accepted, reasons: ")
    found = [
        reason.replace('"', "") if reason.startswith(_COMPARED) else "other"
        for reason in reasons.split("; ")
    ]
    # airbundle rejects such an image before it reads the number of images in the index.
    if not front or found[0].startswith("Running image "):
        return tuple(found)
    return (front, *found)
