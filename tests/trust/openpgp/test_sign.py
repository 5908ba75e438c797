"""Signing with a key of the user; the passphrase is visible nowhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest

from bundler.cancel import Cancellation
from bundler.content import run_program
from bundler.errors import (
    CancelledError,
    LimitError,
    SigningKeyError,
    UnsupportedError,
    UsageError,
)
from bundler.trust.openpgp import keyring
from bundler.trust.openpgp.sign import GpgSigner, SqSigner
from tests.fakes.openpgp import LONG_AGO

CONTENT = b'{"a":1}'
MARK = "marked-secret-7391"


def sign(gnupg, key, passphrase=None, cancellation=None):
    passphrase = None if passphrase is None else passphrase.encode()
    cancellation = cancellation or Cancellation()
    return GpgSigner.find(key, gnupg.environment, cancellation, passphrase).sign(CONTENT)


def verify(gnupg, message, *keys):
    with keyring.open_keyring([gnupg.export(*keys)], Cancellation()) as opened:
        return opened.verify(message)


@pytest.fixture(scope="module")
def protected(gnupg):
    return gnupg.generate("Protected <protected@example.com>", passphrase=MARK)


def test_signature_verifies(gnupg):
    key = gnupg.generate("Signer <signer@example.com>")
    verified = verify(gnupg, sign(gnupg, key), key)
    assert (verified.content, verified.primary_key) == (CONTENT, key)


@pytest.mark.parametrize("name", ["named@example.com", "=Named <named@example.com>", "Named"])
def test_key_may_be_named(gnupg, name):
    keys = gnupg.find_secret_keys("named@example.com") or [
        gnupg.generate("Named <named@example.com>")
    ]
    assert verify(gnupg, sign(gnupg, name), *keys).primary_key == keys[0]


def test_passphrase_unlocks_the_key(gnupg, protected):
    gnupg.forget_passphrases()
    message = sign(gnupg, protected, MARK)
    assert verify(gnupg, message, protected).primary_key == protected


def test_wrong_passphrase_is_an_error(gnupg, protected):
    gnupg.forget_passphrases()
    with pytest.raises(SigningKeyError) as caught:
        sign(gnupg, protected, "wrong")
    assert caught.value.cause == "passphrase"


def test_passphrase_must_not_contain_a_line_break(gnupg, protected):
    with pytest.raises(UsageError, match="line break"):
        sign(gnupg, protected, f"{MARK}\nx")


def test_key_that_needs_a_prompt_is_an_error_without_one(gnupg, protected):
    gnupg.forget_passphrases()
    (gnupg.home / "gpg-agent.conf").write_text("pinentry-program /bin/false\n")
    gnupg.run("gpgconf", "--reload", "gpg-agent")
    try:
        with pytest.raises(SigningKeyError):
            sign(gnupg, protected)
    finally:
        (gnupg.home / "gpg-agent.conf").unlink()
        gnupg.run("gpgconf", "--reload", "gpg-agent")


@pytest.mark.parametrize("key", ["", "0" * 40, "missing@example.com", "--version", "-x"])
def test_unknown_key_is_an_error(gnupg, key):
    with pytest.raises(SigningKeyError) as caught:
        sign(gnupg, key)
    assert caught.value.cause == "unknown"


def test_name_of_two_keys_is_an_error(gnupg):
    gnupg.generate("Twin <twin@example.com>")
    gnupg.generate("Twin <twin@example.com>")
    with pytest.raises(SigningKeyError) as caught:
        sign(gnupg, "twin@example.com")
    assert caught.value.cause == "ambiguous"


def test_expired_key_is_an_error(gnupg):
    key = gnupg.generate("Expired <expired@example.com>", expires="1y", time=LONG_AGO)
    with pytest.raises(SigningKeyError) as caught:
        sign(gnupg, key)
    assert caught.value.cause == "unusable"


def test_settings_of_the_user_do_not_change_the_form(gnupg):
    key = gnupg.generate("Configured <configured@example.com>")
    other = gnupg.generate("Additional <additional@example.com>")
    settings = gnupg.home / "gpg.conf"
    settings.write_text("armor\ntextmode\n")
    try:
        assert verify(gnupg, sign(gnupg, key), key).primary_key == key
        settings.write_text(f"local-user {other}\n")
        with pytest.raises(SigningKeyError):
            sign(gnupg, key)
    finally:
        settings.unlink()


def test_passphrase_is_not_visible_to_other_processes(gnupg, protected, tmp_path):
    """Neither an argument nor the environment of a process contains it while gpg runs."""
    gnupg.forget_passphrases()
    seen, stop = [], threading.Event()

    def watch():
        while not stop.is_set():
            for process in Path("/proc").glob("[0-9]*"):
                if process.name == str(os.getpid()):
                    continue
                for name in ("cmdline", "environ"):
                    try:
                        content = (process / name).read_bytes()
                    except OSError:
                        continue
                    if b"gpg" in content:
                        seen.append(content)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for _ in range(3):
            gnupg.forget_passphrases()
            sign(gnupg, protected, MARK)
    finally:
        stop.set()
        watcher.join()
    assert any(b"--passphrase-fd" in content for content in seen)
    assert not [content for content in seen if MARK.encode() in content]
    files = [path for path in gnupg.home.rglob("*") if path.is_file()]
    assert not [path for path in files if MARK.encode() in path.read_bytes()]


def test_passphrase_is_not_in_representations_and_errors(gnupg, protected):
    signer = GpgSigner(protected, gnupg.environment | {"X": MARK}, Cancellation(), MARK.encode())
    assert MARK not in repr(signer)
    gnupg.forget_passphrases()
    with pytest.raises(SigningKeyError) as caught:
        sign(gnupg, protected, f"{MARK}-wrong")
    assert MARK not in f"{caught.value!r} {caught.value.hint} {caught.value.__context__!r}"


def test_cancellation_ends_gpg(gnupg, monkeypatch, tmp_path):
    fake = tmp_path / "gpg"
    fake.write_text("#!/bin/sh\nexec sleep 60\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    cancellation = Cancellation()
    threading.Timer(0.3, cancellation.request).start()
    start = time.monotonic()
    with pytest.raises(CancelledError):
        sign(gnupg, "key", cancellation=cancellation)
    assert time.monotonic() - start < 10


def test_gpg_that_does_not_end_is_killed(gnupg, monkeypatch, tmp_path):
    """Its agent may wait for a card."""
    (tmp_path / "gpg").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "gpg").chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(run_program, "LONGEST_RUN", 0.3)
    with pytest.raises(LimitError):
        sign(gnupg, "key")


def test_missing_program_is_reported(gnupg, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnsupportedError, match="gpg is not installed"):
        sign(gnupg, "key")
    with pytest.raises(UnsupportedError, match="sq is not installed") as caught:
        SqSigner("key", {}, Cancellation()).sign(CONTENT)
    assert "--sign-by" in (caught.value.hint or "")


class Sequoia:
    """A home directory of the real sq."""

    def __init__(self, home):
        self.environment = {"SEQUOIA_HOME": str(home), "HOME": str(home), "PATH": os.defpath}

    def run(self, *arguments):
        return subprocess.run(
            [shutil.which("sq") or "sq", *arguments],
            env=self.environment,
            check=True,
            capture_output=True,
        ).stdout


@pytest.fixture
def sequoia(tmp_path):
    if shutil.which("sq") is None:
        pytest.skip("sq is not installed")
    home = Sequoia(tmp_path / "sequoia")
    if b"sq 0." in home.run("version"):
        pytest.skip("sq has no key store")
    return home


@pytest.mark.parametrize("passphrase", [None, MARK])
def test_key_of_sq_signs(sequoia, tmp_path, passphrase):
    options = ["--without-password"]
    if passphrase is not None:
        (tmp_path / "password").write_text(passphrase)
        options = ["--new-password-file", str(tmp_path / "password")]
    revocation = ("--rev-cert", str(tmp_path / "revocation"))
    sequoia.run("key", "generate", "--own-key", "--name", "Sq", *options, *revocation)
    public = sequoia.run("cert", "export", "--all")
    with keyring.open_keyring([public], Cancellation()) as opened:
        fingerprint = opened.fingerprints[0]
    secret = None if passphrase is None else passphrase.encode()
    message = SqSigner(fingerprint, sequoia.environment, Cancellation(), secret).sign(CONTENT)
    with keyring.open_keyring([public], Cancellation()) as opened:
        verified = opened.verify(message)
    assert (verified.content, verified.primary_key) == (CONTENT, fingerprint)
    with pytest.raises(SigningKeyError):
        SqSigner("0" * 40, sequoia.environment, Cancellation(), secret).sign(CONTENT)
