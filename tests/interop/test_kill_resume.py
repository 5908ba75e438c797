"""After a kill at any moment no damaged bundle verifies, and another run completes it.

``AIRBUNDLE_KILLS`` is the number of kills of each command, ``AIRBUNDLE_SEED`` determines when.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images
from tests.interop.written_files import COPY_UNCHANGED, read_digests

if TYPE_CHECKING:
    from pathlib import Path

    from tests.interop import servers

KILLS = int(os.environ.get("AIRBUNDLE_KILLS", "4"))  # noqa: TID251 - a knob of the tests
SEED = os.environ.get("AIRBUNDLE_SEED", "stick")  # noqa: TID251
BASE = images.layer({"base": os.urandom(6_000_000)}, compression="stored")
IMAGES = {
    f"app:{version}": images.image(
        BASE, images.layer({"app": os.urandom(1_500_000)}, compression="stored")
    )
    for version in range(4)
}
IMAGES["tool:1"] = images.multi_platform("tool", "linux/amd64", "linux/arm64", shared=BASE)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return images.write_layout(tmp_path_factory.mktemp("source") / "layout", IMAGES)


@pytest.fixture
def bundle_manifest(registry: servers.Registry, repository: str, tmp_path: Path) -> Path:
    """A bundle manifest of images in a real registry."""
    lines = []
    for name, image in IMAGES.items():
        path, tag = name.split(":")
        images.push(registry.host, f"{repository}/{path}", image, tag)
        lines.append(f"  - {registry.host}/{repository}/{name}\n")
    manifest = tmp_path / "manifest.yaml"
    reach = f"registries: {{'{registry.host}': {{tls: {{plainHttp: true}}}}}}\n"
    manifest.write_text(f"name: apps\n{reach}images:\n{''.join(lines)}")
    return manifest


def test_export_resumes_after_kills(bundle_manifest, airbundle, keys, tmp_path) -> None:
    """Each run resumes in the directory of the killed one."""
    moments = random.Random(f"{SEED} export")
    stick, complete = tmp_path / "stick", tmp_path / "whole"
    export = ("export", bundle_manifest, stick, "--sign-key", keys / "ours.key")
    started = time.monotonic()
    airbundle.ok("export", bundle_manifest, complete, "--sign-key", keys / "ours.key")
    duration = time.monotonic() - started

    for number in range(KILLS):
        run_and_kill(airbundle, export, moments.uniform(0.1, 1.1) * duration)
        if airbundle("verify", stick, "--key", keys / "ours.pub").returncode == 0:
            assert checksums_match(stick)
        if number % 3 == 2:
            airbundle.ok(*export)
            airbundle.ok("verify", stick, "--key", keys / "ours.pub")
            assert checksums_match(stick)
            assert find_files(stick) == find_files(complete)
            damage_bundle(stick, moments)
    airbundle.ok(*export)

    airbundle.ok("verify", stick, "--key", keys / "ours.pub")
    assert find_files(stick) == find_files(complete)


def test_killed_update_leaves_old_new_or_invalid_bundle(
    bundle_manifest, airbundle, keys, tmp_path, source
) -> None:
    """A bundle that verifies after the kill is complete: either the old or the new one."""
    moments = random.Random(f"{SEED} update")
    former = tmp_path / "former.yaml"
    former.write_text(f"name: apps\nimages: ['oci:{source}:tool:1']\n")
    sign = ("--sign-key", keys / "ours.key")
    stick = tmp_path / "stick"
    started = time.monotonic()
    airbundle.ok("export", bundle_manifest, tmp_path / "whole", *sign)
    duration = time.monotonic() - started

    for _ in range(max(KILLS // 2, 1)):
        airbundle.ok("export", former, stick, *sign)
        run_and_kill(
            airbundle,
            ("export", bundle_manifest, stick, *sign),
            moments.uniform(0.1, 1.1) * duration,
        )
        verified = airbundle("verify", stick, "--key", keys / "ours.pub")
        assert verified.returncode in (0, 3, 4), verified.stderr
        assert verified.returncode or checksums_match(stick)

    airbundle.ok("export", bundle_manifest, stick, *sign)
    assert find_files(stick) == find_files(tmp_path / "whole")


def test_import_resumes_after_kills(
    source, registry, repository, airbundle, skopeo, keys, tmp_path
) -> None:
    """Every published name is complete at any time; another run publishes the others."""
    moments = random.Random(f"{SEED} import")
    listed = tmp_path / "listed.txt"
    listed.write_text("".join(f"oci:{source}:{name}\n" for name in IMAGES))
    airbundle.ok("export", listed, tmp_path / "stick", "--sign-key", keys / "ours.key")

    def import_command(prefix: str) -> tuple[object, ...]:
        key = ("--key", keys / "ours.pub", "--tls-verify=false")
        return ("import", tmp_path / "stick", f"docker://{registry.host}/{prefix}", *key)

    started = time.monotonic()
    airbundle.ok(*import_command(f"{repository}/whole"))
    duration = time.monotonic() - started

    for number in range(KILLS):
        prefix = f"{repository}/{number // 3}"
        run_and_kill(airbundle, import_command(prefix), moments.uniform(0.1, 1.1) * duration)
        for name, image in IMAGES.items():
            pulled = tmp_path / f"{number}-{name}"
            read = ("--src-tls-verify=false", f"docker://{registry.host}/{prefix}/{name}")
            if skopeo("inspect", "--raw", "--tls-verify=false", read[1]).returncode == 0:
                skopeo.ok(*COPY_UNCHANGED, *read, f"dir:{pulled}")
                assert read_digests(pulled) == set(image.contents())
        if number % 3 == 2:
            airbundle.ok(*import_command(prefix))
            for name, image in IMAGES.items():
                found = skopeo.ok(
                    "inspect",
                    "--raw",
                    "--tls-verify=false",
                    f"docker://{registry.host}/{prefix}/{name}",
                )
                assert images.sha256(found.encode()) == image.digest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_export_within_two_seconds(
    bundle_manifest, registry, airbundle, keys, tmp_path, number
) -> None:
    """The export reports its progress, and another run completes it."""
    slow = tmp_path / "slow.yaml"
    slow.write_text(
        bundle_manifest.read_text().replace("}}}\n", "}, limits: {requestsPerSecond: 5}}}\n", 1)
    )
    stick = tmp_path / "stick"
    with airbundle.start("export", slow, stick, "--sign-key", keys / "ours.key") as process:
        time.sleep(2.5)
        process.send_signal(number)
        started = time.monotonic()
        _, output = process.communicate(timeout=10)
        seconds = time.monotonic() - started

    assert process.returncode == 128 + number, output
    assert seconds < 2
    assert "Traceback" not in output
    assert "run the same command again" in output
    airbundle.ok("export", bundle_manifest, stick, "--sign-key", keys / "ours.key")
    airbundle.ok("verify", stick, "--key", keys / "ours.pub")


def run_and_kill(airbundle: servers.Client, command: tuple[object, ...], after: float) -> None:
    """Start a command and kill it if it still runs after ``after`` seconds."""
    with airbundle.start(*command) as process:
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.kill()


def checksums_match(bundle: Path) -> bool:
    """Whether ``sha256sum`` accepts every file."""
    check = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
    return subprocess.run(check, cwd=bundle, check=False, capture_output=True).returncode == 0


def find_files(bundle: Path) -> set[str]:
    """Return the names of the files of a bundle, except those that contain times."""
    names = {str(path.relative_to(bundle)) for path in bundle.rglob("*") if path.is_file()}
    return {name for name in names if not name.startswith("bundle.json")}


def damage_bundle(bundle: Path, moments: random.Random) -> None:
    """Remove one blob and overwrite another, so that the next run has to write them."""
    blobs = sorted((bundle / "blobs/sha256").iterdir())
    moments.choice(blobs).unlink()
    with moments.choice([blob for blob in blobs if blob.exists()]).open("r+b") as file:
        file.write(b"damaged!")
