from __future__ import annotations

import errno
import json
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from bundler.bundle.format.files import bundle_paths
from bundler.bundle.format.signatures import sigstore_copy
from bundler.bundle.verifying.verify import verify
from bundler.cancel import Cancellation
from bundler.content.files.safe_directory import Directory
from bundler.errors import (
    CancelledError,
    DamagedBundleError,
    DisconnectedMediumError,
    ExpiredError,
    InvalidReferenceError,
    InvalidSignatureError,
    MissingFileError,
    NotFoundError,
    TrustError,
    UnauthenticatedError,
    UnreadableBundleError,
    UnsupportedError,
)
from bundler.events import (
    BlobFinished,
    BlobProgressed,
    BlobStarted,
    BlobTotal,
    Planned,
    TransferTotals,
)
from bundler.oci.digest import Digest
from bundler.trust import keys
from bundler.trust.bundle_trust import TrustedKeys
from tests.fakes import bundles, images

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY, OTHER = keys.generate_key(), keys.generate_key()
NGINX, APP = bundles.REFERENCES
FORMS = ["oci", "dir"]


@pytest.fixture(params=FORMS)
def bundle(request, tmp_path: Path) -> Path:
    return bundles.write(tmp_path / "b", form=request.param, keys=(KEY,))


def find(bundle: Path, blob: images.Blob) -> list[Path]:
    """Return every file of the bundle with the content of ``blob``."""
    return [path for path in bundles.find_files(bundle) if path.read_bytes() == blob.data]


@pytest.mark.parametrize("place", ["hint", "digest", "signature"])
def test_damaged_signature_in_the_format_of_cosign_is_found(bundle: Path, place: str):
    """Although it never authenticates the bundle, and no file lists its digest."""
    raw = (bundle / "bundle.json").read_bytes()
    signature = KEY.sign(raw)
    copy = sigstore_copy.create(KEY.public, signature, raw)
    (bundle / "bundle.json.sigstore.json").write_bytes(copy)
    (bundle / f"bundle.json.{KEY.public.id[:16]}.sig").write_bytes(signature)
    assert findings(bundle) == {}
    start = copy.index(f'"{place}":"'.encode()) + len(place) + 4
    for change in (start, start + 40):
        damaged = bytearray(copy)
        damaged[change] ^= 1
        (bundle / "bundle.json.sigstore.json").write_bytes(damaged)
        assert set(findings(bundle)) == {"bundle.json.sigstore.json"}


def findings(bundle: Path) -> dict[str, tuple[str, tuple[str, ...]]]:
    result = verify(bundle, TrustedKeys.create([KEY.public]))
    return {item.path: (item.code, item.images) for item in result.findings}


def test_undamaged_bundle_is_whole_and_trusted(bundle: Path):
    result = verify(bundle, TrustedKeys.create([OTHER.public, KEY.public]))
    result.check()
    assert result.whole
    assert result.signers == (KEY.public,)
    assert result.inventory is not None
    assert (result.inventory.stream, result.inventory.serial) == ("plant-7", 1795417200)
    assert result.files == result.inventory.checksum_file.count
    assert result.to_json()["trusted"] is True


def test_verification_changes_nothing(bundle: Path):
    def state():
        return {path: path.stat().st_mtime_ns for path in [bundle, *bundles.find_files(bundle)]}

    before = state()
    verify(bundle, TrustedKeys.create([KEY.public]))
    assert state() == before


def test_bundle_signed_by_another_key_is_whole_but_not_authenticated(bundle: Path):
    result = verify(bundle, TrustedKeys.create([OTHER.public]))
    assert result.whole
    assert not result.signers
    with pytest.raises(UnauthenticatedError) as raised:
        result.check()
    assert raised.value.exit_status == 4


def test_bad_signature_is_reported(bundle: Path):
    (bundle / f"bundle.json.{KEY.public.id[:16]}.sig").write_bytes(OTHER.sign(b""))
    with pytest.raises(InvalidSignatureError):
        verify(bundle, TrustedKeys.create([KEY.public])).check()


