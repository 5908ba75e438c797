"""Every file in manifests/ can be loaded, and has the effect that its comments describe."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

import bundler
from bundler.bundle.manifest import load, target_file
from bundler.bundle.manifest.expand import expand
from bundler.copy.signature_requirements import KeySignature
from bundler.oci.platform import Platform

FOLDER = Path(__file__).parents[3] / "manifests"
ENVIRONMENT = {
    "PLANT_USER": "robot",
    "PLANT_PASSWORD": "swordfish",
    "INSIDE_USER": "robot",
    "INSIDE_PASSWORD": "swordfish",
}
SCHEMAS = Path(bundler.__file__).parent / "schemas"
OTHER_SCHEMAS = {"gate.yaml": "rules", "inside.target.yaml": "import-target"}
"""The schemas of the examples that are not bundle manifests."""
MANIFESTS = sorted(
    path.name
    for path in FOLDER.iterdir()
    if path.suffix != ".pub" and path.name not in OTHER_SCHEMAS
)


def _load(name: str) -> load.BundleManifest:
    return load.load(FOLDER / name, environment=ENVIRONMENT)


@pytest.mark.parametrize("name", MANIFESTS)
def test_example_loads(name):
    loaded = _load(name)
    assert loaded.images
    assert loaded.name == name.partition(".")[0]


def test_every_example_file_is_tested():
    assert {path.suffix for path in FOLDER.iterdir()} == {".yaml", ".txt", ".pub"}


def test_hospital_example_selects_one_platform_and_expires():
    loaded = _load("hospital.yaml")
    assert loaded.expires == timedelta(days=90)
    assert {entry.options.platforms for entry in loaded.images} == {(Platform("linux", "amd64"),)}


def test_plant_example_selects_tags_and_renames():
    tags = {
        "docker://quay.io/prometheus/prometheus": ["v2.53.1", "v2.53.2", "v2.54.0"],
        "docker://registry.example.com:5000/control/plc-bridge": ["1.1", "1.10"],
        "docker://docker.io/library/redis": [
            "7.0.1",
            "7.2.0",
            "7.2.5",
            "7.4.0",
            "7.4.1-rc1",
            "8.0",
        ],
    }
    requests = expand(_load("plant-7.yaml"), lambda repository: tags[str(repository)])
    assert [image.rename for image in requests] == [
        "control/gateway:v2.1",
        "mirror/quay.io/prometheus/prometheus:v2.53.1",
        "mirror/quay.io/prometheus/prometheus:v2.53.2",
        "mirror/registry.example.com-5000/control/plc-bridge:1.10",
        "mirror/redis:7.2.0",
        "mirror/redis:7.2.5",
        "mirror/redis:7.4.0",
    ]


def test_ship_example_passes_defaults_to_included_files():
    loaded = _load("ship.yaml")
    both = (Platform("linux", "amd64"), Platform("linux", "arm64"))
    assert [entry.options.platforms for entry in loaded.images] == [both, (), *[both] * 6]
    assert [file.path for file in loaded.files] == ["ship.yaml", "images.txt", "skopeo-sync.yaml"]


def test_workshop_example_names_local_images():
    loaded = _load("workshop.yaml")
    assert [str(entry.reference) for entry in loaded.images][1:] == [
        "localhost/layout:app",
        "localhost/probe-image:latest",
    ]
    assert str(loaded.images[1].source) == f"oci:{FOLDER}/layout:app"


def test_target_file_example_can_be_loaded():
    target = target_file.load(FOLDER / "inside.target.yaml", environment=ENVIRONMENT)
    assert str(target.target) == "docker://registry.plant.example:5000/airgap"
    assert target.override.credentials is not None
    assert target.override.credentials.password == "swordfish"
    assert target.names == (("docker.io/library", "base"), ("quay.io/prometheus", "monitoring"))
    assert (target.existing, target.keep_host) == ("error", False)


@pytest.mark.parametrize("name", ["bundle-manifest", "import-target", "lock"])
def test_schema_is_valid_and_describes_its_keys(name):
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    assert all(
        "description" in member or "$ref" in member for member in schema["properties"].values()
    )


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.name)
def test_example_is_valid_for_editors(path):
    """Editors parse numbers and booleans, which this reader keeps as text."""
    if path.name == "skopeo-sync.yaml":
        return
    name = OTHER_SCHEMAS.get(path.name, "bundle-manifest")
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
    Draft202012Validator(schema).validate(yaml.safe_load(path.read_text()))


def test_signed_example_requires_a_signature_by_the_vendor():
    first, second, third = (entry.options for entry in _load("signed.yaml").images)
    required = (KeySignature((FOLDER / "vendor.pub",)),)
    assert (first.verify, first.on_missing, first.referrers) == (required, "fail", "signatures")
    assert (second.verify, second.on_missing) == (required, "warn")
    assert third.verify == ()
