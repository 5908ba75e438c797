"""Signatures beside manifests are copied, and prevent conversion."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from bundler import transports
from bundler.cancel import Cancellation
from bundler.config.settings import Settings
from bundler.copy.convert.options import ConversionOptions
from bundler.copy.engine import EngineOptions
from bundler.copy.resolving.platform_selection import PlatformSelection
from bundler.errors import (
    CannotConvertError,
    LimitError,
    TrustError,
    UnnamedDestinationError,
    UnsupportedError,
)
from bundler.images.copy_image import CopyRequest, TransferOptions, copy_image
from bundler.oci.digest import Digest
from bundler.oci.platform import Platform
from bundler.ports import OpenOptions
from tests.fakes import images


def copy(source, destination, **fields):
    transfer = TransferOptions(**fields)
    parsed = CopyRequest(transports.parse(source), transports.parse(destination), transfer)
    options = OpenOptions(Settings)
    with ThreadPoolExecutor(2) as executor:
        return copy_image(parsed, options, options, EngineOptions(executor, Cancellation()))


@pytest.fixture
def signed(tmp_path):
    """An index with signatures of itself and of its first image."""
    images.write_layout(
        tmp_path / "layout", {"app": images.multi_platform("app", "linux/amd64", "linux/arm64")}
    )
    copy(f"oci:{tmp_path}/layout:app", f"dir:{tmp_path}/signed")
    (tmp_path / "signed/signature-1").write_bytes(b"of the list")
    (tmp_path / "signed/signature-2").write_bytes(b"another")
    first = min(tmp_path.glob("signed/*.manifest.json"))
    name = first.name.removesuffix(".manifest.json")
    first.with_name(f"{name}.signature-1").write_bytes(b"of an image")
    return tmp_path / "signed"


def signatures(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*signature-*")}


def test_all_signatures_are_copied(signed, tmp_path):
    copy(f"dir:{signed}", f"dir:{tmp_path}/copy")
    assert len(signatures(signed)) == 3
    assert signatures(tmp_path / "copy") == signatures(signed)


def test_signatures_of_the_index_or_all_can_be_omitted(signed, tmp_path):
    copy(f"dir:{signed}", f"dir:{tmp_path}/images", signatures="images")
    assert list(signatures(tmp_path / "images").values()) == [b"of an image"]
    copy(f"dir:{signed}", f"dir:{tmp_path}/none", signatures="none")
    assert not signatures(tmp_path / "none")


def test_signed_image_is_not_converted(signed, tmp_path):
    with pytest.raises(CannotConvertError) as caught:
        copy(
            f"dir:{signed}",
            f"dir:{tmp_path}/copy",
            conversion=ConversionOptions(manifest_format="v2s2"),
        )
    assert caught.value.reason == "it is signed; remove the signatures with --remove-signatures"
    changed = ConversionOptions(manifest_format="v2s2")
    copy(f"dir:{signed}", f"dir:{tmp_path}/copy", conversion=changed, signatures="none")
    assert not signatures(tmp_path / "copy")


def test_destination_without_signatures_refuses_a_signed_image(signed, tmp_path):
    with pytest.raises(UnsupportedError) as caught:
        copy(f"dir:{signed}", f"oci:{tmp_path}/copy:app")
    assert caught.value.hint == "copy the image without its signatures: --remove-signatures"
    assert not (tmp_path / "copy/index.json").exists()


def test_signed_index_is_not_stripped(signed, tmp_path):
    both = (Platform("linux", "amd64"),)
    smaller = PlatformSelection(both, "strip", variants=True)
    with pytest.raises(CannotConvertError) as caught:
        copy(f"dir:{signed}", f"dir:{tmp_path}/copy", selection=smaller)
    assert caught.value.reason == "the index is signed"
    copy(f"dir:{signed}", f"dir:{tmp_path}/copy", selection=smaller, signatures="images")


def test_signatures_of_the_former_image_are_removed(signed, tmp_path):
    images.write_layout(tmp_path / "other", {"app": images.image()})
    copy(f"oci:{tmp_path}/other:app", f"dir:{signed}")
    assert not signatures(signed)


def test_total_size_of_signatures_is_limited(signed, tmp_path, monkeypatch):
    monkeypatch.setattr("bundler.copy.resolving.resolve.MAX_SIGNATURE_BYTES", 15)
    with pytest.raises(LimitError):
        copy(f"dir:{signed}", f"dir:{tmp_path}/copied")


def sign_with(name):
    """Return a function whose signatures state what is signed."""

    def sign(reference, descriptor, raw):
        assert len(raw) == descriptor.size
        return [f"{name} {reference} {descriptor.digest}".encode()]

    return sign


def test_signatures_of_each_manifest_are_added_to_those_of_the_source(signed, tmp_path):
    report = copy(
        f"dir:{signed}",
        f"dir:{tmp_path}/copy",
        sign_manifest=sign_with("new"),
        sign_identity="example.com/app:1",
    )
    found = signatures(tmp_path / "copy")
    new = {
        item.descriptor.digest: f"new example.com/app:1 {item.descriptor.digest}".encode()
        for item in report.image.graph.manifests
    }
    assert len(new) == 3
    assert found["signature-3"] == new[report.root.digest]
    assert set(found.values()) == {*signatures(signed).values(), *new.values()}


def test_converted_manifest_is_signed(tmp_path):
    images.write_layout(tmp_path / "layout", {"app": images.image()})
    report = copy(
        f"oci:{tmp_path}/layout:app",
        f"dir:{tmp_path}/copy",
        conversion=ConversionOptions(manifest_format="v2s2"),
        sign_manifest=sign_with("new"),
        sign_identity="example.com/app:1",
    )
    expected = f"new example.com/app:1 {report.root.digest}".encode()
    assert signatures(tmp_path / "copy") == {"signature-1": expected}
    assert Digest.of((tmp_path / "copy/manifest.json").read_bytes()) == report.root.digest


def test_destination_without_name_needs_an_identity(signed, tmp_path):
    with pytest.raises(UnnamedDestinationError) as caught:
        copy(f"dir:{signed}", f"dir:{tmp_path}/copy", sign_manifest=sign_with("new"))
    assert caught.value.reference == f"dir:{tmp_path}/copy"
    assert not (tmp_path / "copy").exists()


def test_destination_without_signatures_refuses_to_sign(tmp_path):
    images.write_layout(tmp_path / "layout", {"app": images.image()})
    with pytest.raises(UnsupportedError) as caught:
        copy(
            f"oci:{tmp_path}/layout:app",
            f"oci:{tmp_path}/copy:app",
            sign_manifest=sign_with("new"),
            sign_identity="example.com/app:1",
        )
    assert caught.value.hint == "copy the image without signing it"
    assert not (tmp_path / "copy/index.json").exists()


def test_image_that_cannot_be_signed_is_not_published(tmp_path):
    images.write_layout(tmp_path / "layout", {"app": images.image()})

    def refuse(*_):
        raise TrustError("no key")

    with pytest.raises(TrustError):
        copy(
            f"oci:{tmp_path}/layout:app",
            f"dir:{tmp_path}/copy",
            sign_manifest=refuse,
            sign_identity="example.com/app:1",
        )
    assert not (tmp_path / "copy/manifest.json").exists()
