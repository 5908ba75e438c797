"""``airbundle diff``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes import bundles, damage, images, tars
from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

NGINX, APP = bundles.REFERENCES
OTHER = "docker.io/library/redis:7"
PASSWORD = "correct-horse"


def _diff(run: RunAirbundle, *arguments: object, status: int) -> dict[str, Any]:
    result = run("diff", *arguments, "--json")
    assert result.status == status, result.stderr
    return json.loads(result.stdout)


def test_images_of_bundles_are_compared_by_name(run_airbundle: RunAirbundle, tmp_path: Path):
    named = bundles.sample()
    changed = {NGINX: images.image(), OTHER: images.image()}
    bundles.write(tmp_path / "old", named)
    bundles.write(tmp_path / "new", changed)
    value = _diff(run_airbundle, "old", "new", status=12)
    assert [item["name"] for item in value["added"]] == [OTHER]
    assert [item["name"] for item in value["removed"]] == [APP]
    assert value["moved"] == [
        {"name": NGINX, "old": named[NGINX].digest, "new": changed[NGINX].digest}
    ]
    assert (value["same"], value["authenticated"]) == (False, False)


def test_same_bundles_have_no_difference(run_airbundle: RunAirbundle, tmp_path: Path):
    bundles.write(tmp_path / "old")
    bundles.write(tmp_path / "new")
    result = run_airbundle("--quiet", "diff", "old", "new")
    assert (result.status, result.stderr) == (0, "")
    assert _diff(run_airbundle, "old/bundle.json", "new", status=0)["same"] is True


def test_only_compares_images_that_match(run_airbundle: RunAirbundle, tmp_path: Path):
    bundles.write(tmp_path / "old")
    bundles.write(tmp_path / "new", {APP: bundles.sample()[APP]})
    assert _diff(run_airbundle, "old", "new", "--only", "app", status=0)["same"] is True


def test_receipt_lists_the_images_that_were_imported(run_airbundle: RunAirbundle, tmp_path: Path):
    bundles.write(tmp_path / "b")
    options = ("--allow-unsigned", "--reason", "test", "--receipt", "receipt.json")
    assert run_airbundle("import", "b", "oci:target", *options, "--only", "nginx").status == 0
    value = _diff(run_airbundle, "receipt.json", "b", status=12)
    assert [item["name"] for item in value["added"]] == [APP]
    assert (value["removed"], value["moved"], value["same"]) == ([], [], False)


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"{", 3),
        (b"[]", 2),
        (b"{}", 2),
        (b'{"_type": "airbundle/receipt/v1", "images": [{}]}', 3),
        (b'{"_type": "airbundle/receipt/v1", "images": [{"action": "new", "reference": 5}]}', 3),
        (b'{"_type": "airbundle/bundle/v9"}', 1),
        (b'{"a":' * 3000, 8),
    ],
)
def test_malformed_document_is_refused(
    run_airbundle: RunAirbundle, tmp_path: Path, content: bytes, status: int
):
    bundles.write(tmp_path / "b")
    (tmp_path / "document.json").write_bytes(content)
    result = run_airbundle("diff", "document.json", "b")
    assert (result.status, result.stdout) == (status, "")


def _write_images(directory: Path) -> None:
    """Write a layout with the images ``1`` and ``2``."""
    base = tars.layer(
        tars.member("etc/motd", b"old\n"),
        tars.member("etc/same", b"same"),
        tars.member("etc/gone", b"x"),
        tars.member("bin/su", b"su"),
    )
    top = tars.layer(
        tars.member("etc/motd", b"new\n"),
        tars.member("etc/same", b"same"),
        tars.member("etc/.wh.gone"),
        tars.member("bin/su", b"su", mode=0o4755),
        tars.member("a`|\x1b[2J", b"1"),
    )
    config = {"config": {"Env": ["A=1", f"TOKEN={PASSWORD}"], "User": "app", "Labels": {"v": "1"}}}
    changed = {"config": {"Env": ["A=2", "TOKEN=x"], "Labels": {"v": "1", "w": "2"}}}
    named = {"1": images.image(base, config=config), "2": images.image(base, top, config=changed)}
    images.write_layout(directory, named)


def test_two_images_are_compared(run_airbundle: RunAirbundle, tmp_path: Path):
    _write_images(tmp_path / "layout")
    value = _diff(run_airbundle, "oci:layout:1", "oci:layout:2", status=12)
    assert {(item["path"], item["change"], *item.get("parts", ())) for item in value["files"]} == {
        ("etc/motd", "changed", "content"),
        ("etc/gone", "removed"),
        ("bin/su", "changed", "mode"),
        ("a`|\x1b[2J", "added"),
    }
    changes = {(item["kind"], item.get("name")): item["new"] for item in value["changes"]}
    assert changes.keys() == {
        ("user", None),
        ("environment", "A"),
        ("environment", "TOKEN"),
        ("labels", "w"),
    }
    (layer,) = value["addedLayers"]
    assert value["removedLayers"] == []
    assert value["newBytes"] > layer["size"]


def _dpkg(**versions: str) -> images.Layer:
    """A layer with the database of dpkg."""
    entries = [
        f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\n"
        f"Version: {version.replace('_', '.')}\n"
        for name, version in versions.items()
    ]
    return tars.layer(tars.member("var/lib/dpkg/status", "\n".join(entries).encode()))


def test_packages_of_two_images_are_compared(run_airbundle: RunAirbundle, tmp_path: Path):
    named = {
        "1": images.image(_dpkg(bash="5.1", curl="7.88", tar="1.34")),
        "2": images.image(_dpkg(bash="5.1", curl="8.0", zlib="1.3")),
    }
    images.write_layout(tmp_path / "layout", named)
    value = _diff(run_airbundle, "oci:layout:1", "oci:layout:2", status=12)
    assert [(item["name"], item["old"], item["new"]) for item in value["packages"]] == [
        ("curl", ["7.88"], ["8.0"]),
        ("tar", ["1.34"], []),
        ("zlib", [], ["1.3"]),
    ]
    assert value["findings"] == []
    value = _diff(run_airbundle, "oci:layout:1", "oci:layout:2", "--no-files", status=12)
    assert "packages" not in value


@pytest.mark.parametrize("output_format", ["text", "markdown"])
def test_output_is_escaped(run_airbundle: RunAirbundle, tmp_path: Path, output_format: str):
    _write_images(tmp_path / "layout")
    arguments = ("diff", "oci:layout:1", "oci:layout:2", "--format", output_format)
    result = run_airbundle(*arguments)
    assert result.status == 12
    assert "\x1b" not in result.stdout
    assert PASSWORD not in result.stdout
    if output_format == "markdown":
        (line,) = [line for line in result.stdout.splitlines() if "[2J" in line]
        assert (line.count("`"), line.count("|")) == (6, 6)
    assert run_airbundle(*arguments, "--no-files").stdout.count("motd") == 0


def test_image_of_two_bundles_is_compared(run_airbundle: RunAirbundle, tmp_path: Path):
    bundles.write(tmp_path / "old")
    bundles.write(tmp_path / "new", {OTHER: images.image()})
    assert _diff(run_airbundle, "old", "new", "nginx:1.27", "redis:7", status=12)["addedLayers"]
    assert _diff(run_airbundle, "old", "old", "nginx:1.27", status=0)["same"] is True


def test_layouts_of_several_images_are_compared_by_name(
    run_airbundle: RunAirbundle, tmp_path: Path
):
    _write_images(tmp_path / "a")
    images.write_layout(tmp_path / "b", {"2": images.image()})
    value = _diff(run_airbundle, "oci:a", "oci:b", status=12)
    assert [item["name"] for item in value["removed"]] == ["1"]
    assert [item["name"] for item in value["moved"]] == ["2"]


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("b", "absent"), 9),
        (("b", "b", "absent:1"), 9),
        (("b", "b", "--deep"), 2),
        (("b", "b", "--json", "--format", "text"), 2),
        (("b", "oci:absent"), 9),
        (("oci:b", "oci:b", "--key", "absent.pub"), 9),
    ],
)
def test_wrong_arguments_are_refused(
    run_airbundle: RunAirbundle, tmp_path: Path, arguments: tuple[str, ...], status: int
):
    bundles.write(tmp_path / "b")
    result = run_airbundle("diff", *arguments)
    assert (result.status, result.stdout) == (status, "")


IMPORT = ("--allow-unsigned", "--reason", "test")


@pytest.mark.parametrize("target", ["oci:target", "dir:target"])
def test_target_is_the_same_after_an_import(
    run_airbundle: RunAirbundle, tmp_path: Path, target: str
):
    bundles.write(tmp_path / "b")
    assert run_airbundle("import", "b", target, *IMPORT, "--keep-host").status == 0
    value = _diff(run_airbundle, "b", target, "--keep-host", "--deep", "--extra", status=0)
    assert (value["images"], value["problems"], value["extra"]) == (2, [], [])
    codes = [item["code"] for item in _diff(run_airbundle, "b", target, status=12)["problems"]]
    assert "name-absent" in codes


def test_missing_and_damaged_content_of_a_target_is_reported(
    run_airbundle: RunAirbundle, tmp_path: Path
):
    named = bundles.sample()
    bundles.write(tmp_path / "b", named)
    assert run_airbundle("import", "b", "oci:target", *IMPORT).status == 0
    blobs = tmp_path / "target/blobs/sha256"
    config, _, layer = named[NGINX].blobs
    (blobs / config.digest.removeprefix("sha256:")).unlink()
    damage.flip_bit(blobs / layer.digest.removeprefix("sha256:"))
    (problem,) = _diff(run_airbundle, "b", "oci:target", status=12)["problems"]
    assert (problem["code"], problem["digest"]) == ("content-absent", config.digest)
    problems = _diff(run_airbundle, "b", "oci:target", "--deep", status=12)["problems"]
    assert {(item["code"], item["digest"]) for item in problems} == {
        ("content-absent", config.digest),
        ("content-damaged", layer.digest),
    }


def test_each_directory_of_a_tree_needs_its_own_blobs(run_airbundle: RunAirbundle, tmp_path: Path):
    named = bundles.sample()
    bundles.write(tmp_path / "b", named)
    assert run_airbundle("import", "b", "dir:target", *IMPORT).status == 0
    shared = named[NGINX].blobs[1].digest
    (tmp_path / "target/infra/app/v2.1" / shared.removeprefix("sha256:")).unlink()
    (problem,) = _diff(run_airbundle, "b", "dir:target", status=12)["problems"]
    assert (problem["code"], problem["digest"]) == ("content-absent", shared)
    assert problem["name"].endswith("infra/app/v2.1")


def test_bundle_is_no_target(run_airbundle: RunAirbundle, tmp_path: Path):
    bundles.write(tmp_path / "b")
    assert run_airbundle("diff", "b", "oci:b").status == 2


def test_registry_is_compared(run_airbundle: RunAirbundle, tmp_path: Path):
    named = bundles.sample()
    bundles.write(tmp_path / "b", named)
    with FakeRegistry() as registry:
        target = (f"docker://{registry.host}/mirror", "--tls-verify=false")
        assert run_airbundle("import", "b", *target, *IMPORT).status == 0
        value = _diff(run_airbundle, "b", *target, "--deep", "--extra", status=0)
        assert (value["problems"], value["extra"]) == ([], [])
        images.push(registry.host, "mirror/library/nginx", images.image(), "1.27")
        images.push(registry.host, "mirror/library/nginx", images.image(), "evil")
        value = _diff(run_airbundle, "b", *target, "--extra", status=12)
        (problem,) = value["problems"]
        assert (problem["code"], problem["actual"]) == ("name-moved", images.image().digest)
        assert value["extra"] == [f"{registry.host}/mirror/library/nginx:evil"]
        images.push(registry.host, "mirror/other", images.image(), "1")
        images.push(registry.host, "elsewhere", images.image(), "1")
        value = _diff(run_airbundle, "b", *target, "--extra", status=12)
        assert value["extra"][1:] == [f"{registry.host}/mirror/other"]


def test_registry_that_does_not_list_repositories_is_reported(
    run_airbundle: RunAirbundle, tmp_path: Path
):
    bundles.write(tmp_path / "b")
    with FakeRegistry() as registry:
        registry.fail("GET", "/v2/_catalog", status=404, times=None)
        target = (f"docker://{registry.host}/mirror", "--tls-verify=false")
        assert run_airbundle("import", "b", *target, *IMPORT).status == 0
        value = _diff(run_airbundle, "b", *target, "--extra", status=0)
        assert value["listsRepositories"] is False


def test_layer_that_is_absent_in_one_image_is_expected_for_the_others(
    run_airbundle: RunAirbundle, tmp_path: Path
):
    layer = images.layer({"windows": b"x" * 100})
    foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    layer = images.Layer(images.Blob(foreign, layer.blob.data), layer.diff_id)
    named = {
        "quay.io/a:1": images.image(layer),
        "quay.io/b:1": images.image(layer, images.layer({})),
    }
    entries = bundles.create_inventory(tmp_path, named)["images"]
    absent = {"digest": layer.blob.digest, "size": len(layer.blob.data), "mediaType": foreign}
    entries[0]["absentLayers"] = [absent | {"urls": ["https://example.com/layer"]}]
    entries[1]["absentLayers"] = []
    bundles.write(tmp_path / "b", named, images=entries)
    assert run_airbundle("import", "b", "oci:target", *IMPORT).status == 0
    (tmp_path / "target/blobs" / layer.blob.digest.replace(":", "/")).unlink(missing_ok=True)
    (problem,) = _diff(run_airbundle, "b", "oci:target", status=12)["problems"]
    assert (problem["code"], problem["digest"]) == ("content-absent", layer.blob.digest)
    assert "quay.io/b:1" in problem["name"] or problem["name"].endswith("b:1")


def test_prefixes_of_registries_are_compared_by_relative_names(
    run_airbundle: RunAirbundle, tmp_path: Path
):
    bundles.write(tmp_path / "b")
    with FakeRegistry() as one, FakeRegistry() as two:
        sides = (f"docker://{one.host}/a/", f"docker://{two.host}/")
        for side in sides:
            target = (side.rstrip("/"), "--tls-verify=false")
            assert run_airbundle("import", "b", *target, *IMPORT, "--adopt").status == 0
        images.push(one.host, "elsewhere", images.image(), "1")
        options = ("--tls-verify=false",)
        assert _diff(run_airbundle, *sides, *options, status=0)["unchanged"] >= 2
        images.push(two.host, "library/nginx", images.image(), "1.27")
        images.push(two.host, "more", images.image(), "1")
        value = _diff(run_airbundle, *sides, *options, status=12)
        assert [item["name"] for item in value["moved"]] == ["library/nginx:1.27"]
        assert [item["name"] for item in value["added"]] == ["more:1"]
        assert run_airbundle("diff", "b", sides[0], *options).status == 0
        assert run_airbundle("diff", sides[0], "b", *options).status == 2
        assert run_airbundle("diff", sides[0], f"docker://{two.host}/none/", *options).status == 9
        image = run_airbundle("diff", *(side.rstrip("/") + "/x" for side in sides), *options)
        assert (image.status, f"{sides[0]}x/" in image.stderr) == (9, True)
        one.fail("GET", "/v2/_catalog", status=401, times=None)
        assert run_airbundle("diff", *sides, *options).status == 7


def test_bundle_is_compared_with_an_archive_by_names(run_airbundle: RunAirbundle, tmp_path: Path):
    named = bundles.sample()
    bundles.write(tmp_path / "b", named)
    images.write_layout(tmp_path / "layout", named)
    assert run_airbundle("copy", f"oci:layout:{NGINX}", f"oci-archive:a.tar:{NGINX}").status == 0
    value = _diff(run_airbundle, "b", "oci-archive:a.tar", status=12)
    assert (value["unchanged"], [item["name"] for item in value["removed"]]) == (1, [APP])
