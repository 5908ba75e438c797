"""A second bundle without what its target has: ``holdings``, ``export --have``, ``import``."""

from __future__ import annotations

import json
import random
import time
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images
from tests.interop import servers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IMAGES, LAYERS, SIZE = 20, 5, 30_000


def create_images(seed: str, count: int = 2) -> dict[str, images.Image]:
    """Images of five layers each, of which only the last one depends on ``seed``."""
    found = {}
    for number in range(count):
        layers = []
        for position in range(LAYERS):
            origin = f"{number} {position} {seed if position == LAYERS - 1 else ''}"
            data = random.Random(origin).randbytes(SIZE)
            layers.append(images.layer({f"file{position}": data}, compression="stored"))
        found[f"app{number}:1"] = images.image(*layers, config={"author": seed})
    return found


@pytest.fixture
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Registry]:
    with servers.registry(tmp_path_factory.mktemp("target")) as running:
        yield running


class Sides:
    """The exporting side, and the target on the other side."""

    def __init__(self, airbundle: servers.Client, keys: Path, host: str, path: Path) -> None:
        self.airbundle, self.keys, self.path = airbundle, keys, path
        self.target = f"docker://{host}"
        self.exported = 0.0

    def write_manifest(self, name: str, named: dict[str, images.Image]) -> Path:
        layout = images.write_layout(self.path / f"{name}-layout", named)
        lines = "".join(f"  - oci:{layout}:{image}\n" for image in named)
        manifest = self.path / f"{name}.yaml"
        manifest.write_text(f"name: plant\nimages:\n{lines}")
        return manifest

    def export(self, name: str, named: dict[str, images.Image], *options: object) -> Path:
        manifest, bundle = self.write_manifest(name, named), self.path / name
        sign = ("--sign-key", self.keys / "ours.key")
        # Without a former bundle, the serial is the time in seconds.
        time.sleep(max(0.0, self.exported + 1 - time.time()))
        self.airbundle.ok("export", manifest, bundle, *sign, *options)
        self.exported = time.time()
        return bundle

    def run_import(self, bundle: Path, *options: object, target: str | None = None):
        records = ("--records", self.path / "records", "--adopt", "--tls-verify=false")
        return self.airbundle(
            *("import", bundle, target or self.target, "--key", self.keys / "ours.pub"),
            *(*records, "--existing", "overwrite", *options),
        )

    def write_holdings(self, *targets: object, expected: int = 0) -> Path:
        path = self.path / "plant.holdings"
        sign = ("--receipt-key", self.keys / "theirs.key", "--tls-verify=false")
        result = self.airbundle("holdings", *(targets or (self.target,)), "-o", path, *sign)
        assert result.returncode == expected, result.stderr
        return path

    @property
    def have_key(self) -> tuple[object, ...]:
        return ("--have-key", self.keys / "theirs.pub")


@pytest.fixture
def sides(airbundle, keys, target: servers.Registry, tmp_path: Path) -> Sides:
    return Sides(airbundle, keys, target.host, tmp_path)


def measure_blobs(bundle: Path) -> int:
    return sum(path.stat().st_size for path in (bundle / "blobs/sha256").iterdir())


def test_second_bundle_has_only_changed_layers(sides: Sides):
    """One of five layers changed in 20 images: at most 1.02 times its bytes, besides manifests."""
    before, after = create_images("one", IMAGES), create_images("two", IMAGES)
    former = sides.export("former", before)
    assert sides.run_import(former).returncode == 0
    holdings = sides.write_holdings()

    second = sides.export("second", after, "--have", holdings, *sides.have_key)
    listed = json.loads(sides.airbundle.ok("ls", second, "--json"))
    assert listed["presupposed"] == IMAGES * (LAYERS - 1)

    small = {
        blob.digest: len(blob.data)
        for image in after.values()
        for blob in (*image.manifests(), image.blobs[0])
    }
    changed = {image.blobs[-1].digest: len(image.blobs[-1].data) for image in after.values()}
    assert measure_blobs(second) <= 1.02 * sum(changed.values()) + sum(small.values())
    verified = sides.airbundle("verify", second, "--key", sides.keys / "ours.pub")
    assert verified.returncode == 0
    assert f"presupposes {IMAGES * (LAYERS - 1)} blobs" in verified.stdout
    result = sides.run_import(second, "--json")
    assert result.returncode == 0, result.stderr
    totals = json.loads(result.stdout)["bytes"]
    assert totals["pushed"] == sum(changed.values()) + sum(
        len(image.blobs[0].data) for image in after.values()
    )
    same = sides.airbundle("diff", second, sides.target, "--deep", "--tls-verify=false")
    assert same.returncode == 0, same.stdout


