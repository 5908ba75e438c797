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


def test_without_files_everybody_is_anonymous(world: World):
    assert found(world.settings(), "a.b", "x") == ANONYMOUS


def test_the_files_are_asked_in_order(world: World):
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


def test_a_file_without_an_entry_leaves_it_to_the_next(world: World):
    world.write(world.auth_json, {"auths": {"other.b": entry("no")}})
    world.write(DOCKER, {"auths": {"a.b": entry("yes")}})
    assert found(world.settings(), "a.b").username == "yes"


def test_a_named_file_is_the_only_one(world: World):
    world.write(DOCKER, {"auths": {"a.b": entry()}})
    named = world.write("named.json", {"auths": {}})
    assert found(world.settings(authfile=named), "a.b") == ANONYMOUS
    world.environment["REGISTRY_AUTH_FILE"] = str(named)
    assert found(world.settings(), "a.b") == ANONYMOUS


def test_the_file_of_an_override_is_the_only_one_for_its_registry(world: World):
    world.write(world.auth_json, {"auths": {"a.b": entry("usual")}})
    named = world.write("named.json", {"auths": {"a.b": entry("named")}})
    settings = world.settings()
    said = RegistryOverride(authfile=named)
    assert settings.get_access("a.b", "", said).credentials.username == "named"
    assert settings.get_access("a.b").credentials.username == "usual"


def test_credentials_of_an_override_go_before_any_file_even_a_broken_one(world: World):
    world.write(world.auth_json, "{")
    said = Credentials(username="me", password="p")
    settings = world.settings()
    assert settings.get_access("a.b", "", RegistryOverride(credentials=said)).credentials == said
    nobody = RegistryOverride(credentials=ANONYMOUS)
    assert settings.get_access("a.b", "", nobody).credentials == ANONYMOUS


def test_an_authfile_that_is_not_there_is_an_error_and_not_anonymous(world: World):
    with pytest.raises(ConfigError, match="no such authfile"):
        found(world.settings(authfile=world.root / "none"), "a.b")


def test_the_most_specific_namespace_wins():
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


def test_a_namespaces_credentials_do_not_serve_its_parent_or_its_neighbour():
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
def test_docker_hub_has_many_names(key: str):
    assert lookup({"auths": {key: entry("hub")}}, "docker.io", "library/x").username == "hub"


@pytest.mark.parametrize("key", ["https://a.b:5000", "http://a.b:5000/v2/", "https://a.b:5000/x/y"])
def test_a_url_stands_for_its_host(key: str):
    assert lookup({"auths": {key: entry("u")}}, "a.b:5000", "any/thing").username == "u"


def test_an_exact_key_goes_before_a_url():
    document = {"auths": {"https://a.b/": entry("url"), "a.b": entry("exact")}}
    assert lookup(document, "a.b").username == "exact"


def test_dockercfg_knows_only_hosts(world: World):
    world.write("home/.dockercfg", {"a.b/v1/": entry("u")})
    assert found(world.settings(), "a.b", "v1").username == "u"


def test_an_empty_entry_is_no_entry(world: World):
    world.write(world.auth_json, {"auths": {"a.b/x": {}, "a.b": {"auth": ""}}})
    world.write(DOCKER, {"auths": {"a.b": entry("docker")}})
    assert found(world.settings(), "a.b", "x").username == "docker"


def test_a_password_may_hold_colons_and_anything_of_utf_8():
    assert lookup({"auths": {"a.b": entry("u", "p:q:ü")}}, "a.b").password == "p:q:ü"


def test_identity_and_registry_tokens_are_kept():
    document = {"auths": {"a.b": entry("u", "") | {"identitytoken": "refresh"}}}
    assert lookup(document, "a.b") == Credentials(username="u", identity_token="refresh")
    assert lookup({"auths": {"a.b": {"registrytoken": "t"}}}, "a.b").registry_token == "t"
    assert lookup({"auths": {"a.b": entry("<token>", "t")}}, "a.b").identity_token == "t"


def test_name_and_password_may_stand_in_clear():
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
        ("[" * 100_000, "nested deeper"),
        ('{"auths": {"a.b": {"auth": "' + "A" * 5_000_000 + '"}}}', "larger than"),
        ("\ufeff{}", "not JSON"),
    ],
)
def test_a_file_that_does_not_parse_is_an_error_that_names_it(
    world: World, text: str, message: str
):
    world.write(world.auth_json, text)
    with pytest.raises(ConfigError, match=message) as error:
        found(world.settings(), "a.b")
    assert str(world.auth_json) in error.value.message


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"auth": "%%%"}, "auth is not base64 text"),
        ({"auth": "c2VjcmV0"}, "auth is not user:password"),
        ({"auth": base64.b64encode(b"\xff\xfe:\xff").decode()}, "auth is not base64 text"),
        ({"auth": 7}, "auth is not a string"),
    ],
)
def test_a_broken_entry_disturbs_only_its_registry_and_does_not_show_what_it_holds(
    broken: dict[str, Any], message: str
):
    document = {"auths": {"a.b": broken, "c.d": entry("fine")}}
    assert lookup(document, "c.d").username == "fine"
    with pytest.raises(ConfigError, match=f"the entry 'a.b': {message}") as error:
        lookup(document, "a.b")
    assert "secret" not in str(error.value)
    assert "c2VjcmV0" not in str(error.value)


def test_a_key_with_a_password_in_it_is_shown_without(world: World):
    world.write(world.auth_json, {"auths": {"https://me:hunter2@a.b/": "wrong"}})
    with pytest.raises(ConfigError, match=r"'a\.b' is not an object") as error:
        found(world.settings(), "a.b")
    assert "hunter2" not in str(error.value)


def test_a_fifo_in_the_place_of_a_file_does_not_hang(world: World):
    world.auth_json.parent.mkdir(parents=True)
    os.mkfifo(world.auth_json)
    with pytest.raises(ConfigError, match="not a regular file"):
        found(world.settings(), "a.b")


def test_files_are_read_once(world: World):
    world.write(world.auth_json, {"auths": {"a.b": entry("first")}})
    settings = world.settings()
    assert found(settings, "a.b").username == "first"
    world.write(world.auth_json, {"auths": {"a.b": entry("second")}})
    assert found(settings, "a.b").username == "first"


def test_secrets_do_not_show(world: World):
    world.write(world.auth_json, {"auths": {"a.b": entry("u", "hunter2")}})
    access = world.settings().get_access("a.b")
    assert access.credentials.password == "hunter2"
    assert "hunter2" not in repr(access)
    document = parse(world.auth_json.read_bytes(), PATH)
    assert entry("u", "hunter2")["auth"] not in repr(document)


@given(st.binary(max_size=200))
def test_any_bytes_parse_or_are_an_error_of_ours(raw: bytes):
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
def test_any_types_parse_or_are_an_error_of_ours(auths: object, helpers: object, store: object):
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
def test_any_name_and_password_are_read_back(username: str, password: str):
    assert lookup({"auths": {"a.b": entry(username, password)}}, "a.b") == Credentials(
        username=username, password=password
    )


@given(st.lists(st.from_regex(r"[a-z]{1,3}", fullmatch=True), max_size=4))
def test_keys_go_from_the_repository_to_the_host(parts: list[str]):
    found_keys = list(list_keys("a.b", "/".join(parts)))
    assert found_keys[0] == "/".join(["a.b", *parts])
    assert found_keys[-1] == "a.b"
    assert len(found_keys) == len(parts) + 1
    assert all(
        longer.startswith(f"{shorter}/") for longer, shorter in itertools.pairwise(found_keys)
    )
