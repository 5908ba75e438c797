"""The front end under Skopeo's name, as a process."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bundler.cli.frontends.native import NativeFrontend
from bundler.cli.frontends.skopeo import commands
from bundler.cli.frontends.skopeo.arguments import flag_tables
from bundler.cli.frontends.skopeo.frontend import SkopeoFrontend
from bundler.cli.program import select_frontend
from bundler.cli.runtime.environment import Environment
from tests.fakes import images
from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from tests.cli.conftest import RunAirbundle

ENVIRONMENT = Environment({}, 0)


def test_front_end_is_selected_by_the_first_argument_or_the_name_of_the_program() -> None:
    for program, arguments, rest, selected in (
        ("/usr/bin/skopeo", ["copy"], ["copy"], SkopeoFrontend),
        ("airbundle", ["--as", "skopeo", "copy"], ["copy"], SkopeoFrontend),
        ("airbundle", ["--as=skopeo"], [], SkopeoFrontend),
        ("skopeo", ["--as", "airbundle", "ls"], ["ls"], NativeFrontend),
        ("python", ["copy", "--as", "skopeo"], ["copy", "--as", "skopeo"], NativeFrontend),
    ):
        found, remaining = select_frontend(program, arguments, ENVIRONMENT)
        assert (type(found), remaining) == (selected, rest)


@pytest.mark.parametrize("arguments", [["--as", "podman", "ls"], ["--as=podman"]])
def test_unknown_front_end_is_refused(run_airbundle: RunAirbundle, arguments: list[str]) -> None:
    result = run_airbundle(*arguments)
    assert (result.status, result.stdout) == (2, "")
    assert "--as: unknown name 'podman'" in result.stderr


def test_option_as_is_refused_after_other_options(run_airbundle: RunAirbundle) -> None:
    result = run_airbundle("--quiet", "--as", "skopeo", "ls", "x")
    assert (result.status, result.stdout) == (2, "")
    assert "--as: must be the first argument" in result.stderr


def test_native_front_end_imports_nothing_of_skopeo(run_airbundle: RunAirbundle) -> None:
    result = run_airbundle("ls", "--help", env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert result.status == 0
    assert "bundler.cli.options.command" in result.stderr
    assert "bundler.cli.frontends.skopeo" not in result.stderr


def test_errors_are_one_line(run_airbundle: RunAirbundle) -> None:
    result = run_airbundle("--as", "skopeo", "inspect", "dir:/none")
    assert (result.status, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1
    quoted = result.stderr.partition("msg=")[2]
    assert json.loads(quoted) == (
        "Error retrieving manifest for image: open /none/manifest.json: no such file or directory"
    )


def test_all_commands_are_supported() -> None:
    assert commands.COMMANDS.keys() == flag_tables.COMMANDS.keys()


@pytest.mark.parametrize("words", [["completion"], ["completion", "bash", "x"]])
def test_completion_takes_one_shell(run_airbundle: RunAirbundle, words: list[str]) -> None:
    result = run_airbundle("--as", "skopeo", *words)
    assert (result.status, result.stdout) == (1, "")
    assert f"accepts 1 arg(s), received {len(words) - 1}" in result.stderr


def test_missing_credentials_file_means_no_credentials(run_airbundle, tmp_path):
    images.write_layout(tmp_path / "layout", {"app": images.image()})
    with FakeRegistry() as registry:
        images.push(registry.host, "app", images.image(), "1")
        name = f"docker://{registry.host}/app:1"
        flags = ("--authfile", "/none", "--tls-verify=false", "--no-tags")
        assert run_airbundle("--as", "skopeo", "inspect", *flags, name).status == 0
        assert run_airbundle("inspect", *flags, name).status == 2
