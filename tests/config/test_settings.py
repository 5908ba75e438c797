from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bundler.config.paths import ConfigPathOverrides
from bundler.config.proxy_env import Proxies
from bundler.config.registry_access import (
    ANONYMOUS,
    RegistryAccess,
    RegistryLimits,
    RegistryOverride,
    TlsConfig,
)
from bundler.config.settings import Settings
from bundler.errors import ConfigError, InvalidReferenceError
from bundler.oci.reference import ImageReference
from tests.config.world import entry

if TYPE_CHECKING:
    from pathlib import Path

    from tests.config.world import World

PROXY = "http://u:hunter2@proxy.corp:3128"


def test_empty_settings_read_nothing():
    settings = Settings()
    assert settings.get_access("a.b:5000", "x") == RegistryAccess(
        "a.b:5000", ANONYMOUS, TlsConfig(), RegistryLimits(), proxies=Proxies()
    )
    assert len(settings.list_endpoints(ImageReference.parse("a.b/x:1"))) == 1


def test_docker_hub_proxy_depends_on_its_address(world: World):
    world.environment |= {"HTTPS_PROXY": PROXY, "NO_PROXY": "registry-1.docker.io"}
    access = world.settings().get_access("docker.io", "library/x")
    assert (access.host, access.proxy) == ("docker.io", None)


def test_service_gets_proxy_but_no_credentials_of_registries(world: World):
    world.environment |= {"HTTPS_PROXY": PROXY}
    world.write(world.auth_json, {"auths": {"fulcio.example.org": entry()}})
    access = world.settings().get_service_access("fulcio.example.org", "https")
    assert access.credentials == ANONYMOUS
    assert (access.proxy, access.tls.plain_http) == (PROXY, False)
    plain = world.settings().get_service_access("127.0.0.1:3000", "http")
    assert (plain.proxy, plain.tls.plain_http) == (None, True)


@pytest.mark.parametrize("host", ["", "../x", "a/b", "https://a.b", "a b", "u:p@a.b", "a.b:port"])
def test_invalid_registry_is_refused(world: World, host: str):
    with pytest.raises(InvalidReferenceError):
        world.settings().get_access(host)


def test_override_sets_limits_and_plain_http(world: World):
    override = RegistryOverride(
        plain_http=True, limits=RegistryLimits(parallel=2, requests_per_second=1.5)
    )
    access = world.settings().get_access("a.b", "x", override)
    assert access.tls.plain_http
    assert access.limits == RegistryLimits(2, 1.5)


def test_proxy_depends_on_scheme_and_is_not_in_repr(world: World):
    world.environment |= {"HTTPS_PROXY": PROXY, "NO_PROXY": "in.corp"}
    settings = world.settings()
    access = settings.get_access("a.b")
    assert access.proxy == PROXY
    assert access.proxies.find_proxy("https", "token.a.b") == PROXY
    assert access.proxies.find_proxy("https", "x.in.corp") is None
    assert "hunter2" not in repr(access)
    assert settings.get_access("a.b", "", RegistryOverride(plain_http=True)).proxy is None
    assert settings.get_access("r.in.corp:5000").proxy is None
    assert settings.get_access("127.0.0.1:5000").proxy is None


def test_files_are_read_only_when_needed(world: World):
    world.write(world.auth_json, "{")
    path = world.write("etc/containers/registries.conf", "not toml")
    settings = world.settings()
    with pytest.raises(ConfigError) as raised:
        settings.list_endpoints(ImageReference.parse("x"))
    assert raised.value.path == str(path)


def test_load_ignores_environment_of_process(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """Only the arguments determine the settings."""
    decoy = tmp_path / "decoy"
    decoy.mkdir()
    (decoy / "auth.json").write_text("{")
    (decoy / "registries.conf").write_text("{")
    monkeypatch.setenv("HOME", str(decoy))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(decoy / "auth.json"))
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(decoy / "registries.conf"))
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    access = world.settings().get_access("a.b")
    assert (access.credentials, access.proxy) == (ANONYMOUS, None)


def test_settings_import_readers_of_files_only_when_needed():
    code = """
import sys
from pathlib import Path
from bundler.config.settings import Settings
Settings.load({"HTTPS_PROXY": "http://proxy:1"}, Path("/"), 1)
external = {"requests", "ssl", "subprocess", "tomllib", "yaml", "click"}
loaded = {name.removeprefix("bundler.config") for name in sys.modules if ".config" in name}
print(sorted(loaded | external & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['', '.paths', '.registry_access', '.settings']"


def test_user_agent_is_passed_to_registries(tmp_path):
    settings = Settings.load(
        {}, tmp_path, 1, ConfigPathOverrides(etc=tmp_path), user_agent="plant-7 tool/1"
    )
    assert settings.get_access("a.b").user_agent == "plant-7 tool/1"
    assert Settings().get_access("a.b").user_agent is None
