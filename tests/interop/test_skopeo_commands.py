"""The commands print what Skopeo prints, and what they delete no longer exists for Skopeo.

Known differences of Skopeo 1.9, against which the tests run; later versions do as airbundle does:

- it prints no ``LayersData``;
- it prints the variant in a config before the operating system, not last;
- its templates have only Go's functions (no ``json``, ``join``, ``upper``...), are always run for
  each item of a list, and print nothing after ``table`` or where a tab is;
- in an OCI layout it does not find images with Docker's manifests.

Permanent differences: airbundle shows artifacts, lists layouts, and prints no control character in
JSON and templates.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images
from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from pathlib import Path

    from tests.interop import servers

CONFIG = {
    "created": "2020-01-02T03:04:05.120000000Z",
    "author": "me <x&y>",
    "docker_version": "20.1",
    "container": "abc",
    "config": {
        "User": "u",
        "ExposedPorts": {"80/tcp": {}, "443/tcp": {}},
        "Env": ["PATH=/bin", 'A="q" é'],
        "Entrypoint": ["/e"],
        "Cmd": ["/c", "<&>"],
        "Volumes": {"/data": {}},
        "WorkingDir": "/w",
        "Labels": {"b": "<1>", "a": "ü\u2028", "c": ""},
        "StopSignal": "SIGTERM",
        "ArgsEscaped": True,
        "Hostname": "dropped",
    },
    "history": [
        {"created": "2020-01-02T03:04:05+01:00", "created_by": "x", "author": "a"},
        {"comment": "c", "empty_layer": True},
    ],
}
LAYERS = images.layer({"a": b"1"}), images.layer({"b": b"2"}, compression="zstd")
OCI = {
    "full": images.image(*LAYERS, config=CONFIG),
    "bare": images.image(),
    "empty": images.image(config={"config": {"Labels": {}, "Env": [], "Cmd": []}, "history": []}),
    "offset": images.image(config={"created": "2020-01-02T03:04:05.5-05:30"}),
    "index": images.multi_platform("oci", "linux/arm64", "linux/amd64", "linux/arm/v7"),
    "nowhere": images.index(images.Image(*[getattr(images.image(), n) for n in ("root", "blobs")])),
}
DOCKER = {
    "full-docker": images.image(types=images.DOCKER, config=CONFIG),
    "bare-docker": images.image(types=images.DOCKER),
    "list": images.multi_platform("docker", "linux/arm64", "linux/amd64", types=images.DOCKER),
}
TEMPLATES = (
    "{{.Digest}} {{.Created}} {{.Os}}/{{.Architecture}} {{.DockerVersion}}",
    "{{.Labels}} {{.Labels.b}} {{.Labels.zz}} {{index .Labels `c`}}|",
    r"{{range .Layers}}{{.}}\n{{end}}",
    r"{{range $i, $e := .Env}}{{$i}} {{printf `%-20q|` $e}}{{else}}none{{end}}",
    "{{if .Name}}{{.Name}}{{else if .Created}}{{.Created}}{{else}}neither{{end}}",
    "{{with .Env}}{{index . 0}}{{end}} {{len .Layers}} {{.Layers | len | printf `%03d`}}",
    "{{and .Os .Name}} {{or .Name .Os}} {{not .Labels}} {{eq .Os `linux` `plan9`}}",
    "{{printf `%q %v %d %s` .Env .RepoTags .Os}}",
    "{{- /* nothing */ -}}   {{print 1 2 `x`}} {{slice .Os 1 3}}",
)


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    return images.write_layout(tmp_path / "images", OCI)


@pytest.fixture
def directories(tmp_path: Path) -> Path:
    """Every image as a ``dir:`` image."""
    for name, image in (OCI | DOCKER).items():
        reference = tmp_path / name
        reference.mkdir()
        (reference / "version").write_text("Directory Transport Version: 1.1\n")
        (reference / "manifest.json").write_bytes(image.root.data)
        for digest, data in image.contents().items():
            (reference / digest[7:]).write_bytes(data)
        for child in image.children:
            (reference / f"{child.digest[7:]}.manifest.json").write_bytes(child.root.data)
    return tmp_path


def remove_layers_data(shown: str) -> str:
    """Remove the member that Skopeo 1.9 does not print."""
    value = json.loads(shown)
    value.pop("LayersData", None)
    text = json.dumps(value, indent=4, ensure_ascii=False) + "\n"
    return re.sub("[<>&\u2028]", lambda found: f"\\u{ord(found[0]):04x}", text)


def run_both(ours: servers.Client, theirs: servers.Client, *arguments: object) -> tuple[str, str]:
    return ours.ok(*arguments), theirs.ok(*arguments)


@pytest.mark.parametrize("name", [*OCI, *DOCKER])
def test_inspect_of_directory_matches_skopeo(name, directories, airbundle, skopeo) -> None:
    reference = f"dir:{directories}/{name}"
    ours, theirs = run_both(airbundle, skopeo, "inspect", reference)
    assert remove_layers_data(ours) == theirs
    ours, theirs = run_both(airbundle, skopeo, "inspect", "--raw", reference)
    assert ours == theirs
    ours, theirs = run_both(airbundle, skopeo, "inspect", "--config", reference)
    assert ours == theirs
    ours, theirs = run_both(airbundle, skopeo, "inspect", "--config", "--raw", reference)
    assert ours == theirs


@pytest.mark.parametrize("name", OCI)
def test_inspect_of_layout_matches_skopeo(name, layout, airbundle, skopeo) -> None:
    ours, theirs = run_both(airbundle, skopeo, "inspect", f"oci:{layout}:{name}")
    assert remove_layers_data(ours) == theirs


@pytest.mark.parametrize("name", ["full", "bare", "index"])
def test_templates_print_output_of_skopeo(name, layout, airbundle, skopeo) -> None:
    for template in TEMPLATES:
        ours, theirs = run_both(
            airbundle, skopeo, "inspect", "--format", template, f"oci:{layout}:{name}"
        )
        assert ours.replace("\\u2028", "\u2028") == theirs, template


def test_config_template_prints_output_of_skopeo(layout, airbundle, skopeo) -> None:
    template = "{{.Created}} {{.Config}} {{.RootFS}} {{.History}} {{.Config.Labels.b}} {{.OS}}"
    reference = f"oci:{layout}:full"
    ours, theirs = run_both(
        airbundle, skopeo, "inspect", "--config", "--format", template, reference
    )
    assert ours.replace("\\u2028", "\u2028") == theirs


@pytest.mark.parametrize(
    "template",
    ["{{.Nothing}}", "{{", "{{.Os.Nothing}}", "{{index .Layers 9}}", "{{foo}}", "{{end}}"],
)
def test_templates_that_skopeo_refuses_are_refused_by_airbundle(
    template, layout, airbundle, skopeo
) -> None:
    for program in (airbundle, skopeo):
        result = program("inspect", "--format", template, f"oci:{layout}:bare")
        assert result.returncode != 0
        assert result.stdout == ""
        assert len([line for line in result.stderr.splitlines() if "hint: " not in line]) == 1


@pytest.mark.parametrize(
    ("os", "architecture", "variant"),
    [("linux", "arm64", ""), ("linux", "arm", "v8"), ("linux", "arm", ""), ("linux", "arm", "v7")],
)
def test_selected_platform_matches_skopeo(
    os, architecture, variant, directories, airbundle, skopeo
) -> None:
    reference = f"dir:{directories}/index"
    override = [f"--override-os={os}", f"--override-arch={architecture}"]
    override += [f"--override-variant={variant}"] if variant else []
    theirs = skopeo.ok(*override, "inspect", reference)
    platform = "/".join(filter(None, (os, architecture, variant)))
    assert remove_layers_data(airbundle.ok("inspect", "--platform", platform, reference)) == theirs


def test_missing_platform_is_refused_by_both_programs(directories, airbundle, skopeo) -> None:
    for name in ("index", "list"):
        reference = f"dir:{directories}/{name}"
        assert skopeo("--override-arch=s390x", "inspect", reference).returncode == 1
        assert airbundle("inspect", "--platform=linux/s390x", reference).returncode == 9


def test_inspect_and_list_tags_of_registry_match_skopeo(any_registry, airbundle, skopeo) -> None:
    registry, repository, access = any_registry
    images.push(registry.host, repository, OCI["full"], "2", "1", "latest")
    images.push(registry.host, repository, OCI["index"], "many")
    reference = f"docker://{registry.host}/{repository}"
    for name in ("", ":1", ":many", f"@{OCI['index'].digest}"):
        ours, theirs = run_both(airbundle, skopeo, "inspect", *access, f"{reference}{name}")
        assert remove_layers_data(ours) == theirs
    ours, theirs = run_both(airbundle, skopeo, "inspect", "--no-tags", *access, f"{reference}:1")
    assert remove_layers_data(ours) == theirs
    ours, theirs = run_both(airbundle, skopeo, "list-tags", *access, reference)
    assert ours == theirs


@pytest.fixture
def any_registry(registry, repository) -> tuple[servers.Registry, str, list[str]]:
    return registry, repository, ["--tls-verify=false"]


def test_deleted_image_is_missing_for_both_programs(any_registry, airbundle, skopeo) -> None:
    registry, repository, access = any_registry
    reference = f"docker://{registry.host}/{repository}"
    for ours in (True, False):
        images.push(registry.host, repository, OCI["full"], "1", "one")
        images.push(registry.host, repository, OCI["bare"], "2")
        (airbundle if ours else skopeo).ok("delete", *access, f"{reference}:1")
        assert json.loads(skopeo.ok("list-tags", *access, reference))["Tags"] == ["2"]
        again = (
            airbundle("delete", *access, f"{reference}:1"),
            skopeo("delete", *access, f"{reference}:1"),
        )
        assert [result.returncode for result in again] == [9, 1]


def test_tag_only_keeps_image_in_registry_that_deletes_no_tags(
    any_registry, airbundle, skopeo
) -> None:
    registry, repository, access = any_registry
    images.push(registry.host, repository, OCI["full"], "1", "one")
    reference = f"docker://{registry.host}/{repository}"
    result = airbundle("delete", "--tag-only", *access, f"{reference}:1")
    assert (result.returncode, result.stdout) == (1, "")
    assert set(json.loads(skopeo.ok("list-tags", *access, reference))["Tags"]) == {"1", "one"}


def test_skopeo_reads_layout_after_deletion(tmp_path, airbundle, skopeo) -> None:
    """Skopeo 1.9 cannot delete from a layout, but reads the remaining images."""
    shared = images.layer({"shared": b"s"})
    one, two = images.image(shared, images.layer({"one": b"1"})), images.image(shared)
    layout = images.write_layout(tmp_path / "two", {"one": one, "two": two})
    airbundle.ok("delete", f"oci:{layout}:one")
    left = {f"sha256:{path.name}" for path in layout.glob("blobs/sha256/*")}
    assert left == set(two.contents())
    assert skopeo("inspect", f"oci:{layout}:one").returncode != 0
    skopeo.ok("copy", f"oci:{layout}:two", f"dir:{tmp_path}/out")


def test_inspect_and_list_tags_of_archive_match_skopeo(directories, airbundle, skopeo) -> None:
    archive = f"docker-archive:{directories}/a.tar"
    names = ["--additional-tag=example.com/other:2", "--additional-tag=foo/bar:latest"]
    skopeo.ok("copy", *names, f"dir:{directories}/full-docker", f"{archive}:foo/bar:1")
    ours, theirs = run_both(airbundle, skopeo, "list-tags", archive)
    assert ours == theirs
    ours, theirs = run_both(airbundle, skopeo, "list-tags", f"{archive}:foo/bar:1")
    assert ours == theirs
    for name in ("", ":foo/bar:1", ":example.com/other:2", ":foo/bar", ":@0"):
        ours, theirs = run_both(airbundle, skopeo, "inspect", f"{archive}{name}")
        assert remove_layers_data(ours) == theirs


def test_manifest_digest_matches_skopeo(tmp_path, airbundle, skopeo) -> None:
    files = {"oci": OCI["full"].root.data, "list": DOCKER["list"].root.data, "no JSON": b"\0x"}
    with FakeRegistry() as registry:
        with_history = images.image(config={"history": [{"created_by": "x"}]})
        images.write_layout(tmp_path / "in", {"x": with_history})
        reference = f"docker://{registry.host}/old:1"
        to = ["--format=v2s1", "--dest-tls-verify=false", f"oci:{tmp_path}/in:x", reference]
        skopeo.ok("copy", *to)
        stored = registry.repository("old").manifests
        files["signed"] = next(raw for _, raw in stored.values())
    assert b'"signatures"' in files["signed"]
    for name, raw in files.items():
        (tmp_path / name).write_bytes(raw)
        ours, theirs = run_both(airbundle, skopeo, "manifest-digest", tmp_path / name)
        assert ours == theirs, name
    cut = re.sub(rb'("protected": ?")...', rb"\1", files["signed"])
    (tmp_path / "cut").write_bytes(cut)
    for program in (airbundle, skopeo):
        assert program("manifest-digest", tmp_path / "cut").returncode != 0
