"""Signatures of every source reach every target of an import, or are reported.

An image with signatures of all kinds that a source can hold is exported, and imported into each
kind of target. Each signature is either found there, or named by the report.
"""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field

import pytest

from bundler import transports
from bundler.bundle.exporting import export as exporting
from bundler.bundle.importing import import_bundle
from bundler.bundle.importing.target import parse_target
from bundler.config.paths import ConfigPathOverrides
from bundler.config.registry_access import RegistryOverride
from bundler.config.settings import Settings
from bundler.copy.engine import EngineOptions
from bundler.copy.image import ImageRequest
from bundler.errors import InvalidReferenceError
from bundler.oci.digest import Digest
from bundler.oci.reference import ImageReference
from bundler.oci.signature import SIGSTORE_PAYLOAD, SigstoreSignature
from bundler.ports import OpenOptions
from bundler.transports.docker.transport import DockerDestination
from tests.contracts.contents import publish, push_all
from tests.fakes import bundles, images
from tests.fakes.openshift import FakeOpenShift
from tests.fakes.registry import FakeRegistry
from tests.fakes.tars import TarStore

SIMPLE = b"\x90an OpenPGP message"
SIGSTORE = SigstoreSignature(SIGSTORE_PAYLOAD, b"{}", {"a": "b"}).to_bytes()
IMAGE = images.image(images.layer({"file": b"content"}))
HEX = IMAGE.digest.removeprefix("sha256:")
TAG, ATTACHED = images.cosign_signature(IMAGE)
REFERRER = images.artifact("application/vnd.cncf.notary.signature", b"notation", subject=IMAGE)
NAME = "ns/app"


@dataclass
class World:
    """A registry, a cluster, and directories; the settings of a user."""

    path: object
    registry: FakeRegistry
    cluster: FakeOpenShift
    attachments: bool = False
    events: list = field(default_factory=list)

    @property
    def options(self):
        home = self.path / "home"
        kubeconfig = self.path / "kubeconfig"
        config = {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": self.cluster.url}}],
            "users": [{"name": "u", "user": {}}],
        }
        kubeconfig.write_text(json.dumps(config))
        directory = self.path / "registries.d"
        directory.mkdir(exist_ok=True)
        (directory / "all.yaml").write_text(
            f"default-docker: {{use-sigstore-attachments: {str(self.attachments).lower()}}}\n"
        )
        paths = ConfigPathOverrides(etc=home, usr_share=home, run=home, registries_d=directory)
        overrides = {self.registry.host: RegistryOverride(plain_http=True)}
        variables = {"KUBECONFIG": str(kubeconfig)}
        return OpenOptions(lambda: Settings.load(variables, home, 1000, paths), overrides=overrides)

    @property
    def lookaside(self):
        return self.path / "home/.local/share/containers/sigstore"

    def fill_registry(self, *referrers):
        for name, image in ({"1": IMAGE} | dict(referrers)).items():
            for blob in image.all_blobs():
                self.registry.add_blob(NAME, blob.data)
            self.registry.add_manifest(NAME, name, image.root.data)

    def export(self, source, reference="registry.corp/ns/app:1"):
        request = ImageRequest(
            transports.parse(source),
            ImageReference.parse(reference),
            referrers="all",
            signatures="applicable",
        )
        bundle = exporting.ExportRequest(
            [request], self.options, self.path / "bundle", "plant-7", "oci"
        )
        with ThreadPoolExecutor(2) as executor:
            report = exporting.export(bundle, EngineOptions(executor, emit=self.events.append))
        return report.inventory.images[0]

    def import_(self, target):
        request = import_bundle.ImportRequest(
            self.path / "bundle", parse_target(target), self.options, allow_unsigned=True
        )
        with ThreadPoolExecutor(2) as executor:
            engine = EngineOptions(executor, read_everything=True, emit=self.events.append)
            return import_bundle.import_bundle(request, engine).images[0]


@pytest.fixture
def world(tmp_path):
    with FakeRegistry() as registry, FakeOpenShift(registry) as cluster:
        yield World(tmp_path, registry, cluster)


def add_referrers(world):
    world.fill_registry((TAG, ATTACHED), ("notation", REFERRER))


def put_in_lookaside(world):
    add_referrers(world)
    stored = world.lookaside / f"{NAME}@sha256={HEX}/signature-1"
    stored.parent.mkdir(parents=True)
    stored.write_bytes(SIMPLE)
    return f"docker://{world.registry.host}/{NAME}:1"


def put_in_signature_api(world):
    add_referrers(world)
    world.registry.signature_api = True
    with closing(
        transports.open_destination(
            transports.parse(f"docker://{world.registry.host}/{NAME}:1"), world.options
        )
    ) as destination:
        assert isinstance(destination, DockerDestination)
        destination.push_signatures(Digest(IMAGE.digest), [SIMPLE])
        destination.commit([])
    return f"docker://{world.registry.host}/{NAME}:1"


def attach(world):
    world.attachments = True
    return put_in_lookaside(world)


def put_in_stream(world):
    add_referrers(world)
    world.cluster.add_signature(IMAGE.digest, SIMPLE)
    return f"atomic:{world.registry.host}/{NAME}:1"


def put_in_directory(world):
    bundles.write_tree(world.path, {"app": IMAGE})
    directory = world.path / "images" / HEX
    (directory / "signature-1").write_bytes(SIMPLE)
    (directory / "signature-2").write_bytes(SIGSTORE)
    return f"dir:{directory}"


