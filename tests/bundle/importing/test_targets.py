"""Targets of an import."""

from __future__ import annotations

import pytest

from bundler.bundle.importing.targets import find_registry_host


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("docker://registry.inside:5000/a/b", "registry.inside:5000"),
        ("docker://[::1]:5000", "[::1]:5000"),
        ("docker://docker.io/team", "docker.io"),
        ("docker://index.docker.io/team", "docker.io"),
        ("oci:registry.inside", None),
    ],
)
def test_registry_host_is_written_as_in_references(target: str, host: str | None) -> None:
    """Access options are found by this host."""
    assert find_registry_host(target) == host
