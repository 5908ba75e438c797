"""Hints of registry errors name only options that the command has, and that are not in use."""

from __future__ import annotations

import re
import ssl
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from bundler.cli.frontends.native import airbundle
from bundler.cli.output.hints import complete_hint
from bundler.config.registry_access import ANONYMOUS, Credentials, RegistryAccess, TlsConfig
from bundler.errors import DeniedError, HttpExchange, RateLimitedError, RegistryError, Remedy
from bundler.registry.auth.host_rules import HostRules
from bundler.registry.auth.origin import Origin
from bundler.registry.errors import create_network_error
from bundler.registry.refusals import list_login_remedies
from bundler.registry.repository import Repository
from bundler.registry.session import Session
from bundler.registry.tls.certificates import list_anchors
from bundler.registry.uploads import list_size_remedies
from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from collections.abc import Sequence

HOST = "registry.example:5000"
REFERENCE = f"docker://{HOST}/a/b:1"
LOWER_LIMIT = "lower limits: {requestsPerSecond: …} for this registry"
COMMANDS = (
    "copy", "delete", "experimental-image-proxy", "export", "import", "inspect", "layers",
    "list-tags", "lock", "login", "logout", "plan", "sync",
)  # fmt: skip
"""The commands that send requests to registries."""

ARGUMENTS = {
    "bundle": "bundle",
    "manifest": "m.yaml",
    "image": REFERENCE,
    "source": REFERENCE,
    "file": "f",
    "registry": HOST,
    "target": f"docker://{HOST}",
}
"""An argument for each parameter of a command; the others are local."""

FLAGS = {
    "creds": "u:p",
    "username": "u",
    "password": "p",
    "registry-token": "t",
    "no-creds": None,
    "authfile": "auth.json",
    "cert-dir": "certs",
    "tls-verify": "false",
    "upload-chunk": "90MiB",
    "token-service": "https://auth.example/token",
}
"""A value for each option of registries; None for a flag."""


def list_hints(registry: str) -> list[tuple[Remedy, ...]]:
    """Return the remedies of all errors of registries."""
    rules = HostRules(registry, look_up_hosts=False)
    plain_http = ssl.SSLError(1, "")
    plain_http.reason = "WRONG_VERSION_NUMBER"
    with pytest.raises(RegistryError) as untrusted:
        rules.check_realm(Origin.of(f"https://{registry}"), Origin.of("https://auth.other/token"))
    return [
        tuple(list_login_remedies(registry, ANONYMOUS)),
        tuple(list_anchors(RegistryAccess(registry), registry, "registry")),
        tuple(list_anchors(RegistryAccess(registry), "storage.example", "named")),
        untrusted.value.remedies,
        tuple(list_size_remedies(None)),
        tuple(list_size_remedies(1 << 20)),
        create_network_error(plain_http, f"https://{registry}/v2/").remedies,
    ]


def parse(name: str, options: Sequence[str]) -> click.Context:
    command = airbundle.get_command(click.Context(airbundle), name)
    assert command is not None
    arguments = [
        ARGUMENTS.get(parameter.name or "", "oci:layout:1")
        for parameter in command.params
        if isinstance(parameter, click.Argument) and parameter.required
    ]
    required = ["--src=docker", "--dest=docker"] if name == "sync" else []
    return command.make_context(name, [*required, *options, *arguments])


def list_options(name: str) -> set[str]:
    command = airbundle.get_command(click.Context(airbundle), name)
    assert command is not None
    return {spelling for parameter in command.params for spelling in parameter.opts}


