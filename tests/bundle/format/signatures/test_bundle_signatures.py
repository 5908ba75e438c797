from __future__ import annotations

import fcntl
import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from bundler.bundle.format.authenticate import open_bundle, verify_signatures
from bundler.bundle.format.files import bundle_files
from bundler.bundle.format.reading.directory_files import DirectoryFiles
from bundler.bundle.format.signatures import bundle_signatures as signing
from bundler.bundle.verifying.verify import verify
from bundler.errors import (
    DamagedBundleError,
    InvalidSignatureError,
    LimitError,
    LockedError,
    MalformedError,
    NotFoundError,
    TooFewSignersError,
    UnauthenticatedError,
    UsageError,
)
from bundler.trust import keys
from bundler.trust.bundle_trust import TrustedKeys
from tests.fakes import bundles

if TYPE_CHECKING:
    from pathlib import Path

RAW = b'{"_type":"airbundle/bundle/v1"}\n'
KEY, OTHER, THIRD = keys.generate_key(), keys.generate_key("ed25519"), keys.generate_key()


def name(key) -> str:
    return f"bundle.json.{key.public.id[:16]}.sig"


def check(signatures, given, threshold=1) -> tuple[keys.PublicKey, ...]:
    """Verify and count the signatures of ``RAW``, as an import does."""
    trust = TrustedKeys.create(given, threshold)
    signers = verify_signatures(RAW, signatures, trust.keys)
    trust.check_signers(
        signers, [name.split(".")[2] for name in signatures if name.endswith(".sig")]
    )
    return signers


def test_signature_by_one_given_key_authenticates():
    signatures = signing.sign(RAW, [KEY, OTHER])
    assert check(signatures, [OTHER.public]) == (OTHER.public,)


def test_all_given_keys_that_signed_are_reported():
    trusted = [THIRD.public, KEY.public, OTHER.public]
    signers = check(signing.sign(RAW, [KEY, OTHER]), trusted)
    assert set(signers) == {KEY.public, OTHER.public}


def test_signatures_by_other_keys_do_not_authenticate():
    for signatures, signed_by in (({}, ()), (signing.sign(RAW, [THIRD]), (THIRD.public.id[:16],))):
        with pytest.raises(UnauthenticatedError) as raised:
            check(signatures, [KEY.public])
        assert raised.value.trusted == (KEY.public.id,)
        assert raised.value.signed_by == signed_by


def test_bundle_is_not_authenticated_without_a_key():
    with pytest.raises(UnauthenticatedError) as raised:
        check(signing.sign(RAW, [KEY]), [])
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
        check(signatures, [THIRD.public, key.public])
    assert raised.value.key_id == key.public.id


def test_signature_with_the_id_of_another_key_is_ignored():
    signatures = {name(OTHER): KEY.sign(RAW)}
    with pytest.raises(UnauthenticatedError):
        check(signatures, [KEY.public])


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
    opened = open_bundle(DirectoryFiles(bundle), TrustedKeys.create([KEY.public, OTHER.public]))
    assert opened.raw == before
    assert opened.inventory.stream == "plant-7"
    assert set(opened.signers) == {KEY.public, OTHER.public}


def test_signature_that_verifies_is_kept_and_a_damaged_one_is_replaced(tmp_path: Path):
    bundle = bundles.write(tmp_path / "b")
    names = [name(KEY), "bundle.json.sigstore.json"]
    signing.sign_bundle(bundle, [KEY])
    before = {each: (bundle / each).read_bytes() for each in names}
    assert signing.sign_bundle(bundle, [KEY]) == [name(KEY)]
    assert {each: (bundle / each).read_bytes() for each in names} == before
    (bundle / name(KEY)).write_bytes(b"damaged")
    signing.sign_bundle(bundle, [KEY])
    verify(bundle, TrustedKeys.create([KEY.public])).check()


def test_signing_removes_the_unfinished_file_of_an_interrupted_one(tmp_path: Path):
    bundle = bundles.write(tmp_path / "b")
    part = bundle / ".airbundle-0123456789abcdef.part"
    part.write_bytes(b"unfinished")
    signing.sign_bundle(bundle, [KEY])
    assert not part.exists()


def test_inventory_is_not_parsed_before_authentication(tmp_path: Path):
    """Invalid JSON without a signature is refused for the missing signature."""
    (tmp_path / "bundle.json").write_text("not JSON")
    with pytest.raises(UnauthenticatedError):
        open_bundle(DirectoryFiles(tmp_path), TrustedKeys.create([KEY.public]))


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
        signing.read_signatures(DirectoryFiles(tmp_path))


