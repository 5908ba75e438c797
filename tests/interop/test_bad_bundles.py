"""Damaged and unauthenticated bundles, and targets with other images, are refused."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.fakes import bundles, images
from tests.fakes.damage import flip_bit
from tests.fakes.registry import FakeRegistry
from tests.interop.refusals import assert_refused, import_

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.interop import servers


DAMAGE: dict[str, Callable[[Path], object]] = {
    "bit flipped": lambda bundle: flip_bit(bundles.find_largest_blob(bundle)),
    "blob missing": lambda bundle: bundles.find_largest_blob(bundle).unlink(),
    "truncated blob": lambda bundle: os.truncate(bundles.find_largest_blob(bundle), 1000),
    "symlink for a blob": lambda bundle: replace_by_symlink(bundles.find_largest_blob(bundle)),
    "FIFO for a blob": lambda bundle: replace_by_fifo(bundles.find_largest_blob(bundle)),
    "swapped manifests": lambda bundle: swap_files(*find_smallest_blobs(bundle)),
}
ASIDE: dict[str, Callable[[Path], object]] = {
    "index changed": lambda bundle: flip_bit(bundle / "index.json"),
    "sums missing": lambda bundle: (bundle / "SHA256SUMS").unlink(),
    "sums changed": lambda bundle: flip_bit(bundle / "SHA256SUMS"),
}
DISTRUST: dict[str, Callable[[Path], object]] = {
    "inventory changed": lambda bundle: change_inventory(bundle),  # noqa: PLW0108
    "signature missing": lambda bundle: find_signature(bundle).unlink(),
    "signature changed": lambda bundle: flip_bit(find_signature(bundle)),
    "signature empty": lambda bundle: os.truncate(find_signature(bundle), 0),
}


class TestBundles:
    """Bundles that are damaged or that no known key has signed."""

    @pytest.mark.parametrize("damage", DAMAGE)
    def test_import_and_verify_refuse_damaged_content(
        self, airbundle, bundle, keys, registry, repository, damage: str
    ) -> None:
        DAMAGE[damage](bundle)

        result = airbundle("verify", bundle, "--key", keys / "ours.pub")
        assert_refused(result, 3, hint=False)

        result = import_(airbundle, bundle, f"docker://{registry.host}/{repository}", keys)
        assert_refused(result, 3, hint=False)
        assert not find_tags(registry, repository)

    @pytest.mark.parametrize("damage", ASIDE)
    def test_verify_reports_damage_that_import_ignores(
        self, airbundle, bundle, keys, damage: str
    ) -> None:
        """Import reads only the files that the signed inventory lists."""
        ASIDE[damage](bundle)

        result = airbundle("verify", bundle, "--key", keys / "ours.pub")

        assert_refused(result, 3, hint=False)

    def test_verify_names_every_damaged_file(self, airbundle, bundle, keys) -> None:
        first, second = sorted((bundle / "blobs/sha256").iterdir())[:2]
        flip_bit(first)
        second.unlink()

        result = airbundle("verify", bundle, "--key", keys / "ours.pub")

        assert_refused(result, 3, first.name, second.name, hint=False)

    @pytest.mark.parametrize("distrust", DISTRUST)
    def test_unauthenticated_bundle_is_refused(
        self, airbundle, bundle, keys, registry, repository, distrust: str
    ) -> None:
        DISTRUST[distrust](bundle)

        result = airbundle("verify", bundle, "--key", keys / "ours.pub")
        assert result.returncode in (3, 4)
        assert_refused(result, result.returncode, hint=False)

        result = import_(airbundle, bundle, f"docker://{registry.host}/{repository}", keys)
        assert_refused(result, 4)
        assert not find_tags(registry, repository)

    def test_truncated_inventory_is_refused(self, airbundle, bundle, keys) -> None:
        os.truncate(bundle / "bundle.json", 100)

        result = airbundle("verify", bundle, "--key", keys / "ours.pub")

        assert result.returncode in (3, 4)
        assert_refused(result, result.returncode, "bundle.json", hint=False)

    def test_bundle_signed_by_other_key_is_refused(self, airbundle, bundle, keys, tmp_path) -> None:
        theirs = ("--key", keys / "theirs.pub")

        assert_refused(airbundle("verify", bundle, *theirs), 4, hint=False)
        assert_refused(airbundle("import", bundle, f"oci:{tmp_path}/in", *theirs), 4)
        assert not (tmp_path / "in/index.json").exists()

    def test_import_without_key_is_refused(self, airbundle, bundle, tmp_path) -> None:
        assert_refused(airbundle("import", bundle, f"oci:{tmp_path}/in"), 4, "--key FILE.pub")

    def test_allow_unsigned_does_not_accept_invalid_signature(
        self, airbundle, bundle, keys, tmp_path
    ) -> None:
        change_inventory(bundle)
        ours = ("--key", keys / "ours.pub", "--allow-unsigned", "--reason", "test")

        assert_refused(airbundle("import", bundle, f"oci:{tmp_path}/in", *ours), 4, hint=False)

    def test_additional_blob_is_reported_and_not_imported(
        self, airbundle, bundle, keys, tmp_path
    ) -> None:
        stray = images.Blob("application/octet-stream", b"stowaway")
        name = stray.digest.removeprefix("sha256:")
        (bundle / "blobs/sha256" / name).write_bytes(stray.data)

        verified = airbundle.ok("verify", bundle, "--key", keys / "ours.pub")
        airbundle.ok("import", bundle, f"oci:{tmp_path}/in", "--key", keys / "ours.pub")

        assert (
            f"unlisted: 1 file, not part of the bundle and not imported: blobs/sha256/{name}"
            in verified
        )
        assert not (tmp_path / "in/blobs/sha256" / name).exists()

    def test_directory_without_bundle_is_refused(self, airbundle, tmp_path, keys) -> None:
        ours = ("--key", keys / "ours.pub")

        assert_refused(airbundle("verify", tmp_path / "none", *ours), 9, "none", hint=False)
        (tmp_path / "empty").mkdir()
        result = airbundle("import", tmp_path / "empty", f"oci:{tmp_path}/in", *ours)
        assert_refused(result, result.returncode, "empty", hint=False)


class TestTargets:
    """Registries in which a target name already exists."""

    def test_import_refuses_name_with_other_digest(self, airbundle, bundle, keys, fake) -> None:
        existing = fake.add_image("mirror/app", "1", layers=[b"something else"])

        result = import_(airbundle, bundle, f"docker://{fake.host}/mirror", keys)

        assert_refused(result, 10, "mirror/app:1")
        assert fake.repositories["mirror/app"].tags == {"1": existing}
        assert fake.count("POST") == fake.count("PUT") == 0

    def test_import_reports_immutable_tag(self, airbundle, bundle, keys) -> None:
        with FakeRegistry(immutable_tags=True) as fake:
            existing = fake.add_image("mirror/app", "1", layers=[b"something else"])
            overwrite = ("--existing", "overwrite")

            result = import_(airbundle, bundle, f"docker://{fake.host}/mirror", keys, *overwrite)

            assert fake.repositories["mirror/app"].tags == {"1": existing}
        assert result.returncode in (7, 10, 11)
        assert_refused(result, result.returncode, "mirror/app", hint=False)


def find_tags(registry: servers.Registry, repository: str) -> list[Path]:
    """Return every tag below a prefix of a registry."""
    return list(
        (registry.storage / "docker/registry/v2/repositories").glob(f"{repository}/**/tags/*")
    )


def find_smallest_blobs(bundle: Path) -> list[Path]:
    """Return the two smallest blobs."""
    return sorted((bundle / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)[:2]


def find_signature(bundle: Path) -> Path:
    (found,) = bundle.glob("bundle.json.*.sig")
    return found


def change_inventory(bundle: Path) -> None:
    file = bundle / "bundle.json"
    data = file.read_bytes()
    changed = data.replace(b'"serial":1', b'"serial":2', 1)
    assert changed != data
    file.write_bytes(changed)


def replace_by_symlink(file: Path) -> None:
    elsewhere = file.parents[3] / "elsewhere"
    shutil.move(file, elsewhere)
    file.symlink_to(elsewhere)


def replace_by_fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def swap_files(first: Path, second: Path) -> None:
    data = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(data)
