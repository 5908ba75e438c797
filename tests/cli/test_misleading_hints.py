"""Hints lead to a command that works."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes import images
from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

ONE_IMAGE = "name: one\nimages: ['oci:./none:app:1']\n"


@pytest.mark.parametrize(
    ("command", "problem", "hint"),
    [
        (
            "list-tags localhost:6102/tools/app",
            "'localhost:6102/tools/app': no transport",
            "write docker://localhost:6102/tools/app",
        ),
        (
            "inspect quay.io/tools/app:1",
            "'quay.io/tools/app:1': no transport",
            "write docker://quay.io/tools/app:1",
        ),
        (
            "sync --src dir --dest docker in docker://host.example/sy",
            "docker://host.example/sy: the transport is already given by --dest",
            "write host.example/sy",
        ),
        (
            "sync --src oci --dest dir oci:in out",
            "oci:in: the transport is already given by --src",
            "write in",
        ),
        (
            "sync --src docker --dest dir 127.0.0.1:6101 out",
            "127.0.0.1:6101: a registry without a repository",
            "write 127.0.0.1:6101/REPOSITORY",
        ),
        (
            "export one.yaml stick --sign-key X --unsigned",
            "mutually exclusive",
            "leave out --unsigned, or the keys",
        ),
        (
            "inspect docker-daemon:x:1 --daemon-host unix:///none.sock",
            "cannot connect to the container engine",
            "start it (systemctl start docker, or podman system service)\n",
        ),
        (
            "inspect docker-daemon:x:1",
            "cannot connect to the container engine",
            "or specify another with --daemon-host\n",
        ),
        (
            "copy docker-daemon:x:1 oci:out",
            "cannot connect to the container engine",
            "or specify another with --src-daemon-host\n",
        ),
        (
            "import stick oci:out --receipt none/receipt.json",
            "none: cannot write the receipt: No such file or directory",
            "--receipt FILE",
        ),
        (
            "export one.yaml stick --unsigned --locked",
            "one.lock.yaml: no such file",
            "airbundle lock one.yaml\n",
        ),
        (
            "copy --preserve-digests --format v2s2 oci:layout:web:1 dir:out",
            "instructed to preserve digests",
            "leave out --preserve-digests",
        ),
        (
            "login --username ward host.example",
            "Password of ward: cannot prompt without a terminal",
            "use --password-stdin",
        ),
        (
            "inspect --creds ward docker://host.example/app",
            "Password of ward: cannot prompt without a terminal",
            "use --creds USER:PASSWORD",
        ),
    ],
)
def test_hint_is_the_next_step(
    tmp_path: Path, run_airbundle: RunAirbundle, command: str, problem: str, hint: str
) -> None:
    (tmp_path / "one.yaml").write_text(ONE_IMAGE)
    image = images.image(images.layer({"file": b"text"}))
    images.write_layout(tmp_path / "layout", {"web:1": image})
    environment = {"DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    result = run_airbundle(*command.split(), env=environment)
    assert result.status != 0
    assert problem in result.stderr
    assert hint in result.stderr.partition("hint: ")[2]
    assert "Warning" not in result.stderr


@pytest.mark.parametrize(
    "command",
    ["export one.yaml stick --unsigned", "plan one.yaml", "sync --src docker --dest dir {} out"],
)
def test_keep_going_is_not_suggested_for_a_single_image(
    tmp_path: Path, run_airbundle: RunAirbundle, command: str
) -> None:
    with FakeRegistry() as registry:
        image = f"{registry.host}/none:1"
        (tmp_path / "one.yaml").write_text(f"name: one\nimages: [{image}]\n")
        arguments = command.replace("{}", image).split()
        result = run_airbundle(*arguments, "--tls-verify=false")
    assert result.status == 9, result.stderr
    assert "--keep-going" not in result.stderr


def test_missing_option_is_reported_on_one_line(run_airbundle: RunAirbundle) -> None:
    result = run_airbundle("sync", "a", "b")
    assert result.status == 2
    assert "Choose from: containers-storage, dir, " in result.stderr
    assert "\\t" not in result.stderr
