from __future__ import annotations

import base64
import itertools
import json
import os
import string
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from bundler.config.credentials.auth_file import list_keys, parse
from bundler.config.registry_access import ANONYMOUS, Credentials, RegistryOverride
from bundler.errors import ConfigError
from tests.config.world import World, entry

if TYPE_CHECKING:
    from bundler.config.settings import Settings

DOCKER = "home/.docker/config.json"
PATH = Path("/x/auth.json")


def found(settings: Settings, host: str, path: str = "") -> Credentials:
    return settings.get_access(host, path).credentials


def lookup(document: dict[str, Any], host: str, path: str = "") -> Credentials:
    return parse(json.dumps(document).encode(), PATH).find_credentials(host, path)


def test_lookup_without_files_is_anonymous(world: World):
    assert found(world.settings(), "a.b", "x") == ANONYMOUS


def test_authfiles_are_read_in_order(world: World):
    files = [
        world.root / ".." / world.root / path
        for path in (
            "run/containers/1000/auth.json",
            "home/.config/containers/auth.json",
            DOCKER,
        )
    ]
    world.write("home/.dockercfg", {"https://a.b/v1/": entry("legacy")})
    for number, path in reversed(list(enumerate(files))):
        assert found(world.settings(), "a.b").username == (
            "legacy" if number == 2 else f"user{number + 1}"
        )
        world.write(path, {"auths": {"a.b": entry(f"user{number}")}})
    assert found(world.settings(), "a.b").username == "user0"


def test_file_without_entry_falls_back_to_next_file(world: World):
    world.write(world.auth_json, {"auths": {"other.b": entry("no")}})
    world.write(DOCKER, {"auths": {"a.b": entry("yes")}})
    assert found(world.settings(), "a.b").username == "yes"


def test_specified_authfile_replaces_all_others(world: World):
    world.write(DOCKER, {"auths": {"a.b": entry()}})
    named = world.write("named.json", {"auths": {}})
    assert found(world.settings(authfile=named), "a.b") == ANONYMOUS
    world.environment["REGISTRY_AUTH_FILE"] = str(named)
    assert found(world.settings(), "a.b") == ANONYMOUS


def test_authfile_of_override_replaces_all_others(world: World):
    world.write(world.auth_json, {"auths": {"a.b": entry("usual")}})
    named = world.write("named.json", {"auths": {"a.b": entry("named")}})
    settings = world.settings()
    override = RegistryOverride(authfile=named)
    assert settings.get_access("a.b", "", override).credentials.username == "named"
    assert settings.get_access("a.b").credentials.username == "usual"


def test_credentials_of_override_precede_invalid_file(world: World):
    world.write(world.auth_json, "{")
    credentials = Credentials(username="me", password="p")
    settings = world.settings()
    assert (
        settings.get_access("a.b", "", RegistryOverride(credentials=credentials)).credentials
        == credentials
    )
    nobody = RegistryOverride(credentials=ANONYMOUS)
    assert settings.get_access("a.b", "", nobody).credentials == ANONYMOUS


def test_missing_specified_authfile_is_refused(world: World):
    with pytest.raises(ConfigError) as raised:
        found(world.settings(authfile=world.root / "none"), "a.b")
    assert raised.value.path is not None
    assert raised.value.hint is not None


def test_most_specific_namespace_applies():
    document = {
        "auths": {
            "a.b:5000": entry("host"),
            "a.b:5000/team": entry("team"),
            "a.b:5000/team/app": entry("app"),
        }
    }
    assert lookup(document, "a.b:5000", "team/app").username == "app"
    assert lookup(document, "a.b:5000", "team/app/sub").username == "app"
    assert lookup(document, "a.b:5000", "team/application").username == "team"
    assert lookup(document, "a.b:5000", "other").username == "host"
    assert lookup(document, "a.b:5000").username == "host"
    assert lookup(document, "a.b", "team/app") == ANONYMOUS
    assert lookup(document, "a.b:5001", "team/app") == ANONYMOUS


def test_namespace_credentials_do_not_apply_to_parent_or_sibling():
    document = {"auths": {"a.b/team": entry()}}
    assert lookup(document, "a.b") == ANONYMOUS
    assert lookup(document, "a.b", "teams/x") == ANONYMOUS
    assert lookup(document, "a.bb", "team") == ANONYMOUS


@pytest.mark.parametrize(
    "key",
    [
        "docker.io",
        "index.docker.io",
        "registry-1.docker.io",
        "https://index.docker.io/v1/",
        "http://docker.io",
    ],
)
def test_docker_hub_entry_is_found_under_all_its_names(key: str):
    assert lookup({"auths": {key: entry("hub")}}, "docker.io", "library/x").username == "hub"


@pytest.mark.parametrize("key", ["https://a.b:5000", "http://a.b:5000/v2/", "https://a.b:5000/x/y"])
def test_url_key_applies_to_its_host(key: str):
    assert lookup({"auths": {key: entry("u")}}, "a.b:5000", "any/thing").username == "u"


def test_exact_key_precedes_url_key():
    document = {"auths": {"https://a.b/": entry("url"), "a.b": entry("exact")}}
    assert lookup(document, "a.b").username == "exact"


def test_dockercfg_has_no_namespaces(world: World):
    world.write("home/.dockercfg", {"a.b/v1/": entry("u")})
    assert found(world.settings(), "a.b", "v1").username == "u"


def test_empty_entry_is_ignored(world: World):
    world.write(world.auth_json, {"auths": {"a.b/x": {}, "a.b": {"auth": ""}}})
    world.write(DOCKER, {"auths": {"a.b": entry("docker")}})
    assert found(world.settings(), "a.b", "x").username == "docker"


