from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from importlib import resources

import jsonschema
import pytest

from bundler.bundle.format.inventory.presupposed import HeldBlob
from bundler.bundle.holdings import holdings_file
from bundler.bundle.holdings.holdings_file import Coverage, HoldingsFile
from bundler.bundle.records.signed_file import SignedFile
from bundler.errors import (
    BundlerError,
    InvalidSignatureError,
    LimitError,
    MalformedError,
    UnauthenticatedError,
    UnfitSignerError,
)
from bundler.oci.digest import Digest
from bundler.trust.keys import generate_key
from bundler.trust.trust_files.trust_file import TrustedKey

KEY, OTHER = generate_key(), generate_key()
BLOB = HeldBlob(Digest.of(b"b"), 7, ("apps/a", "apps/b"))
FILE = HoldingsFile(
    datetime(2026, 12, 1, tzinfo=UTC),
    ("docker://registry.plant:5000",),
    {BLOB.digest: BLOB},
    {"apps/a:1": Digest.of(b"image")},
    (
        Coverage("docker://registry.plant:5000", complete=True, repositories=("apps/a", "apps/b")),
        Coverage("receipt.json", complete=False, repositories=()),
        Coverage("oci:layout", complete=True),
    ),
)
RAW = FILE.to_bytes()


def test_file_that_is_written_is_read_again():
    assert HoldingsFile.parse(RAW, "holdings") == FILE


def test_first_line_matches_the_schema():
    schema = json.loads((resources.files("bundler") / "schemas/holdings.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(json.loads(RAW.splitlines()[0]))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\n",
        b"[]\n",
        RAW.replace(b"holdings/v1", b"holdings/v2"),
        RAW.replace(b"2026", b"x"),
        RAW.replace(b"docker://", b"\\u001b[2J"),
        RAW.replace(b"sha256:", b"sha257:"),
        RAW[:-1],
        RAW + b"more\n",
        RAW.replace(b" 7 ", b" 7.0 "),
        RAW.replace(b'["apps/a"', b'["../a"'),
        RAW.replace(b'"complete":true', b'"complete":1'),
    ],
)
def test_malformed_file_is_refused(raw):
    with pytest.raises(MalformedError):
        HoldingsFile.parse(raw, "holdings")


def test_huge_file_is_not_read(tmp_path):
    path = tmp_path / "holdings"
    with path.open("wb") as file:
        file.truncate(holdings_file.MAX_FILE + 1)
    with pytest.raises(LimitError):
        holdings_file.read(path, None, "plant")


@pytest.mark.parametrize(
    ("signer", "keys", "error"),
    [
        (KEY, [TrustedKey(KEY.public)], None),
        (None, None, None),
        (None, [TrustedKey(KEY.public)], UnauthenticatedError),
        (OTHER, [TrustedKey(KEY.public)], UnauthenticatedError),
        (KEY, [TrustedKey(KEY.public, streams=("other",))], UnfitSignerError),
    ],
    ids=["signed", "not verified", "unsigned", "other key", "other stream"],
)
def test_signature_is_required(tmp_path, signer, keys, error: type[BundlerError] | None):
    path = tmp_path / "holdings"
    SignedFile.sign(RAW, [signer] if signer else []).write(path)
    if error is None:
        assert holdings_file.read(path, keys, "plant")[0] == FILE
        return
    with pytest.raises(error):
        holdings_file.read(path, keys, "plant")


def test_changed_file_is_refused(tmp_path):
    path = tmp_path / "holdings"
    SignedFile.sign(RAW, [KEY]).write(path)
    path.write_bytes(RAW.replace(b" 7 ", b" 8 "))
    with pytest.raises(InvalidSignatureError):
        holdings_file.read(path, [TrustedKey(KEY.public)], "plant")


def test_merged_lists_have_the_repositories_of_both():
    other = HeldBlob(BLOB.digest, 7, ("lib/c",))
    wrong = HeldBlob(BLOB.digest, 8, ("lib/d",))
    merged = holdings_file.merge([{BLOB.digest: BLOB}, {BLOB.digest: other}, {BLOB.digest: wrong}])
    assert merged[BLOB.digest].repositories == ("apps/a", "apps/b", "lib/c")


def test_coverage_is_described_and_unknown_in_older_files():
    assert [item.describe() for item in FILE.covers] == [
        "all images of 2 repositories",
        "some images of 0 repositories",
        "all images",
    ]
    older = replace(FILE, covers=())
    assert b"covers" not in older.to_bytes()
    assert HoldingsFile.parse(older.to_bytes(), "holdings") == older
