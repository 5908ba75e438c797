"""Contract of every transport that stores signatures beside manifests."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, ClassVar

import pytest

from bundler.oci.signature import SIGNATURE_ANNOTATION, SIGSTORE_PAYLOAD, SigstoreSignature
from bundler.signature_ports import HasSignatures, StoresSignatures
from tests.contracts.contents import publish, push_all
from tests.contracts.exclusions import Contract
from tests.fakes.memory import MemoryStore

if TYPE_CHECKING:
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.ports import Destination, Source

SIMPLE = b"\x90simple signature\0\n"
"""Begins like an OpenPGP message."""
OTHER_SIMPLE = b"\xc4another simple signature" * 100


def sigstore(payload: bytes = b'{"critical":{}}', value: str = "c2ln") -> bytes:
    """Return a sigstore signature as it is stored."""
    annotations = {SIGNATURE_ANNOTATION: value, "other": "<&é>"}
    return SigstoreSignature(SIGSTORE_PAYLOAD, payload, annotations).to_bytes()


class SignatureContract(Contract):
    """Base of test classes, which define the fixtures ``opened`` and ``source``."""

    new_store = MemoryStore
    """Store in which the images are created."""
    signatures: ClassVar[list[bytes]] = [SIMPLE, OTHER_SIMPLE, sigstore(), sigstore(b"{}")]
    """Signatures that the transport can store, in the order in which it returns them."""
    adds = False
    """Whether signatures are added to those that are stored, and do not replace them."""

    def name(self, root: Descriptor) -> str | None:
        """Return the name of the image ``root`` for ``commit``; None: no name."""
        return "app"

    @pytest.fixture
    def opened(self, tmp_path):
        """A function that opens the same destination on each call."""
        raise NotImplementedError

    @pytest.fixture
    def source(self, tmp_path):
        """A function that opens the written images as a source."""
        raise NotImplementedError

    @pytest.fixture
    def write(self, opened):
        """A function that writes an image of ``store`` with signatures by manifest."""

        def write(store: MemoryStore, root: Descriptor, signatures: dict[Digest, list[bytes]]):
            with closing(opened()) as destination:
                assert isinstance(destination, StoresSignatures)
                push_all(destination, store)
                for digest, items in signatures.items():
                    destination.push_signatures(digest, items)
                self.publish(destination, root)

        return write

    def publish(self, destination: Destination, root: Descriptor) -> None:
        name = self.name(root)
        publish(destination, root, *([] if name is None else [name]))

    def create_image(self, layer: bytes = b"layer") -> tuple[MemoryStore, Descriptor]:
        store = self.new_store()
        return store, store.add_image(layers=[layer], compress=False)

    def test_source_returns_the_stored_signatures(self, write, source):
        store, root = self.create_image()
        write(store, root, {root.digest: self.signatures})
        with closing(source()) as reading:
            assert isinstance(reading, HasSignatures)
            assert reading.signatures(root.digest) == self.signatures
            assert reading.signatures(root.digest) == self.signatures

    def test_image_without_signatures_has_none(self, write, source):
        store, root = self.create_image()
        write(store, root, {})
        with closing(source()) as reading:
            assert reading.signatures(root.digest) == []

    def test_signatures_belong_to_one_manifest(self, write, source):
        store = self.new_store()
        images = [store.add_image(layers=[data]) for data in (b"1", b"2", b"3")]
        root = store.add_index(manifests=images)
        expected = {
            root.digest: self.signatures[:1],
            images[0].digest: self.signatures[1:],
            images[1].digest: self.signatures[:1],
        }
        write(store, root, expected)
        with closing(source()) as reading:
            for digest in (root.digest, *(image.digest for image in images)):
                assert reading.signatures(digest) == expected.get(digest, [])

    def test_only_commit_stores_signatures(self, opened, source, write):
        store, root = self.create_image()
        write(store, root, {})
        with closing(opened()) as destination:
            destination.push_signatures(root.digest, self.signatures)
        with closing(source()) as reading:
            assert reading.signatures(root.digest) == []

    def test_equal_signatures_are_stored_once(self, write, source):
        store, root = self.create_image()
        for _ in range(2):
            write(store, root, {root.digest: self.signatures})
        with closing(source()) as reading:
            assert reading.signatures(root.digest) == self.signatures

    def test_second_run_replaces_or_adds_signatures(self, write, source):
        store, root = self.create_image()
        first, *others = self.signatures
        write(store, root, {root.digest: others})
        write(store, root, {root.digest: [first]})
        with closing(source()) as reading:
            found = reading.signatures(root.digest)
        expected = [*others, first] if self.adds else [first]
        assert sorted(found) == sorted(expected)


def read(source: Source, digest: Digest) -> list[bytes]:
    """Return the signatures of a manifest."""
    assert isinstance(source, HasSignatures)
    with closing(source):
        return source.signatures(digest)
