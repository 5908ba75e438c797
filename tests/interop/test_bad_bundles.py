"""Bundles that are damaged or that nobody we know has signed, and targets that refuse them."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images
from tests.fakes.registry import FakeRegistry
from tests.interop.refusals import import_, refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.interop import servers


DAMAGE: dict[str, Callable[[Path], object]] = {
    "bit flipped": lambda bundle: flip(largest(bundle)),
    "blob missing": lambda bundle: largest(bundle).unlink(),
    "truncated blob": lambda bundle: os.truncate(largest(bundle), 1000),
    "symlink for a blob": lambda bundle: replace_by_symlink(largest(bundle)),
    "FIFO for a blob": lambda bundle: replace_by_fifo(largest(bundle)),
    "swapped manifests": lambda bundle: swap(*smallest(bundle)),
}
ASIDE: dict[str, Callable[[Path], object]] = {
    "index changed": lambda bundle: flip(bundle / "index.json"),
    "sums missing": lambda bundle: (bundle / "SHA256SUMS").unlink(),
    "sums changed": lambda bundle: flip(bundle / "SHA256SUMS"),
}
DISTRUST: dict[str, Callable[[Path], object]] = {
    "inventory changed": lambda bundle: change_inventory(bundle),  # noqa: PLW0108
    "signature missing": lambda bundle: signature(bundle).unlink(),
    "signature changed": lambda bundle: flip(signature(bundle)),
    "signature empty": lambda bundle: os.truncate(signature(bundle), 0),
}


class TestBundles:
    """Bundles that are damaged, or that nobody we know has signed."""

    @pytest.mark.parametrize("damage", DAMAGE)
    def test_damaged(self, airbundle, bundle, keys, registry, repository, damage: str) -> None:
        DAMAGE[damage](bundle)

        ran = airbundle("verify", bundle, "--key", keys / "ours.pub")
        refused(ran, 3, hint=False)

        ran = import_(airbundle, bundle, f"docker://{registry.host}/{repository}", keys)
        refused(ran, 3, hint=False)
        assert not tags(registry, repository)

    @pytest.mark.parametrize("damage", ASIDE)
    def test_damaged_beside_the_content(self, airbundle, bundle, keys, damage: str) -> None:
        """Import follows the signed inventory and needs none of it; verify tells all the same."""
        ASIDE[damage](bundle)

        ran = airbundle("verify", bundle, "--key", keys / "ours.pub")

        refused(ran, 3, hint=False)

    def test_every_damaged_file_is_named(self, airbundle, bundle, keys) -> None:
        first, second = sorted((bundle / "blobs/sha256").iterdir())[:2]
        flip(first)
        second.unlink()

        ran = airbundle("verify", bundle, "--key", keys / "ours.pub")

        refused(ran, 3, first.name, second.name, hint=False)

    @pytest.mark.parametrize("distrust", DISTRUST)
    def test_not_authenticated(
        self, airbundle, bundle, keys, registry, repository, distrust: str
    ) -> None:
        DISTRUST[distrust](bundle)

        ran = airbundle("verify", bundle, "--key", keys / "ours.pub")
        assert ran.returncode in (3, 4)
        refused(ran, ran.returncode, hint=False)

        ran = import_(airbundle, bundle, f"docker://{registry.host}/{repository}", keys)
        refused(ran, 4)
        assert not tags(registry, repository)

    def test_truncated_inventory(self, airbundle, bundle, keys) -> None:
        os.truncate(bundle / "bundle.json", 100)

        ran = airbundle("verify", bundle, "--key", keys / "ours.pub")

        assert ran.returncode in (3, 4)
        refused(ran, ran.returncode, "bundle.json", hint=False)

    def test_signed_by_another_key(self, airbundle, bundle, keys, tmp_path) -> None:
        theirs = ("--key", keys / "theirs.pub")

        refused(airbundle("verify", bundle, *theirs), 4, hint=False)
        refused(airbundle("import", bundle, f"oci:{tmp_path}/in", *theirs), 4)
        assert not (tmp_path / "in/index.json").exists()

    def test_no_key_at_all(self, airbundle, bundle, tmp_path) -> None:
        refused(airbundle("import", bundle, f"oci:{tmp_path}/in"), 4, "--allow-unsigned")

    def test_allow_unsigned_never_lets_a_bad_signature_pass(
        self, airbundle, bundle, keys, tmp_path
    ) -> None:
        change_inventory(bundle)
        ours = ("--key", keys / "ours.pub", "--allow-unsigned")

        refused(airbundle("import", bundle, f"oci:{tmp_path}/in", *ours), 4, hint=False)

    def test_a_blob_too_much_gets_nowhere(self, airbundle, bundle, keys, tmp_path) -> None:
        stray = images.Blob("application/octet-stream", b"stowaway")
        name = stray.digest.removeprefix("sha256:")
        (bundle / "blobs/sha256" / name).write_bytes(stray.data)

        verified = airbundle.ok("verify", bundle, "--key", keys / "ours.pub")
        airbundle.ok("import", bundle, f"oci:{tmp_path}/in", "--key", keys / "ours.pub")

        assert "unlisted: 1 file" in verified
        assert not (tmp_path / "in/blobs/sha256" / name).exists()

    def test_not_a_bundle(self, airbundle, tmp_path, keys) -> None:
        ours = ("--key", keys / "ours.pub")

        refused(airbundle("verify", tmp_path / "none", *ours), 9, "none", hint=False)
        (tmp_path / "empty").mkdir()
        ran = airbundle("import", tmp_path / "empty", f"oci:{tmp_path}/in", *ours)
        refused(ran, ran.returncode, "empty", hint=False)


class TestTargets:
    """Registries where the names are taken."""

    def test_a_name_holds_something_else(self, airbundle, bundle, keys, fake) -> None:
        held = fake.add_image("mirror/app", "1", layers=[b"something else"])

        ran = import_(airbundle, bundle, f"docker://{fake.host}/mirror", keys)

        refused(ran, 10, "mirror/app:1")
        assert fake.repositories["mirror/app"].tags == {"1": held}
        assert fake.count("POST") == fake.count("PUT") == 0

    def test_tags_are_immutable(self, airbundle, bundle, keys) -> None:
        with FakeRegistry(immutable_tags=True) as fake:
            held = fake.add_image("mirror/app", "1", layers=[b"something else"])
            overwrite = ("--existing", "overwrite")

            ran = import_(airbundle, bundle, f"docker://{fake.host}/mirror", keys, *overwrite)

            assert fake.repositories["mirror/app"].tags == {"1": held}
        assert ran.returncode in (7, 10, 11)
        refused(ran, ran.returncode, "mirror/app", hint=False)


def tags(registry: servers.Registry, repository: str) -> list[Path]:
    """Every tag under a prefix of a registry."""
    return list(
        (registry.storage / "docker/registry/v2/repositories").glob(f"{repository}/**/tags/*")
    )


def largest(bundle: Path) -> Path:
    return max((bundle / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)


def smallest(bundle: Path) -> list[Path]:
    """Two blobs of which nobody would miss a byte."""
    return sorted((bundle / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)[:2]


def signature(bundle: Path) -> Path:
    (found,) = bundle.glob("bundle.json.*.sig")
    return found


def flip(file: Path) -> None:
    """Flip one bit in the middle."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


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


def swap(first: Path, second: Path) -> None:
    data = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(data)
