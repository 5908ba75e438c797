"""Killed at any point: nothing that is damaged passes for good, and a re-run completes it.

``AIRBUNDLE_KILLS`` sets how many times each is killed, ``AIRBUNDLE_SEED`` where.
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
from tests.interop.test_exchange import COPY, digests

if TYPE_CHECKING:
    from pathlib import Path

    from tests.interop import servers

KILLS = int(os.environ.get("AIRBUNDLE_KILLS", "10"))  # noqa: TID251 - a knob of the tests
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
def wanted(registry: servers.Registry, repository: str, tmp_path: Path) -> Path:
    """A list of references that a real registry serves."""
    lines = []
    for name, one in IMAGES.items():
        path, tag = name.split(":")
        images.push(registry.host, f"{repository}/{path}", one, tag)
        lines.append(f"  - {registry.host}/{repository}/{name}\n")
    manifest = tmp_path / "wanted.yaml"
    reach = f"registries: {{'{registry.host}': {{tls: {{plainHttp: true}}}}}}\n"
    manifest.write_text(f"name: apps\n{reach}images:\n{''.join(lines)}")
    return manifest


def test_export_survives_kills(wanted, airbundle, keys, tmp_path) -> None:
    """Each re-run goes on in the directory that the killed one left."""
    points = random.Random(f"{SEED} export")
    stick, whole = tmp_path / "stick", tmp_path / "whole"
    export = ("export", wanted, stick, "--sign-key", keys / "ours.key")
    started = time.monotonic()
    airbundle.ok("export", wanted, whole, "--sign-key", keys / "ours.key")
    duration = time.monotonic() - started

    for number in range(KILLS):
        kill(airbundle, export, points.uniform(0.1, 1.1) * duration)
        if airbundle("verify", stick, "--key", keys / "ours.pub").returncode == 0:
            assert sums_hold(stick)
        if number % 3 == 2:
            airbundle.ok(*export)
            airbundle.ok("verify", stick, "--key", keys / "ours.pub")
            assert sums_hold(stick)
            assert content(stick) == content(whole)
            take_something_away(stick, points)
    airbundle.ok(*export)

    airbundle.ok("verify", stick, "--key", keys / "ours.pub")
    assert content(stick) == content(whole)


def test_a_kill_leaves_the_former_bundle_or_plainly_none(
    wanted, airbundle, keys, tmp_path, source
) -> None:
    """An update is killed: what verifies is one of the two bundles, and all of it."""
    points = random.Random(f"{SEED} update")
    former = tmp_path / "former.yaml"
    former.write_text(f"name: apps\nimages: ['oci:{source}:tool:1']\n")
    sign = ("--sign-key", keys / "ours.key")
    stick = tmp_path / "stick"
    started = time.monotonic()
    airbundle.ok("export", wanted, tmp_path / "whole", *sign)
    duration = time.monotonic() - started

    for _ in range(max(KILLS // 2, 1)):
        airbundle.ok("export", former, stick, *sign)
        kill(airbundle, ("export", wanted, stick, *sign), points.uniform(0.1, 1.1) * duration)
        verified = airbundle("verify", stick, "--key", keys / "ours.pub")
        assert verified.returncode in (0, 3, 4), verified.stderr
        assert verified.returncode or sums_hold(stick)

    airbundle.ok("export", wanted, stick, *sign)
    assert content(stick) == content(tmp_path / "whole")


def test_import_survives_kills(
    source, registry, repository, airbundle, skopeo, keys, tmp_path
) -> None:
    """A name that is there is whole, at any time; the re-run brings the others."""
    points = random.Random(f"{SEED} import")
    listed = tmp_path / "listed.txt"
    listed.write_text("".join(f"oci:{source}:{name}\n" for name in IMAGES))
    airbundle.ok("export", listed, tmp_path / "stick", "--sign-key", keys / "ours.key")

    def importing(prefix: str) -> tuple[object, ...]:
        key = ("--key", keys / "ours.pub", "--tls-verify=false")
        return ("import", tmp_path / "stick", f"docker://{registry.host}/{prefix}", *key)

    started = time.monotonic()
    airbundle.ok(*importing(f"{repository}/whole"))
    duration = time.monotonic() - started

    for number in range(KILLS):
        prefix = f"{repository}/{number // 3}"
        kill(airbundle, importing(prefix), points.uniform(0.1, 1.1) * duration)
        for name, one in IMAGES.items():
            pulled = tmp_path / f"{number}-{name}"
            read = ("--src-tls-verify=false", f"docker://{registry.host}/{prefix}/{name}")
            if skopeo("inspect", "--raw", "--tls-verify=false", read[1]).returncode == 0:
                skopeo.ok(*COPY, *read, f"dir:{pulled}")
                assert digests(pulled) == set(one.contents())
        if number % 3 == 2:
            airbundle.ok(*importing(prefix))
            for name, one in IMAGES.items():
                found = skopeo.ok(
                    "inspect",
                    "--raw",
                    "--tls-verify=false",
                    f"docker://{registry.host}/{prefix}/{name}",
                )
                assert images.sha256(found.encode()) == one.digest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_within_two_seconds(
    wanted, registry, airbundle, keys, tmp_path, number
) -> None:
    """It says what was and was not done; a re-run goes on from there."""
    slow = tmp_path / "slow.yaml"
    slow.write_text(wanted.read_text().replace("}}}\n", "}, limits: {requestsPerSecond: 5}}}\n", 1))
    stick = tmp_path / "stick"
    with airbundle.start("export", slow, stick, "--sign-key", keys / "ours.key") as process:
        time.sleep(2.5)
        process.send_signal(number)
        started = time.monotonic()
        _, said = process.communicate(timeout=10)
        took = time.monotonic() - started

    assert process.returncode == 128 + number, said
    assert took < 2
    assert "Traceback" not in said
    assert "run the same command again" in said
    airbundle.ok("export", wanted, stick, "--sign-key", keys / "ours.key")
    airbundle.ok("verify", stick, "--key", keys / "ours.pub")


def kill(airbundle: servers.Client, command: tuple[object, ...], after: float) -> None:
    """Start a command and end it by SIGKILL, if it still runs after so many seconds."""
    with airbundle.start(*command) as process:
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.kill()


def sums_hold(bundle: Path) -> bool:
    """Whether sha256sum, which knows nothing of us, finds every file as it should be."""
    check = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
    return subprocess.run(check, cwd=bundle, check=False, capture_output=True).returncode == 0


def content(bundle: Path) -> set[str]:
    """Every file of a bundle but those that tell of time."""
    names = {str(path.relative_to(bundle)) for path in bundle.rglob("*") if path.is_file()}
    return {name for name in names if not name.startswith("bundle.json")}


def take_something_away(bundle: Path, points: random.Random) -> None:
    """Lose a file or damage one, so that the next run has something to do."""
    blobs = sorted((bundle / "blobs/sha256").iterdir())
    points.choice(blobs).unlink()
    with points.choice([blob for blob in blobs if blob.exists()]).open("r+b") as file:
        file.write(b"damaged!")
