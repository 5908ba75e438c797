"""``airbundle copy`` from one place of this machine to another."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images
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


def roots(layout: Path) -> dict[str, str]:
    """The digest of each name."""
    entries = json.loads((layout / "index.json").read_bytes())["manifests"]
    return {
        entry["annotations"]["org.opencontainers.image.ref.name"]: entry["digest"]
        for entry in entries
    }


def content(layout: Path) -> dict[str, bytes]:
    return {f"sha256:{path.name}": path.read_bytes() for path in layout.glob("blobs/sha256/*")}


def test_everything_arrives_unchanged(
    run_airbundle: RunAirbundle, layout: Path, tmp_path: Path
) -> None:
    outcome = run_airbundle("copy", f"oci:{layout}:app", "oci:out:new")
    assert (outcome.status, outcome.stdout) == (0, f"oci:out:new {INDEX.digest}\n")
    assert roots(tmp_path / "out") == {"new": INDEX.digest}
    assert content(tmp_path / "out") == INDEX.contents()


def test_one_platform_is_its_own_manifest(
    run_airbundle: RunAirbundle, layout: Path, tmp_path: Path
) -> None:
    arm = INDEX.children[1]
    outcome = run_airbundle("copy", "--platform=linux/arm64", f"oci:{layout}:app", "oci:out:arm")
    assert outcome.status == 0
    assert roots(tmp_path / "out") == {"arm": arm.digest}
    assert content(tmp_path / "out") == arm.contents()


def test_several_platforms_are_a_smaller_index(
    run_airbundle: RunAirbundle, layout: Path, tmp_path: Path
) -> None:
    wanted = ["--platform=linux/amd64", "--platform=linux/arm/v7"]
    outcome = run_airbundle("copy", "--json", *wanted, f"oci:{layout}:app", "oci:out:two")
    report = json.loads(outcome.stdout)
    assert report["replaces"] == INDEX.digest
    assert report["platforms"] == ["linux/amd64", "linux/arm/v7"]
    smaller = json.loads(content(tmp_path / "out")[report["digest"]])
    assert [entry["digest"] for entry in smaller["manifests"]] == [
        INDEX.children[0].digest,
        INDEX.children[2].digest,
    ]


def test_what_refers_to_it_comes_along_if_asked(run_airbundle: RunAirbundle, layout: Path) -> None:
    alone = run_airbundle("copy", "--json", f"oci:{layout}:app", "oci:alone:app")
    company = run_airbundle("copy", "--json", "--referrers", f"oci:{layout}:app", "oci:both:app")
    assert json.loads(alone.stdout)["referrers"] == []
    assert json.loads(company.stdout)["referrers"] == [roots(layout)["sbom"]]


def test_other_places_of_this_machine_keep_the_digest_too(
    run_airbundle: RunAirbundle, layout: Path, tmp_path: Path
) -> None:
    first = run_airbundle("copy", f"oci:{layout}:app", "dir:tree")
    second = run_airbundle("copy", "dir:tree", "oci:back:app")
    assert (first.status, second.status) == (0, 0)
    assert content(tmp_path / "back") == INDEX.contents()


def test_the_digest_is_written_to_a_file(
    run_airbundle: RunAirbundle, layout: Path, tmp_path: Path
) -> None:
    run_airbundle("copy", "--digestfile", "digest", f"oci:{layout}:app", "oci:out:app")
    assert (tmp_path / "digest").read_text() == INDEX.digest


def test_a_dry_run_says_what_would_move_and_writes_nothing(
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


def test_a_log_says_how_far_it_is_and_quiet_says_nothing(
    run_airbundle: RunAirbundle, layout: Path
) -> None:
    assert "6 blobs, " in run_airbundle("copy", f"oci:{layout}:app", "oci:a:b").stderr
    assert run_airbundle("copy", "-q", f"oci:{layout}:app", "oci:c:d").stderr == ""
    assert run_airbundle("-q", "copy", f"oci:{layout}:app", "oci:e:f").stderr == ""


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["app", "oci:out"], 2, "names no transport"),
        (["cd:app", "oci:out"], 2, "unknown transport 'cd'"),
        (["oci:in:none", "oci:out"], 9, "none"),
        (["oci:nowhere:app", "oci:out"], 9, "nowhere"),
        (["--platform=linux/s390x", "oci:in:app", "oci:out"], 9, "linux/s390x"),
        (["--platform=linux", "oci:in:app", "oci:out"], 2, "'linux' is not a platform"),
        (["--all", "--platform=linux/arm64", "oci:in:app", "oci:out"], 2, "--platform"),
        (["--src-creds=u:p", "oci:in:app", "oci:out"], 2, "names no registry"),
        (["oci:in:app"], 2, "DESTINATION"),
    ],
)
@pytest.mark.usefixtures("layout")
def test_a_mistake_is_one_line_with_its_status(
    run_airbundle: RunAirbundle,
    tmp_path: Path,
    arguments: list[str],
    status: int,
    words: str,
) -> None:
    outcome = run_airbundle("copy", *arguments)
    assert (outcome.status, outcome.stdout) == (status, "")
    error, *hints = outcome.stderr.splitlines()
    assert error.startswith("airbundle: error: ")
    assert words in error
    assert all(hint.startswith("hint: ") for hint in hints)
    assert not (tmp_path / "out").exists()


def test_a_damaged_source_publishes_nothing(
    run_airbundle: RunAirbundle, layout: Path, tmp_path: Path
) -> None:
    blob = INDEX.all_blobs()[0]
    path = layout / "blobs" / "sha256" / blob.digest.removeprefix("sha256:")
    path.write_bytes(bytes([blob.data[0] ^ 1]) + blob.data[1:])
    outcome = run_airbundle("copy", f"oci:{layout}:app", "oci:out:app")
    assert outcome.status == 3
    assert blob.digest in outcome.stderr
    assert not (tmp_path / "out" / "index.json").exists()


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry(auth="bearer", password="pass:word") as running:
        yield running


def test_each_side_has_its_credentials(
    run_airbundle: RunAirbundle, layout: Path, registry: FakeRegistry, tmp_path: Path
) -> None:
    there = f"docker://{registry.host}/a/app:1"
    pushed = run_airbundle(
        "copy",
        "--dest-tls-verify=false",
        "--dest-creds=user:pass:word",
        f"oci:{layout}:app",
        there,
    )
    assert (pushed.status, pushed.stdout) == (0, f"{there} {INDEX.digest}\n")
    pulled = run_airbundle(
        "copy", "--src-tls-verify=false", "--src-creds=user:pass:word", there, "oci:back:app"
    )
    assert pulled.status == 0
    assert content(tmp_path / "back") == INDEX.contents()


@pytest.fixture
def both_sides(registry: FakeRegistry, tmp_path: Path) -> tuple[str, ...]:
    """Options for both sides that let ``registry`` be used."""
    entry = {"auth": base64.b64encode(b"user:pass:word").decode()}
    (tmp_path / "auth.json").write_text(json.dumps({"auths": {registry.host: entry}}))
    return ("--tls-verify=false", "--authfile=auth.json")


def test_options_for_both_sides_need_no_option_for_one_side(
    run_airbundle: RunAirbundle,
    layout: Path,
    registry: FakeRegistry,
    both_sides: tuple[str, ...],
    tmp_path: Path,
) -> None:
    there = f"docker://{registry.host}/a/app:1"
    pushed = run_airbundle("copy", *both_sides, f"oci:{layout}:app", there)
    assert pushed.status == 0, pushed.stderr
    pulled = run_airbundle("copy", *both_sides, there, "oci:back:app")
    assert pulled.status == 0, pulled.stderr
    assert content(tmp_path / "back") == INDEX.contents()


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
def test_option_for_one_side_overrides_the_same_option_for_both_sides(
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
    there = f"docker://{registry.host}/a/app:1"
    outcome = run_airbundle("copy", *both_sides, override, there, "oci:out:app")
    assert outcome.status == status, outcome.stderr


@pytest.mark.parametrize("credentials", [["--src-no-creds"], ["--src-creds=user:wrong-secret"], []])
def test_without_the_right_password_the_status_is_seven(
    run_airbundle: RunAirbundle, registry: FakeRegistry, credentials: list[str]
) -> None:
    registry.add_image("a/app", "1")
    outcome = run_airbundle(
        "copy", "--src-tls-verify=false", *credentials, f"docker://{registry.host}/a/app:1", "oci:x"
    )
    assert outcome.status == 7
    assert registry.host in outcome.stderr
    assert "wrong-secret" not in outcome.stderr


def test_a_password_is_not_asked_for_where_nobody_is(
    run_airbundle: RunAirbundle, registry: FakeRegistry
) -> None:
    there = f"docker://{registry.host}/a/app:1"
    outcome = run_airbundle("copy", "--src-creds=user", there, "oci:x")
    assert outcome.status == 2
    assert not registry.requests


@contextmanager
def stalled(hermetic_environment: dict[str, str], cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """A copy of two layers: one arrives, and the other one's connection falls silent."""
    with FakeRegistry() as registry:
        registry.add_image("a/app", "1", [b"first", b"second" * 500])
        registry.fail("GET", sha256(b"second" * 500), delay=3)
        command = ["copy", "--src-tls-verify=false", f"docker://{registry.host}/a/app:1", "oci:out"]
        with subprocess.Popen(
            [sys.executable, "-m", "bundler.cli.main", *command],
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


def test_an_interrupted_copy_ends_soon_and_says_what_is_done(
    hermetic_environment: dict[str, str], tmp_path: Path
) -> None:
    with stalled(hermetic_environment, tmp_path) as process:
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert time.monotonic() - began < 2.5
        assert (process.returncode, out) == (130, "")
        assert err.splitlines()[-3:] == [
            "2 of 3 blobs (239 B of 3.2 KiB) are done and stay; no name was published",
            "airbundle: error: stopped",
            "hint: run the same command again: it resumes",
        ]
        assert not (tmp_path / "out" / "index.json").exists()


def test_an_archive_of_a_layout_is_written_and_read(
    run_airbundle: RunAirbundle, layout: Path, tmp_path: Path
) -> None:
    outcome = run_airbundle("copy", f"oci:{layout}:app", "oci-archive:app.tar:new")
    assert (outcome.status, outcome.stdout) == (0, f"oci-archive:app.tar:new {INDEX.digest}\n")
    outcome = run_airbundle("copy", "oci-archive:app.tar:new", "oci:back:new")
    assert (outcome.status, outcome.stdout) == (0, f"oci:back:new {INDEX.digest}\n")
    assert content(tmp_path / "back") == INDEX.contents()


def test_a_container_engine_takes_an_image_and_gives_it_back(
    run_airbundle: RunAirbundle, layout: Path, tmp_path: Path
) -> None:
    with FakeEngine() as engine:
        outcome = run_airbundle(
            "copy",
            "--platform=linux/arm64",
            f"--dest-daemon-host={engine.host}",
            f"oci:{layout}:app",
            "docker-daemon:app:1",
        )
        assert (outcome.status, outcome.stderr.count("error")) == (0, 0)
        outcome = run_airbundle(
            "copy", f"--src-daemon-host={engine.host}", "docker-daemon:app:1", "dir:out"
        )
        assert outcome.status == 0
    config = json.loads((tmp_path / "out/manifest.json").read_bytes())["config"]["digest"]
    assert config == INDEX.children[1].blobs[0].digest


def test_a_list_of_platforms_is_nothing_for_a_container_engine(
    run_airbundle: RunAirbundle, layout: Path
) -> None:
    with FakeEngine() as engine:
        outcome = run_airbundle(
            "copy", f"--dest-daemon-host={engine.host}", f"oci:{layout}:app", "docker-daemon:a:1"
        )
        assert engine.requests == []
    assert outcome.status == 1
    assert "the destination stores single images only" in outcome.stderr


def test_a_container_engine_that_is_not_there_is_told(
    run_airbundle: RunAirbundle, tmp_path: Path
) -> None:
    outcome = run_airbundle(
        "copy", f"--src-daemon-host=unix://{tmp_path}/none", "docker-daemon:a:1", "dir:out"
    )
    assert outcome.status == 6
    assert f"{tmp_path}/none" in outcome.stderr


def test_a_host_for_a_place_that_is_no_engine_is_a_mistake(
    run_airbundle: RunAirbundle, layout: Path
) -> None:
    outcome = run_airbundle(
        "copy", "--src-daemon-host=unix:///x", f"oci:{layout}:app", "oci-archive:app.tar"
    )
    assert outcome.status == 2
    assert "no container engine" in outcome.stderr


def test_a_destination_that_names_another_digest_is_refused_before_anything_moves(
    run_airbundle: RunAirbundle, layout: Path
) -> None:
    with FakeRegistry() as registry:
        goal = f"docker://{registry.host}/app@sha256:{'0' * 64}"
        refused = run_airbundle("copy", "--dest-tls-verify=false", f"oci:{layout}:app", goal)
        assert refused.status == 10
        assert "the image has another digest" in refused.stderr
        assert not registry.repository("app").blobs


def test_a_registry_that_refuses_a_type_of_manifest_gets_the_other(
    run_airbundle: RunAirbundle, layout: Path
) -> None:
    refusal = json.dumps({"errors": [{"code": "MANIFEST_INVALID", "message": "unknown type"}]})
    one = INDEX.children[0]
    with FakeRegistry() as registry:
        registry.fail("PUT", "/manifests/", times=1, status=400, body=refusal.encode())
        goal = f"docker://{registry.host}/app:1"
        copied = run_airbundle(
            "copy", "--platform=linux/amd64", "--dest-tls-verify=false", f"oci:{layout}:app", goal
        )
        assert copied.status == 0, copied.stderr
        assert "converting to v2s2" in copied.stderr
        stored = registry.repository("app")
        media_type, raw = stored.manifests[stored.tags["1"]]
    assert media_type == json.loads(raw)["mediaType"] == images.DOCKER["manifest"]
    layers = [layer["digest"] for layer in json.loads(raw)["layers"]]
    assert layers == [blob.digest for blob in one.blobs[1:]]


def test_a_digest_that_has_to_stay_is_not_offered_in_another_form(
    run_airbundle: RunAirbundle, layout: Path
) -> None:
    refusal = json.dumps({"errors": [{"code": "MANIFEST_INVALID", "message": "unknown type"}]})
    with FakeRegistry() as registry:
        registry.fail("PUT", "/manifests/", times=1, status=400, body=refusal.encode())
        goal = f"docker://{registry.host}/app:1"
        flags = ("--preserve-digests", "--platform=linux/amd64", "--dest-tls-verify=false")
        refused = run_airbundle("copy", *flags, f"oci:{layout}:app", goal)
        assert refused.status == 6
        assert not registry.repository("app").manifests


def test_layers_that_are_made_beforehand_lie_where_temporary_files_are_wanted(
    run_airbundle: RunAirbundle, tmp_path: Path
) -> None:
    plain = images.image(images.layer({"a": b"1"}, compression="tar"))
    layout = images.write_layout(tmp_path / "plain", {"app": plain})
    flags = ("--dest-compress", "--dest-precompute-digests")
    missing = run_airbundle("copy", "--tmpdir=/none", *flags, f"oci:{layout}:app", "dir:out")
    assert missing.status != 0
    assert "/none" in missing.stderr
    there = run_airbundle("copy", f"--tmpdir={tmp_path}", *flags, f"oci:{layout}:app", "dir:out")
    assert there.status == 0