def put_in_layout(world):
    named = {"app": IMAGE, TAG: ATTACHED, "notation": REFERRER}
    return f"oci:{images.write_layout(world.path / 'layout', named)}:app"


REFERRERS = {TAG, None}
SOURCES = {
    "docker, lookaside": (put_in_lookaside, [SIMPLE], REFERRERS),
    "docker, signature API": (put_in_signature_api, [SIMPLE], REFERRERS),
    "docker, attachments": (attach, [SIMPLE], REFERRERS),
    "atomic": (put_in_stream, [SIMPLE], REFERRERS),
    "dir": (put_in_directory, [SIMPLE, SIGSTORE], set()),
    "oci": (put_in_layout, [], REFERRERS),
}
"""How an image is stored with its signatures; the signatures and referrers that are exported."""

WITHOUT_SIGNATURES = {
    "docker-archive", "docker-daemon", "ostree", "sif", "tarball",
}  # fmt: skip
"""The transports that can hold none."""
LIKE_ANOTHER = {"oci-archive": "oci"}
TESTED_BELOW = {"containers-storage"}


def test_every_transport_is_in_the_table():
    tested = {name.partition(",")[0] for name in SOURCES} | TESTED_BELOW
    assert {*transports.names()} == tested | WITHOUT_SIGNATURES | {*LIKE_ANOTHER}


@pytest.mark.parametrize("name", SOURCES)
def test_bundle_contains_the_signatures_of_the_source(world, name):
    store, expected, referrers = SOURCES[name]
    entry = world.export(store(world))
    found = {item.digest for item in entry.signatures}
    assert found == {Digest.of(raw) for raw in expected}
    assert {item.tag for item in entry.referrers} == referrers
    assert entry.left_behind == ()


@pytest.mark.parametrize("compress", [True, False])
def test_signatures_in_a_store_are_carried_or_left_behind(world, compress):
    """They refer to the original manifest, whose compressed layers the store does not have."""
    store = TarStore()
    root = store.add_image(compress=compress)
    reference = f"containers-storage:[vfs@{world.path}/store+{world.path}/run]example.com/app:1"
    with closing(
        transports.open_destination(transports.parse(reference), world.options)
    ) as destination:
        push_all(destination, store)
        destination.push_signatures(root.digest, [SIMPLE])
        publish(destination, root, "example.com/app:1")
    entry = world.export(reference)
    assert len(entry.signatures) == (0 if compress else 1)
    left = (f"sha256={root.digest.hex}/signature-1",)
    assert entry.left_behind == (left if compress else ())


def read_lookaside(world, path=NAME):
    return [item.read_bytes() for item in world.lookaside.glob(f"{path}@sha256={HEX}/signature-*")]


def read_signature_api(world):
    found = world.registry.signatures.get((NAME, IMAGE.digest), [])
    return [signatures_of(item) for item in found]


def signatures_of(entry):
    return base64.b64decode(entry["content"])


def read_stream(world):
    return [signatures_of(item) for item in world.cluster.signatures.get(IMAGE.digest, [])]


def read_directory(world):
    return [item.read_bytes() for item in (world.path / "out/ns/app/1").glob("signature-*")]


TARGETS = {
    "docker, lookaside": ("docker://{}", read_lookaside, [SIMPLE]),
    "docker, signature API": ("docker://{}", read_signature_api, [SIMPLE]),
    "docker, attachments": ("docker://{}", read_lookaside, [SIMPLE]),
    "atomic": ("atomic:{}", read_stream, [SIMPLE]),
    "dir": ("dir:out", read_directory, [SIMPLE, SIGSTORE]),
    "oci": ("oci:out", lambda _: [], []),
}
"""How an image is imported, where its signatures are, and those of the two that are there."""


@pytest.mark.parametrize("name", TARGETS)
def test_target_stores_the_signatures_or_the_report_names_them(world, name):
    target, read, expected = TARGETS[name]
    world.registry.signature_api = "API" in name
    world.attachments = "attachments" in name
    world.export(put_in_directory(world))
    if target.endswith("out"):
        target = f"{target.removesuffix('out')}{world.path}/out"
    result = world.import_(target.format(world.registry.host))
    assert sorted(read(world)) == sorted(expected)
    attached = int(world.attachments)  # the other one is a manifest in the registry
    assert result.signatures == len(expected) + attached
    reported = sum(item.count for item in result.unstored_signatures)
    assert reported == 2 - result.signatures
    if attached:
        assert f"sha256-{HEX}.sig" in world.registry.repository(NAME).tags


@pytest.mark.parametrize("name", ["docker", "atomic"])
def test_referrers_are_stored_at_the_target(world, name):
    world.export(put_in_layout(world))
    target = {"docker": "docker://{}", "atomic": "atomic:{}"}[name]
    result = world.import_(target.format(world.registry.host))
    assert result.refused_referrers == {}
    repository = world.registry.repository(NAME)
    assert TAG in repository.tags
    assert {ATTACHED.digest, REFERRER.digest} <= repository.manifests.keys()


def test_name_that_no_image_stream_can_have_is_refused_before_the_first_push(world):
    world.export(put_in_layout(world), reference="registry.corp/too/deep/app:1")
    with pytest.raises(InvalidReferenceError):
        world.import_(f"atomic:{world.registry.host}/ns")
    assert world.registry.count("POST") == 0
