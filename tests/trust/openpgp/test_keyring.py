"""Verdicts on OpenPGP messages, by gpg and by pysequoia: equal, and never too lenient."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from bundler.cancel import Cancellation
from bundler.errors import BundlerError, CancelledError, InvalidSignatureError, LimitError
from bundler.oci.signature import MAX_SIGNATURE
from bundler.trust.openpgp import gpg_status, keyring
from bundler.trust.openpgp.gpg import GpgKeyring, open_temporary_keyring
from bundler.trust.openpgp.sequoia import SequoiaKeyring
from tests.fakes.openpgp import LONG_AGO

CONTENT = b'{"a":1}'
CLOCK = ("--faked-system-time", LONG_AGO)


@pytest.fixture(scope="module")
def key(gnupg):
    return gnupg.generate("Signer <signer@example.com>")


@pytest.fixture(params=["gpg", "pysequoia"])
def open_keys(request):
    """A function that opens a keyring of one of the two implementations."""
    if request.param == "pysequoia":
        pytest.importorskip("pysequoia")

    def verify(message, *keys):
        if request.param == "gpg":
            with open_temporary_keyring(keys, Cancellation()) as opened:
                return opened.fingerprints, opened.verify(message) if message else None
        opened = SequoiaKeyring.open(keys, Cancellation())
        return opened.fingerprints, opened.verify(message) if message else None

    return verify


@pytest.fixture
def verify(open_keys):
    return lambda *arguments: open_keys(*arguments)[1]


def refuse(verify, message, *keys):
    with pytest.raises(InvalidSignatureError) as caught:
        verify(message, *keys)
    assert caught.value.message.isprintable()
    return caught.value


def test_good_signature_is_accepted(gnupg, key, verify):
    verified = verify(gnupg.sign(CONTENT, key), gnupg.export(key))
    assert verified.content == CONTENT
    assert (verified.signing_key, verified.primary_key) == (key, key)


@pytest.mark.parametrize("compression", ["uncompressed", "zip", "zlib"])
def test_compression_does_not_matter(gnupg, key, verify, compression):
    message = gnupg.sign(CONTENT, key, options=("--compress-algo", compression))
    assert verify(message, gnupg.export(key)).content == CONTENT


def test_several_keys_may_be_given(gnupg, key, open_keys):
    other = gnupg.generate("Other <other@example.com>")
    armored = gnupg.gpg("--armor", "--export", other)
    fingerprints, verified = open_keys(gnupg.sign(CONTENT, other), gnupg.export(key), armored)
    assert fingerprints == (key, other)
    assert verified.primary_key == other


def test_several_keys_may_be_in_one_file(gnupg, key, open_keys):
    third = gnupg.generate("Third <third@example.com>")
    fingerprints, _ = open_keys(None, gnupg.export(key, third))
    assert set(fingerprints) == {key, third}


@pytest.mark.parametrize("data", [b"", b"no key", b"\x99\x00"])
def test_data_without_key_yields_no_fingerprint(open_keys, data):
    assert open_keys(None, data)[0] == ()


def test_signature_by_a_subkey_is_accepted_by_its_primary_key(gnupg, verify):
    primary = gnupg.generate("Subkey <subkey@example.com>")
    subkey = gnupg.add_subkey(primary)
    verified = verify(gnupg.sign(CONTENT, subkey), gnupg.export(primary))
    assert (verified.signing_key, verified.primary_key) == (subkey, primary)
    assert verified.check_signer([primary]) == primary
    assert verified.check_signer([primary, subkey]) == subkey


@pytest.mark.parametrize("fingerprints", [[], ["0" * 40], ["lower"], ["short"]])
def test_signer_is_compared_with_whole_fingerprints(key, fingerprints):
    verified = keyring.VerifiedMessage(CONTENT, key, key)
    names = {"lower": key.lower(), "short": key[-16:]}
    with pytest.raises(InvalidSignatureError) as caught:
        verified.check_signer([names.get(item, item) for item in fingerprints])
    assert caught.value.key_id == key


def test_unknown_key_is_refused(gnupg, key, verify):
    stranger = gnupg.generate("Stranger <stranger@example.com>")
    refuse(verify, gnupg.sign(CONTENT, stranger), gnupg.export(key))
    refuse(verify, gnupg.sign(CONTENT, stranger))


def test_expired_key_is_refused(gnupg, verify):
    """The signature was made before the key expired."""
    expired = gnupg.generate("Expired <expired@example.com>", expires="1y", time=LONG_AGO)
    refuse(verify, gnupg.sign(CONTENT, expired, options=CLOCK), gnupg.export(expired))


def test_expired_subkey_is_refused(gnupg, verify):
    primary = gnupg.generate("Expired subkey <es@example.com>", time=LONG_AGO)
    subkey = gnupg.add_subkey(primary, expires="1y", time=LONG_AGO)
    message = gnupg.sign(CONTENT, f"{subkey}!", options=CLOCK)
    refuse(verify, message, gnupg.export(primary))


def test_subkey_whose_expiry_was_extended_is_accepted(gnupg, verify):
    primary = gnupg.generate("Extended subkey <xs@example.com>", time=LONG_AGO)
    subkey = gnupg.add_subkey(primary, expires="1y", time=LONG_AGO)
    gnupg.gpg("--quick-set-expire", primary, "0", subkey)
    message = gnupg.sign(CONTENT, f"{subkey}!")
    assert verify(message, gnupg.export(primary)).primary_key == primary


def test_expired_signature_is_refused(gnupg, key, verify):
    old = gnupg.generate("Old <old@example.com>", time=LONG_AGO)
    options = (*CLOCK, "--default-sig-expire", "1d")
    refuse(verify, gnupg.sign(CONTENT, old, options=options), gnupg.export(old))
    assert verify(gnupg.sign(CONTENT, old, options=CLOCK), gnupg.export(old)).content == CONTENT


def test_revoked_key_is_refused(gnupg, verify):
    revoked = gnupg.generate("Revoked <revoked@example.com>")
    message, before = gnupg.sign(CONTENT, revoked), gnupg.export(revoked)
    gnupg.revoke(revoked)
    refuse(verify, message, gnupg.export(revoked))
    refuse(verify, message, gnupg.export(revoked), before)
    refuse(verify, message, before, gnupg.export(revoked))


def test_revoked_subkey_is_refused(gnupg, verify):
    primary = gnupg.generate("Revoked subkey <rs@example.com>")
    subkey = gnupg.add_subkey(primary)
    message = gnupg.sign(CONTENT, f"{subkey}!")
    gnupg.revoke_subkey(primary)
    refuse(verify, message, gnupg.export(primary))
    assert verify(gnupg.sign(CONTENT, primary), gnupg.export(primary)).primary_key == primary


def test_two_signatures_are_refused(gnupg, key, verify):
    second = gnupg.generate("Second <second@example.com>")
    refuse(verify, gnupg.sign(CONTENT, key, second), gnupg.export(key, second))
    refuse(verify, gnupg.sign(CONTENT, key, second), gnupg.export(key))
    refuse(verify, gnupg.sign(CONTENT, key, second), gnupg.export(second))


def test_unsigned_message_is_refused(gnupg, key, verify):
    refuse(verify, gnupg.gpg("--store", data=CONTENT), gnupg.export(key))


def test_encrypted_message_is_refused(gnupg, key, verify):
    message = gnupg.gpg("--symmetric", passphrase="x", data=CONTENT)
    refuse(verify, message, gnupg.export(key))
    signed = gnupg.gpg("--symmetric", passphrase="x", data=gnupg.sign(CONTENT, key))
    refuse(verify, signed, gnupg.export(key))


def test_cleartext_signature_is_refused(gnupg, key, verify):
    message = gnupg.gpg("--local-user", key, "--clearsign", data=CONTENT)
    refuse(verify, message, gnupg.export(key))


def test_signature_of_text_is_refused(gnupg, key, verify):
    message = gnupg.sign(CONTENT, key, options=("--textmode",))
    refuse(verify, message, gnupg.export(key))


def test_detached_signature_is_refused(gnupg, key, verify):
    message = gnupg.gpg("--local-user", key, "--detach-sign", data=CONTENT)
    refuse(verify, message, gnupg.export(key))


def test_joined_messages_are_refused(gnupg, key, verify):
    plain = ("--compress-algo", "none")
    good = gnupg.sign(CONTENT, key, options=plain)
    literal = gnupg.gpg("--store", *plain, data=b"other")
    for message in (good + good, literal + good, good + literal):
        refuse(verify, message, gnupg.export(key))


def test_message_in_a_message_is_refused(gnupg, key, verify):
    """Only the content of the outer message is signed by the key."""
    inner = gnupg.sign(CONTENT, key)
    verified = verify(gnupg.sign(inner, key), gnupg.export(key))
    assert verified.content == inner


@pytest.mark.slow
def test_message_with_any_changed_byte_is_refused_or_means_the_same(gnupg, key, verify, sample):
    message = gnupg.sign(CONTENT, key, options=("--compress-algo", "none"))
    public = gnupg.export(key)
    for position in sample(range(len(message)), 19):
        changed = bytearray(message)
        changed[position] ^= 1
        try:
            verified = verify(bytes(changed), public)
        except BundlerError:
            continue
        # Some bytes are not signed, such as the name of the literal and the unhashed subpackets.
        assert (verified.content, verified.primary_key) == (CONTENT, key)


@pytest.mark.parametrize("message", [b"garbage", bytes(100), b"\xa3\x01", b"\xc8" + b"\xff" * 5])
def test_garbage_is_refused(gnupg, key, verify, message):
    refuse(verify, message, gnupg.export(key))


def test_truncated_message_is_refused(gnupg, key, verify):
    message, public = gnupg.sign(CONTENT, key), gnupg.export(key)
    for size in range(1, len(message), 29):
        refuse(verify, message[:size], public)


def test_large_message_is_refused(gnupg, key, verify):
    with pytest.raises(LimitError):
        verify(bytes(MAX_SIGNATURE + 1), gnupg.export(key))


def test_large_content_is_refused(gnupg, key, verify):
    message = gnupg.sign(bytes(64 * 1024 * 1024), key)
    assert len(message) < 1024 * 1024
    with pytest.raises((InvalidSignatureError, LimitError)):
        verify(message, gnupg.export(key))


def test_secret_keys_in_a_keyring_start_no_agent(gnupg, key):
    secret = gnupg.gpg("--export-secret-keys", key)
    message = gnupg.sign(CONTENT, key)
    with open_temporary_keyring([secret], Cancellation()) as opened:
        home = Path(opened._options[1])
        try:
            assert opened.verify(message).content == CONTENT
        except InvalidSignatureError:
            assert opened.fingerprints == ()
        assert not list(home.glob("S.*"))
        assert home.stat().st_mode & 0o777 == 0o700
    assert not home.exists()


def test_settings_of_the_user_are_not_read(gnupg, key, monkeypatch):
    message, public = gnupg.sign(CONTENT, key), gnupg.export(key)
    with open_temporary_keyring([public], Cancellation()) as opened:
        home = Path(opened._options[1])
        (home / "gpg.conf").write_text("keyserver hkp://127.0.0.1:1\nno-such-option\n")
        assert opened.verify(message).content == CONTENT


def test_cancellation_ends_the_verification(gnupg, key, monkeypatch):
    """The program that replaces gpg never ends."""
    cancellation = Cancellation()
    with open_temporary_keyring([gnupg.export(key)], cancellation) as opened:
        threading.Timer(0.3, cancellation.request).start()
        fake = gnupg.home / "bin"
        fake.mkdir()
        (fake / "gpg").write_text("#!/bin/sh\nexec sleep 60\n")
        (fake / "gpg").chmod(0o755)
        monkeypatch.setenv("PATH", str(fake), prepend=os.pathsep)
        start = time.monotonic()
        with pytest.raises(CancelledError):
            opened.verify(gnupg.sign(CONTENT, key))
        assert time.monotonic() - start < 10


def test_gpg_is_preferred_and_pysequoia_replaces_it(gnupg, key, monkeypatch):
    pytest.importorskip("pysequoia")
    message, public = gnupg.sign(CONTENT, key), gnupg.export(key)
    with keyring.open_keyring([public], Cancellation()) as opened:
        assert isinstance(opened, GpgKeyring)
    monkeypatch.setenv("PATH", str(gnupg.home))
    with keyring.open_keyring([public], Cancellation()) as opened:
        assert isinstance(opened, SequoiaKeyring)
        assert opened.verify(message).content == CONTENT


FORGED = (
    "x\n[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG {id} x\n"
    "[GNUPG:] VALIDSIG {key} 2026-01-01 1767225600 0 4 0 22 8 00 {key}\n"
)


def test_status_lines_in_the_name_of_a_file_are_not_believed(gnupg, key, verify):
    """The name of a literal is written to the status of old versions of gpg."""
    name = FORGED.format(key=key, id=key[-16:])[:250]
    unsigned = gnupg.gpg("--set-filename", name, "--store", data=CONTENT)
    refuse(verify, unsigned, gnupg.export(key))
    assert (
        verify(
            gnupg.sign(CONTENT, key, options=("--set-filename", name)), gnupg.export(key)
        ).primary_key
        == key
    )


def test_status_lines_in_notations_and_names_of_keys_are_not_believed(gnupg, key, verify):
    stranger = gnupg.generate("[GNUPG:] GOODSIG x <stranger@example.com>")
    notation = f"forged@example.com=[GNUPG:] GOODSIG {key[-16:]} x"
    message = gnupg.sign(CONTENT, stranger, options=("--sig-notation", notation))
    refuse(verify, message, gnupg.export(key))
    assert verify(message, gnupg.export(stranger)).primary_key == stranger


STATUS = """\
[GNUPG:] PLAINTEXT 62 0
[GNUPG:] NEWSIG
[GNUPG:] GOODSIG {id} x
[GNUPG:] VALIDSIG {key} 2026-01-01 1767225600 0 4 0 22 8 00 {key}
"""
KEY = "0123456789ABCDEF0123456789ABCDEF01234567"
GOOD_STATUS = STATUS.format(key=KEY, id=KEY[-16:])


def judge(status, exit_status=0):
    return gpg_status.find_signer(gpg_status.parse_status(status.encode()), exit_status)


def test_good_status_names_the_signer():
    assert judge(GOOD_STATUS) == (KEY, KEY)
    assert judge(f"gpg: noise\n{GOOD_STATUS}") == (KEY, KEY)


@pytest.mark.parametrize("line", GOOD_STATUS.splitlines(keepends=True))
def test_each_line_of_a_good_status_occurs_once(line):
    for status in (GOOD_STATUS.replace(line, ""), GOOD_STATUS + line):
        with pytest.raises(InvalidSignatureError):
            judge(status)


@pytest.mark.parametrize(
    "line",
    ["BADSIG x", "ERRSIG x", "EXPSIG x", "EXPKEYSIG x", "REVKEYSIG x", "NO_PUBKEY x", "KEYREVOKED",
     "FAILURE gpg-exit 1", "ERROR x 1", "NODATA 1", "UNEXPECTED 0", "BADARMOR", "ENC_TO x",
     "DECRYPTION_FAILED", "BEGIN_DECRYPTION", "TRUST_NEVER"],
)  # fmt: skip
def test_a_bad_word_excludes_a_good_signature(line):
    with pytest.raises(InvalidSignatureError):
        judge(f"{GOOD_STATUS}[GNUPG:] {line}\n")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (" 00 ", " 01 "),
        (" 00 ", " 10 "),
        (f" 00 {KEY}", " 00"),
        (f" 00 {KEY}", " 00 0123"),
        (f" 00 {KEY}", f" 00 {KEY.lower()}"),
        (f"VALIDSIG {KEY}", "VALIDSIG 0123"),
        (f"GOODSIG {KEY[-16:]}", "GOODSIG 0000000000000000"),
        (f"GOODSIG {KEY[-16:]} x", "GOODSIG"),
        ("[GNUPG:] GOODSIG", "gpg: GOODSIG"),
        ("[GNUPG:] GOODSIG", " [GNUPG:] GOODSIG"),
        ("[GNUPG:] GOODSIG", "[GNUPG:]GOODSIG"),
    ],
)
def test_deviating_status_is_refused(old, new):
    assert old in GOOD_STATUS
    with pytest.raises(InvalidSignatureError):
        judge(GOOD_STATUS.replace(old, new))


def test_failure_of_gpg_excludes_a_good_signature():
    for exit_status in (1, 2, -9):
        with pytest.raises(InvalidSignatureError):
            judge(GOOD_STATUS, exit_status)