def test_password_may_contain_colons_and_unicode():
    assert lookup({"auths": {"a.b": entry("u", "p:q:ü")}}, "a.b").password == "p:q:ü"


def test_identity_and_registry_tokens_are_read():
    document = {"auths": {"a.b": entry("u", "") | {"identitytoken": "refresh"}}}
    assert lookup(document, "a.b") == Credentials(username="u", identity_token="refresh")
    assert lookup({"auths": {"a.b": {"registrytoken": "t"}}}, "a.b").registry_token == "t"
    assert lookup({"auths": {"a.b": entry("<token>", "t")}}, "a.b").identity_token == "t"


def test_plain_username_and_password_are_read():
    document = {"auths": {"a.b": {"username": "u", "password": "p"}}}
    assert lookup(document, "a.b") == Credentials(username="u", password="p")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON: .*line 1"),
        ('{"auths":\n  {"a.b": }}', "not JSON: .*line 2"),
        ("[]", "expected a JSON object"),
        ('{"auths": []}', "auths is not an object"),
        ('{"auths": {"a.b": "x"}}', "the entry 'a.b' is not an object"),
        ('{"auths": {"a.b": {}, "a.b": {}}}', "duplicate key"),
        ('{"credHelpers": {"a.b": 1}}', "credHelpers is not an object of strings"),
        ('{"credsStore": 1}', "credsStore is not a string"),
        ("[" * 100_000, "nested too deeply"),
        ('{"auths": {"a.b": {"auth": "' + "A" * 5_000_000 + '"}}}', "too large"),
        ("\ufeff{}", "not JSON"),
    ],
)
def test_invalid_file_is_refused_with_its_path(world: World, text: str, message: str):
    world.write(world.auth_json, text)
    with pytest.raises(ConfigError, match=message) as error:
        found(world.settings(), "a.b")
    assert str(world.auth_json) in error.value.message


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"auth": "%%%"}, "auth is not valid base64"),
        ({"auth": "c2VjcmV0"}, "auth is malformed"),
        ({"auth": base64.b64encode(b"\xff\xfe:\xff").decode()}, "auth is not valid base64"),
        ({"auth": 7}, "auth is not a string"),
    ],
)
def test_invalid_entry_affects_only_its_registry_and_is_not_quoted(
    broken: dict[str, Any], message: str
):
    document = {"auths": {"a.b": broken, "c.d": entry("fine")}}
    assert lookup(document, "c.d").username == "fine"
    with pytest.raises(ConfigError, match=f"the entry 'a.b': {message}") as error:
        lookup(document, "a.b")
    assert "secret" not in str(error.value)
    assert "c2VjcmV0" not in str(error.value)


def test_message_omits_password_in_key(world: World):
    world.write(world.auth_json, {"auths": {"https://me:hunter2@a.b/": "wrong"}})
    with pytest.raises(ConfigError) as error:
        found(world.settings(), "a.b")
    assert error.value.path == str(world.auth_json)
    assert "hunter2" not in str(error.value)


def test_fifo_is_refused_without_blocking(world: World):
    world.auth_json.parent.mkdir(parents=True)
    os.mkfifo(world.auth_json)
    with pytest.raises(ConfigError) as raised:
        found(world.settings(), "a.b")
    assert raised.value.path == str(world.auth_json)


def test_authfile_is_read_once(world: World):
    world.write(world.auth_json, {"auths": {"a.b": entry("first")}})
    settings = world.settings()
    assert found(settings, "a.b").username == "first"
    world.write(world.auth_json, {"auths": {"a.b": entry("second")}})
    assert found(settings, "a.b").username == "first"


def test_repr_contains_no_secret(world: World):
    world.write(world.auth_json, {"auths": {"a.b": entry("u", "hunter2")}})
    access = world.settings().get_access("a.b")
    assert access.credentials.password == "hunter2"
    assert "hunter2" not in repr(access)
    document = parse(world.auth_json.read_bytes(), PATH)
    assert entry("u", "hunter2")["auth"] not in repr(document)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_parsed_or_refused(raw: bytes):
    with suppress(ConfigError):
        parse(raw, PATH).find_credentials("a.b", "x")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["a.b", "auth", "https://a.b/"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON, JSON, JSON)
def test_arbitrary_types_are_parsed_or_refused(auths: object, helpers: object, store: object):
    document = {"auths": auths, "credHelpers": helpers, "credsStore": store}
    with suppress(ConfigError):
        file = parse(json.dumps(document).encode(), PATH)
        file.find_helper("a.b")
        file.find_credentials("a.b", "x")


@given(
    st.text(string.printable, min_size=1, max_size=20).filter(
        lambda text: ":" not in text and text != "<token>"
    ),
    st.text(max_size=20).filter(
        lambda text: not text.startswith("\0") and text.strip("\0") == text
    ),
)
def test_any_username_and_password_are_read_back(username: str, password: str):
    assert lookup({"auths": {"a.b": entry(username, password)}}, "a.b") == Credentials(
        username=username, password=password
    )


@given(st.lists(st.from_regex(r"[a-z]{1,3}", fullmatch=True), max_size=4))
def test_keys_are_listed_from_repository_to_host(parts: list[str]):
    found_keys = list(list_keys("a.b", "/".join(parts)))
    assert found_keys[0] == "/".join(["a.b", *parts])
    assert found_keys[-1] == "a.b"
    assert len(found_keys) == len(parts) + 1
    assert all(
        longer.startswith(f"{shorter}/") for longer, shorter in itertools.pairwise(found_keys)
    )
