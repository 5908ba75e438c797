"""Options shared by commands."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner

from bundler.cli.options import common
from bundler.cli.options.command import (
    GlobalOptions,
    command,
    read_global_options,
)
from bundler.cli.options.registry_access import AccessOptions, both_sides
from bundler.config.registry_access import ANONYMOUS, Credentials, RegistryOverride
from bundler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence


@command("pull")
@click.argument("images", nargs=-1)
@both_sides()
@common.jobs()
@common.as_json
def pull(**given: Any) -> None:
    """Pull."""
    context = click.get_current_context()
    context.obj.update(given, quiet=read_global_options(context).quiet)


def parse(arguments: Sequence[str]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    result = CliRunner().invoke(pull, arguments, obj=given, catch_exceptions=False)
    if result.exit_code:
        raise UsageError(result.output)
    return given


@pytest.mark.parametrize(
    ("arguments", "verify", "images"),
    [
        (["a"], None, ("a",)),
        (["--src-tls-verify", "a"], True, ("a",)),
        (["--src-tls-verify", "false"], True, ("false",)),
        (["a", "--src-tls-verify"], True, ("a",)),
        (["--src-tls-verify=false", "a"], False, ("a",)),
        (["--src-tls-verify=F", "--", "--src-tls-verify"], False, ("--src-tls-verify",)),
    ],
)
def test_boolean_option_never_consumes_the_next_argument(
    arguments: list[str], verify: bool | None, images: tuple[str, ...]
) -> None:
    given = parse(arguments)
    assert given["src_access"].tls_verify is verify
    assert given["images"] == images
    assert given["dest_access"] == AccessOptions()


@pytest.mark.parametrize("text", ["1", "t", "T", "TRUE", "true", "True"])
def test_boolean_option_accepts_true_values_of_go(text: str) -> None:
    assert parse([f"--dest-tls-verify={text}"])["dest_access"].tls_verify is True


@pytest.mark.parametrize("text", ["0", "f", "F", "FALSE", "false", "False"])
def test_boolean_option_accepts_false_values_of_go(text: str) -> None:
    assert parse([f"--dest-tls-verify={text}"])["dest_access"].tls_verify is False


@pytest.mark.parametrize("text", ["", "no", "tRUE", "2"])
def test_boolean_option_rejects_other_values(text: str) -> None:
    with pytest.raises(UsageError):
        parse([f"--dest-tls-verify={text}"])


def test_each_side_has_its_own_access_options() -> None:
    given = parse(["--src-creds", "u:p:q", "--dest-authfile", "a.json", "--dest-cert-dir", "c"])
    assert given["src_access"] == AccessOptions(creds="u:p:q")
    assert given["dest_access"] == AccessOptions(authfile=Path("a.json"), cert_dir=Path("c"))


def test_quiet_and_debug_are_taken_after_the_command_too() -> None:
    assert parse([])["quiet"] is False
    assert parse(["-q", "--debug"])["quiet"] is True


@pytest.mark.parametrize(
    ("access", "problem"),
    [
        (
            AccessOptions(creds="u:p", no_creds=True),
            "--creds and --no-creds are mutually exclusive",
        ),
        (
            AccessOptions(username="u", password="p", no_creds=True),
            "--username and --no-creds are mutually exclusive",
        ),
        (
            AccessOptions(username="u", password="p", creds="u:p"),
            "--creds and --username are mutually exclusive",
        ),
        (
            AccessOptions(registry_token="t", creds="u:p"),
            "--creds and --registry-token are mutually exclusive",
        ),
        (AccessOptions(username="u"), "--username needs --password"),
        (AccessOptions(password="p"), "--password needs --username"),
    ],
)
def test_conflicting_credentials_are_refused(access: AccessOptions, problem: str) -> None:
    with pytest.raises(UsageError) as raised:
        AccessOptions.complete(**{name: getattr(access, name) for name in AccessOptions.__slots__})
    assert raised.value.message == problem


def test_user_with_password_and_token_become_credentials() -> None:
    given = parse(["--src-username", "u", "--src-password", "p", "--dest-registry-token", "t"])
    assert given["src_access"].create_override().credentials == Credentials("u", "p")
    assert given["dest_access"].create_override().credentials == Credentials(registry_token="t")


def test_option_of_one_side_overrides_option_of_both_sides() -> None:
    @command("copy")
    @both_sides()
    def copy(**given: Any) -> None:
        click.get_current_context().obj.update(given)

    given: dict[str, Any] = {}
    arguments = ["--authfile", "a", "--dest-authfile", "b", "--tls-verify=false", "--src-no-creds"]
    assert CliRunner().invoke(copy, arguments, obj=given, catch_exceptions=False).exit_code == 0
    source, target = given["src_access"].create_override(), given["dest_access"].create_override()
    assert (source.authfile, source.tls_verify) == (Path("a"), False)
    assert (target.authfile, target.tls_verify) == (Path("b"), False)
    with pytest.raises(UsageError, match="--dest-authfile"):
        given["dest_access"].refuse_registry_options("oci:layout")
    AccessOptions(both_authfile=Path("a")).refuse_registry_options("oci:layout")


def test_option_of_both_sides_applies_to_a_side_without_its_own() -> None:
    assert AccessOptions().create_override() is None
    assert AccessOptions(daemon_host="tcp://h", shared_blob_dir=Path("b")).create_override() is None
    both = AccessOptions(both_authfile=Path("a"), both_tls_verify=False)
    assert both.create_override() == RegistryOverride(authfile=Path("a"), tls_verify=False)
    own = replace(both, authfile=Path("b"), tls_verify=True)
    assert own.create_override() == RegistryOverride(authfile=Path("b"), tls_verify=True)


def test_credentials_and_credentials_files_replace_each_other() -> None:
    user, file = Credentials("u", "p"), Path("a.json")
    below = RegistryOverride(credentials=user, plain_http=True, cert_dir=Path("c"))
    assert RegistryOverride(authfile=file).with_defaults(below) == replace(
        below, credentials=None, authfile=file
    )
    assert RegistryOverride(tls_verify=True).with_defaults(below) == replace(
        below, tls_verify=True, plain_http=None
    )
    assert RegistryOverride().with_defaults(below) == below


def test_global_options_become_one_value() -> None:
    @command("look")
    def look() -> None:
        context = click.get_current_context()
        context.obj.append(read_global_options(context))

    found: list[GlobalOptions] = []
    arguments = ["--override-arch", "arm", "--command-timeout=1m", "--registries.d", "/"]
    assert CliRunner().invoke(look, arguments, obj=found, catch_exceptions=False).exit_code == 0
    assert found == [
        GlobalOptions(override_arch="arm", command_timeout=60.0, registries_d=Path("/"))
    ]


def test_insecure_policy_excludes_require_signed() -> None:
    with pytest.raises(UsageError):
        GlobalOptions(insecure_policy=True, require_signed=True).check()


def test_jobs_has_a_lower_bound() -> None:
    assert parse(["-j4"])["jobs"] == 4
    with pytest.raises(UsageError):
        parse(["--jobs", "0"])


def test_creds_are_split_at_the_first_colon() -> None:
    found = AccessOptions(creds="user:pass:word").create_override().credentials
    assert found == Credentials(username="user", password="pass:word")


def test_no_creds_is_anonymous_and_unset_reads_the_credentials_files() -> None:
    assert AccessOptions(no_creds=True).create_override().credentials == ANONYMOUS
    assert AccessOptions(cert_dir=Path("c")).create_override().credentials is None


@pytest.mark.parametrize("values", [{"creds": ":secret"}, {"creds": "u:secret", "no_creds": True}])
def test_error_about_credentials_does_not_show_them(values: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as raised:
        AccessOptions.complete(**values)
    assert "secret" not in f"{raised.value}{raised.value.hint}{AccessOptions(**values)!r}"


def test_missing_password_is_prompted_for(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command
    def ask() -> None:
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
        found = AccessOptions.complete(creds="user").create_override().credentials
        assert found == Credentials(username="user", password="typed")

    assert CliRunner().invoke(ask, input="typed\n", catch_exceptions=False).exit_code == 0
