"""``airbundle show``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.fakes import bundles, images

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

NAME = bundles.REFERENCES[0]
PASSWORD = "correct-horse"
CONFIG = {
    "created": "2026-11-01T00:00:00Z",
    "config": {
        "Entrypoint": ["/docker-entrypoint.sh"],
        "Env": ["PATH=/usr/bin", f"DB_PASSWORD={PASSWORD}"],
        "ExposedPorts": {"80/tcp": {}},
        "Labels": {"vendor": "a\x1b[2J"},
        "User": "101:101",
    },
    "history": [
        {"created_by": "ADD rootfs"},
        {"created_by": "ENV PATH", "empty_layer": True},
        {"created_by": "RUN apt-get"},
    ],
}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    layers = (images.layer({"a": b"a"}), images.layer({"b": b"b"}))
    annotations = {"org.opencontainers.image.base.name": "docker.io/library/debian:12"}
    image = images.image(*layers, config=CONFIG, annotations=annotations)
    return bundles.write(tmp_path / "b", {NAME: image})


def test_properties_are_shown(run_airbundle: RunAirbundle, bundle: Path):
    result = run_airbundle("show", bundle)
    assert result.status == 0
    for text in ("101:101", "80/tcp", "PATH=/usr/bin", "debian:12", "RUN apt-get", "no layer"):
        assert text in result.stdout
    assert "\x1b" not in result.stdout


def test_values_that_look_like_secrets_are_hidden(run_airbundle: RunAirbundle, bundle: Path):
    for arguments in ((), ("--json",)):
        assert PASSWORD not in run_airbundle("show", bundle, *arguments).stdout
        assert PASSWORD in run_airbundle("show", bundle, "--secrets", *arguments).stdout


def test_secrets_in_history_labels_and_commands_are_hidden(
    run_airbundle: RunAirbundle, tmp_path: Path
):
    config = {
        "config": {
            "Cmd": ["app", "--token", "hunter2"],
            "Entrypoint": ["sh", "-c", "DB_PASSWORD=hunter2 app"],
            "Labels": {"api_key": "hunter2"},
        },
        "history": [{"created_by": "RUN |1 NPM_TOKEN=hunter2 npm ci"}],
    }
    image = images.image(config=config, annotations={"a.secret": "hunter2"})
    images.write_layout(tmp_path / "layout", {"app:1": image})
    for arguments in ((), ("--json",)):
        result = run_airbundle("show", "oci:layout:app:1", *arguments)
        assert (result.status, "hunter2" in result.stdout) == (0, False)
        shown = run_airbundle("show", "oci:layout:app:1", "--secrets", *arguments)
        assert shown.stdout.count("hunter2") == 5


def test_steps_of_the_history_are_assigned_to_layers(run_airbundle: RunAirbundle, bundle: Path):
    value = json.loads(run_airbundle("show", bundle, NAME, "--json").stdout)
    digests = [layer["digest"] for layer in value["layers"]]
    assert [step["layer"] for step in value["history"]] == [digests[0], None, digests[1]]
    assert value["runsAsRoot"] is False


@pytest.mark.parametrize("user", [None, "", "0", "root", "0:5", "root:root"])
def test_image_without_another_user_runs_as_root(
    run_airbundle: RunAirbundle, tmp_path: Path, user: str | None
):
    image = images.image(config={"config": {"User": user}})
    images.write_layout(tmp_path / "layout", {"app:1": image})
    assert json.loads(run_airbundle("show", "oci:layout", "--json").stdout)["runsAsRoot"] is True


@pytest.mark.parametrize(
    "config", [{"config": []}, {"config": {"Env": "A=b"}}, {"history": [1]}, {"created": 5}]
)
def test_malformed_config_is_refused(run_airbundle: RunAirbundle, tmp_path: Path, config: dict):
    images.write_layout(tmp_path / "layout", {"app:1": images.image(config=config)})
    assert run_airbundle("show", "oci:layout").status == 3
