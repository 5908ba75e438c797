"""The check for sparse indexes before an import, and the digests that a lock file keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes import images

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.interop


def test_import_checks_support_of_sparse_index_before_push(
    registry, repository, airbundle, keys, tmp_path: Path
) -> None:
    """docker-registry refuses an index with a missing manifest."""
    both = images.multi_platform("tool", "linux/amd64", "linux/arm64", "linux/s390x")
    images.write_layout(tmp_path / "images", {"tool": both})
    manifest = tmp_path / "sparse.yaml"
    manifest.write_text(
        "images:\n"
        f"  - {{ref: 'oci:{tmp_path}/images:tool', platforms: [linux/amd64, linux/arm64],"
        " index: sparse}\n"
    )
    airbundle.ok("export", manifest, tmp_path / "stick", "--sign-key", keys / "ours.key")
    airbundle.ok("verify", tmp_path / "stick", "--key", keys / "ours.pub")
    target = f"docker://{registry.host}/{repository}"
    done = airbundle(
        "import", tmp_path / "stick", target, "--key", keys / "ours.pub", "--tls-verify=false"
    )
    assert done.returncode == 1
    assert "an index with missing platforms" in done.stderr
    assert "nothing was pushed" in done.stderr


def test_lock_file_keeps_digest_of_moved_tag(
    registry, repository, airbundle, skopeo, tmp_path: Path
) -> None:
    first = images.image(images.layer({"version": b"1"}))
    second = images.image(images.layer({"version": b"2"}))
    images.write_layout(tmp_path / "images", {"first": first, "second": second})
    name = f"{registry.host}/{repository}/app:stable"

    def publish(which: str) -> None:
        plain = ["--insecure-policy", "copy", "--dest-tls-verify=false"]
        skopeo.ok(*plain, f"oci:{tmp_path}/images:{which}", f"docker://{name}")

    publish("first")
    manifest = tmp_path / "plant.yaml"
    manifest.write_text(
        f"registries: {{'{registry.host}': {{tls: {{plainHttp: true}}}}}}\nimages: ['{name}']\n"
    )
    airbundle.ok("lock", manifest)
    publish("second")
    airbundle.ok("export", manifest, tmp_path / "stick", "--unsigned", "--locked")
    assert first.digest in (tmp_path / "stick/bundle.json").read_text()
    assert "moved: " + name in airbundle.ok("lock", manifest)
    airbundle.ok("export", manifest, tmp_path / "stick", "--unsigned", "--locked")
    assert second.digest in (tmp_path / "stick/bundle.json").read_text()
