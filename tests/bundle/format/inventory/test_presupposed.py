from __future__ import annotations

from pathlib import Path

import pytest

from bundler.bundle.format.inventory import presupposed
from bundler.bundle.format.inventory.presupposed import HeldBlob
from bundler.bundle.format.reading.open_files import open_files
from bundler.bundle.verifying.verify import verify
from bundler.errors import BundlerError, LimitError, MalformedError
from bundler.events import BlobTotal
from bundler.oci.digest import Digest
from bundler.trust import keys
from bundler.trust.bundle_trust import TrustedKeys
from tests.fakes import bundles, images

KEY = keys.generate_key()
BLOB = HeldBlob(Digest.of(b"b"), 7, ("apps/a", "apps/b"))
OTHER = HeldBlob(Digest.of(b"a"), 2**40)
APP = images.image(images.layer({"a": b"a" * 90}), images.layer({"b": b"b" * 900}))
LAYER = APP.blobs[1]
HELD = HeldBlob(Digest(LAYER.digest), len(LAYER.data), ("apps/a",))


def write(path: Path, blobs: list[HeldBlob], **members: object) -> Path:
    """Write a bundle of one image without the first of its two layers."""
    directory = bundles.write(path / "bundle", {"quay.io/app:1": APP})
    (directory / "blobs" / LAYER.digest.replace(":", "/")).unlink()
    raw = presupposed.render(blobs)
    (directory / "presupposed.txt").write_bytes(raw)
    described = presupposed.describe(raw).to_json("presupposed.txt") | members
    value = bundles.create_inventory(
        directory,
        {"quay.io/app:1": APP},
        _type="airbundle/bundle/v3",
        presupposes=described,
    )
    bundles.seal(directory, value, (KEY,))
    return directory


def check(bundle: Path):
    return verify(bundle, TrustedKeys.create([KEY.public]))


def test_lines_that_are_written_are_read_again():
    raw = presupposed.render([BLOB, OTHER])
    assert presupposed.parse(raw) == {BLOB.digest: BLOB, OTHER.digest: OTHER}
    assert presupposed.describe(raw).count == 2


@pytest.mark.parametrize(
    "raw",
    [
        b"\n",
        b"garbage\n",
        presupposed.render([BLOB])[:-1],
        presupposed.render([BLOB]) * 2,
        presupposed.render([BLOB]).replace(b" 7 ", b" -7 "),
        presupposed.render([BLOB]).replace(b" 7 ", b" 07 "),
        presupposed.render([BLOB]).replace(b"apps/a", b"../a"),
        presupposed.render([BLOB]).replace(b"apps/a", b"apps/\xffa"),
        presupposed.render([BLOB]).replace(b" apps/b", b" apps/b" * 8),
        presupposed.render([BLOB]).replace(b"\n", b"\r\n"),
    ],
)
def test_malformed_list_is_refused(raw):
    with pytest.raises(MalformedError):
        presupposed.parse(raw)


def test_list_that_is_too_large_is_refused():
    with pytest.raises(LimitError):
        presupposed.parse(b" " * (presupposed.MAX_FILE + 1))


def test_bundle_that_presupposes_a_layer_is_whole(tmp_path: Path):
    result = check(write(tmp_path, [HELD]))
    result.check()
    assert result.presupposed == BlobTotal(1, HELD.size)


@pytest.mark.parametrize(
    ("blobs", "path"),
    [
        ([], f"blobs/{LAYER.digest.replace(':', '/')}"),
        ([HeldBlob(HELD.digest, HELD.size + 1)], "presupposed.txt"),
        ([HELD, HeldBlob(Digest(APP.blobs[0].digest), 5)], None),
    ],
    ids=["another blob", "another size", "a config"],
)
def test_only_listed_layers_may_be_absent(tmp_path: Path, blobs: list[HeldBlob], path: str | None):
    """A config in the list is in the bundle nevertheless, so it has no effect."""
    findings = [finding.path for finding in check(write(tmp_path, blobs)).findings]
    assert findings == ([] if path is None else [path])


def test_absent_config_is_missing_although_it_is_listed(tmp_path: Path):
    config = Digest(APP.blobs[0].digest)
    bundle = write(tmp_path, [HELD, HeldBlob(config, len(APP.blobs[0].data))])
    (bundle / "blobs/sha256" / config.hex).unlink()
    assert [item.path for item in check(bundle).findings] == [f"blobs/sha256/{config.hex}"]


@pytest.mark.parametrize(
    "change",
    [lambda path: path.write_bytes(b""), Path.unlink],
    ids=["empty", "gone"],
)
def test_changed_list_is_a_finding(tmp_path: Path, change):
    bundle = write(tmp_path, [HELD])
    change(bundle / "presupposed.txt")
    findings = [finding.path for finding in check(bundle).findings]
    assert "presupposed.txt" in findings
    with pytest.raises(BundlerError):
        presupposed.read(open_files(bundle), check(bundle).inventory)
