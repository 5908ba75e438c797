"""Targets of an import."""

from __future__ import annotations

import pytest

from bundler.bundle.importing.targets import registry_host


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
def test_the_registry_of_a_target_is_named_as_in_references(target: str, host: str | None) -> None:
    """Options for it, such as credentials, are looked up by that name."""
    assert registry_host(target) == host
