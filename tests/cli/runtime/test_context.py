"""The context of a command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from bundler.cli.frontends.native import NativeFrontend
from bundler.cli.options.command import GlobalOptions, command, create_global_parameters
from bundler.cli.runtime.context import AccessSettings, CommandContext, pass_context
from bundler.cli.runtime.environment import Environment
from bundler.config.registry_access import RegistryOverride
from bundler.config.settings import Settings
from bundler.errors import PolicyFileError
from bundler.ports import OpenOptions
from bundler.transports.docker_daemon.transport import DaemonOptions
from bundler.transports.oci_layout.transport import LayoutOptions

OVERRIDE = RegistryOverride(tls_verify=False)
FRONTEND = NativeFrontend(Environment({}, 0))


def create_context(
    variables: dict[str, str] | None = None, options: GlobalOptions | None = None, **fields: Any
) -> CommandContext:
    environment = Environment(variables or {}, 0)
    return CommandContext(environment, FRONTEND, options or GlobalOptions(), **fields)


def test_command_gets_global_options_from_before_and_after_its_name() -> None:
    contexts = []

    @command("look")
    @pass_context
    def look(context: CommandContext) -> None:
        contexts.append(context)

    group = click.Group(params=create_global_parameters(hidden=False), commands={"look": look})
    arguments = ["--quiet", "--policy=p", "look", "--tmpdir=d"]
    result = CliRunner().invoke(group, arguments, obj=FRONTEND, catch_exceptions=False)
    assert result.exit_code == 0
    options = GlobalOptions(quiet=True, policy=Path("p"), tmpdir=Path("d"))
    assert contexts == [CommandContext(FRONTEND.environment, FRONTEND, options)]


def test_settings_are_loaded_once() -> None:
    context = create_context()
    assert context.settings is context.settings
    assert create_context().settings is not context.settings


@pytest.mark.parametrize(
    ("prefix", "user_agent", "sent"),
    [
        ("", None, None),
        ("", "skopeo/1", "skopeo/1"),
        ("plant", "skopeo/1", "plant skopeo/1"),
        ("plant", None, "plant airbundle/0.1.0"),
    ],
)
def test_user_agent_prefix_precedes_the_name_of_the_program(
    prefix: str, user_agent: str | None, sent: str | None
) -> None:
    options = GlobalOptions(user_agent_prefix=prefix)
    assert create_context(options=options, user_agent=user_agent).settings.user_agent == sent


def test_option_has_precedence_over_variable_for_temporary_files() -> None:
    variables = {"TMPDIR": "/variable"}
    assert create_context().scratch is None
    assert create_context({"TMPDIR": ""}).scratch is None
    assert create_context(variables).scratch == Path("/variable")
    options = GlobalOptions(tmpdir=Path("/option"))
    assert create_context(variables, options).scratch == Path("/option")


def test_missing_policy_is_an_error_only_where_a_policy_is_required(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    variables = {"CONTAINERS_POLICY_JSON": str(tmp_path / "none")}
    monkeypatch.setenv("HOME", str(tmp_path))
    insecure = GlobalOptions(insecure_policy=True)
    assert create_context(variables, insecure, policy_required=True).load_policy() is None
    with pytest.raises(PolicyFileError):
        create_context(variables, policy_required=True).load_policy()


@pytest.mark.parametrize(
    ("policy", "is_checked"),
    [
        ('{"default": [{"type": "insecureAcceptAnything"}]}', False),
        ('{"default": [{"type": "reject"}]}', True),
    ],
)
def test_images_are_checked_unless_the_policy_accepts_everything(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, policy: str, is_checked: bool
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "policy.json").write_text(policy)
    variables = {"CONTAINERS_POLICY_JSON": str(tmp_path / "policy.json")}
    for options, expected in (
        (GlobalOptions(), is_checked),
        (GlobalOptions(require_signed=True), True),
    ):
        context = create_context(variables, options)
        with context.run() as run:
            assert (run.create_policy_check() is not None) == expected


def test_overridden_architecture_comes_without_variant_of_this_machine() -> None:
    options = GlobalOptions(override_arch="arm", override_os="plan9")
    assert str(create_context(options=options).detect_platform()) == "plan9/arm"


@pytest.mark.parametrize(
    ("text", "overrides"),
    [
        ("docker://registry.plant:5000/app:1", {"registry.plant:5000": OVERRIDE}),
        ("docker://app", {"docker.io": OVERRIDE}),
        ("docker-daemon:app:1", {}),
        ("oci:layout:app", {}),
        ("dir:docker", {}),
    ],
)
def test_registry_settings_apply_to_the_registry_of_a_reference(
    text: str, overrides: dict[str, RegistryOverride]
) -> None:
    access = AccessSettings.create(OVERRIDE, "tcp://engine", None)
    assert access.find_overrides(text) == overrides
    assert AccessSettings.create(None, "tcp://engine", None).find_overrides(text) == {}


def test_open_options_contain_options_of_each_transport() -> None:
    access = AccessSettings.create(OVERRIDE, "tcp://engine", Path("blobs"))
    with create_context(options=GlobalOptions(quiet=True)).run(1) as run:
        layout = run.create_open_options_for("oci:layout:app", access)
        engine = run.create_open_options_for("docker-daemon:app:1", access)
    assert layout.get(LayoutOptions) == LayoutOptions(Path("blobs"))
    assert layout.overrides == {}
    assert engine.get(DaemonOptions) == DaemonOptions("tcp://engine", tls_verify=False)


def test_options_of_a_transport_have_defaults() -> None:
    assert OpenOptions(load_settings=Settings).get(LayoutOptions) == LayoutOptions()
