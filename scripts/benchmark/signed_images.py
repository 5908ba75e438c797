"""Signed images in a registry, with policies that require their signatures, and bundles of them."""

from __future__ import annotations

import json
import shutil
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from bundler.oci.digest import Digest
from bundler.trust.sigstore import keys
from bundler.trust.simple_signing.simple_signing import SimplePayload
from scripts.benchmark.bench import run_in_process
from scripts.benchmark.contents import Supply
from scripts.benchmark.table import MB
from tests.fakes import images
from tests.fakes.openpgp import GnuPG
from tests.interop import servers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from scripts.benchmark.bench import Bench

Signatures = Literal["GPG", "sigstore"]
"""Simple signatures in a lookaside store, or sigstore signatures beside the images."""
KINDS: tuple[Signatures, ...] = ("GPG", "sigstore")

REPOSITORY = "signed"
SHARED, OWN = (0.025, 0.0125), (0.003, 0.0015)
"""Shares of the size of the benchmark: layers of all images, and each image's own layers."""


class SignedImages:
    """Images in a running registry, each with signatures.

    ``work`` contains the keys and the simple signatures, and receives bundles and settings.
    """

    def __init__(
        self, bench: Bench, work: Path, host: str, number: int, kinds: Sequence[Signatures]
    ) -> None:
        self.host = host
        self.names = [f"{REPOSITORY}:v{version}" for version in range(number)]
        self._bench = bench
        self._work = work
        self._kinds = kinds

    def settings(self, required: Signatures | None) -> list[str]:
        """Write settings, and return the options of both programs that select them.

        The policy requires one signature of each image; None: no signature is required or read.
        """
        requirement = {"type": "insecureAcceptAnything"}
        stores: dict[str, object] = {"lookaside": f"file://{self._work}/none"}
        if required == "GPG":
            key = f"{self._work}/gpg.pub"
            requirement = {"type": "signedBy", "keyType": "GPGKeys", "keyPath": key}
            stores = {
                "lookaside": f"file://{self._work}/lookaside",
                "lookaside-staging": f"file://{self._work}/staging",
            }
        elif required == "sigstore":
            requirement = {"type": "sigstoreSigned", "keyPath": f"{self._work}/sigstore.pub"}
            stores["use-sigstore-attachments"] = True
        registries = self._work / f"registries-{required}.d"
        registries.mkdir(exist_ok=True)
        (registries / "default.yaml").write_text(json.dumps({"default-docker": stores}))
        policy = self._work / f"policy-{required}.json"
        policy.write_text(json.dumps({"default": [requirement]}))
        return ["--policy", str(policy), "--registries.d", str(registries)]

    def bundle(self, *, signed: bool) -> Path:
        """Return a bundle of the images, with or without their signatures."""
        bundle = self._work / ("bundle" if signed else "unsigned")
        if not bundle.exists():
            settings = self.settings(self._kinds[0] if signed else None)
            referrers = "all" if signed else "none"
            self._bench.meter.time(
                [
                    self._bench.export_names(
                        self.host, self.names, bundle, *settings, referrers=referrers
                    )
                ]
            )
        return bundle


@contextmanager
def run_registry(bench: Bench, number: int, *kinds: Signatures) -> Iterator[SignedImages]:
    """Run a registry with images that have signatures of ``kinds``, until the block ends."""
    work = bench.work / "-".join([str(number), *kinds])
    with servers.registry(work / "registry") as registry:
        run_in_process(fill, registry.host, number, bench.megabytes, work, kinds)
        yield SignedImages(bench, work, registry.host, number, kinds)
    shutil.rmtree(work)


def fill(host: str, number: int, megabytes: int, work: Path, kinds: tuple[Signatures, ...]) -> None:
    """Push the images, sign them, and write the public keys and the simple signatures."""
    supply, site = Supply(), keys.generate_signing_key()
    (work / "sigstore.pub").write_bytes(site.public.to_pem())
    shared = [supply.layer(megabytes * MB * share) for share in SHARED]
    with closing(GnuPG()) as home:
        # A Skopeo that is built without GPGME does not support Ed25519.
        signer = home.generate("Bench <bench@example.com>", algorithm="rsa3072")
        (work / "gpg.pub").write_bytes(home.export(signer))
        for version in range(number):
            own = [supply.layer(megabytes * MB * share) for share in OWN]
            image, name = images.image(*shared, *own), f"{host}/{REPOSITORY}:v{version}"
            digest = Digest(images.push(host, REPOSITORY, image, f"v{version}"))
            if "GPG" in kinds:
                payload = SimplePayload.create(name, digest, datetime.now(UTC)).to_bytes()
                folder = work / "lookaside" / f"{REPOSITORY}@{digest.algorithm}={digest.hex}"
                folder.mkdir(parents=True)
                (folder / "signature-1").write_bytes(home.sign(payload, signer))
            if "sigstore" in kinds:
                tag, signatures = images.cosign_signature(image, reference=name, sign=site.sign)
                images.push(host, REPOSITORY, signatures, tag)
