from __future__ import annotations

import fcntl
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from bundler.bundle.format import signatures as signing
from bundler.bundle.format.authenticate import open_bundle, verify_signatures
from bundler.errors import (
    DamagedBundleError,
    InvalidSignatureError,
    LimitError,
    LockedError,
    MalformedError,
    NotFoundError,
    UnauthenticatedError,
)
from bundler.trust import keys
from tests.fakes import bundles

if TYPE_CHECKING:
    from pathlib import Path

RAW = b'{"_type":"airbundle/bundle/v1"}\n'
KEY, OTHER, THIRD = keys.generate_key(), keys.generate_key("ed25519"), keys.generate_key()


def name(key) -> str:
    return f"bundle.json.{key.public.id[:16]}.sig"


def test_signature_by_one_given_key_authenticates():
    signatures = signing.sign(RAW, [KEY, OTHER])
    assert verify_signatures(RAW, signatures, [OTHER.public]) == (OTHER.public,)


def test_all_given_keys_that_signed_are_reported():
    trusted = [THIRD.public, KEY.public, OTHER.public]
    signers = verify_signatures(RAW, signing.sign(RAW, [KEY, OTHER]), trusted)
    assert set(signers) == {KEY.public, OTHER.public}


def test_signatures_by_other_keys_do_not_authenticate():
    for signatures, signed_by in (({}, ()), (signing.sign(RAW, [THIRD]), (THIRD.public.id[:16],))):
        with pytest.raises(UnauthenticatedError) as raised:
            verify_signatures(RAW, signatures, [KEY.public])
        assert raised.value.trusted == (KEY.public.id,)
        assert raised.value.signed_by == signed_by


def test_bundle_is_not_authenticated_without_a_key():
    with pytest.raises(UnauthenticatedError) as raised:
        verify_signatures(RAW, signing.sign(RAW, [KEY]), [])
    assert raised.value.trusted == ()


@pytest.mark.parametrize(
    "signature",
    [b"", b"\x00" * 64, KEY.sign(RAW + b"."), THIRD.sign(RAW)],
    ids=["empty", "zeros", "of-other-bytes", "by-another-key"],
)
@pytest.mark.parametrize("key", [KEY, OTHER], ids=["ecdsa", "ed25519"])
def test_bad_signature_is_an_error_even_beside_a_good_one(signature, key):
    """A valid signature by another key does not hide an invalid one."""
    signatures = signing.sign(RAW, [THIRD]) | {name(key): signature}
    with pytest.raises(InvalidSignatureError) as raised:
        verify_signatures(RAW, signatures, [THIRD.public, key.public])
    assert raised.value.key_id == key.public.id


def test_signature_with_the_id_of_another_key_is_ignored():
    signatures = {name(OTHER): KEY.sign(RAW)}
    with pytest.raises(UnauthenticatedError):
        verify_signatures(RAW, signatures, [KEY.public])


def test_changed_byte_invalidates_the_signature():
    for at in range(len(RAW)):
        flipped = RAW[:at] + bytes([RAW[at] ^ 1]) + RAW[at + 1 :]
        with pytest.raises(InvalidSignatureError):
            verify_signatures(flipped, signing.sign(RAW, [KEY]), [KEY.public])


def test_openssl_verifies_a_signature(tmp_path: Path):
    bundle = bundles.write(tmp_path / "b")
    (path,) = signing.sign_bundle(bundle, [KEY])
    (tmp_path / "key.pub").write_bytes(KEY.public.to_pem())
    subprocess.run(
        [
            *("openssl", "dgst", "-sha256", "-verify", tmp_path / "key.pub"),
            *("-signature", bundle / path, bundle / "bundle.json"),
        ],
        check=True,
    )


def test_later_signature_is_added_to_existing_signatures(tmp_path: Path):
    bundle = bundles.write(tmp_path / "b", keys=(KEY,))
    before = (bundle / "bundle.json").read_bytes()
    assert signing.sign_bundle(bundle, [OTHER]) == [name(OTHER)]
    opened = open_bundle(bundle, [KEY.public, OTHER.public])
    assert opened.raw == before
    assert opened.inventory.stream == "plant-7"
    assert set(opened.signers) == {KEY.public, OTHER.public}


def test_inventory_is_not_parsed_before_authentication(tmp_path: Path):
    """Invalid JSON without a signature is refused for the missing signature."""
    (tmp_path / "bundle.json").write_text("not JSON")
    with pytest.raises(UnauthenticatedError):
        open_bundle(tmp_path, [KEY.public])


def test_bundle_with_changed_checksum_file_is_not_signed(tmp_path: Path):
    bundle = bundles.write(tmp_path / "b")
    with (bundle / "SHA256SUMS").open("a") as file:
        file.write("\n")
    with pytest.raises(DamagedBundleError) as raised:
        signing.sign_bundle(bundle, [KEY])
    assert raised.value.findings == ("SHA256SUMS: digest differs from bundle.json",)
    assert not list(bundle.glob("*.sig"))


def test_incomplete_bundle_is_not_signed(tmp_path: Path):
    with pytest.raises(NotFoundError):
        signing.sign_bundle(tmp_path, [KEY])
    (tmp_path / "bundle.json").write_text("{}")
    with pytest.raises(MalformedError):
        signing.sign_bundle(tmp_path, [KEY])


def test_locked_bundle_is_not_signed(tmp_path: Path):
    bundle = bundles.write(tmp_path / "b")
    writer = os.open(bundle, os.O_RDONLY)
    try:
        fcntl.flock(writer, fcntl.LOCK_EX)
        with pytest.raises(LockedError):
            signing.sign_bundle(bundle, [KEY])
    finally:
        os.close(writer)


def test_too_many_signatures_are_refused(tmp_path: Path):
    for number in range(signing.MAX_SIGNATURES + 1):
        (tmp_path / f"bundle.json.{number:016x}.sig").write_bytes(b"")
    with pytest.raises(LimitError):
        signing.read_signatures(tmp_path)


def test_signature_that_is_too_large_is_refused(tmp_path: Path):
    (tmp_path / name(KEY)).write_bytes(b"x" * (signing.MAX_SIGNATURE + 1))
    with pytest.raises(LimitError):
        signing.read_signatures(tmp_path)


def test_link_in_place_of_a_signature_is_refused(tmp_path: Path):
    (tmp_path / "real").write_bytes(b"x")
    (tmp_path / name(KEY)).symlink_to("real")
    with pytest.raises(MalformedError):
        signing.read_signatures(tmp_path)


def test_files_with_similar_names_are_not_signatures(tmp_path: Path):
    for other in ("bundle.json.sig", "bundle.json.0123.sig", "bundle.json.0123456789ABCDEF.sig"):
        (tmp_path / other).write_bytes(b"x")
    assert signing.read_signatures(tmp_path) == {}
