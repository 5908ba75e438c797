"""Foreign layers through a bundle: where they are found, and where their absence is reported."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.registry import (
    OCI_CONFIG,
    OCI_LAYER,
    OCI_MANIFEST,
    FakeRegistry,
    descriptor,
    sha256,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import CommandResult, RunAirbundle

BASE = b"the base layer of Windows"
FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
TOP = b"the layer on top"


@dataclass
class Site:
    """A registry with an image ``win:1``, another server, and the commands of an export."""

    registry: FakeRegistry
    other: FakeRegistry
    folder: Path
    run: RunAirbundle

    @property
    def url(self) -> str:
        """A URL on the other server, which may have the base layer or not."""
        return f"{self.other.url}/v2/far/blobs/{sha256(BASE)}"

    def add_image(self, *urls: str) -> None:
        """Add the image, whose base layer is foreign."""
        foreign = descriptor(FOREIGN, BASE) | {"urls": list(urls or (self.url,))}
        layers = [foreign, descriptor(OCI_LAYER, TOP)]
        config = b'{"os": "windows", "architecture": "amd64", "rootfs": {"type": "layers"}}'
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(OCI_CONFIG, config),
            "layers": layers,
        }
        for blob in (config, TOP):
            self.registry.add_blob("win", blob)
        self.registry.add_manifest("win", "1", json.dumps(manifest).encode())

    def write_manifest(self, **options: str) -> None:
        """Write the bundle manifest, with ``options`` for its image."""
        entry = json.dumps({"ref": f"{self.registry.host}/win:1", **options})
        access = json.dumps({self.registry.host: {"tls": {"plainHttp": True}}})
        text = f"name: plant\nregistries: {access}\nimages: [{entry}]\n"
        (self.folder / "plant.yaml").write_text(text)

    def export(self, *arguments: str, **options: str) -> CommandResult:
        """Export the image into ``bundle``."""
        self.write_manifest(**options)
        return self.run("export", "plant.yaml", "bundle", "--unsigned", *arguments)

    def read_inventory(self) -> dict[str, Any]:
        """Read the inventory of the bundle."""
        inventory: dict[str, Any] = json.loads((self.folder / "bundle/bundle.json").read_text())
        return inventory

    def has_layer(self) -> bool:
        """Whether the bundle has the base layer, with its content."""
        path = self.folder / "bundle/blobs/sha256" / sha256(BASE).removeprefix("sha256:")
        return path.exists() and path.read_bytes() == BASE


@pytest.fixture
def site(tmp_path: Path, run_airbundle: RunAirbundle) -> Iterator[Site]:
    with FakeRegistry() as registry, FakeRegistry() as other:
        yield Site(registry, other, tmp_path, run_airbundle)


def describe_layer(site: Site) -> str:
    """Return the description of the absent layer: image, digest, size, URL."""
    layer = f"foreign layer {sha256(BASE)}, {len(BASE)} bytes ({site.url})"
    return f"{site.registry.host}/win:1: {layer}"


@pytest.mark.parametrize("policy", [None, "fetch", "leave", "fail"])
@pytest.mark.parametrize("bundle_format", ["oci", "dir"])
def test_export_carries_foreign_layer_that_the_registry_has(
    site: Site, policy: str | None, bundle_format: str
):
    site.add_image()
    site.registry.add_blob("win", BASE)
    options = {} if policy is None else {"foreignLayers": policy}
    result = site.export("--format", bundle_format, **options)
    assert result.status == 0, result.stderr
    assert site.read_inventory()["images"][0]["absentLayers"] == []
    assert site.read_inventory()["complete"]
    assert not site.other.requests
    with FakeRegistry() as inside:
        target = f"docker://{inside.host}"
        imported = site.run(
            "import", "bundle", target, "--allow-unsigned", "--reason", "test", "--tls-verify=false"
        )
        assert imported.status == 0, imported.stderr
        assert inside.repository("win").blobs[sha256(BASE)] == BASE


@pytest.mark.parametrize("bundle_format", ["oci", "dir"])
def test_export_without_foreign_layer_is_partial(site: Site, bundle_format: str):
    site.add_image()
    site.other.add_blob("far", BASE)
    result = site.export("--format", bundle_format)
    assert result.status == 11
    assert describe_layer(site) in result.stderr
    assert "--foreign-layers fetch" in result.stderr
    inventory = site.read_inventory()
    assert not inventory["complete"]
    entry = {"digest": sha256(BASE), "mediaType": FOREIGN, "size": len(BASE), "urls": [site.url]}
    assert inventory["images"][0]["absentLayers"] == [entry]
    assert not site.other.requests  # URLs are contacted on request only


def test_second_partial_export_changes_nothing(site: Site):
    site.add_image()
    assert site.export().status == 11
    first = site.read_inventory()
    second = site.export()
    assert second.status == 11
    assert "unchanged" in second.stdout
    assert site.read_inventory() == first


def test_each_report_on_bundle_lists_absent_layer(site: Site):
    site.add_image()
    site.write_manifest()
    line = f"not in the bundle: {describe_layer(site)}"
    assert line in site.run("plan", "plant.yaml").stdout
    assert line in site.export().stdout
    verified = site.run("verify", "bundle")
    assert "whole, but 1 foreign layer is not in this bundle" in verified.stdout
    assert line in verified.stdout
    assert line in site.run("ls", "bundle").stderr
    with FakeRegistry() as inside:
        target = (
            f"docker://{inside.host}",
            "--allow-unsigned",
            "--reason",
            "test",
            "--tls-verify=false",
        )
        imported = site.run("import", "bundle", *target, "--receipt", "receipt.json")
        assert imported.status == 0, imported.stderr
        assert line in imported.stdout
        assert sha256(TOP) in inside.repository("win").blobs
    receipt = json.loads((site.folder / "receipt.json").read_text())
    assert not receipt["complete"]
    assert [layer["digest"] for layer in receipt["absentLayers"]] == [sha256(BASE)]
    for command in (("plan", "plant.yaml"), ("verify", "bundle"), ("ls", "bundle")):
        report = json.loads(site.run(*command, "--json").stdout)
        assert [layer["digest"] for layer in report["absentLayers"]] == [sha256(BASE)]


def test_export_with_fetch_downloads_layer_from_url(site: Site):
    site.add_image(f"{site.other.url}/v2/far/blobs/{sha256(b'gone')}", site.url)
    site.other.add_blob("far", BASE)
    result = site.export("--foreign-layers", "fetch", foreignLayers="fail")
    assert result.status == 0, result.stderr
    assert site.has_layer()
    assert not any("authorization" in request.headers for request in site.other.requests)
    assert site.read_inventory()["images"][0]["absentLayers"] == []


def test_export_with_fetch_refuses_other_content(site: Site):
    site.add_image()
    site.other.repository("far").blobs[sha256(BASE)] = b"another layer, same size."
    result = site.export("--foreign-layers", "fetch")
    assert result.status == 3
    assert not (site.folder / "bundle/bundle.json").exists()


def test_export_with_fetch_names_image_and_url_without_layer(site: Site):
    site.add_image()
    result = site.export(foreignLayers="fetch")
    assert result.status == 9
    assert f"{site.registry.host}/win:1: foreign layer {sha256(BASE)}" in result.stderr
    assert f"not found at {site.url}" in result.stderr


def test_export_with_leave_succeeds_and_lists_layer(site: Site):
    site.add_image()
    result = site.export(foreignLayers="leave")
    assert result.status == 0, result.stderr
    assert describe_layer(site) in result.stdout
    assert len(site.read_inventory()["images"][0]["absentLayers"]) == 1
    assert "whole, but 1 foreign layer is not" in site.run("verify", "bundle").stdout


def test_export_with_fail_writes_nothing(site: Site):
    site.add_image()
    result = site.export("--foreign-layers", "fail")
    assert result.status == 9
    assert describe_layer(site).partition(": ")[2] in result.stderr
    assert not (site.folder / "bundle").exists()


def test_renewal_keeps_layer_that_was_fetched(site: Site):
    site.add_image()
    site.other.add_blob("far", BASE)
    assert site.export("--foreign-layers", "fetch").status == 0
    assert site.export().status == 0
    assert site.has_layer()


def test_lock_file_keeps_policy(site: Site):
    site.add_image()
    site.other.add_blob("far", BASE)
    site.write_manifest()
    assert site.run("lock", "plant.yaml", "--foreign-layers", "fetch").status == 0
    assert site.export("--locked").status == 0
    assert site.has_layer()


@pytest.mark.parametrize("command", ["import", "verify"])
def test_loss_of_carried_foreign_layer_is_damage(site: Site, command: str):
    """A bundle that states which layers are absent has all others."""
    site.add_image()
    site.registry.add_blob("win", BASE)
    assert site.export().status == 0
    (site.folder / "bundle/blobs/sha256" / sha256(BASE).removeprefix("sha256:")).unlink()
    target = ("oci:inside", "--allow-unsigned", "--reason", "test") if command == "import" else ()
    result = site.run(command, "bundle", *target)
    assert result.status == 3
    assert sha256(BASE).removeprefix("sha256:") in result.stderr
    assert "whole" not in result.stdout


def test_instructions_on_medium_list_absent_layer(site: Site):
    site.add_image()
    site.export()
    text = (site.folder / "bundle/VERIFY.txt").read_text()
    assert f"not in the bundle: {describe_layer(site)}" in text
    assert "skopeo does not copy foreign layers to a registry" in text


@pytest.mark.parametrize("command", ["copy", "sync"])
def test_copy_reports_foreign_layer_that_it_leaves_out(site: Site, command: str):
    site.add_image()
    name = f"{site.registry.host}/win:1"
    if command == "copy":
        arguments = ("copy", f"docker://{name}", "oci:copy:win", "--src-tls-verify=false")
    else:
        arguments = ("sync", "--src", "docker", "--dest", "oci", "--src-tls-verify=false")
        arguments = (*arguments, name, "copy")
    result = site.run(*arguments)
    assert result.status == 0, result.stderr
    assert "not copied: 1 foreign layer" in result.stderr
    assert json.loads(site.run(*arguments, "--json").stdout).get("omittedLayers", 1) == 1


@pytest.mark.parametrize("command", ["copy", "sync"])
def test_urls_are_contacted_for_copies_under_the_name_of_skopeo(site: Site, command: str):
    site.add_image()
    site.other.add_blob("far", BASE)

    def run(folder: str, *front_end: str) -> CommandResult:
        (site.folder / folder).mkdir()
        name = f"{site.registry.host}/win:1"
        arguments = (f"docker://{name}", f"dir:{folder}/win:1")
        if command == "sync":
            arguments = ("--src", "docker", "--dest", "dir", name, folder)
        return site.run(*front_end, command, *arguments, "--src-tls-verify=false")

    native = run("native")
    assert native.status == 9
    assert "--foreign-layers fetch" in native.stderr
    assert not site.other.requests
    result = run("copies", "--as", "skopeo", "--insecure-policy")
    assert result.status == 0, result.stderr
    stored = site.folder / "copies/win:1" / sha256(BASE).removeprefix("sha256:")
    assert stored.read_bytes() == BASE


def test_refusal_of_manifest_with_foreign_layers_names_the_setting(site: Site):
    site.add_image()
    site.export(foreignLayers="leave")
    body = json.dumps({"errors": [{"code": "UNKNOWN"}, {"code": "MANIFEST_BLOB_UNKNOWN"}]})
    with FakeRegistry() as inside:
        inside.fail("PUT", "/manifests/", times=None, status=400, body=body.encode())
        target = (
            f"docker://{inside.host}",
            "--allow-unsigned",
            "--reason",
            "test",
            "--tls-verify=false",
        )
        result = site.run("import", "bundle", *target)
    assert result.status == 1
    assert "validation.manifests.urls.allow" in result.stderr


@pytest.mark.parametrize("target", ["oci:inside", "dir:inside"])
def test_import_into_directory_reports_absent_layer(site: Site, target: str):
    site.add_image()
    site.export(foreignLayers="leave")
    result = site.run("import", "bundle", target, "--allow-unsigned", "--reason", "test")
    assert result.status == 0, result.stderr
    assert f"not in the bundle: {describe_layer(site)}" in result.stdout


def test_import_lists_only_layers_that_the_target_lacks(site: Site, tmp_path: Path):
    site.add_image()
    site.export(foreignLayers="leave")
    target = (
        "--allow-unsigned",
        "--reason",
        "test",
        "--tls-verify=false",
        "--receipt",
        "receipt.json",
    )
    with FakeRegistry() as inside:
        command = ("import", "bundle", f"docker://{inside.host}", *target)
        missing = site.run(*command)
        assert f"not in the bundle: {describe_layer(site)}" in missing.stdout
        assert not json.loads((tmp_path / "receipt.json").read_text())["complete"]
        inside.add_blob("win", BASE)
        for arguments in (("--dry-run",), ()):
            result = site.run(*command, *arguments)
            assert result.status == 0, result.stderr
            assert "not in the bundle" not in result.stdout
    receipt = json.loads((tmp_path / "receipt.json").read_text())
    assert receipt["complete"]
    assert "absentLayers" not in receipt


@pytest.mark.parametrize("status", [400, 403, 405, 410])
def test_export_continues_if_the_registry_refuses_to_send_foreign_layer(site: Site, status: int):
    site.add_image()
    site.other.add_blob("far", BASE)
    site.registry.fail("GET", f"/blobs/{sha256(BASE)}", status=status)
    partial = site.export()
    assert partial.status == 11, partial.stderr
    assert describe_layer(site) in partial.stderr
    assert f"warning: {site.registry.host}/win:1: " in partial.stderr
    fetched = site.export("--foreign-layers", "fetch")
    assert fetched.status == 0, fetched.stderr
    assert site.has_layer()


def test_export_ends_if_the_registry_fails_to_send_foreign_layer(site: Site):
    site.add_image()
    site.registry.fail("GET", f"/blobs/{sha256(BASE)}", status=503)
    result = site.export("--patience", "0s")
    assert result.status == 6, result.stderr


def test_bundle_of_older_version_may_lack_foreign_layers(site: Site):
    """An inventory without ``absentLayers`` does not state which layers are absent."""
    site.add_image()
    site.export(foreignLayers="leave")
    inventory = site.read_inventory()
    del inventory["images"][0]["absentLayers"]
    (site.folder / "bundle/bundle.json").write_text(json.dumps(inventory))
    line = f"not in the bundle: {describe_layer(site)}"
    assert line in site.run("verify", "bundle").stdout
    assert line in site.run("ls", "bundle").stderr
    result = site.run("import", "bundle", "oci:inside", "--allow-unsigned", "--reason", "test")
    assert result.status == 0, result.stderr
    assert line in result.stdout


def test_renewal_with_leave_changes_nothing(site: Site):
    site.add_image()
    assert site.export(foreignLayers="leave").status == 0
    first = site.read_inventory()
    assert "unchanged" in site.export(foreignLayers="leave").stdout
    assert site.read_inventory() == first


def test_urls_that_cannot_be_printed_are_not_stored(site: Site):
    site.add_image(
        "https://example.com/\x1b[2Jlayer", "https://example.com/" + "x" * 5000, site.url
    )
    result = site.export(foreignLayers="leave")
    assert result.status == 0, result.stderr
    assert site.read_inventory()["images"][0]["absentLayers"][0]["urls"] == [site.url]
    assert "whole, but" in site.run("verify", "bundle").stdout


def test_plan_warns_of_foreign_layers_that_make_the_export_partial(site: Site):
    site.add_image()
    site.write_manifest()
    result = site.run("plan", "plant.yaml")
    assert result.status == 0
    assert "warning: the bundle would be incomplete" in result.stderr
    assert "--foreign-layers fetch" in result.stderr
    assert json.loads(site.run("plan", "plant.yaml", "--json").stdout)["complete"] is False
    accepted = site.run("plan", "plant.yaml", "--foreign-layers", "leave")
    assert "incomplete" not in accepted.stderr


def test_export_with_fail_lists_the_layers_of_each_image(site: Site):
    """The images exist; only their layers are missing."""
    site.add_image()
    repository = site.registry.repository("win")
    [(_, raw), *_] = repository.manifests.values()
    site.registry.add_manifest("win", "2", raw + b" ")
    site.write_manifest()
    text = (site.folder / "plant.yaml").read_text()
    host = site.registry.host
    text = text.replace(f'{{"ref": "{host}/win:1"}}', f"{host}/win:1, {host}/win:2")
    (site.folder / "plant.yaml").write_text(text)
    result = site.run("export", "plant.yaml", "bundle", "--unsigned", "--foreign-layers", "fail")
    assert result.status == 9
    layer = describe_layer(site).partition(": ")[2]
    assert [line for line in result.stderr.splitlines() if not line.startswith("hint")] == [
        "airbundle: error: 2 images do not exist as requested",
        f"  {host}/win:1: foreign layers are missing",
        f"    {layer}",
        f"  {host}/win:2: foreign layers are missing",
        f"    {layer}",
    ]


def test_incomplete_bundle_says_so_wherever_it_is_used(site: Site):
    """The recipient finds it in VERIFY.txt, and in the reports of each command."""
    site.add_image()
    assert site.export().status == 11
    instructions = (site.folder / "bundle/VERIFY.txt").read_text()
    assert "This bundle is incomplete" in instructions.split("WITH AIRBUNDLE")[0]
    note = "incomplete: the export left out images or layers"
    for command in (("verify", "bundle"), ("ls", "bundle")):
        result = site.run(*command)
        assert note in result.stdout + result.stderr
    imported = site.run("import", "bundle", "oci:target", "--allow-unsigned", "--reason", "test")
    assert imported.status == 0, imported.stderr
    assert note in imported.stdout

    site.registry.add_blob("win", BASE)
    assert site.export().status == 0
    assert "incomplete" not in (site.folder / "bundle/VERIFY.txt").read_text()
