"""Target files of an import: their keys, and the positions of mistakes."""

from __future__ import annotations

import pytest

from bundler.bundle.importing.target import parse_target
from bundler.bundle.manifest import target_file
from bundler.config.registry_access import RegistryLimits, RegistryOverride
from bundler.errors import InvalidBundleManifestError


@pytest.fixture
def load(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def load(text: str, **environment: str) -> target_file.TargetFile:
        path = tmp_path / "t.yaml"
        path.write_text(text)
        return target_file.load(path.relative_to(tmp_path), environment=environment)

    return load


def test_target_file_needs_only_a_target(load):
    target = load("target: docker://registry.inside:5000/a/b")
    assert target == target_file.TargetFile(
        parse_target("docker://registry.inside:5000/a/b"),
        RegistryOverride(),
        (),
        keep_host=False,
        existing="error",
    )


def test_target_file_reads_every_key(load, tmp_path):
    (tmp_path / "p.txt").write_text("swordfish\n")
    target = load(
        "target: docker://registry.inside\n"
        "credentials: {usernameEnv: U, passwordFile: p.txt}\n"
        "tls: {plainHttp: true}\n"
        "limits: {parallel: 2, patience: 0s, chunk: 100000}\n"
        "tokenService: https://auth.example/token\n"
        "names: {docker.io/library: base, quay.io: ''}\n"
        "keepHost: true\n"
        "existing: skip\n",
        U="robot",
    )
    assert target.override.credentials is not None
    assert target.override.credentials.password == "swordfish"
    assert target.override.plain_http is True
    assert target.override.limits == RegistryLimits(2, patience=0)
    assert target.override.upload_chunk == 100_000
    assert target.override.token_service == "https://auth.example/token"
    assert target.names == (("docker.io/library", "base"), ("quay.io", ""))
    assert (target.keep_host, target.existing) == (True, "skip")
    assert "swordfish" not in repr(target)


def test_directory_target_is_relative_to_the_file(load, tmp_path):
    path = tmp_path / "t.yaml"
    path.write_text("target: oci:./inside")
    assert target_file.load(path, environment={}).target == parse_target(f"oci:{tmp_path}/inside")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("existing: skip", "t.yaml:1:1: `target` is missing"),
        ("target: registry.inside", "t.yaml:1:9: `target`: expected a target such as docker://"),
        ("target: docker://Registry/UP", "expected docker://host[:port][/prefix] in lower case"),
        (
            "target: docker://u:hunter2@h/a",
            "the target (it contains credentials) is not a valid registry",
        ),
        ("target: oci:a\ntls: {plainHttp: true}", "t.yaml:1:1: oci:a is not a registry"),
        ("target: oci:a\nexisting: skp", "did you mean `skip`?"),
        ("target: oci:a\nnames: [a=b]", "`names`: expected a mapping, got a list"),
        ("target: oci:a\nkeephost: true", "unknown key `keephost`; did you mean `keepHost`?"),
        (
            "target: docker://h\ncredentials: {usernameEnv: U, password: hunter2}",
            "`password`: a secret is not allowed in this file",
        ),
    ],
)
def test_mistake_in_target_file_is_reported_with_its_position(load, text, expected):
    with pytest.raises(InvalidBundleManifestError) as caught:
        load(text, U="u")
    assert expected in str(caught.value)
    assert "hunter2" not in str(caught.value)
