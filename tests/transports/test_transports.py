"""Transports are found by the name before the colon."""

from __future__ import annotations

import pytest

from bundler import transports
from bundler.errors import InvalidReferenceError


@pytest.mark.parametrize("name", transports.names())
def test_every_transport_can_be_loaded(name):
    transport = transports.find_transport(name)
    assert callable(transport.parse)
    assert callable(transport.source)
    assert callable(transport.destination)


@pytest.mark.parametrize("text", ["app", "ftp:app", "", ":app"])
def test_unknown_transport_is_refused(text):
    with pytest.raises(InvalidReferenceError):
        transports.parse(text)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("docker://registry.plant:5000/app:1", "registry.plant:5000"),
        ("docker://app", "docker.io"),
        ("atomic:registry.plant:5000/a/b:1", "registry.plant:5000"),
        ("docker-daemon:app:1", None),
        ("oci:docker", None),
        ("unknown:app", None),
    ],
)
def test_registry_host_is_found_in_references_to_registries(text: str, host: str | None) -> None:
    assert transports.find_registry_host(text) == host


def test_invalid_reference_has_no_registry_host() -> None:
    with pytest.raises(InvalidReferenceError):
        transports.find_registry_host("docker:app")