def test_inventory_signed_again_by_another_key_is_not_authenticated(bundle: Path):
    """A signature by another key, under the name of the trusted key, does not authenticate."""
    for path in bundle.glob("*.sig"):
        path.write_bytes(OTHER.sign((bundle / "bundle.json").read_bytes()))
    with pytest.raises(InvalidSignatureError):
        verify(bundle, TrustedKeys.create([KEY.public])).check()


def test_flipped_bit_in_any_file_is_found(tmp_path: Path):
    """A change of any file changes the result."""
    bundle = bundles.write(tmp_path / "b", keys=(KEY,))
    for path in sorted(bundles.find_files(bundle)):
        data = path.read_bytes()
        for at in {0, len(data) // 2, len(data) - 1}:
            path.write_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
            result = verify(bundle, TrustedKeys.create([KEY.public]))
            assert result.findings or result.trust_error, f"{path} at {at}"
            if path.name != "bundle.json" and path.suffix != ".sig":
                assert str(path.relative_to(bundle)) in {item.path for item in result.findings}
        path.write_bytes(data)
    verify(bundle, TrustedKeys.create([KEY.public])).check()


def test_finding_of_damaged_layer_lists_its_images(bundle: Path):
    shared = bundles.sample()[NGINX].blobs[1]
    damaged = find(bundle, shared)
    for path in damaged:
        path.write_bytes(bytes([shared.data[0] ^ 1]) + shared.data[1:])
    found = findings(bundle)
    assert set(found) == {str(path.relative_to(bundle)) for path in damaged}
    assert {code for code, _ in found.values()} == {"damaged"}
    assert {name for _, names in found.values() for name in names} == {NGINX, APP}


def test_finding_of_missing_layer_lists_its_images(bundle: Path):
    layer = bundles.sample()[NGINX].blobs[2]
    (path,) = find(bundle, layer)
    path.unlink()
    assert findings(bundle) == {str(path.relative_to(bundle)): ("missing", (NGINX,))}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("raw", [b"[]", b'{"a":' * 1000, b"{}" + b" " * 2**22])
def test_config_that_an_import_refuses_is_found(tmp_path: Path, form: str, raw: bytes):
    """Its digest is the signed one, so only its content shows that the signer was mistaken."""
    image = bundles.sample()[NGINX]
    config = images.Blob(images.OCI["config"], raw)
    value = json.loads(image.root.data) | {"config": config.descriptor()}
    root = images.Blob(images.OCI["manifest"], images.dump(value))
    hostile = images.Image(root, (config, *image.blobs[1:]), platform="linux/amd64")
    bundle = bundles.write(tmp_path / "b", {NGINX: hostile}, form=form, keys=(KEY,))
    (path,) = find(bundle, config)
    assert findings(bundle) == {str(path.relative_to(bundle)): ("malformed", (NGINX,))}


def test_layer_with_wrong_size_is_found_without_hashing(bundle: Path):
    layer = bundles.sample()[NGINX].blobs[2]
    (path,) = find(bundle, layer)
    path.write_bytes(layer.data[:-1])
    result = verify(bundle, TrustedKeys.create([KEY.public]))
    assert [(item.code, item.images) for item in result.findings] == [("size", (NGINX,))]
    assert result.findings[0].expected == f"{len(layer.data):,} bytes"


def test_verification_continues_after_missing_manifest(bundle: Path):
    nginx = bundles.sample()[NGINX]
    (path,) = find(bundle, nginx.root)
    path.unlink()
    (layer,) = find(bundle, nginx.blobs[2])
    layer.write_bytes(b"x")
    found = findings(bundle)
    assert found[str(path.relative_to(bundle))] == ("missing", (NGINX,))
    assert found[str(layer.relative_to(bundle))][0] == "damaged"
    assert len(found) == 2


def test_all_damage_is_reported_in_one_error(bundle: Path):
    paths = [find(bundle, blob)[0] for blob in bundles.sample()[NGINX].blobs[1:]]
    paths[0].write_bytes(b"x")
    paths[1].unlink()
    (bundle / "VERIFY.txt").write_text("rm -rf /")
    result = verify(bundle, TrustedKeys.create([KEY.public]))
    assert len(result.findings) == 3
    with pytest.raises(DamagedBundleError) as raised:
        result.check()
    assert raised.value.exit_status == 3
    assert len(raised.value.findings) == 3


def test_unlisted_content_is_named_and_other_files_are_findings(bundle: Path):
    """A renewal adds its blobs beside the former bundle, which still verifies."""
    (home,) = {path.parent for path in find(bundle, bundles.sample()[NGINX].blobs[2])}
    extra = home / images.sha256(b"extra").removeprefix("sha256:")
    extra.write_bytes(b"extra")
    checked = verify(bundle, TrustedKeys.create([KEY.public]))
    checked.check()
    path = str(extra.relative_to(bundle))
    assert checked.unlisted == (path,)
    assert checked.to_json()["unlisted"] == 1
    assert checked.to_json()["unlistedFiles"] == [path]
    odd = home / "run.sh"
    odd.write_bytes(b"#!/bin/sh")
    assert findings(bundle) == {str(odd.relative_to(bundle)): ("surplus", ())}


def test_content_of_the_other_format_is_a_finding(tmp_path: Path):
    bundle = bundles.write(tmp_path / "b", keys=(KEY,))
    path = bundle_paths.find_version_path(Digest(images.sha256(b"root")))
    (bundle / path).parent.mkdir(parents=True)
    (bundle / path).touch()
    assert findings(bundle) == {path: ("surplus", ())}


def symlink(path: Path) -> None:
    path.symlink_to(path.with_name("elsewhere"))


def link_to_the_same_bytes(path: Path) -> None:
    real = path.parents[3] / "real"
    real.write_bytes(b"irrelevant")
    path.symlink_to(real)


@pytest.mark.parametrize("put", [symlink, link_to_the_same_bytes, os.mkfifo])
def test_special_file_is_never_opened(bundle: Path, put: Callable[[Path], None]):
    (path,) = find(bundle, bundles.sample()[NGINX].blobs[2])
    path.unlink()
    put(path)
    assert findings(bundle) == {str(path.relative_to(bundle)): ("special", (NGINX,))}


def test_directory_in_place_of_a_blob_is_a_finding(bundle: Path):
    (path,) = find(bundle, bundles.sample()[NGINX].blobs[2])
    path.unlink()
    (path / "deeper" / "still").mkdir(parents=True)
    assert findings(bundle) == {str(path.relative_to(bundle)): ("special", (NGINX,))}


def test_link_to_a_directory_is_not_followed(tmp_path: Path):
    bundle = bundles.write(tmp_path / "b", keys=(KEY,))
    (bundle / "blobs").rename(tmp_path / "elsewhere")
    (bundle / "blobs").symlink_to(tmp_path / "elsewhere")
    found = findings(bundle)
    assert found["blobs"][0] == "special"
    assert {code for path, (code, _) in found.items() if path != "blobs"} == {"missing"}


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"_type":"x"}', b"\xff" * 100])
def test_unreadable_inventory_is_a_finding(bundle: Path, content: bytes | None):
    path = bundle / "bundle.json"
    path.unlink() if content is None else path.write_bytes(content)
    result = verify(bundle, TrustedKeys.create([KEY.public]))
    assert result.inventory is None
    assert [item.path for item in result.findings] == ["bundle.json"]
    with pytest.raises(DamagedBundleError if content is None else InvalidSignatureError) as raised:
        result.check()
    assert str(result.findings[0]) in raised.value.message


