"""Bundles with an interrupted replacement of their seal, composed from two bundles."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from bundler.bundle.format.reading.directory_files import DirectoryFiles
from bundler.bundle.format.signatures import bundle_signatures
from bundler.bundle.format.writing import next_seal
from bundler.bundle.verifying.verify import verify
from bundler.content.files.safe_directory import Directory
from bundler.errors import InvalidSignatureError, MalformedError
from bundler.trust import keys
from bundler.trust.bundle_trust import TrustedKeys
from tests.fakes import bundles, images

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.bundle.verifying.verification import Verification

KEY, OTHER = keys.generate_key(), keys.generate_key()
SEAL = ("index.json", "VERIFY.txt", "SHA256SUMS", "bundle.json")
NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture
def interrupted(tmp_path: Path) -> Path:
    """A former bundle, signed by two keys, with a complete new seal, signed by one of them."""
    first, second = images.image(), images.image(config={"author": "new"})
    former = {"quay.io/a:1": first}
    bundle = bundles.write(tmp_path / "bundle", former, keys=(KEY, OTHER), serial=7)
    new = bundles.write(tmp_path / "new", {**former, "quay.io/b:1": second}, keys=(KEY,), serial=8)
    shutil.copytree(new / "blobs", bundle / "blobs", dirs_exist_ok=True)
    (bundle / "bundle.next").mkdir()
    for path in (*map(new.joinpath, SEAL), *new.glob("*.sig")):
        shutil.copy(path, bundle / "bundle.next")
    return bundle


def check(bundle: Path) -> Verification:
    return verify(bundle, TrustedKeys.create([KEY.public, OTHER.public]), now=NOW)


@pytest.mark.parametrize("moved", [(), ("index.json",), ("index.json", "SHA256SUMS"), SEAL])
@pytest.mark.parametrize("signed", [True, False])
def test_new_bundle_is_read_wherever_the_copy_was_interrupted(interrupted, moved, signed):
    for name in moved:
        shutil.copy(interrupted / "bundle.next" / name, interrupted)
    if not signed:
        for path in interrupted.glob("*.sig"):
            path.unlink()
    verified = check(interrupted)
    verified.check()
    assert (verified.inventory.serial, len(verified.inventory.images)) == (8, 2)
    assert verified.signers == (KEY.public,)


def test_completion_leaves_only_the_new_bundle(interrupted):
    with Directory.open(interrupted) as directory:
        assert next_seal.complete(directory)
        assert not next_seal.complete(directory)
    verified = check(interrupted)
    verified.check()
    assert verified.inventory.serial == 8
    assert {path.name for path in interrupted.iterdir()} == {
        *SEAL,
        "blobs",
        "oci-layout",
        f"bundle.json.{KEY.public.id[:16]}.sig",
    }


def test_added_signature_is_over_the_new_inventory(interrupted):
    bundle_signatures.sign_bundle(interrupted, [OTHER])
    verified = check(interrupted)
    verified.check()
    assert verified.inventory.serial == 8
    assert set(verified.signers) == {KEY.public, OTHER.public}
    assert not (interrupted / "bundle.next").exists()


def test_unfinished_seal_is_ignored_and_removed(interrupted):
    (interrupted / "bundle.next").rename(interrupted / "bundle.unfinished")
    assert check(interrupted).inventory.serial == 7
    with Directory.open(interrupted) as directory:
        assert not next_seal.complete(directory)
    assert not (interrupted / "bundle.unfinished").exists()
    assert check(interrupted).inventory.serial == 7


@pytest.mark.parametrize("name", SEAL)
def test_changed_file_of_the_new_seal_is_found(interrupted, name):
    path = interrupted / "bundle.next" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    verified = check(interrupted)
    assert not verified.whole or isinstance(verified.trust_error, InvalidSignatureError)


def test_incomplete_new_seal_does_not_verify(interrupted):
    """No export leaves it: the directory gets its name when it is complete."""
    (interrupted / "bundle.next/bundle.json").unlink()
    verified = check(interrupted)
    assert not verified.whole or verified.trust_error is not None


@pytest.mark.parametrize("kind", ["link", "file"])
def test_new_seal_that_is_not_a_directory_is_never_read(interrupted, kind):
    following = interrupted / "bundle.next"
    shutil.move(following, interrupted.parent / "elsewhere")
    if kind == "link":
        following.symlink_to(interrupted.parent / "elsewhere")
    else:
        following.write_text("file")
    with pytest.raises(MalformedError):
        bundle_signatures.read_signatures(DirectoryFiles(interrupted))
    assert not check(interrupted).whole
    with Directory.open(interrupted) as directory:
        assert not next_seal.complete(directory)
    assert check(interrupted).inventory.serial == 7
    assert (interrupted.parent / "elsewhere/bundle.json").exists()
