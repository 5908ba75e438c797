from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bundler.config.registry_access import RegistryOverride, TlsConfig
from bundler.errors import ConfigError

if TYPE_CHECKING:
    from tests.config.world import World

HOST = "a.b:5000"
DIRECTORIES = (
    "home/.config/containers/certs.d",
    "etc/containers/certs.d",
    "etc/docker/certs.d",
)


def tls(world: World, override: RegistryOverride | None = None) -> TlsConfig:
    return world.settings().get_access(HOST, "x", override).tls


def test_without_directories_only_the_systems_authorities_count(world: World):
    assert tls(world) == TlsConfig()


def test_authorities_and_a_pair_are_found_by_their_ends(world: World):
    for name in ("ca.crt", "b.crt", "me.cert", "me.key", "README"):
        world.write(f"{DIRECTORIES[1]}/{HOST}/{name}", "x")
    base = world.root / DIRECTORIES[1] / HOST
    assert tls(world) == TlsConfig(
        ca_files=(base / "b.crt", base / "ca.crt"),
        client_certificate=base / "me.cert",
        client_key=base / "me.key",
    )


def test_the_first_directory_of_the_host_hides_the_others_even_when_empty(world: World):
    for number in (2, 1):
        path = world.write(f"{DIRECTORIES[number]}/{HOST}/ca.crt", "x")
        assert tls(world).ca_files == (path,)
    (world.root / DIRECTORIES[0] / HOST).mkdir(parents=True)
    assert tls(world) == TlsConfig()


def test_another_port_is_another_registry(world: World):
    world.write(f"{DIRECTORIES[1]}/a.b/ca.crt", "x")
    assert tls(world) == TlsConfig()


def test_docker_hub_is_looked_up_by_the_name_that_users_write(world: World):
    path = world.write(f"{DIRECTORIES[1]}/docker.io/ca.crt", "x")
    assert world.settings().get_access("docker.io").tls.ca_files == (path,)


def test_cert_dir_replaces_the_search(world: World):
    world.write(f"{DIRECTORIES[1]}/{HOST}/ca.crt", "x")
    mine = world.write("mine/other.crt", "x")
    assert tls(world, RegistryOverride(cert_dir=mine.parent)).ca_files == (mine,)


def test_single_files_are_added_and_a_pair_replaces_the_one_found(world: World):
    found = world.write(f"{DIRECTORIES[1]}/{HOST}/ca.crt", "x")
    world.write(f"{DIRECTORIES[1]}/{HOST}/me.cert", "x")
    world.write(f"{DIRECTORIES[1]}/{HOST}/me.key", "x")
    said = RegistryOverride(
        ca_files=(Path("/more.pem"),), client_certificate=Path("/c"), client_key=Path("/k")
    )
    assert tls(world, said) == TlsConfig(
        ca_files=(found, Path("/more.pem")), client_certificate=Path("/c"), client_key=Path("/k")
    )


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["me.cert"], r"me\.cert: its key me\.key is missing"),
        (["me.key"], r"me\.key: its certificate me\.cert is missing"),
        (["a.cert", "a.key", "b.cert", "b.key"], "2 client certificates"),
    ],
)
def test_half_a_pair_or_several_are_errors(world: World, names: list[str], message: str):
    for name in names:
        world.write(f"{DIRECTORIES[0]}/{HOST}/{name}", "x")
    with pytest.raises(ConfigError, match=message):
        tls(world)


def test_a_cert_dir_that_is_not_there_is_an_error(world: World):
    with pytest.raises(ConfigError, match="cannot be read"):
        tls(world, RegistryOverride(cert_dir=world.root / "none"))


def test_directory_named_like_a_certificate_is_refused(world: World):
    (world.root / "mine").mkdir()
    os.mkfifo(world.root / "mine" / "ca.crt")
    with pytest.raises(ConfigError, match=r"ca\.crt: not a readable file"):
        tls(world, RegistryOverride(cert_dir=world.root / "mine"))


def test_a_link_to_nothing_is_named(world: World):
    (world.root / "mine").mkdir()
    (world.root / "mine" / "ca.crt").symlink_to("gone")
    with pytest.raises(ConfigError, match=r"ca\.crt: not a readable file"):
        tls(world, RegistryOverride(cert_dir=world.root / "mine"))
