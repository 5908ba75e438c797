"""Skopeo's messages for invalid references."""

from __future__ import annotations

import pytest

from bundler.cli.frontends.skopeo.arguments.reference_checks import find_reference_problem

FORM = "expected format: 'hostname/namespace/stream:tag'"


@pytest.mark.parametrize(
    ("rest", "problem"),
    [
        ("a.example:5000/b/c:1", None),
        ("b/c:1", None),
        ("", 'failed to parse image reference "": invalid reference format'),
        ("a.example:5000/b/c", f"invalid image reference a.example:5000/b/c, {FORM}"),
        ("a.example/b:1", f"invalid image reference: a.example/b:1, {FORM}"),
        ("a.example/b/c/d:1", f"invalid image reference: a.example/b/c/d:1, {FORM}"),
    ],
)
def test_image_stream_needs_a_namespace_and_a_tag(rest, problem):
    assert find_reference_problem(f"atomic:{rest}") == problem
