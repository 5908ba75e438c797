"""Expected messages are verified in batches, with the verdicts that they have by themselves."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager

import pytest

from bundler.cancel import Cancellation
from bundler.errors import BundlerError, CancelledError, InvalidSignatureError
from bundler.oci.signature import MAX_SIGNATURE
from bundler.trust.openpgp.expected_messages import ExpectedMessages
from bundler.trust.openpgp.gpg import open_temporary_keyring
from bundler.trust.openpgp.keyring import VerifiedMessage
from bundler.trust.openpgp.sequoia import SequoiaKeyring

CONTENT = b'{"a":1}'


@pytest.fixture(scope="module")
def key(gnupg):
    return gnupg.generate("Signer <signer@example.com>")


@pytest.fixture
def expected():
    return ExpectedMessages()


class Verifier:
    """Verifies every batch, or refuses it."""

    def __init__(self, error=None):
        self.error = error
        self.batches = []

    def __call__(self, messages):
        self.batches.append(list(messages))
        if self.error is not None:
            raise self.error
        return [VerifiedMessage(message, "A", "B") for message in messages]


def test_successive_messages_are_in_different_batches(expected):
    messages = [b"%d" % number for number in range(130)]
    verify_all = Verifier()
    expected.add(messages)
    assert [expected.find(item, verify_all).content for item in messages] == messages
    assert verify_all.batches == [messages[0::3], messages[1::3], messages[2::3]]


def test_refused_batch_is_not_repeated(expected):
    verify_all = Verifier(InvalidSignatureError("refused"))
    expected.add([b"a", b"b"])
    assert [expected.find(item, verify_all) for item in (b"a", b"b", b"c")] == [None] * 3
    assert len(verify_all.batches) == 1


def test_messages_may_be_added_later(expected):
    verify_all = Verifier()
    expected.add([b"a"])
    expected.find(b"a", verify_all)
    expected.add([b"a", b"b"])
    expected.find(b"b", verify_all)
    assert verify_all.batches == [[b"a"], [b"b"]]


def test_messages_over_the_limit_are_not_expected(expected):
    verify_all = Verifier()
    expected.add([bytes([number]) * 16 * 1024 * 1024 for number in range(4)])
    expected.add([b"more"])
    assert expected.find(b"more", verify_all) is None
    assert not verify_all.batches


def test_cancellation_is_not_hidden(expected):
    expected.add([b"a"])
    with pytest.raises(CancelledError):
        expected.find(b"a", Verifier(CancelledError("stopped")))


@pytest.fixture(scope="module")
def messages(gnupg, key):
    """Messages with every kind of verdict by name."""
    stranger = gnupg.generate("Unknown <unknown@example.com>")
    good = [gnupg.sign(b"content %d" % number, key) for number in range(3)]
    return {
        "good": good,
        "unknown": [gnupg.sign(CONTENT, stranger)],
        "altered": [good[0][:-1] + bytes([good[0][-1] ^ 1])],
        "garbage": [b"garbage"],
        "trailing": [gnupg.sign(CONTENT, key, options=("--compress-algo", "none")) + b"x"],
        "named": [gnupg.sign(CONTENT, key, options=("--set-filename", "_CONSOLE"))],
        "unsigned": [gnupg.gpg("--store", data=CONTENT)],
        "joined": [gnupg.sign(CONTENT, key) + good[1]],
        "large": [bytes(MAX_SIGNATURE + 1)],
    }


@contextmanager
def open_with(program, public):
    if program == "gpg":
        with open_temporary_keyring([public], Cancellation()) as opened:
            yield opened
    else:
        pytest.importorskip("pysequoia")
        yield SequoiaKeyring.open([public], Cancellation())


def try_to_verify(opened, message):
    try:
        verified = opened.verify(message)
    except BundlerError as error:
        return type(error), error.message
    return verified.content, verified.signing_key, verified.primary_key


@pytest.mark.parametrize("program", ["gpg", "pysequoia"])
@pytest.mark.parametrize(
    "kind", ["unknown", "altered", "garbage", "trailing", "named", "unsigned", "joined", "large"]
)
def test_expected_messages_have_the_same_verdicts(gnupg, key, messages, program, kind):
    expected = [*messages["good"], *messages[kind], messages["good"][0]]
    with open_with(program, gnupg.export(key)) as opened:
        verdicts = [try_to_verify(opened, message) for message in expected]
        opened.expect(expected)
        assert [try_to_verify(opened, message) for message in expected] == verdicts
    assert verdicts[:3] == [(b"content %d" % number, key, key) for number in range(3)]


@pytest.fixture
def counted_runs(gnupg, monkeypatch, tmp_path):
    """A file with a line for each run of gpg."""
    runs = tmp_path / "runs"
    script = f'#!/bin/sh\necho "$*" >>{runs}\nexec {shutil.which("gpg")} "$@"\n'
    (tmp_path / "gpg").write_text(script)
    (tmp_path / "gpg").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return runs


def test_expected_messages_are_verified_by_one_process(gnupg, key, messages, counted_runs):
    with open_temporary_keyring([gnupg.export(key)], Cancellation()) as opened:
        counted_runs.unlink()
        opened.expect(messages["good"])
        opened.expect(messages["good"])
        for number, message in enumerate(messages["good"]):
            assert opened.verify(message).content == b"content %d" % number
        assert len(counted_runs.read_text().splitlines()) == 1
        opened.verify(gnupg.sign(CONTENT, key))
        assert len(counted_runs.read_text().splitlines()) == 2
