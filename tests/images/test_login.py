from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from bundler.cancel import Cancellation
from bundler.config.registry_access import Credentials, RegistryAccess, RegistryOverride
from bundler.errors import (
    ConfigError,
    InvalidReferenceError,
    NotFoundError,
    NotLoggedInError,
    RegistryError,
    UnauthorizedError,
    UsageError,
)
from bundler.events import discard
from bundler.images import login as logins
from bundler.images.login import CredentialScope, CredentialStore
from tests.config.world import World, entry
from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from pathlib import Path

ME = Credentials(username="user", password="password")
PING = functools.partial(logins.ping, cancellation=Cancellation(), emit=discard)
PLAIN = RegistryOverride(plain_http=True)
KEEPING_HELPER = """cat >"$0.$1"; [ "$1" = get ] && echo '{"Username":"u","Secret":"s"}'; exit 0"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


class Verifier:
    """Checks credentials as a registry with one password does."""

    def __init__(self, password: str = "password") -> None:
        self.password = password
        self.checked: list[RegistryAccess] = []

    def __call__(self, access: RegistryAccess) -> None:
        self.checked.append(access)
        if access.credentials.password != self.password:
            raise UnauthorizedError(f"{access.host}: no", status=401)


def entries(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_bytes())["auths"]
    return document


@pytest.mark.parametrize(
    ("text", "host", "path"),
    [
        ("a.b", "a.b", ""),
        ("a.b:5000/team/app", "a.b:5000", "team/app"),
        ("a.b/", "a.b", ""),
        ("localhost", "localhost", ""),
        ("[::1]:5000", "[::1]:5000", ""),
        ("index.docker.io", "docker.io", ""),
        ("docker.io/library", "docker.io", "library"),
    ],
)
def test_registry_can_have_a_namespace(text: str, host: str, path: str):
    assert CredentialScope.parse(text) == CredentialScope(host, path)


@pytest.mark.parametrize(
    "text", ["", "https://a.b", "a.b/x:1", "a.b/x@sha256:0", "a b", "a.b/UPPER", "../x", "a.b//x"]
)
def test_invalid_registry_is_refused_with_a_hint(text: str):
    with pytest.raises(InvalidReferenceError) as error:
        CredentialScope.parse(text)
    assert "host[:port]/namespace" in (error.value.hint or "")


@given(st.text(max_size=30))
def test_any_text_is_refused_or_parsed_without_loss(text: str):
    try:
        registry = CredentialScope.parse(text)
    except InvalidReferenceError:
        return
    assert CredentialScope.parse(str(registry)) == registry


def test_accepted_credentials_are_stored(world: World):
    verify = Verifier()
    settings = world.settings()
    location = logins.store_login(CredentialScope("a.b", "team"), ME, settings, verify)
    assert location == str(world.auth_json)
    assert entries(world.auth_json) == {"a.b/team": entry("user", "password")}
    assert [access.credentials for access in verify.checked] == [ME]
    assert logins.find_username(CredentialScope("a.b", "team"), world.settings()) == "user"


def test_rejected_credentials_are_not_stored(world: World):
    with pytest.raises(UnauthorizedError):
        logins.store_login(CredentialScope("a.b"), ME, world.settings(), Verifier("other"))
    assert not world.auth_json.exists()


def test_failure_of_the_registry_keeps_the_former_login(world: World):
    world.write(world.auth_json, {"auths": {"a.b": entry("former")}})

    error = RegistryError("no route")

    def broken(_: RegistryAccess) -> None:
        raise error

    with pytest.raises(RegistryError) as caught:
        logins.store_login(CredentialScope("a.b"), ME, world.settings(), broken)
    assert caught.value is error
    assert entries(world.auth_json) == {"a.b": entry("former")}


def test_login_with_given_credentials_does_not_read_the_authfile(world: World):
    """The given credentials are verified first; writing the broken file fails afterwards."""
    world.write(world.auth_json, "{")
    verify = Verifier()
    with pytest.raises(ConfigError) as caught:
        logins.store_login(CredentialScope("a.b"), ME, world.settings(), verify)
    assert caught.value.path == str(world.auth_json)
    assert world.auth_json.read_text() == "{"


def test_override_applies_to_the_check(world: World):
    verify = Verifier()
    override = RegistryOverride(tls_verify=False)
    logins.store_login(CredentialScope("a.b"), ME, world.settings(), verify, override=override)
    assert not verify.checked[0].tls.verify


def test_token_service_is_remembered_after_the_check(world: World):
    verify, url = Verifier(), "https://auth.example/token"
    override = RegistryOverride(token_service=url)
    logins.store_login(CredentialScope("a.b"), ME, world.settings(), verify, override=override)
    settings = world.settings()
    assert settings.get_access("a.b").token_service == url
    assert settings.get_access("other.b").token_service is None
    assert settings.paths.token_services is not None
    assert settings.paths.token_services.stat().st_mode & 0o777 == 0o600


def test_token_service_of_a_rejected_login_is_not_remembered(world: World):
    override = RegistryOverride(token_service="https://auth.example/token")
    with pytest.raises(UnauthorizedError):
        logins.store_login(
            CredentialScope("a.b"), ME, world.settings(), Verifier("other"), override=override
        )
    assert world.settings().get_access("a.b").token_service is None


def test_reason_of_the_registry_is_shown(world: World):
    body = b'{"errors":[{"code":"UNAUTHORIZED","message":"account locked"}]}'
    with FakeRegistry(auth="bearer") as registry:
        registry.fail("GET", "^/token", status=401, body=body, times=None)
        with pytest.raises(UnauthorizedError) as error:
            logins.store_login(
                CredentialScope(registry.host), ME, world.settings(), PING, override=PLAIN
            )
    assert "account locked" in error.value.message


def test_blocked_registry_is_not_contacted(world: World):
    world.write("etc/containers/registries.conf", '[[registry]]\nlocation="a.b"\nblocked=true\n')
    verify = Verifier()
    with pytest.raises(ConfigError):
        logins.store_login(CredentialScope("a.b"), ME, world.settings(), verify)
    assert verify.checked == []


@pytest.mark.parametrize(
    "odd", [Credentials("", "p"), Credentials("a:b", "p"), Credentials("u", "\udcff")]
)
def test_invalid_user_names_and_passwords_are_refused(world: World, odd: Credentials):
    verify = Verifier()
    with pytest.raises(UsageError):
        logins.store_login(CredentialScope("a.b"), odd, world.settings(), verify)
    assert verify.checked == []


def test_missing_authfile_is_created(world: World):
    path = world.root / "new" / "auth.json"
    store = CredentialStore(path)
    assert logins.read_credentials(CredentialScope("a.b"), world.settings(), store).anonymous
    logins.store_login(CredentialScope("a.b"), ME, world.settings(), Verifier(), store=store)
    assert entries(path) == {"a.b": entry("user", "password")}
    assert not world.auth_json.exists()


def test_compat_file_uses_dockers_key_and_refuses_namespaces(world: World):
    path = world.write("config.json", {"currentContext": "x"})
    store = CredentialStore(path, compat=True)
    logins.store_login(CredentialScope("docker.io"), ME, world.settings(), Verifier(), store=store)
    assert list(entries(path)) == ["https://index.docker.io/v1/"]
    assert json.loads(path.read_bytes())["currentContext"] == "x"
    verify = Verifier()
    with pytest.raises(ConfigError):
        logins.store_login(
            CredentialScope("a.b", "team"), ME, world.settings(), verify, store=store
        )
    assert verify.checked == []
    logins.logout(CredentialScope("docker.io"), world.settings(), store)
    assert entries(path) == {}


def test_first_working_helper_stores_the_credentials(world: World):
    program = world.helper("keeps", KEEPING_HELPER)
    world.helper("refuses", "echo not implemented; exit 1")
    world.write(
        "etc/containers/registries.conf",
        'credential-helpers = ["refuses", "keeps", "containers-auth.json"]\n',
    )
    location = logins.store_login(CredentialScope("a.b"), ME, world.settings(), Verifier())
    assert location == "credential helper keeps"
    assert (
        json.loads(program.with_name(f"{program.name}.store").read_text())["Secret"] == ME.password
    )
    assert not world.auth_json.exists()


def test_namespaces_are_not_stored_by_helpers(world: World):
    world.helper("keeps", KEEPING_HELPER)
    world.write(
        "etc/containers/registries.conf", 'credential-helpers = ["keeps", "containers-auth.json"]\n'
    )
    logins.store_login(CredentialScope("a.b", "team"), ME, world.settings(), Verifier())
    assert list(entries(world.auth_json)) == ["a.b/team"]


def test_failure_of_all_helpers_is_reported(world: World):
    world.helper("refuses", "echo not implemented; exit 1")
    world.write("etc/containers/registries.conf", 'credential-helpers = ["refuses"]\n')
    with pytest.raises(ConfigError, match="refuses store: not implemented"):
        logins.store_login(CredentialScope("a.b"), ME, world.settings(), Verifier())
    with pytest.raises(ConfigError):
        logins.store_login(CredentialScope("a.b", "x"), ME, world.settings(), Verifier())


def test_find_username_without_login_is_an_error(world: World):
    with pytest.raises(NotLoggedInError) as raised:
        logins.find_username(CredentialScope("a.b"), world.settings())
    assert raised.value.registry == "a.b"


def test_logout_removes_one_registry(world: World):
    world.write(world.auth_json, {"auths": {"a.b": entry(), "c.d": entry()}})
    logins.logout(CredentialScope("a.b"), world.settings())
    assert list(entries(world.auth_json)) == ["c.d"]
    with pytest.raises(NotLoggedInError) as raised:
        logins.logout(CredentialScope("a.b"), world.settings())
    assert raised.value.registry == "a.b"


def test_logout_hints_at_another_file_with_credentials(world: World):
    path = world.write("home/.docker/config.json", {"auths": {"a.b": entry()}})
    with pytest.raises(NotFoundError) as error:
        logins.logout(CredentialScope("a.b"), world.settings())
    assert str(path) in (error.value.hint or "")
    assert entries(path) == {"a.b": entry()}


def test_logout_erases_from_every_helper(world: World):
    program = world.helper("keeps", KEEPING_HELPER)
    world.write(world.auth_json, {"auths": {"a.b": entry()}})
    world.write(
        "etc/containers/registries.conf", 'credential-helpers = ["containers-auth.json", "keeps"]\n'
    )
    logins.logout(CredentialScope("a.b"), world.settings())
    assert program.with_name(f"{program.name}.erase").read_text() == "a.b"
    assert entries(world.auth_json) == {}


def test_logout_all_removes_everything(world: World):
    world.write(world.auth_json, {"auths": {"a.b": entry(), "c.d/x": entry()}, "zeta": 1})
    logins.logout_all(world.settings())
    assert json.loads(world.auth_json.read_bytes()) == {"auths": {}, "zeta": 1}


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_registry_checks_the_password(world: World, auth: str):
    with FakeRegistry(auth=auth) as registry:
        target = CredentialScope(registry.host)
        logins.store_login(target, ME, world.settings(), PING, override=PLAIN)
        logins.check_credentials(
            target,
            logins.read_credentials(target, world.settings()),
            world.settings(),
            PING,
            override=PLAIN,
        )
        wrong = Credentials("user", "wrong")
        with pytest.raises(UnauthorizedError):
            logins.store_login(target, wrong, world.settings(), PING, override=PLAIN)
    assert entries(world.auth_json) == {registry.host: entry("user", "password")}
