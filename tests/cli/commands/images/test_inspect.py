"""``airbundle inspect`` of images, indexes and artifacts in every kind of source."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bundler.cli.runtime.context import create_platform
from bundler.oci.platform import Platform
from tests.fakes import images
from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

CONFIG = {
    "created": "2020-01-02T03:04:05.120Z",
    "author": "<me>",
    "docker_version": "20.1",
    "unknown": 1,
    "config": {"Labels": {"b": "<2>", "a": "1"}, "Env": ["A=B"], "ExposedPorts": {"80/tcp": {}}},
    "history": [{"created_by": "x", "empty_layer": True}],
}
LAYER = images.layer({"data": b"d"})
IMAGE = images.image(LAYER, config=CONFIG)
PLAIN = images.image(LAYER)
DOCKER = images.image(images.layer({"data": b"d"}, types=images.DOCKER), types=images.DOCKER)
INDEX = images.multi_platform("app", "linux/amd64", "linux/arm64/v8", "linux/arm/v7")
ARTIFACT = images.artifact(
    "application/spdx+json", b"{} ", subject=IMAGE, annotations={"who": "me"}
)
TEXT = {"Content-Type": "text/plain; charset=utf-8"}
SUMMARY = f"""\
{{
    "Digest": "{IMAGE.digest}",
    "RepoTags": [],
    "Created": "2020-01-02T03:04:05.12Z",
    "DockerVersion": "20.1",
    "Labels": {{
        "a": "1",
        "b": "\\u003c2\\u003e"
    }},
    "Architecture": "amd64",
    "Os": "linux",
    "Layers": [
        "{LAYER.blob.digest}"
    ],
    "LayersData": [
        {{
            "MIMEType": "application/vnd.oci.image.layer.v1.tar+gzip",
            "Digest": "{LAYER.blob.digest}",
            "Size": {len(LAYER.blob.data)},
            "Annotations": null
        }}
    ],
    "Env": [
        "A=B"
    ]
}}
"""
WHOLE_CONFIG = f"""\
{{
    "created": "2020-01-02T03:04:05.12Z",
    "author": "\\u003cme\\u003e",
    "architecture": "amd64",
    "os": "linux",
    "config": {{
        "ExposedPorts": {{
            "80/tcp": {{}}
        }},
        "Env": [
            "A=B"
        ],
        "Labels": {{
            "a": "1",
            "b": "\\u003c2\\u003e"
        }}
    }},
    "rootfs": {{
        "type": "layers",
        "diff_ids": [
            "{LAYER.diff_id}"
        ]
    }},
    "history": [
        {{
            "created_by": "x",
            "empty_layer": true
        }}
    ]
}}
"""


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    named_images = {
        "image": IMAGE,
        "plain": PLAIN,
        "docker": DOCKER,
        "index": INDEX,
        "art": ARTIFACT,
    }
    return images.write_layout(tmp_path / "in", named_images)


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as running:
        images.push(running.host, "some/app", PLAIN, "1", "2")
        yield running


def test_inspect_prints_summary_of_image(run_airbundle: RunAirbundle, layout: Path) -> None:
    result = run_airbundle("inspect", f"oci:{layout}:image")
    assert (result.status, result.stdout, result.stderr) == (0, SUMMARY, "")


def test_inspect_prints_null_for_missing_fields(run_airbundle: RunAirbundle, layout: Path) -> None:
    shown = json.loads(run_airbundle("inspect", f"oci:{layout}:plain").stdout)
    assert [shown[key] for key in ("Created", "Labels", "Env")] == [None, None, None]
    assert shown["DockerVersion"] == ""
    empty = images.image(config={"config": {"Labels": {}, "Env": []}})
    images.write_layout(layout.parent / "empty", {"x": empty})
    shown = json.loads(run_airbundle("inspect", "oci:empty").stdout)
    assert [shown[key] for key in ("Labels", "Env")] == [{}, []]
    docker = json.loads(run_airbundle("inspect", f"oci:{layout}:docker").stdout)
    assert docker["Created"] == "0001-01-01T00:00:00Z"


def test_inspect_prints_config(run_airbundle: RunAirbundle, layout: Path) -> None:
    assert run_airbundle("inspect", "--config", f"oci:{layout}:image").stdout == WHOLE_CONFIG
    raw = run_airbundle("inspect", "--config", "--raw", f"oci:{layout}:image").stdout
    assert raw.encode() == IMAGE.blobs[0].data


def test_raw_prints_manifest_bytes(run_airbundle: RunAirbundle, layout: Path) -> None:
    for name, image in (("image", IMAGE), ("index", INDEX), ("art", ARTIFACT)):
        raw = run_airbundle("inspect", "--raw", f"oci:{layout}:{name}").stdout
        assert raw.encode() == image.root.data


@pytest.mark.parametrize(
    ("platform", "child"), [("linux/amd64", 0), ("linux/arm64", 1), ("linux/arm/v8", 2)]
)
def test_inspect_of_index_shows_platform_with_digest_of_index(
    run_airbundle: RunAirbundle, layout: Path, platform: str, child: int
) -> None:
    result = run_airbundle("inspect", "--platform", platform, f"oci:{layout}:index")
    shown = json.loads(result.stdout)
    assert shown["Digest"] == INDEX.digest
    assert shown["Layers"] == [INDEX.children[child].blobs[1].digest]


def test_raw_with_platform_prints_manifest_of_platform(
    run_airbundle: RunAirbundle, layout: Path
) -> None:
    arguments = ("inspect", "--raw", "--platform=linux/arm64", f"oci:{layout}:index")
    child = INDEX.children[1].root.data.decode()
    assert run_airbundle(*arguments).stdout == child
    missing = run_airbundle("inspect", "--raw", "--platform=plan9/386", f"oci:{layout}:index")
    assert (missing.status, missing.stdout) == (9, "")


@pytest.mark.parametrize("flag", ["--raw", "--config"])
def test_digest_algorithm_is_refused_where_it_has_no_effect(
    run_airbundle: RunAirbundle, layout: Path, flag: str
) -> None:
    words = ("inspect", flag, "--manifest-digest=sha512", f"oci:{layout}:image")
    assert run_airbundle(*words).status == 2
    assert run_airbundle("--as", "skopeo", *words).status == 0


def test_inspect_of_missing_platform_lists_platforms(
    run_airbundle: RunAirbundle, layout: Path
) -> None:
    result = run_airbundle("inspect", "--platform=plan9/386", f"oci:{layout}:index")
    assert (result.status, result.stdout) == (9, "")
    assert "linux/amd64, linux/arm/v7, linux/arm64/v8" in result.stderr


def test_inspect_prefers_zstd_variant_of_platform(
    run_airbundle: RunAirbundle, tmp_path: Path
) -> None:
    platform = {"os": "linux", "architecture": "amd64"}
    gzip, zstd = images.image(), images.image(images.layer({"a": b""}, compression="zstd"))
    zstd_annotation = {"io.github.containers.compression.zstd": "true"}
    entries = [
        gzip.root.descriptor(platform=platform),
        zstd.root.descriptor(platform=platform, annotations=zstd_annotation),
    ]
    body = {"schemaVersion": 2, "mediaType": images.OCI["index"], "manifests": entries}
    both = images.Image(images.Blob(images.OCI["index"], images.dump(body)), (), (gzip, zstd))
    images.write_layout(tmp_path / "twins", {"x": both})
    shown = json.loads(run_airbundle("inspect", "--platform=linux/amd64", "oci:twins").stdout)
    assert shown["Layers"] == [zstd.blobs[1].digest]


def test_inspect_selects_entry_without_platform_last(
    run_airbundle: RunAirbundle, tmp_path: Path
) -> None:
    anywhere = images.index(ARTIFACT, images.image(platform="linux/s390x"))
    images.write_layout(tmp_path / "any", {"x": anywhere})
    shown = json.loads(run_airbundle("inspect", "--platform=linux/amd64", "oci:any").stdout)
    assert shown["ArtifactType"] == "application/spdx+json"
    shown = json.loads(run_airbundle("inspect", "--platform=linux/s390x", "oci:any").stdout)
    assert shown["Architecture"] == "s390x"


def test_inspect_of_nested_index(run_airbundle: RunAirbundle, tmp_path: Path) -> None:
    images.write_layout(tmp_path / "nested", {"x": images.index(images.index(PLAIN))})
    shown = json.loads(run_airbundle("inspect", "--platform=linux/amd64", "oci:nested").stdout)
    assert shown["Layers"] == [LAYER.blob.digest]


def test_inspect_of_artifact(run_airbundle: RunAirbundle, layout: Path) -> None:
    shown = json.loads(run_airbundle("inspect", f"oci:{layout}:art").stdout)
    layers = shown.pop("LayersData")
    assert shown == {
        "Digest": ARTIFACT.digest,
        "RepoTags": [],
        "ArtifactType": "application/spdx+json",
        "ConfigType": "application/vnd.oci.empty.v1+json",
        "Subject": IMAGE.digest,
        "Annotations": {"who": "me"},
        "Layers": [ARTIFACT.blobs[1].digest],
    }
    assert [layer["Size"] for layer in layers] == [3]
    result = run_airbundle("inspect", "--config", f"oci:{layout}:art")
    assert (result.status, result.stdout) == (1, "")
    assert run_airbundle("inspect", "--config", "--raw", f"oci:{layout}:art").stdout == "{}"


def test_format_prints_template(run_airbundle: RunAirbundle, layout: Path) -> None:
    image = f"oci:{layout}:image"
    shown_by_format = run_airbundle(
        "inspect", "--format", "{{.Os}}/{{.Architecture}} {{.Labels.b}}", image
    )
    assert (shown_by_format.status, shown_by_format.stdout) == (0, "linux/amd64 <2>\n")
    shown_by_format = run_airbundle(
        "inspect", "--config", "-f", "{{.OS}} {{.Platform}} {{.Config.Env}}", image
    )
    assert shown_by_format.stdout == "linux {amd64 linux  [] } [A=B]\n"
    wrong = run_airbundle("inspect", "--format", "{{.Nothing}}", image)
    assert (wrong.status, wrong.stdout) == (2, "")
    assert "hint: use one of Name, Tag, Digest" in wrong.stderr
    both = run_airbundle("inspect", "--raw", "--format", "{{.}}", image)
    assert (both.status, both.stdout) == (2, "")


def test_inspect_of_registry_prints_name_and_tags(
    run_airbundle: RunAirbundle, registry: FakeRegistry
) -> None:
    reference = f"docker://{registry.host}/some/app:1"
    shown = json.loads(run_airbundle("inspect", "--tls-verify=false", reference).stdout)
    assert list(shown)[:3] == ["Name", "Digest", "RepoTags"]
    assert shown["Name"] == f"{registry.host}/some/app"
    assert shown["RepoTags"] == ["1", "2"]
    shown = json.loads(run_airbundle("inspect", "-n", "--tls-verify=false", reference).stdout)
    assert shown["RepoTags"] == []
    assert registry.count("GET", "/tags/list") == 1


def test_inspect_reads_no_blob_except_config(
    run_airbundle: RunAirbundle, registry: FakeRegistry
) -> None:
    reference = f"docker://{registry.host}/some/app:1"
    count = len(registry.find_requests("GET"))
    run_airbundle("inspect", "-n", "--tls-verify=false", reference)
    paths = [request.path for request in registry.find_requests("GET")[count:]]
    expected = ["/v2/some/app/manifests/1", f"/v2/some/app/blobs/{PLAIN.blobs[0].digest}"]
    assert [path for path in paths if path != "/v2/"] == expected


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ({"status": 403, "body": b'{"errors":[{"code":"DENIED"}]}'}, 0),
        ({"status": 404, "body": b"404 page not found", "headers": TEXT}, 0),
        ({"status": 403}, 7),
        ({"status": 404, "body": b'{"errors":[{"code":"NAME_UNKNOWN"}]}'}, 9),
        ({"status": 400, "times": None}, 2),
    ],
)
def test_inspect_warns_if_tags_cannot_be_listed(
    run_airbundle: RunAirbundle, registry: FakeRegistry, answer: dict[str, object], status: int
) -> None:
    registry.fail("GET", "/tags/list", **answer)  # type: ignore[arg-type]
    reference = f"docker://{registry.host}/some/app:1"
    result = run_airbundle("inspect", "--tls-verify=false", reference)
    assert result.status == status
    if status == 0:
        assert json.loads(result.stdout)["RepoTags"] is None
        assert "does not list tags" in result.stderr
    else:
        assert result.stdout == ""


@pytest.mark.parametrize("damaged", ["manifest", "config"])
def test_inspect_refuses_damaged_content(
    run_airbundle: RunAirbundle, layout: Path, damaged: str
) -> None:
    blob = IMAGE.root if damaged == "manifest" else IMAGE.blobs[0]
    path = layout / "blobs/sha256" / blob.digest[7:]
    path.write_bytes(blob.data[:-1] + b" ")
    result = run_airbundle("inspect", f"oci:{layout}:image")
    assert (result.status, result.stdout) == (3, "")


@pytest.mark.parametrize(
    "config",
    [
        {"created": "yesterday"},
        {"created": 5},
        {"config": []},
        {"config": {"Env": "A"}},
        {"config": {"labels": {}}},
        {"config": {"ExposedPorts": []}},
        {"config": {"ArgsEscaped": "no"}},
        {"history": {}},
        {"rootfs": 1},
    ],
)
def test_inspect_refuses_malformed_config(
    run_airbundle: RunAirbundle, tmp_path: Path, config: dict[str, object]
) -> None:
    images.write_layout(tmp_path / "bad", {"x": images.image(LAYER, config=config)})
    result = run_airbundle("inspect", "oci:bad")
    assert (result.status, result.stdout) == (3, "")
    assert len(result.stderr.splitlines()) == 1


def test_inspect_escapes_control_characters(run_airbundle: RunAirbundle, tmp_path: Path) -> None:
    hostile = images.image(config={"config": {"Labels": {"a": "\x1b[2J\u202e\x9b"}}})
    images.write_layout(tmp_path / "hostile", {"x": hostile})
    for options in ((), ("--config",), ("--format", "{{.Labels}}"), ("--format", "{{json .}}")):
        shown = run_airbundle("inspect", *options, "oci:hostile").stdout
        assert all(char.isprintable() or char == "\n" for char in shown)
        assert "[2J" in shown


def test_manifest_digest_selects_algorithm(run_airbundle: RunAirbundle, layout: Path) -> None:
    image = f"oci:{layout}:image"
    shown = run_airbundle("inspect", "--manifest-digest=sha512", "-f", "{{.Digest}}", image).stdout
    assert shown == f"sha512:{hashlib.sha512(IMAGE.root.data).hexdigest()}\n"
    shown = run_airbundle("inspect", "--manifest-digest=sha256", "-f", "{{.Digest}}", image).stdout
    assert shown == f"{IMAGE.digest}\n"


@pytest.mark.parametrize(
    ("system", "processor", "platform"),
    [
        ("Linux", "x86_64", "linux/amd64"),
        ("Linux", "aarch64", "linux/arm64/v8"),
        ("Darwin", "arm64", "darwin/arm64/v8"),
        ("Linux", "armv7l", "linux/arm/v7"),
        ("Linux", "i686", "linux/386"),
        ("Linux", "riscv64", "linux/riscv64"),
    ],
)
def test_host_platform_follows_names_of_images(system: str, processor: str, platform: str) -> None:
    assert create_platform(system, processor) == Platform.parse(platform)


def test_inspect_of_layout_imports_no_registry_client_and_no_threads(layout: Path) -> None:
    code = (
        "import sys\nfrom bundler.cli.main import main\n"
        f"try: main(['inspect', 'oci:{layout}:image'])\n"
        "except SystemExit: pass\n"
        "heavy = {'requests', 'urllib3', 'cryptography', 'jsonschema', 'yaml', 'zstandard',"
        " 'bundler.gocompat.template.execute', 'bundler.retry_policy', 'concurrent.futures'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    completed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert completed.stdout.endswith("}\n[]\n")