@pytest.mark.parametrize("name", COMMANDS)
def test_hint_names_only_options_that_the_command_has_and_does_not_use(name):
    known = list_options(name)
    pairs = [
        [f"--{prefix}{option}" if value is None else f"--{prefix}{option}={value}"]
        for option, value in FLAGS.items()
        for prefix in ("", "src-", "dest-")
        if f"--{prefix}{option}" in known
    ]
    for options in ([], *pairs):
        needs_password = any(re.search(r"-username=", option) for option in options)
        needs_username = any(re.search(r"-password=", option) for option in options)
        more = [re.sub("username=u", "password=p", options[0])] if needs_password else []
        more += [re.sub("password=p", "username=u", options[0])] if needs_username else []
        parsed = parse(name, [*options, *more])
        for remedies in list_hints(HOST):
            error = RegistryError("x").suggest(*remedies)
            error.exchange = HttpExchange("GET", f"https://{HOST}/v2/")
            complete_hint(error, parsed)
            hint = re.sub(r"airbundle login \S+( \S+)*", "", error.hint or "")
            named = set(re.findall(r"--[a-z-]+", hint))
            assert named <= known, (name, options, hint)
            used = {option.partition("=")[0] for option in options}
            suggested = re.findall(r"(?:specify|pieces with|directory of) (--[a-z-]+)", hint)
            assert not used & set(suggested), (name, options, hint)


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        (["copy", REFERENCE, "oci:a:1"], "--src-cert-dir"),
        (["copy", "oci:a:1", REFERENCE], "--dest-cert-dir"),
        (["inspect", REFERENCE], "--cert-dir"),
        (["export", "m.yaml", "bundle"], "tls: {caFile: FILE} for this registry in m.yaml"),
        (["inspect", "--cert-dir=certs", REFERENCE], "as PEM in certs, or the file in"),
    ],
)
def test_hint_names_the_option_of_the_side(command, hint):
    name, *arguments = command
    found = airbundle.get_command(click.Context(airbundle), name)
    assert found is not None
    error = RegistryError("x").suggest(
        *list_anchors(RegistryAccess(HOST), HOST, "registry"), prefix="save it as PEM in "
    )
    error.exchange = HttpExchange("", f"https://{HOST}/v2/")
    complete_hint(error, found.make_context(name, arguments))
    assert hint in (error.hint or "")


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ([], f"airbundle login {HOST}"),
        (["--creds=u:p"], "check the credentials in --creds"),
        (["--no-creds"], "leave out --no-creds"),
    ],
)
def test_login_is_suggested_unless_the_command_line_has_credentials(options, hint):
    credentials = ANONYMOUS if options in ([], ["--no-creds"]) else Credentials("u", "p")
    error = RegistryError("x").suggest(*list_login_remedies(HOST, credentials))
    complete_hint(error, parse("inspect", options))
    assert error.hint == hint


def test_credentials_of_the_other_side_are_not_checked_in_one_registry():
    error = RegistryError("x").suggest(*list_login_remedies(HOST, ANONYMOUS))
    error.registry = HOST
    command = airbundle.get_command(click.Context(airbundle), "copy")
    assert command is not None
    complete_hint(error, command.make_context("copy", ["--src-creds=u:p", REFERENCE, REFERENCE]))
    assert error.hint == f"airbundle login {HOST}"


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        ("inspect", "wait and run again"),
        ("plan", f"wait and run again, or {LOWER_LIMIT} in m.yaml"),
    ],
)
def test_hint_of_rate_limit_names_a_setting_only_if_the_command_has_it(command, hint):
    error = RateLimitedError("x")
    complete_hint(error, parse(command, []))
    assert error.hint == hint


@pytest.mark.parametrize(
    ("command", "options", "suggested"),
    [("inspect", [], False), ("plan", [], True), ("plan", ["--keep-going"], False)],
)
def test_keep_going_is_suggested_for_a_denied_image_of_a_list(command, options, suggested):
    with FakeRegistry() as registry:
        registry.fail("GET", "/manifests/", status=403)
        access = RegistryAccess(registry.host, tls=TlsConfig(plain_http=True))
        with closing(Session(access)) as session, pytest.raises(DeniedError) as caught:
            Repository(session, "a/b").get_manifest("1")
    complete_hint(caught.value, parse(command, options))
    hint = caught.value.hint or ""
    assert ("add --keep-going to skip images that fail" in hint) is suggested


@pytest.mark.parametrize(
    ("credentials", "hint"),
    [
        (
            Credentials("u", "p", file="m.yaml"),
            f"check the credentials for {HOST} in m.yaml",
        ),
        (
            Credentials(file="lists/{x}.yaml"),
            f"specify credentials for {HOST} in lists/{{x}}.yaml",
        ),
        (
            Credentials("u", "p", authfile=Path("my auth.json")),
            f"airbundle login --authfile 'my auth.json' {HOST}",
        ),
    ],
)
def test_hint_names_the_file_that_specifies_the_credentials(credentials, hint):
    error = RegistryError("x").suggest(*list_login_remedies(HOST, credentials))
    complete_hint(error, parse("export", []))
    assert error.hint == hint


@pytest.mark.parametrize("side", ["src", "dest"])
def test_hint_ignores_options_of_the_other_side(side):
    """The token service may be another host than the registry."""
    other = "docker://other.example/a/b:1"
    arguments = [REFERENCE, other] if side == "src" else [other, REFERENCE]
    command = airbundle.get_command(click.Context(airbundle), "copy")
    assert command is not None
    error = RegistryError("x").suggest(*list_login_remedies(HOST, ANONYMOUS))
    error.registry = HOST
    error.exchange = HttpExchange("GET", "https://auth.example/token")
    wrong = "dest" if side == "src" else "src"
    complete_hint(error, command.make_context("copy", [f"--{wrong}-creds=u:p", *arguments]))
    assert error.hint == f"airbundle login {HOST}"


def test_braces_of_a_server_are_literal():
    rules = HostRules(HOST, look_up_hosts=False)
    with pytest.raises(RegistryError) as caught:
        rules.check_realm(Origin.of(f"https://{HOST}"), Origin.of("https://{0.x}.evil/token"))
    complete_hint(caught.value, parse("inspect", []))
    assert "https://{0.x}.evil" in (caught.value.hint or "")
