"""``airbundle copy`` between local transports, registries and container engines."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.cli.launcher import AIRBUNDLE
from tests.fakes import images
from tests.fakes.damage import flip_bit
from tests.fakes.engine import FakeEngine
from tests.fakes.registry import FakeRegistry, sha256

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

INDEX = images.multi_platform("app", "linux/amd64", "linux/arm64", "linux/arm/v7")


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    sbom = images.artifact("application/spdx+json", b"{}", subject=INDEX)
    return images.write_layout(tmp_path / "in", {"app": INDEX, "sbom": sbom})


def read_names(layout: Path) -> dict[str, str]:
    """Return the digest of each name in a layout."""
    entries = json.loads((layout / "index.json").read_bytes())["manifests"]
    return {
        entry["annotations"]["org.opencontainers.image.ref.name"]: entry["digest"]
        for entry in entries
    }


def read_blobs(layout: Path) -> dict[str, bytes]:
    return {f"sha256:{path.name}": path.read_bytes() for path in layout.glob("blobs/sha256/*")}


def test_copy_transfers_index_unchanged(
    run_airbundle: RunAirbundle, layout: Path, tmp_path: Path
) -> None:
    result = run_airbundle("copy", f"oci:{layout}:app", "oci:out:new")
    assert (result.status, result.stdout) == (0, f"oci:out:new {INDEX.digest}\n")
    assert read_names(tmp_path / "out") == {"new": INDEX.digest}
    assert read_blobs(tmp_path / "out") == INDEX.contents()


def test_copy_of_one_platform_transfers_its_manifest(
    run_airbundle: RunAirbundle, layout: Path, tmp_path: Path
) -> None:
    arm = INDEX.children[1]
    result = run_airbundle("copy", "--platform=linux/arm64", f"oci:{layout}:app", "oci:out:arm")
    assert result.status == 0
    assert read_names(tmp_path / "out") == {"arm": arm.digest}
    assert read_blobs(tmp_path / "out") == arm.contents()


def test_copy_of_several_platforms_strips_index(
    run_airbundle: RunAirbundle, layout: Path, tmp_path: Path
) -> None:
    platforms = ["--platform=linux/amd64", "--platform=linux/arm/v7"]
    result = run_airbundle("copy", "--json", *platforms, f"oci:{layout}:app", "oci:out:two")
    report = json.loads(result.stdout)
    assert report["replaces"] == INDEX.digest
    assert report["platforms"] == ["linux/amd64", "linux/arm/v7"]
    smaller = json.loads(read_blobs(tmp_path / "out")[report["digest"]])
    assert [entry["digest"] for entry in smaller["manifests"]] == [
        INDEX.children[0].digest,
        INDEX.children[2].digest,
    ]


def test_copy_transfers_referrers_only_with_option(
    run_airbundle: RunAirbundle, layout: Path
) -> None:
    alone = run_airbundle("copy", "--json", f"oci:{layout}:app", "oci:alone:app")
    with_referrers = run_airbundle(
        "copy", "--json", "--referrers", f"oci:{layout}:app", "oci:both:app"
    )
    assert json.loads(alone.stdout)["referrers"] == []
    assert json.loads(with_referrers.stdout)["referrers"] == [read_names(layout)["sbom"]]


def test_copy_through_directory_keeps_digest(
    run_airbundle: RunAirbundle, layout: Path, tmp_path: Path
) -> None:
    first = run_airbundle("copy", f"oci:{layout}:app", "dir:tree")
    second = run_airbundle("copy", "dir:tree", "oci:back:app")
    assert (first.status, second.status) == (0, 0)
    assert read_blobs(tmp_path / "back") == INDEX.contents()


def test_copy_writes_digest_file(run_airbundle: RunAirbundle, layout: Path, tmp_path: Path) -> None:
    run_airbundle("copy", "--digestfile", "digest", f"oci:{layout}:app", "oci:out:app")
    assert (tmp_path / "digest").read_text() == INDEX.digest


def test_dry_run_reports_transfers_and_writes_nothing(
    run_airbundle: RunAirbundle, layout: Path, tmp_path: Path
) -> None:
    size = sum(len(blob.data) for blob in INDEX.all_blobs())
    arguments = ["copy", "--json", "--digestfile=digest", f"oci:{layout}:app", "oci:out:app"]
    report = json.loads(run_airbundle(*arguments, "--dry-run").stdout)
    assert report["moved"] == {"blobs": 6, "bytes": size}
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "digest").exists()
    run_airbundle(*arguments)
    assert json.loads(run_airbundle(*arguments, "--dry-run").stdout)["moved"]["blobs"] == 0


def test_copy_reports_progress_unless_quiet(run_airbundle: RunAirbundle, layout: Path) -> None:
    assert "6 blobs, " in run_airbundle("copy", f"oci:{layout}:app", "oci:a:b").stderr
    assert run_airbundle("copy", "-q", f"oci:{layout}:app", "oci:c:d").stderr == ""
    assert run_airbundle("-q", "copy", f"oci:{layout}:app", "oci:e:f").stderr == ""


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["app", "oci:out"], 2, "no transport"),
        (["cd:app", "oci:out"], 2, "unknown transport 'cd'"),
        (["oci:in:none", "oci:out"], 9, "none"),
        (["oci:nowhere:app", "oci:out"], 9, "nowhere"),
        (["--platform=linux/s390x", "oci:in:app", "oci:out"], 9, "linux/s390x"),
        (["--platform=linux", "oci:in:app", "oci:out"], 2, "'linux' is not a valid platform"),
        (["--all", "--platform=linux/arm64", "oci:in:app", "oci:out"], 2, "--platform"),
        (["--src-creds=u:p", "oci:in:app", "oci:out"], 2, "oci:in:app: --src-creds does not apply"),
        (["oci:in:app"], 2, "DESTINATION"),
    ],
)
@pytest.mark.usefixtures("layout")
def test_copy_reports_failure_in_one_line(
    run_airbundle: RunAirbundle,
    tmp_path: Path,
    arguments: list[str],
    status: int,
    words: str,
) -> None:
    result = run_airbundle("copy", *arguments)
    assert (result.status, result.stdout) == (status, "")
    error, *hints = result.stderr.splitlines()
    assert error.startswith("airbundle: error: ")
    assert words in error
    assert all(hint.startswith("hint: ") for hint in hints)
    assert not (tmp_path / "out").exists()


def test_copy_from_damaged_source_publishes_nothing(
    run_airbundle: RunAirbundle, layout: Path, tmp_path: Path
) -> None:
    blob = INDEX.all_blobs()[0]
    path = layout / "blobs" / "sha256" / blob.digest.removeprefix("sha256:")
    flip_bit(path)
    result = run_airbundle("copy", f"oci:{layout}:app", "oci:out:app")
    assert result.status == 3
    assert blob.digest in result.stderr
    assert not (tmp_path / "out" / "index.json").exists()


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry(auth="bearer", password="pass:word") as running:
        yield running


def test_source_and_destination_have_separate_credentials(
    run_airbundle: RunAirbundle, layout: Path, registry: FakeRegistry, tmp_path: Path
) -> None:
    remote = f"docker://{registry.host}/a/app:1"
    pushed = run_airbundle(
        "copy",
        "--dest-tls-verify=false",
        "--dest-creds=user:pass:word",
        f"oci:{layout}:app",
        remote,
    )
    assert (pushed.status, pushed.stdout) == (0, f"{remote} {INDEX.digest}\n")
    pulled = run_airbundle(
        "copy", "--src-tls-verify=false", "--src-creds=user:pass:word", remote, "oci:back:app"
    )
    assert pulled.status == 0
    assert read_blobs(tmp_path / "back") == INDEX.contents()


@pytest.fixture
def both_sides(registry: FakeRegistry, tmp_path: Path) -> tuple[str, ...]:
    """Options for both sides that let ``registry`` be used."""
    entry = {"auth": base64.b64encode(b"user:pass:word").decode()}
    (tmp_path / "auth.json").write_text(json.dumps({"auths": {registry.host: entry}}))
    return ("--tls-verify=false", "--authfile=auth.json")


def test_access_options_apply_to_both_sides(
    run_airbundle: RunAirbundle,
    layout: Path,
    registry: FakeRegistry,
    both_sides: tuple[str, ...],
    tmp_path: Path,
) -> None:
    remote = f"docker://{registry.host}/a/app:1"
    pushed = run_airbundle("copy", *both_sides, f"oci:{layout}:app", remote)
    assert pushed.status == 0, pushed.stderr
    pulled = run_airbundle("copy", *both_sides, remote, "oci:back:app")
    assert pulled.status == 0, pulled.stderr
    assert read_blobs(tmp_path / "back") == INDEX.contents()


@pytest.mark.parametrize(
    ("override", "status"),
    [
        ("--src-tls-verify=true", 6),
        ("--src-no-creds", 7),
        ("--src-creds=user:wrong", 7),
        ("--src-authfile=empty.json", 7),
        ("--src-cert-dir=certs", 0),
    ],
)
def test_option_of_one_side_overrides_option_of_both_sides(
    run_airbundle: RunAirbundle,
    registry: FakeRegistry,
    both_sides: tuple[str, ...],
    tmp_path: Path,
    override: str,
    status: int,
) -> None:
    registry.add_image("a/app", "1")
    (tmp_path / "empty.json").write_text("{}")
    (tmp_path / "certs").mkdir()
    remote = f"docker://{registry.host}/a/app:1"
    result = run_airbundle("copy", *both_sides, override, remote, "oci:out:app")
    assert result.status == status, result.stderr


@pytest.mark.parametrize("credentials", [["--src-no-creds"], ["--src-creds=user:wrong-secret"], []])
def test_copy_without_accepted_credentials_has_status_7(
    run_airbundle: RunAirbundle, registry: FakeRegistry, credentials: list[str]
) -> None:
    registry.add_image("a/app", "1")
    result = run_airbundle(
        "copy", "--src-tls-verify=false", *credentials, f"docker://{registry.host}/a/app:1", "oci:x"
    )
    assert result.status == 7
    assert registry.host in result.stderr
    assert "wrong-secret" not in result.stderr


def test_copy_without_terminal_refuses_missing_password(
    run_airbundle: RunAirbundle, registry: FakeRegistry
) -> None:
    remote = f"docker://{registry.host}/a/app:1"
    result = run_airbundle("copy", "--src-creds=user", remote, "oci:x")
    assert result.status == 2
    assert not registry.requests


@contextmanager
def start_stalled_copy(
    hermetic_environment: dict[str, str], cwd: Path
) -> Iterator[subprocess.Popen[str]]:
    """Start a copy of two layers, of which one is transferred and the other stalls."""
    with FakeRegistry() as registry:
        registry.add_image("a/app", "1", [b"first", b"second" * 500])
        registry.fail("GET", sha256(b"second" * 500), delay=3)
        command = ["copy", "--src-tls-verify=false", f"docker://{registry.host}/a/app:1", "oci:out"]
        with subprocess.Popen(
            [*AIRBUNDLE, *command],
            env=hermetic_environment,
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            deadline = time.monotonic() + 20
            while registry.count("GET", "/blobs/") < 3 and time.monotonic() < deadline:
                time.sleep(0.02)
            time.sleep(0.3)
            yield process


def test_interrupted_copy_ends_soon_and_reports_progress(
    hermetic_environment: dict[str, str], tmp_path: Path
) -> None:
    with start_stalled_copy(hermetic_environment, tmp_path) as process:
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert time.monotonic() - began < 2.5
        assert (process.returncode, out) == (130, "")
        assert err.splitlines()[-3:] == [
            "2 of 3 blobs (239 B of 3.2 KiB) transferred and kept; no name was published",
            "airbundle: error: stopped",
            "hint: run the same command again: complete layers are kept",
        ]
        assert not (tmp_path / "out" / "index.json").exists()


def test_copy_writes_and_reads_oci_archive(
    run_airbundle: RunAirbundle, layout: Path, tmp_path: Path
) -> None:
    result = run_airbundle("copy", f"oci:{layout}:app", "oci-archive:app.tar:new")
    assert (result.status, result.stdout) == (0, f"oci-archive:app.tar:new {INDEX.digest}\n")
    result = run_airbundle("copy", "oci-archive:app.tar:new", "oci:back:new")
    assert (result.status, result.stdout) == (0, f"oci:back:new {INDEX.digest}\n")
    assert read_blobs(tmp_path / "back") == INDEX.contents()


def test_copy_writes_and_reads_container_engine(
    run_airbundle: RunAirbundle, layout: Path, tmp_path: Path
) -> None:
    with FakeEngine() as engine:
        result = run_airbundle(
            "copy",
            "--platform=linux/arm64",
            f"--dest-daemon-host={engine.host}",
            f"oci:{layout}:app",
            "docker-daemon:app:1",
        )
        assert (result.status, result.stderr.count("error")) == (0, 0)
        result = run_airbundle(
            "copy", f"--src-daemon-host={engine.host}", "docker-daemon:app:1", "dir:out"
        )
        assert result.status == 0
    config = json.loads((tmp_path / "out/manifest.json").read_bytes())["config"]["digest"]
    assert config == INDEX.children[1].blobs[0].digest


def test_copy_of_index_to_container_engine_is_refused(
    run_airbundle: RunAirbundle, layout: Path
) -> None:
    with FakeEngine() as engine:
        result = run_airbundle(
            "copy", f"--dest-daemon-host={engine.host}", f"oci:{layout}:app", "docker-daemon:a:1"
        )
        assert engine.requests == []
    assert result.status == 1
    assert "the destination stores single images only" in result.stderr


def test_copy_from_unreachable_container_engine_names_host(
    run_airbundle: RunAirbundle, tmp_path: Path
) -> None:
    result = run_airbundle(
        "copy", f"--src-daemon-host=unix://{tmp_path}/none", "docker-daemon:a:1", "dir:out"
    )
    assert result.status == 6
    assert f"{tmp_path}/none" in result.stderr


def test_daemon_host_is_refused_for_other_transports(
    run_airbundle: RunAirbundle, layout: Path
) -> None:
    result = run_airbundle(
        "copy", "--src-daemon-host=unix:///x", f"oci:{layout}:app", "oci-archive:app.tar"
    )
    assert result.status == 2
    assert "--daemon-host does not apply" in result.stderr


def test_copy_to_different_digest_is_refused_before_upload(
    run_airbundle: RunAirbundle, layout: Path
) -> None:
    with FakeRegistry() as registry:
        destination = f"docker://{registry.host}/app@sha256:{'0' * 64}"
        refused = run_airbundle("copy", "--dest-tls-verify=false", f"oci:{layout}:app", destination)
        assert refused.status == 10
        assert "the image has another digest" in refused.stderr
        assert not registry.repository("app").blobs


def test_copy_converts_manifest_that_registry_refuses(
    run_airbundle: RunAirbundle, layout: Path
) -> None:
    refusal = json.dumps({"errors": [{"code": "MANIFEST_INVALID", "message": "unknown type"}]})
    child = INDEX.children[0]
    with FakeRegistry() as registry:
        registry.fail("PUT", "/manifests/", times=1, status=400, body=refusal.encode())
        destination = f"docker://{registry.host}/app:1"
        copied = run_airbundle(
            "copy",
            "--platform=linux/amd64",
            "--dest-tls-verify=false",
            f"oci:{layout}:app",
            destination,
        )
        assert copied.status == 0, copied.stderr
        assert "converting to v2s2" in copied.stderr
        stored = registry.repository("app")
        media_type, raw = stored.manifests[stored.tags["1"]]
    assert media_type == json.loads(raw)["mediaType"] == images.DOCKER["manifest"]
    layers = [layer["digest"] for layer in json.loads(raw)["layers"]]
    assert layers == [blob.digest for blob in child.blobs[1:]]


def test_preserve_digests_prevents_conversion_of_refused_manifest(
    run_airbundle: RunAirbundle, layout: Path
) -> None:
    refusal = json.dumps({"errors": [{"code": "MANIFEST_INVALID", "message": "unknown type"}]})
    with FakeRegistry() as registry:
        registry.fail("PUT", "/manifests/", times=1, status=400, body=refusal.encode())
        destination = f"docker://{registry.host}/app:1"
        flags = ("--preserve-digests", "--platform=linux/amd64", "--dest-tls-verify=false")
        refused = run_airbundle("copy", *flags, f"oci:{layout}:app", destination)
        assert refused.status == 1
        assert not registry.repository("app").manifests


def test_precomputed_layers_are_stored_in_tmpdir(
    run_airbundle: RunAirbundle, tmp_path: Path
) -> None:
    plain = images.image(images.layer({"a": b"1"}, compression="tar"))
    layout = images.write_layout(tmp_path / "plain", {"app": plain})
    flags = ("--dest-compress", "--dest-precompute-digests")
    missing = run_airbundle("copy", "--tmpdir=/none", *flags, f"oci:{layout}:app", "dir:out")
    assert missing.status != 0
    assert "/none" in missing.stderr
    remote = run_airbundle("copy", f"--tmpdir={tmp_path}", *flags, f"oci:{layout}:app", "dir:out")
    assert remote.status == 0


@pytest.mark.usefixtures("layout")
def test_tls_options_of_both_sides_are_accepted_for_local_images(
    run_airbundle: RunAirbundle,
) -> None:
    """Scripts give them for every copy; without a registry, they have no effect."""
    options = ("--src-tls-verify=false", "--dest-tls-verify=false")
    result = run_airbundle("copy", *options, "oci:in:app", "oci:out:app")
    assert result.status == 0, result.stderr
