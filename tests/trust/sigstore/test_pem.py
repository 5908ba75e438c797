"""PEM blocks are read as Go reads them."""

from __future__ import annotations

import pytest

from bundler.trust.sigstore.pem import decode_block, split_blocks

BLOCK = b"-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n"
CONTENT = b"\x00\x01\x02"


@pytest.mark.parametrize(
    "pem",
    [
        BLOCK,
        BLOCK[:-1],
        BLOCK.replace(b"\n", b"\r\n"),
        BLOCK.replace(b"CERTIFICATE", b"X"),
        BLOCK.replace(b"AAEC", b"AA\nEC"),
        b"\n" + BLOCK,
        b"text before\n" + BLOCK,
    ],
)
def test_single_block_is_decoded(pem):
    assert decode_block(pem) == CONTENT
    assert split_blocks(pem) == [CONTENT]


@pytest.mark.parametrize("pem", [BLOCK + b"\n\n", b"\n" + BLOCK + b" \n"])
def test_blanks_after_several_blocks_are_ignored(pem):
    assert split_blocks(pem) == [CONTENT]
    with pytest.raises(ValueError, match="bytes after"):
        decode_block(pem)


def test_blocks_are_split():
    assert split_blocks(BLOCK * 3) == [CONTENT] * 3
    assert split_blocks(b" \n") == []


@pytest.mark.parametrize(
    "pem",
    [
        BLOCK + b"text after\n",
        b"x" + BLOCK,
        BLOCK.replace(b"END CERTIFICATE", b"END OTHER"),
        BLOCK.replace(b"AAEC", b"AAE"),
        BLOCK.replace(b"AAEC", b"AA!C"),
        BLOCK.replace(b"-----END CERTIFICATE-----\n", b""),
        BLOCK.replace(b"AAEC", b"A" * 1_000_003),
    ],
    ids=range(7),
)
def test_anything_else_is_refused(pem):
    for read in (split_blocks, decode_block):
        with pytest.raises(ValueError, match=r".+"):
            read(pem)