def test_presupposed_blob_is_mounted_from_another_repository(sides: Sides):
    """The repository comes from the holdings file: the registry may not list its repositories."""
    image = create_images("one")["app0:1"]
    assert sides.run_import(sides.export("former", {"old/base:1": image})).returncode == 0
    holdings = sides.write_holdings()
    bundle = sides.export("second", {"new/app:1": image}, "--have", holdings, *sides.have_key)

    planned = sides.run_import(bundle, "--dry-run", "--json")
    result = sides.run_import(bundle, "--json")

    for totals in (json.loads(item.stdout)["bytes"] for item in (planned, result)):
        assert totals["mounted"] == sum(len(blob.data) for blob in image.blobs[1:])
    same = sides.airbundle("diff", bundle, sides.target, "--deep", "--tls-verify=false")
    assert same.returncode == 0, same.stdout


@pytest.mark.parametrize("form", ["docker", "oci", "dir"])
def test_absent_presupposed_blob_refuses_the_import(
    sides: Sides, registry: servers.Registry, repository: str, form: str
):
    """The holdings are those of another site: nothing is pushed, and each blob is named."""
    named = create_images("one")
    assert sides.run_import(sides.export("former", named)).returncode == 0
    holdings = sides.write_holdings()
    bundle = sides.export("second", named, "--have", holdings, *sides.have_key)
    other = {
        "docker": f"docker://{registry.host}/{repository}",
        "oci": f"oci:{sides.path / 'other'}",
        "dir": f"dir:{sides.path / 'other'}",
    }[form]

    for options in (("--dry-run",), ()):
        result = sides.run_import(bundle, *options, target=other)

        assert result.returncode == 9
        assert f"lacks {len(named) * LAYERS} blobs" in result.stderr
        assert named["app0:1"].blobs[1].digest in result.stderr
    assert not list((registry.storage / repository).rglob("*"))
    assert not list((sides.path / "other").rglob("*.manifest.json"))


def test_damaged_presupposed_blob_in_a_layout_refuses_the_import(sides: Sides):
    named, layout = create_images("one"), sides.path / "target"
    assert sides.run_import(sides.export("former", named), target=f"oci:{layout}").returncode == 0
    holdings = sides.write_holdings(f"oci:{layout}")
    bundle = sides.export("second", named, "--have", holdings, *sides.have_key)
    assert sides.run_import(bundle, target=f"oci:{layout}").returncode == 0
    layer = named["app0:1"].blobs[1]
    path = layout / "blobs" / layer.digest.replace(":", "/")
    path.write_bytes(bytes(len(layer.data)))

    result = sides.run_import(bundle, target=f"oci:{layout}")

    assert result.returncode == 9
    assert layer.digest in result.stderr


def test_receipt_names_the_repositories_to_read(sides: Sides):
    named = create_images("one")
    receipt = sides.path / "receipt.json"
    former = sides.export("former", named)
    assert sides.run_import(former, "--receipt", receipt).returncode == 0

    holdings = sides.write_holdings(receipt)

    assert len(holdings.read_text().splitlines()) == 1 + len(named) * LAYERS
    [covered] = json.loads(holdings.read_text().splitlines()[0])["covers"]
    assert not covered["complete"]
    assert covered["repositories"] == sorted(name.partition(":")[0] for name in named)
    second = sides.export("second", named, "--have", holdings, *sides.have_key)
    assert measure_blobs(second) < measure_blobs(former)
    assert sides.run_import(second).returncode == 0


def test_unsigned_holdings_need_permission(sides: Sides):
    named = create_images("one")
    former = sides.export("former", named)
    unsigned = sides.path / "unsigned"
    sides.airbundle.ok("holdings", former, "-o", unsigned, "--unsigned")
    manifest = sides.write_manifest("second", named)
    export = ("export", manifest, sides.path / "second", "--sign-key", sides.keys / "ours.key")

    assert sides.airbundle(*export, "--have", unsigned, *sides.have_key).returncode == 4
    assert sides.airbundle(*export, "--have", unsigned).returncode == 2
    assert not (sides.path / "second").exists()
    allowed = sides.airbundle(*export, "--have", unsigned, "--allow-unsigned-have")
    assert allowed.returncode == 0, allowed.stderr


def test_changed_holdings_are_refused(sides: Sides):
    former = sides.export("former", create_images("one"))
    holdings = sides.write_holdings(former)
    holdings.write_bytes(holdings.read_bytes().replace(b"30", b"31", 1))
    manifest = sides.write_manifest("second", create_images("two"))

    plan = sides.airbundle("plan", manifest, "--have", holdings, *sides.have_key)

    assert plan.returncode == 4
