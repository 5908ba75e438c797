"""Reading images: manifests that match the uncompressed layers, names, signatures."""

from __future__ import annotations

from contextlib import closing
from typing import ClassVar

import pytest

from bundler import transports
from bundler.copy.image import ImageRequest
from bundler.copy.resolving.resolve import resolve
from bundler.errors import (
    AmbiguousImageError,
    MalformedError,
    NotFoundError,
    RejectedByPolicyError,
    SignedOriginalError,
    UnsupportedError,
)
from bundler.oci import manifest
from bundler.oci.digest import Digest
from bundler.ports import Node
from bundler.signature_ports import CompletesReferences
from tests.contracts import contents
from tests.contracts.source import read
from tests.fakes.tars import TarStore, directory, hard_link, member, pack, symlink
from tests.transports.containers_storage.sample_storage import NAME


def test_layers_are_read_back_byte_for_byte(storage):
    tars = [
        pack(
            directory("etc", mode=0o700),
            member("etc/os-release", b"ID=test\n" * 5000, mode=0o640),
            hard_link("etc/again", "etc/os-release", mode=0o640),
            symlink("etc/soft", "os-release"),
            member("long/" + "n" * 150, b"x"),
            member("caf\udce9", b"not UTF-8"),
            member("empty"),
        ),
        pack(member("etc/.wh.soft"), member("late", b"2")) + bytes(20_000),
    ]
    root = storage.add_tars(*tars)
    with closing(storage.source()) as source:
        resolved = source.resolve(NAME)
        parsed = manifest.parse(read(source, Node.of(resolved, "manifest")), resolved.media_type)
        assert [read(source, Node.of(layer, "layer")) for layer in parsed.layers] == tars
        assert {layer.media_type for layer in parsed.layers} == {
            "application/vnd.oci.image.layer.v1.tar"
        }
        assert source.resolve_original(NAME).digest == root.digest


def test_stored_manifest_with_uncompressed_layers_is_returned_unchanged(storage):
    store = TarStore()
    root = store.add_image(layers=[b"1"], compress=False)
    storage.copy(store, root, NAME)
    with closing(storage.source()) as source:
        assert source.resolve(NAME).digest == root.digest


def test_manifest_is_readable_by_its_digest_in_another_source(storage):
    storage.add_image()
    with closing(storage.source()) as source:
        resolved = source.resolve(NAME)
        raw = read(source, Node.of(resolved, "manifest"))
    with closing(storage.source()) as source:
        assert read(source, Node.of(resolved, "manifest")) == raw
        with pytest.raises(NotFoundError):
            read(source, Node("manifest", resolved.media_type, Digest.of(b"missing")))


def test_layer_without_a_tar_split_record_is_refused(storage):
    storage.add_image()
    for record in storage.record_directory("layers").glob("*.tar-split.gz"):
        record.unlink()
    (layer,) = storage.read_records("layers")
    with closing(storage.source()) as source, pytest.raises(UnsupportedError):
        read(source, Node("layer", "application/x", Digest(layer["diff-digest"])))


def test_image_is_found_by_name_id_and_digest(storage):
    root, image = storage.add_image()
    with closing(storage.source()) as source:
        resolved = source.resolve(NAME)
        for name in (
            f"@{image}",
            f"@{image[:12]}",
            image,
            f"{NAME}@{image}",
            f"example.com/app@{root.digest}",
        ):
            assert source.resolve(name) == resolved
        for name in (f"@{'0' * 64}", f"example.com/other@{image}", f"other@{root.digest}"):
            with pytest.raises(NotFoundError):
                source.resolve(name)


def test_image_without_a_name_is_the_only_one_or_ambiguous(storage):
    storage.add_image(b"1")
    with closing(storage.source()) as source:
        assert source.resolve() == source.resolve(NAME)
        storage.add_image(b"2", name="example.com/other:1")
        with pytest.raises(AmbiguousImageError) as caught:
            source.resolve()
    assert caught.value.count == 2


def test_beginning_of_an_id_has_precedence_over_a_name(storage):
    root, image = storage.add_image(b"1")
    storage.add_image(b"2", name=image[:12])
    with closing(storage.source()) as source:
        assert source.resolve_original(image[:12]).digest == root.digest


@pytest.mark.parametrize("compress", [True, False])
def test_signed_image_is_refused_if_its_manifest_changes(storage, compress):
    store = TarStore()
    root = store.add_image(compress=compress)
    with closing(storage.destination()) as destination:
        contents.push_all(destination, store)
        destination.push_signatures(root.digest, [b"one"])
        contents.publish(destination, root, NAME)
    reference = storage.reference(NAME)
    with closing(storage.source()) as source:
        assert not resolve(ImageRequest(reference), source).signatures
        request = ImageRequest(reference, signatures="all")
        if not compress:
            assert resolve(request, source).signatures == {root.digest: (b"one",)}
            return
        with pytest.raises(SignedOriginalError):
            resolve(request, source)


class Policy:
    """Accepts the manifest with the digest ``expected``, if it has signatures."""

    def __init__(self, expected):
        self.expected = expected

    def check_reference(self, reference):
        pass

    def check_manifest(self, reference, manifest, read_signatures):
        if Digest.of(manifest) != self.expected or not read_signatures():
            raise RejectedByPolicyError("rejected", rule="signedBy")


def test_policy_is_applied_to_the_original_manifest(storage):
    store = TarStore()
    root = store.add_image()
    with closing(storage.destination()) as destination:
        contents.push_all(destination, store)
        destination.push_signatures(root.digest, [b"one"])
        contents.publish(destination, root, NAME)
    request = ImageRequest(storage.reference(NAME))
    with closing(storage.source()) as source:
        assert resolve(request, source, Policy(root.digest)).graph.root != root
        with pytest.raises(RejectedByPolicyError):
            resolve(request, source, Policy(Digest.of(b"other")))


def test_accepted_manifest_must_list_the_stored_layers(storage):
    """The record of an image can be changed to refer to other layers."""
    store = TarStore()
    root = store.add_image()
    with closing(storage.destination()) as destination:
        contents.push_all(destination, store)
        destination.push_signatures(root.digest, [b"one"])
        contents.publish(destination, root, NAME)
    storage.add_image(b"hostile", name="example.com/other:1")
    first, second = storage.read_records("images")
    first["layer"] = second["layer"]
    storage.write_records("images", [first, second])
    request = ImageRequest(storage.reference(NAME))
    with (
        closing(storage.source()) as source,
        pytest.raises(MalformedError, match="not those of the original manifest"),
    ):
        resolve(request, source, Policy(root.digest))


def test_policy_applies_to_the_reference_with_its_storage_and_image(storage):
    """Without them, no scope of a policy would match."""

    class Recorded:
        references: ClassVar[list[str]] = []

        def check_reference(self, reference):
            self.references.append(reference)

        def check_manifest(self, reference, manifest, read_signatures):
            self.references.append(reference)

    _, image_id = storage.add_image()
    where = f"containers-storage:[{storage.driver}@{storage.root}+{storage.run_root}]"
    with closing(storage.source()) as source:
        assert isinstance(source, CompletesReferences)
        for name, named in ((NAME, NAME), (image_id, ""), (image_id[:8], "")):
            short = transports.parse(f"containers-storage:{name}")
            assert source.complete(short.name) == f"{where}{named}@{image_id}"
        request = ImageRequest(transports.parse(f"containers-storage:{NAME}"))
        resolve(request, source, Recorded())
    assert {*Recorded.references} == {f"{where}{NAME}@{image_id}"}
