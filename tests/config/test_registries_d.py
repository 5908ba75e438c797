"""Locations of signatures from registries.d."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from bundler.config.registries_d import RegistriesD, load
from bundler.errors import ConfigError
from bundler.oci.reference import ImageReference

if TYPE_CHECKING:
    from pathlib import Path

IMAGE = ImageReference.parse("r.example:5000/ns/app:1")


def directory(folder: Path, **files: str) -> RegistriesD:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return load([folder.parent / "none", folder, folder.parent])


def test_no_directory_yields_no_settings(tmp_path: Path) -> None:
    found = directory(tmp_path / "d", empty="# nothing\n")
    assert found == RegistriesD()
    assert found.find_lookaside(IMAGE, "read") is None
    assert not found.uses_sigstore_attachments(IMAGE)


@pytest.mark.parametrize(
    "scope",
    ["r.example:5000/ns/app:1", "r.example:5000/ns/app", "r.example:5000/ns", "r.example:5000"],
)
def test_narrowest_scope_applies(tmp_path: Path, scope: str) -> None:
    found = directory(
        tmp_path / "d",
        a="default-docker: {lookaside: 'file:///default'}",
        b=f"docker: {{'{scope}': {{lookaside: 'file:///near'}}, r.example: {{}}}}",
    )
    assert found.find_lookaside(IMAGE, "read") == "file:///near"
    assert found.find_lookaside(ImageReference.parse("other/x"), "read") == "file:///default"


def test_unset_setting_comes_from_the_wider_scope(tmp_path: Path) -> None:
    found = directory(
        tmp_path / "d",
        a="""
default-docker: {sigstore: 'https://default', use-sigstore-attachments: true}
docker:
  r.example:5000: {lookaside: 'https://r', sigstore-staging: 'file:///staging'}
  r.example:5000/ns: {use-sigstore-attachments: false}
""",
    )
    assert found.find_lookaside(IMAGE, "read") == "https://r"
    assert found.find_lookaside(IMAGE, "write") == "file:///staging"
    assert not found.uses_sigstore_attachments(IMAGE)
    other = ImageReference.parse("other.example/x")
    assert found.uses_sigstore_attachments(other)
    assert found.find_lookaside(other, "write") == "https://default"


def test_scope_in_two_files_is_refused(tmp_path: Path) -> None:
    same = "docker: {a.b: {lookaside: 'file:///x'}}"
    with pytest.raises(ConfigError) as raised:
        directory(tmp_path / "d", a=same, b=same)
    assert raised.value.path == str(tmp_path / "d" / "b.yaml")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("docker: [a]", "not a mapping"),
        ("dockers: {}", "unknown key 'dockers'"),
        ("docker: {a: {lookasides: x}}", "unknown key 'lookasides'"),
        ("docker: {a: {}, a: {}}", "a"),
        ("docker: {a: {lookaside: /var}}", "expected a URL"),
        ("docker: {a: {lookaside: 'ftp://x'}}", "expected a URL"),
        ("docker: {a: {use-sigstore-attachments: maybe}}", "neither true nor false"),
    ],
)
def test_invalid_file_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        directory(tmp_path / "d", a=text)


def test_unknown_keys_are_ignored_as_by_skopeo(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "later: 1\ndefault-docker: {lookaside: 'file:///a', later: [1]}\n"
        "docker: {r.example:5000: {looksaide: x}}\n"
    )
    found = load([tmp_path], ignore_unknown=True)
    assert found.find_lookaside(IMAGE, "read") == "file:///a"


@pytest.mark.parametrize(("text", "expected"), [("yes", True), ("On", True), ("off", False)])
def test_booleans_are_those_of_yaml_1_1(tmp_path: Path, text: str, expected: bool) -> None:
    found = directory(tmp_path / "d", a=f"default-docker: {{use-sigstore-attachments: {text}}}")
    assert found.uses_sigstore_attachments(IMAGE) == expected


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=80) | st.text("docker:-{}[] ,a'\n", max_size=60).map(str.encode))
def test_arbitrary_bytes_are_parsed_or_refused(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "x.yaml").write_bytes(raw)
    with contextlib.suppress(ConfigError):
        load([tmp_path])