def test_signature_that_is_too_large_is_refused(tmp_path: Path):
    (tmp_path / name(KEY)).write_bytes(b"x" * (signing.MAX_SIGNATURE + 1))
    with pytest.raises(LimitError):
        signing.read_signatures(DirectoryFiles(tmp_path))


def test_link_in_place_of_a_signature_is_refused(tmp_path: Path):
    (tmp_path / "real").write_bytes(b"x")
    (tmp_path / name(KEY)).symlink_to("real")
    with pytest.raises(MalformedError):
        signing.read_signatures(DirectoryFiles(tmp_path))


def test_files_with_similar_names_are_not_signatures(tmp_path: Path):
    for other in ("bundle.json.sig", "bundle.json.0123.sig", "bundle.json.0123456789ABCDEF.sig"):
        (tmp_path / other).write_bytes(b"x")
    assert signing.read_signatures(DirectoryFiles(tmp_path)) == {}


def malleate(signature: bytes) -> bytes:
    """Return the other valid ECDSA signature with the same r: s becomes n - s."""
    r, s = decode_dss_signature(signature)
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    return encode_dss_signature(r, order - s)


def test_threshold_requires_signatures_by_different_keys():
    given = [KEY.public, OTHER.public, THIRD.public]
    assert len(check(signing.sign(RAW, [KEY, OTHER]), given, 2)) == 2
    with pytest.raises(TooFewSignersError) as raised:
        check(signing.sign(RAW, [KEY]), given, 2)
    assert raised.value.required == 2
    assert raised.value.signers == (KEY.public.id,)


def test_second_valid_signature_by_one_key_does_not_count():
    """An ECDSA signature can be changed into another valid one without the private key."""
    good = KEY.sign(RAW)
    twin = malleate(good)
    KEY.public.verify(twin, RAW)
    given = (KEY.public, OTHER.public)
    with pytest.raises(InvalidSignatureError):
        check({name(KEY): good, name(OTHER): twin}, given, 2)
    trust = TrustedKeys.create(given, 2)
    signers = verify_signatures(RAW, {name(KEY): good}, trust.keys, {"twin.sig": twin})
    with pytest.raises(TooFewSignersError):
        trust.check_signers(signers, [])


def test_one_key_in_two_files_counts_once():
    again = keys.parse_public_key(KEY.public.to_pem(), "second name")
    with pytest.raises(UsageError):
        TrustedKeys.create([KEY.public, again], 2)
    assert TrustedKeys.create([KEY.public, again]).keys == (KEY.public,)


@pytest.mark.parametrize("threshold", [0, -1])
def test_threshold_below_one_is_refused(threshold):
    with pytest.raises(UsageError):
        TrustedKeys.create([KEY.public], threshold)


def test_signature_file_authenticates_a_bundle_without_signatures(tmp_path: Path):
    bundle = bundles.write(tmp_path / "bundle")
    detached = tmp_path / "review.sig"
    detached.write_bytes(KEY.sign((bundle / "bundle.json").read_bytes()))
    trust = TrustedKeys.create([OTHER.public, KEY.public])
    assert open_bundle(DirectoryFiles(bundle), trust, signature_files=[detached]).signers == (
        KEY.public,
    )


def test_signature_file_by_no_given_key_is_an_error_even_beside_a_good_signature(tmp_path: Path):
    bundle = bundles.write(tmp_path / "bundle", keys=(KEY,))
    detached = tmp_path / "review.sig"
    detached.write_bytes(OTHER.sign((bundle / "bundle.json").read_bytes()))
    with pytest.raises(InvalidSignatureError):
        open_bundle(
            DirectoryFiles(bundle), TrustedKeys.create([KEY.public]), signature_files=[detached]
        )


def test_foreign_files_beside_the_trust_files_are_ignored(tmp_path: Path):
    """A directory of the user with the name of the bundle's is left alone."""
    bundle = bundles.write(tmp_path / "bundle", keys=(KEY,))
    (bundle / "trust" / "deep").mkdir(parents=True)
    (bundle / "trust" / "notes.txt").write_text("mine")
    (bundle / "trust" / "1.trust.json").write_text("{}")
    found = bundle_files.scan(bundle)
    assert "trust/1.trust.json" in found.entries
    assert not {path for path in found.entries if "notes" in path or "deep" in path}
    assert found.ignored == 2
