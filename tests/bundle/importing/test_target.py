"""Targets of an import."""

from __future__ import annotations

import pytest

from bundler.bundle.importing.target import RegistryTarget, parse_target
from bundler.errors import InvalidReferenceError


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("docker://registry.inside:5000/a/b", "registry.inside:5000"),
        ("docker://[::1]:5000", "[::1]:5000"),
        ("docker://registry.inside/", "registry.inside"),
        ("docker://docker.io/team", "docker.io"),
        ("docker://index.docker.io/team", "docker.io"),
    ],
)
def test_domain_of_a_target_is_the_domain_in_references(target: str, host: str) -> None:
    """Options of a target, such as credentials, are found by this name."""
    parsed = parse_target(target)
    assert isinstance(parsed, RegistryTarget)
    assert parsed.domain == host
    assert str(parsed) == target


@pytest.mark.parametrize(
    "text",
    [
        "registry.inside",
        "docker:registry.inside",
        "docker://inside/a",
        "docker://registry.inside/UP",
        "docker://user:hunter2@registry.inside",
        "oci:",
        "docker-archive:file",
    ],
)
def test_invalid_target_is_refused_without_showing_credentials(text: str) -> None:
    with pytest.raises(InvalidReferenceError) as caught:
        parse_target(text)
    assert "hunter2" not in str(caught.value)
