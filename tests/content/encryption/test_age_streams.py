"""Streams that age encrypts: whole after decryption, or an error, and never without an end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyrage import x25519

from bundler.content.encryption import age_streams
from bundler.content.encryption.age_keys import parse_identities, parse_recipients
from bundler.content.encryption.age_streams import Encryption, decrypt
from bundler.content.streams import write_all
from bundler.errors import LimitError, MalformedError, MediumError, UsageError

if TYPE_CHECKING:
    from collections.abc import Generator

IDENTITY = x25519.Identity.generate()
RECIPIENT = IDENTITY.to_public()
DATA = bytes(range(256)) * 1024  # several parts of 64 KiB


def encrypt(data: bytes, *, finish: bool = True) -> bytes:
    """Encrypt ``data``, in an encryption that is interrupted without ``finish``."""
    output = bytearray()
    encryption = Encryption([RECIPIENT], output.extend)
    write_all(encryption.fd, data)
    if finish:
        encryption.finish()
    encryption.close()
    return bytes(output)


ENCRYPTED = encrypt(DATA)


def split(data: bytes, size: int = 10_000) -> Generator[bytes, None, None]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def read(data: bytes, identity: x25519.Identity = IDENTITY, size: int = 10_000) -> bytes:
    return b"".join(decrypt(split(data, size), [identity], "a.age", lambda: None))


@pytest.mark.parametrize("size", [1, 7, 100_000_000])
def test_stream_is_whole_after_decryption(size: int):
    data = DATA if size > 1 else DATA[:2000]
    assert read(encrypt(data), size=size) == data


def test_cut_stream_is_an_error():
    last = len(ENCRYPTED) - 1
    for cut in (*range(0, 400, 9), *range(400, last, 4999), last):
        with pytest.raises(MalformedError):
            read(ENCRYPTED[:cut])


def test_stream_cut_between_two_parts_is_an_error():
    """The rest is a sequence of whole parts, whose last one is not marked as the last."""
    header = len(ENCRYPTED) - (len(DATA) + 16 * (len(DATA) // 65536))
    with pytest.raises(MalformedError):
        read(ENCRYPTED[: header + 2 * (65536 + 16)])


def test_interrupted_encryption_has_no_end():
    with pytest.raises(MalformedError):
        read(encrypt(DATA, finish=False))


def test_changed_bit_is_an_error():
    for place in (*range(0, 400, 13), *range(400, len(ENCRYPTED), 9973)):
        changed = bytearray(ENCRYPTED)
        changed[place] ^= 1
        with pytest.raises((MalformedError, UsageError, LimitError)):
            read(bytes(changed))


def test_data_after_the_end_is_an_error():
    with pytest.raises(MalformedError):
        read(ENCRYPTED + b"x")


@pytest.mark.parametrize(
    "data", [b"", b"plan.json\0" * 99, age_streams.MAGIC, age_streams.MAGIC + b"--- x\n"]
)
def test_other_data_is_an_error(data: bytes):
    with pytest.raises(MalformedError):
        read(data)


def test_identity_of_others_is_refused():
    with pytest.raises(UsageError):
        read(ENCRYPTED, x25519.Identity.generate())


def test_long_header_is_refused_early():
    """The time to read a header grows with the square of its size."""
    stanza = b"-> X25519 AAAA\nAAAA\n"
    header = age_streams.MAGIC + stanza * (age_streams.MAX_HEADER // len(stanza) + 1)
    with pytest.raises(LimitError):
        read(header + b"--- " + b"A" * 43 + b"\n")


def test_error_of_the_source_is_raised():
    def chunks() -> Generator[bytes, None, None]:
        yield ENCRYPTED[:70_000]
        raise MediumError("stick: cannot read")

    with pytest.raises(MediumError, match="stick"):
        b"".join(decrypt(chunks(), [IDENTITY], "a.age", lambda: None))


def test_reader_may_stop_early():
    parts = decrypt(split(ENCRYPTED), [IDENTITY], "a.age", lambda: None)
    assert DATA.startswith(next(parts))
    parts.close()


def test_error_of_the_output_ends_the_encryption():
    def write(_: bytes) -> None:
        raise MediumError("stick: full")

    encryption = Encryption([RECIPIENT], write)
    with pytest.raises(BrokenPipeError):
        write_all(encryption.fd, DATA)
    with pytest.raises(MediumError, match="full"):
        encryption.finish()


def test_key_files_of_age_are_read():
    text = f"# created: today\n# public key: {RECIPIENT}\n{IDENTITY}\n"
    assert read(ENCRYPTED, parse_identities(text.encode(), "f")[0]) == DATA
    assert len(parse_recipients([f"# {RECIPIENT}", "", f" {RECIPIENT} "], "f")) == 1


@pytest.mark.parametrize(
    "lines", [[], ["# none"], ["age1x"], ["ssh-ed25519 AAAA"], [str(IDENTITY)], ["/etc/passwd"]]
)
def test_other_recipients_are_refused_without_showing_them(lines: list[str]):
    with pytest.raises(UsageError) as raised:
        parse_recipients(lines, "f")
    assert str(IDENTITY) not in str(raised.value)


def test_number_of_recipients_is_bounded():
    with pytest.raises(LimitError):
        parse_recipients([str(RECIPIENT)] * 101, "f")


@pytest.mark.parametrize(
    "raw", [b"", b"# none\n", b"AGE-SECRET-KEY-1Q", b"\xff\xfe", b"-----BEGIN X"]
)
def test_other_identities_are_refused(raw: bytes):
    with pytest.raises(UsageError):
        parse_identities(raw, "f")