def test_truncated_inventory_is_a_finding(bundle: Path):
    raw = (bundle / "bundle.json").read_bytes()
    (bundle / "bundle.json").write_bytes(raw[: len(raw) // 2])
    assert [item.path for item in verify(bundle, TrustedKeys.create([KEY.public])).findings] == [
        "bundle.json"
    ]


def test_newer_format_is_unsupported_rather_than_damaged(bundle: Path):
    raw = (bundle / "bundle.json").read_text()
    (bundle / "bundle.json").write_text(raw.replace("bundle/v1", "bundle/v4"))
    with pytest.raises(UnsupportedError):
        verify(bundle, TrustedKeys.create([KEY.public]))


@pytest.mark.parametrize("content", [None, b"", b"\n", b"0" * 64 + b"  ../../etc/passwd\n"])
def test_bundle_without_checksum_file_is_compared_with_digests_in_names(
    bundle: Path, content: bytes | None
):
    sums = bundle / "SHA256SUMS"
    sums.unlink() if content is None else sums.write_bytes(content)
    layer, *_ = find(bundle, bundles.sample()[NGINX].blobs[2])
    layer.write_bytes(b"x")
    assert set(findings(bundle)) == {"SHA256SUMS", str(layer.relative_to(bundle))}


def test_swapped_manifest_is_found_even_if_checksums_agree(tmp_path: Path):
    """The files of an unsigned bundle are also compared with its manifests."""
    bundle = bundles.write(tmp_path / "b")
    other = images.image(images.layer({"evil": b"evil"}))
    path = bundle / "blobs/sha256" / bundles.sample()[NGINX].digest.removeprefix("sha256:")
    path.write_bytes(other.root.data)
    value = json.loads((bundle / "bundle.json").read_bytes())
    value.pop("sums")
    bundles.seal(bundle, value)
    found = findings(bundle)
    assert found[str(path.relative_to(bundle))][0] in {"size", "damaged"}


@pytest.mark.parametrize("change", ["digest", "name", "gone", "more", "alias", "size", "broken"])
def test_index_that_differs_from_the_inventory_is_a_finding(tmp_path: Path, change: str):
    """Other tools read index.json, so it must list the same images as the inventory."""
    named = bundles.sample()
    bundle = bundles.write(tmp_path / "b", named)
    index = json.loads((bundle / "index.json").read_bytes())
    first, second = index["manifests"]
    name = "org.opencontainers.image.ref.name"
    match change:
        case "digest":
            first["digest"] = second["digest"]
        case "name":
            first["annotations"][name], second["annotations"][name] = (
                second["annotations"][name],
                first["annotations"][name],
            )
        case "gone":
            index["manifests"] = [second]
        case "more":
            index["manifests"].append({**first, "digest": images.sha256(b"?"), "annotations": {}})
        case "alias":
            index["manifests"].append({**first, "annotations": {name: "quay.io/other:1"}})
        case "size":
            first["size"] += 1
        case "broken":
            index = {"schemaVersion": 2, "manifests": {}}
    (bundle / "index.json").write_text(json.dumps(index))
    value = json.loads((bundle / "bundle.json").read_bytes())
    value.pop("sums")
    bundles.seal(bundle, value, (KEY,))
    assert set(findings(bundle)) == {"index.json"}


def test_referrers_are_part_of_the_bundle(tmp_path: Path):
    named = bundles.sample()
    tag, signature = images.cosign_signature(named[NGINX])
    bundle = tmp_path / "b"
    images.write_layout(bundle, named | {f"docker.io/library/nginx:{tag}": signature})
    value = bundles.create_inventory(bundle, named)
    value["images"][0]["referrers"] = [
        {
            "digest": signature.digest,
            "mediaType": signature.root.media_type,
            "size": len(signature.root.data),
            "subject": named[NGINX].digest,
            "tag": tag,
        }
    ]
    bundles.seal(bundle, value, (KEY,))
    verify(bundle, TrustedKeys.create([KEY.public])).check()
    (path,) = find(bundle, signature.blobs[1])
    path.unlink()
    assert findings(bundle) == {str(path.relative_to(bundle)): ("missing", (NGINX,))}


def test_optional_content_is_not_missing(tmp_path: Path):
    """The manifests of a sparse index that are not selected may be missing."""
    shared = images.layer({"base": b"base" * 100})
    app = images.multi_platform("app", "linux/amd64", "linux/arm64", shared=shared)
    kept, left = app.children
    bundle = tmp_path / "b"
    images.write_layout(bundle, {APP: app})
    own = {blob.digest for blob in kept.all_blobs()}
    gone = [left.root, *(b for b in left.all_blobs() if b.digest not in own)]
    for blob in gone:
        find(bundle, blob)[0].unlink()
    value = bundles.create_inventory(bundle, {APP: app})
    value["images"][0] |= {"index": "sparse", "platforms": ["linux/amd64"]}
    bundles.seal(bundle, value, (KEY,))
    verify(bundle, TrustedKeys.create([KEY.public])).check()


def test_delta_is_unsupported_rather_than_damaged_or_whole(tmp_path: Path):
    """A signed delta is refused, whether or not the blobs that it presupposes are present."""
    app = images.image(images.layer({"base": b"base" * 100}))
    bundle = tmp_path / "b"
    images.write_layout(bundle, {APP: app})
    blob = app.blobs[1]
    value = bundles.create_inventory(bundle, {APP: app})
    value["presupposes"] = [{"digest": blob.digest, "size": len(blob.data)}]
    bundles.seal(bundle, value, (KEY,))
    with pytest.raises(UnsupportedError):
        verify(bundle, TrustedKeys.create([KEY.public]))
    find(bundle, blob)[0].unlink()
    bundles.seal(bundle, value, (KEY,))
    with pytest.raises(UnsupportedError):
        verify(bundle, TrustedKeys.create([KEY.public]))


@pytest.mark.parametrize(
    "path",
    [
        "System Volume Information/IndexerVolumeGuid",
        ".Trashes/501/x",
        "._bundle.json",
        "lost+found/#12",
        "notes/todo.txt",
        "photo.jpg",
        "blobs/.DS_Store",
        "images/._x",
        "blobs/Thumbs.db",
    ],
)
def test_system_files_are_ignored_and_counted(bundle: Path, path: str):
    file = bundle / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x")
    result = verify(bundle, TrustedKeys.create([KEY.public]))
    result.check()
    assert result.ignored == 1


def test_expired_bundle_is_whole_but_not_trusted(tmp_path: Path):
    bundle = bundles.write(tmp_path / "b", keys=(KEY,), expires="2027-01-01T00:00:00Z")
    end = datetime(2027, 1, 1, tzinfo=UTC)
    verify(bundle, TrustedKeys.create([KEY.public]), now=end - timedelta(seconds=1)).check()
    result = verify(bundle, TrustedKeys.create([KEY.public]), now=end)
    assert result.whole
    assert result.expired
    with pytest.raises(ExpiredError):
        result.check()


def test_damage_is_reported_before_missing_trust(bundle: Path):
    (bundle / "VERIFY.txt").write_text("x")
    with pytest.raises(DamagedBundleError):
        verify(bundle, TrustedKeys.create([OTHER.public])).check()


def test_wrong_signature_is_reported_before_damage_and_with_it(bundle: Path):
    """A name was replaced in the inventory, so the signature and the digests both disagree."""
    path = bundle / "bundle.json"
    path.write_bytes(path.read_bytes().replace(b"library/nginx", b"library/ngimx"))
    (bundle / "VERIFY.txt").write_text("x")
    result = verify(bundle, TrustedKeys.create([KEY.public]))
    assert result.findings
    with pytest.raises(InvalidSignatureError) as raised:
        result.check()
    assert raised.value.exit_status == 4
    assert raised.value.key_id == KEY.public.id
    for finding in result.findings:
        assert str(finding) in raised.value.message


def test_missing_signature_file_is_not_damage_of_the_bundle(bundle: Path, tmp_path: Path):
    absent = tmp_path / "absent.sig"
    with pytest.raises(MissingFileError) as raised:
        verify(bundle, TrustedKeys.create([KEY.public]), signature_files=[absent])
    assert raised.value.path == str(absent)


def test_blob_named_after_its_sha512_is_compared_with_it(tmp_path: Path):
    """Other tools find the blob by its name, so its entry in SHA256SUMS is not enough."""
    bundle = bundles.write(tmp_path / "b")
    path = bundle / "blobs/sha512" / ("0" * 128)
    path.parent.mkdir()
    path.write_bytes(b"x")
    value = json.loads((bundle / "bundle.json").read_bytes())
    value.pop("sums")
    bundles.seal(bundle, value, (KEY,))
    assert findings(bundle) == {str(path.relative_to(bundle)): ("damaged", ())}


def test_walk_of_hostile_graph_ends(tmp_path: Path):
    """An index that is nested too deeply is a finding."""
    inner = images.image()
    for _ in range(12):
        inner = images.index(inner)
    bundle = bundles.write(tmp_path / "b", {NGINX: inner}, keys=(KEY,))
    result = verify(bundle, TrustedKeys.create([KEY.public]))
    assert [item.code for item in result.findings] == ["malformed"]
    assert "nested" in str(result.findings[0])


@pytest.mark.parametrize("name", ["bundle.json", "SHA256SUMS", "index.json"])
def test_link_in_place_of_a_document_is_a_finding(tmp_path: Path, name: str):
    bundle = bundles.write(tmp_path / "b", keys=(KEY,))
    (bundle / name).rename(tmp_path / name)
    (bundle / name).symlink_to(tmp_path / name)
    assert set(findings(bundle)) == {name}


def test_signature_that_is_not_a_regular_file_authenticates_nothing(bundle: Path, tmp_path: Path):
    (signature,) = bundle.glob("*.sig")
    signature.rename(tmp_path / "sig")
    signature.symlink_to(tmp_path / "sig")
    result = verify(bundle, TrustedKeys.create([KEY.public]))
    assert not result.signers
    assert result.trust_error is not None
    assert result.findings


def test_bundle_with_too_many_signatures_is_not_trusted(bundle: Path):
    for number in range(40):
        (bundle / f"bundle.json.{number:016x}.sig").write_bytes(b"")
    result = verify(bundle, TrustedKeys.create([KEY.public]))
    assert result.whole
    with pytest.raises(TrustError):
        result.check()


def test_checksum_file_with_too_few_lines_is_a_finding(tmp_path: Path):
    bundle = bundles.write(tmp_path / "b")
    value = json.loads((bundle / "bundle.json").read_bytes())
    value["sums"]["count"] += 1
    (bundle / "bundle.json").write_text(json.dumps(value))
    assert set(findings(bundle)) == {"SHA256SUMS"}


def test_read_error_of_the_medium_is_a_finding(tmp_path: Path):
    """A file without read permission represents a bad block."""
    bundle = bundles.write(tmp_path / "b", keys=(KEY,))
    path = bundle / "VERIFY.txt"
    path.chmod(0)
    if os.access(path, os.R_OK):  # root reads it all the same
        return
    assert findings(bundle) == {"VERIFY.txt": ("unreadable", ())}


@pytest.mark.parametrize("reference", ["Some Thing", "nginx:1.27"])
def test_reference_that_is_not_a_full_name_is_a_finding(tmp_path: Path, reference: str):
    bundle = bundles.write(tmp_path / "b", {reference: bundles.sample()[NGINX]}, keys=(KEY,))
    assert findings(bundle) == {"bundle.json": ("malformed", ())}


def test_verification_reports_progress(bundle: Path):
    events = []
    result = verify(bundle, TrustedKeys.create([KEY.public]), emit=events.append, threads=3)
    planned = [event for event in events if isinstance(event, Planned)]
    checked = TransferTotals(checked=BlobTotal(result.files, result.size))
    assert [event.totals for event in planned] == [checked]
    assert len([event for event in events if isinstance(event, BlobStarted)]) == result.files
    assert len([event for event in events if isinstance(event, BlobFinished)]) == result.files
    advances = [event.advance for event in events if isinstance(event, BlobProgressed)]
    assert sum(advances) == result.size


def test_files_that_images_consist_of_are_read_once(tmp_path: Path, monkeypatch):
    bundle = bundles.write(tmp_path / "b", keys=(KEY,))
    opened, original = [], Directory.open_file

    def open_file(directory, *names, **options):
        opened.append("/".join(names))
        return original(directory, *names, **options)

    monkeypatch.setattr(Directory, "open_file", open_file)
    assert verify(bundle, TrustedKeys.create([KEY.public])).whole
    content = [path for path in opened if bundle_paths.parse_digest(path)]
    assert len(content) == len(set(content)) > 0


def test_hard_links_are_read_once_and_compared_for_each_name(tmp_path: Path):
    bundle = bundles.write(tmp_path / "b", form="dir", keys=(KEY,))
    shared = bundles.sample()[NGINX].blobs[1]
    first, second = find(bundle, shared)
    second.unlink()
    second.hardlink_to(first)
    result = verify(bundle, TrustedKeys.create([KEY.public]))
    result.check()
    assert result.files == result.inventory.checksum_file.count
    assert result.size == sum(
        path.stat().st_size
        for path in bundles.find_files(bundle)
        if path != second and not path.name.startswith(("bundle.json", "SHA256SUMS"))
    )
    other = find(bundle, bundles.sample()[NGINX].blobs[2])[0]
    other.unlink()
    other.hardlink_to(first)
    assert findings(bundle) == {str(other.relative_to(bundle)): ("size", (NGINX,))}
    first.write_bytes(b"x" * len(shared.data))
    assert set(findings(bundle)) == {
        str(path.relative_to(bundle)) for path in (first, second, other)
    }


def test_verification_can_be_cancelled(bundle: Path):
    cancellation = Cancellation()
    cancellation.request()
    with pytest.raises(CancelledError):
        verify(bundle, TrustedKeys.create([KEY.public]), cancellation=cancellation)


def test_missing_directory_is_not_a_damaged_bundle(tmp_path: Path):
    with pytest.raises(NotFoundError):
        verify(tmp_path / "absent", TrustedKeys.create([KEY.public]))
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidReferenceError):
        verify(tmp_path / "file", TrustedKeys.create([KEY.public]))


@pytest.mark.parametrize("names", [[], ["notes.txt"], ["blobs/sha256/{hex}", "oci-layout"]])
def test_directory_without_finished_bundle_is_not_a_damaged_bundle(
    tmp_path: Path, names: list[str]
):
    """It may be a wrong directory, or the first export may not have ended."""
    for name in names:
        path = tmp_path / name.format(hex=f".airbundle-{'a' * 64}.part")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    with pytest.raises(NotFoundError, match=r"bundle\.json is missing"):
        verify(tmp_path, TrustedKeys.create([KEY.public]))


def test_unfinished_file_is_no_finding_even_without_inventory(bundle: Path):
    path = next(
        path
        for path in bundles.find_files(bundle)
        if path.name == "version" or "blobs" in path.parts
    )
    path.with_name(f".airbundle-{'a' * 64}.part").write_bytes(b"unfinished")
    (bundle / "bundle.json").unlink()
    assert set(findings(bundle)) == {"bundle.json"}


def fail_to_open(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Let each attempt to open ``path`` fail, as that of a file in a bad block does."""
    real = os.open

    def opened(name, *arguments, **more):
        if name == path.name:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(name, *arguments, **more)

    monkeypatch.setattr(os, "open", opened)


@pytest.mark.parametrize("name", ["blob", "VERIFY.txt", "bundle.json", "SHA256SUMS"])
def test_failing_medium_is_not_damage(bundle: Path, name: str, monkeypatch: pytest.MonkeyPatch):
    """The content of such a file is unknown, so the next step is another medium."""
    path = find(bundle, bundles.sample()[NGINX].blobs[2])[0] if name == "blob" else bundle / name
    fail_to_open(monkeypatch, path)
    result = verify(bundle, TrustedKeys.create([KEY.public]))
    assert [item.code for item in result.findings] == ["unreadable"]
    with pytest.raises(UnreadableBundleError) as raised:
        result.check()
    assert raised.value.exit_status == 5
    assert "reconnect" in (raised.value.hint or "")
    assert str(path.relative_to(bundle)) in str(raised.value)


def test_medium_that_is_disconnected_during_verification_is_not_damage(bundle: Path):
    def disconnect(event):
        if isinstance(event, Planned):
            bundle.rename(bundle.with_name("unmounted"))

    with pytest.raises(DisconnectedMediumError):
        verify(bundle, TrustedKeys.create([KEY.public]), emit=disconnect)
