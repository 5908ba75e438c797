"""Every altered byte of ``bundle.json`` and of each signature is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bundler.bundle.format import authenticate
from bundler.bundle.format.inventory.read_inventory import read_raw_inventory
from bundler.bundle.format.reading.directory_files import DirectoryFiles
from bundler.bundle.format.signatures import bundle_signatures as signing
from bundler.errors import InvalidSignatureError
from bundler.trust import keys
from bundler.trust.bundle_trust import TrustedKeys
from tests.fakes import bundles

if TYPE_CHECKING:
    from pathlib import Path

KEYS = keys.generate_key(), keys.generate_key("ed25519")
TRUST = TrustedKeys.create([key.public for key in KEYS])


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundles.write(tmp_path_factory.mktemp("bundles") / "b", keys=KEYS)


def test_every_changed_byte_of_the_inventory_invalidates_its_signatures(bundle: Path):
    raw = read_raw_inventory(DirectoryFiles(bundle))
    stored = signing.read_signatures(DirectoryFiles(bundle))
    assert len(authenticate.verify_signatures(raw, stored, TRUST.keys)) == 2
    for position in range(len(raw)):
        for bit in range(8):
            changed = bytearray(raw)
            changed[position] ^= 1 << bit
            with pytest.raises(InvalidSignatureError):
                authenticate.verify_signatures(bytes(changed), stored, TRUST.keys)


@pytest.mark.parametrize("key", KEYS, ids=["ecdsa", "ed25519"])
def test_every_changed_byte_of_a_signature_is_refused(bundle: Path, key: keys.PrivateKey):
    """The other signature, which is valid, does not matter."""
    raw = read_raw_inventory(DirectoryFiles(bundle))
    stored = signing.read_signatures(DirectoryFiles(bundle))
    name = f"bundle.json.{key.public.id[:16]}.sig"
    for position in range(len(stored[name])):
        for bit in range(8):
            changed = bytearray(stored[name])
            changed[position] ^= 1 << bit
            with pytest.raises(InvalidSignatureError):
                authenticate.verify_signatures(raw, stored | {name: bytes(changed)}, TRUST.keys)


@pytest.mark.parametrize("key", KEYS, ids=["ecdsa", "ed25519"])
def test_every_truncated_or_extended_signature_is_refused(bundle: Path, key: keys.PrivateKey):
    raw = read_raw_inventory(DirectoryFiles(bundle))
    stored = signing.read_signatures(DirectoryFiles(bundle))
    name = f"bundle.json.{key.public.id[:16]}.sig"
    good = stored[name]
    for changed in (*(good[:size] for size in range(len(good))), good + b"\0", b"\0" + good):
        with pytest.raises(InvalidSignatureError):
            authenticate.verify_signatures(raw, stored | {name: changed}, TRUST.keys)


def test_altered_bundle_is_refused_before_it_is_parsed(tmp_path: Path):
    """The bytes would not even be JSON."""
    bundle = bundles.write(tmp_path / "b", keys=KEYS)
    raw = (bundle / "bundle.json").read_bytes()
    (bundle / "bundle.json").write_bytes(b"[" * len(raw))
    with pytest.raises(InvalidSignatureError):
        authenticate.open_bundle(DirectoryFiles(bundle), TRUST)
