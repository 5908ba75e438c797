from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from bundler.config import config_file, tls_files
from bundler.config.paths import ConfigPathOverrides
from bundler.config.registry_access import RegistryOverride, TlsConfig, TlsDetails
from bundler.config.settings import Settings
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


def test_no_directory_yields_default_tls(world: World):
    assert tls(world) == TlsConfig()


def test_certificates_are_found_by_extension(world: World):
    for name in ("ca.crt", "b.crt", "me.cert", "me.key", "README"):
        world.write(f"{DIRECTORIES[1]}/{HOST}/{name}", "x")
    base = world.root / DIRECTORIES[1] / HOST
    assert tls(world) == TlsConfig(
        ca_files=(base / "b.crt", base / "ca.crt"),
        client_certificate=base / "me.cert",
        client_key=base / "me.key",
    )


def test_first_directory_of_host_applies_even_if_empty(world: World):
    for number in (2, 1):
        path = world.write(f"{DIRECTORIES[number]}/{HOST}/ca.crt", "x")
        assert tls(world).ca_files == (path,)
    (world.root / DIRECTORIES[0] / HOST).mkdir(parents=True)
    assert tls(world) == TlsConfig()


def test_directory_of_other_port_does_not_apply(world: World):
    world.write(f"{DIRECTORIES[1]}/a.b/ca.crt", "x")
    assert tls(world) == TlsConfig()


def test_docker_hub_directory_is_docker_io(world: World):
    path = world.write(f"{DIRECTORIES[1]}/docker.io/ca.crt", "x")
    assert world.settings().get_access("docker.io").tls.ca_files == (path,)


def test_cert_dir_replaces_certs_d(world: World):
    world.write(f"{DIRECTORIES[1]}/{HOST}/ca.crt", "x")
    mine = world.write("mine/other.crt", "x")
    assert tls(world, RegistryOverride(cert_dir=mine.parent)).ca_files == (mine,)


def test_override_adds_authorities_and_replaces_client_certificate(world: World):
    found = world.write(f"{DIRECTORIES[1]}/{HOST}/ca.crt", "x")
    world.write(f"{DIRECTORIES[1]}/{HOST}/me.cert", "x")
    world.write(f"{DIRECTORIES[1]}/{HOST}/me.key", "x")
    override = RegistryOverride(
        ca_files=(Path("/more.pem"),), client_certificate=Path("/c"), client_key=Path("/k")
    )
    assert tls(world, override) == TlsConfig(
        ca_files=(found, Path("/more.pem")), client_certificate=Path("/c"), client_key=Path("/k")
    )


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["me.cert"], r"me\.cert: missing key me\.key"),
        (["me.key"], r"me\.key: missing certificate me\.cert"),
        (["a.cert", "a.key", "b.cert", "b.key"], "2 client certificates"),
    ],
)
def test_incomplete_or_ambiguous_client_certificate_is_refused(
    world: World, names: list[str], message: str
):
    for name in names:
        world.write(f"{DIRECTORIES[0]}/{HOST}/{name}", "x")
    with pytest.raises(ConfigError, match=message):
        tls(world)


def test_missing_cert_dir_is_refused(world: World):
    with pytest.raises(ConfigError) as raised:
        tls(world, RegistryOverride(cert_dir=world.root / "none"))
    assert raised.value.path == str(world.root / "none")


def test_special_file_named_like_a_certificate_is_refused(world: World):
    (world.root / "mine").mkdir()
    os.mkfifo(world.root / "mine" / "ca.crt")
    with pytest.raises(ConfigError) as raised:
        tls(world, RegistryOverride(cert_dir=world.root / "mine"))
    assert raised.value.path == str(world.root / "mine" / "ca.crt")


def test_dangling_link_is_refused(world: World):
    (world.root / "mine").mkdir()
    (world.root / "mine" / "ca.crt").symlink_to("gone")
    with pytest.raises(ConfigError) as raised:
        tls(world, RegistryOverride(cert_dir=world.root / "mine"))
    assert raised.value.path == str(world.root / "mine" / "ca.crt")


def read_details(folder: Path, text: str) -> TlsDetails:
    file = folder / "tls.yaml"
    file.write_text(text)
    return tls_files.read_tls_details(file)


def test_tls_details_are_optional(tmp_path: Path) -> None:
    origin = str(tmp_path / "tls.yaml")
    assert read_details(tmp_path, "") == TlsDetails(origin)
    assert read_details(tmp_path, "# nothing\n{}\n") == TlsDetails(origin)
    text = "minVersion: '1.3'\ncipherSuites: [A, B]\nnamedGroups: []\n"
    assert read_details(tmp_path, text) == TlsDetails(origin, "1.3", ("A", "B"), ())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("minVersion: 1.1", "minVersion is not one of 1.2, 1.3"),
        ("minVersion:", "minVersion is empty"),
        ("cipherSuites: ~", "cipherSuites is empty"),
        ("minversion: '1.2'", "unknown key 'minversion'"),
        ("namedGroups: x25519", "not an array of strings"),
        ("namedGroups: [[a]]", "not an array of strings"),
        ("cipherSuites: [a]\ncipherSuites: [b]", "cipherSuites"),
        ("- a", "not a mapping"),
        ("{", "tls.yaml:2:1: invalid YAML"),
        ("a: &x [*x]", "tls.yaml:1:"),
    ],
)
def test_invalid_tls_details_are_refused(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        read_details(tmp_path, text)


def test_tls_details_apply_to_every_registry(tmp_path: Path) -> None:
    file = tmp_path / "tls.yaml"
    settings = Settings.load(
        {}, tmp_path, 1, ConfigPathOverrides(tls_details=file, etc=tmp_path, usr_share=tmp_path)
    )
    with pytest.raises(ConfigError) as raised:
        settings.get_access("a.example")
    assert raised.value.path == str(file)
    assert isinstance(raised.value.os_error, FileNotFoundError)
    file.write_text("minVersion: '1.3'")
    assert settings.get_access("a.example").tls.details.min_version == "1.3"


@given(st.binary(max_size=100) | st.text("ab:-[]{}&*'\n ,", max_size=60).map(str.encode))
def test_yaml_file_of_any_bytes_is_parsed_or_refused(raw: bytes) -> None:
    with contextlib.suppress(ConfigError):
        config_file.parse_yaml(raw, "x.yaml")
