"""Credential helpers: the helpers are shell scripts on PATH."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from bundler.config.credentials import credential_helper
from bundler.config.registry_access import ANONYMOUS, Credentials
from bundler.errors import ConfigError, CredentialHelperError
from tests.config.world import World, entry

GIVE = """cat >"$0.input"; echo '{"ServerURL":"x","Username":"helped","Secret":"s3cret"}'"""
NOT_FOUND = "cat >/dev/null; echo 'credentials not found in native keychain'; exit 1"


def ask(world: World, name: str = "h", timeout: float = 20) -> Credentials:
    return credential_helper.get(name, "a.b", world.environment, timeout=timeout)


def test_helper_receives_registry_and_returns_credentials(world: World):
    program = world.helper("h", '[ "$1" = get ] || exit 3; ' + GIVE)
    assert ask(world) == Credentials(username="helped", password="s3cret")
    assert program.with_name(f"{program.name}.input").read_text() == "a.b"


def test_token_user_name_yields_identity_token(world: World):
    world.helper("h", """echo '{"Username":"<token>","Secret":"refresh"}'""")
    assert ask(world) == Credentials(identity_token="refresh")


@pytest.mark.parametrize(
    "script", [NOT_FOUND, """cat >/dev/null; echo '{"ServerURL":"","Username":"","Secret":""}'"""]
)
def test_helper_without_credentials_yields_anonymous(world: World, script: str):
    world.helper("h", script)
    assert ask(world) == ANONYMOUS


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'the keychain is locked'; exit 1", "the keychain is locked$"),
        ("exit 4", "exit status 4"),
        ("kill -9 $$", "exit status -9"),
        ("echo not json", "expected JSON with Username and Secret"),
        ("echo '[]'", "expected JSON"),
        ("echo '{\"Username\": 1}'", "expected JSON"),
        ("", "expected JSON"),
    ],
)
def test_failing_helper_is_reported(world: World, script: str, message: str):
    world.helper("h", script)
    with pytest.raises(ConfigError, match=rf"docker-credential-h get: .*{message}"):
        ask(world)


def test_failure_message_contains_no_secret(world: World):
    world.helper("h", """echo '{"Username":"u","Secret":"hunter2"}'; exit 1""")
    with pytest.raises(CredentialHelperError) as error:
        ask(world)
    assert error.value.status == 1
    assert "hunter2" not in str(error.value)


def test_failure_message_contains_no_control_characters(world: World):
    world.helper("h", r"printf '\033[2Jgone\n'; exit 1")
    with pytest.raises(ConfigError) as error:
        ask(world)
    assert error.value.message.isprintable()


@pytest.mark.parametrize("script", ["sleep 5", "sleep 5 & exit 0", "exec >&-; sleep 5"])
def test_silent_helper_is_killed_after_timeout(world: World, script: str):
    world.helper("h", script)
    started = time.monotonic()
    with pytest.raises(CredentialHelperError) as raised:
        ask(world, timeout=0.3)
    assert raised.value.status is None
    assert time.monotonic() - started < 4


def test_endless_output_is_refused(world: World):
    world.helper("h", "exec cat /dev/zero")
    with pytest.raises(CredentialHelperError) as raised:
        ask(world)
    assert raised.value.status is None


@pytest.mark.parametrize("name", ["", "../evil", "a/b", "-x", "a b", "x" * 65, "a\n"])
def test_invalid_helper_name_is_refused(world: World, name: str):
    with pytest.raises(ConfigError):
        ask(world, name)


def test_missing_helper_is_reported(world: World):
    with pytest.raises(CredentialHelperError) as raised:
        ask(world, "none-such")
    assert raised.value.program == "docker-credential-none-such"
    assert raised.value.hint is not None


def test_store_and_erase_follow_protocol(world: World):
    program = world.helper(
        "h",
        """case "$1" in
        store) cat >"$0.stored" ;;
        get) cat >/dev/null; [ -e "$0.stored" ] || { echo credentials not found; exit 1; }
             cat "$0.stored" ;;
        erase) cat >/dev/null; rm "$0.stored" ;;
        list) echo '{"a.b":"u"}' ;;
        esac""",
    )
    stored = Credentials(username="u", password='p"\\')
    credential_helper.store("h", "a.b", stored, world.environment)
    assert ask(world) == stored
    assert credential_helper.list_servers("h", world.environment) == ["a.b"]
    assert credential_helper.erase("h", "a.b", world.environment)
    assert not program.with_name(f"{program.name}.stored").exists()
    assert ask(world) == ANONYMOUS


def test_failed_store_is_reported(world: World):
    world.helper("h", "echo not implemented; exit 1")
    with pytest.raises(CredentialHelperError) as raised:
        credential_helper.store("h", "a.b", Credentials("u", "p"), world.environment)
    assert (raised.value.verb, raised.value.status) == ("store", 1)


def test_failed_list_is_reported(world: World):
    world.helper("h", "exit 1")
    with pytest.raises(CredentialHelperError) as raised:
        credential_helper.list_servers("h", world.environment)
    assert (raised.value.verb, raised.value.status) == ("list", 1)
    world.helper("h", "echo nothing")
    with pytest.raises(CredentialHelperError) as raised:
        credential_helper.list_servers("h", world.environment)
    assert (raised.value.verb, raised.value.status) == ("list", 0)


@pytest.mark.parametrize(
    ("script", "known"), [("echo credentials not found; exit 1", False), ("exit 0", True)]
)
def test_erase_returns_whether_credentials_were_stored(world: World, script: str, known: bool):
    world.helper("h", f'if [ "$1" = get ]; then {GIVE}; else cat >/dev/null; {script}; fi')
    assert credential_helper.erase("h", "a.b", world.environment) is known


def test_failed_erase_is_reported(world: World):
    world.helper("h", f'if [ "$1" = get ]; then {GIVE}; else echo locked; exit 1; fi')
    with pytest.raises(CredentialHelperError) as raised:
        credential_helper.erase("h", "a.b", world.environment)
    assert (raised.value.verb, raised.value.status) == ("erase", 1)


def test_helper_that_is_not_executable_is_reported(world: World):
    world.helper("h", "").write_bytes(b"\0not a program")
    with pytest.raises(CredentialHelperError) as raised:
        ask(world)
    assert isinstance(raised.value.os_error, OSError)


def test_helper_of_registry_precedes_its_entry(world: World):
    world.helper("h", GIVE)
    world.write(
        world.auth_json, {"auths": {"a.b": entry(), "c.d": entry()}, "credHelpers": {"a.b": "h"}}
    )
    settings = world.settings()
    assert settings.get_access("a.b", "x/y").credentials.username == "helped"
    assert settings.get_access("c.d").credentials.username == "user"


def test_docker_hub_helper_receives_key_of_authfile(world: World):
    program = world.helper("h", GIVE)
    world.write(world.auth_json, {"credHelpers": {"https://index.docker.io/v1/": "h"}})
    assert world.settings().get_access("docker.io", "library/x").credentials.username == "helped"
    server = program.with_name(f"{program.name}.input").read_text()
    assert server == "https://index.docker.io/v1/"


def test_creds_store_is_used_after_entries_of_its_file(world: World):
    program = world.helper("h", GIVE)
    world.write(world.auth_json, {"auths": {"a.b": entry()}, "credsStore": "h"})
    settings = world.settings()
    assert settings.get_access("a.b").credentials.username == "user"
    assert settings.get_access("docker.io").credentials.username == "helped"
    server = program.with_name(f"{program.name}.input").read_text()
    assert server == "https://index.docker.io/v1/"


def test_empty_creds_store_falls_back_to_next_file(world: World):
    world.helper("h", NOT_FOUND)
    world.write(world.auth_json, {"credsStore": "h"})
    world.write("home/.docker/config.json", {"auths": {"a.b": entry("docker")}})
    assert world.settings().get_access("a.b").credentials.username == "docker"


def test_failing_creds_store_is_reported(world: World):
    world.helper("h", "echo locked; exit 1")
    world.write(world.auth_json, {"credsStore": "h"})
    world.write("home/.docker/config.json", {"auths": {"a.b": entry("docker")}})
    with pytest.raises(CredentialHelperError) as raised:
        world.settings().get_access("a.b")
    assert raised.value.program == "docker-credential-h"


@pytest.mark.parametrize(
    ("helpers", "expected"),
    [
        ('["h", "containers-auth.json"]', "helped"),
        ('["containers-auth.json", "h"]', "user"),
        ('["containers-auth.json"]', "user"),
        ('["h"]', "helped"),
    ],
)
def test_registries_conf_determines_order_of_helpers(world: World, helpers: str, expected: str):
    world.helper("h", GIVE)
    world.write(world.auth_json, {"auths": {"a.b": entry()}})
    world.write("etc/containers/registries.conf", f"credential-helpers = {helpers}\n")
    assert world.settings().get_access("a.b", "x").credentials.username == expected


def test_helper_runs_once_for_concurrent_lookups(world: World):
    program = world.helper("h", 'echo . >>"$0.count"; sleep 0.05; ' + GIVE)
    world.write(world.auth_json, {"credsStore": "h"})
    settings = world.settings()

    def look(number: int) -> Credentials:
        return settings.get_access("a.b", f"repo{number}").credentials

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(look, range(16)))
    assert found == {Credentials(username="helped", password="s3cret")}
    assert program.with_name(f"{program.name}.count").read_text() == ".\n"
