"""``export``, ``plan`` and ``lock`` have the registry options of ``import``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

COMMANDS = [
    ("export", "two.yaml", "stick", "--unsigned"),
    ("plan", "two.yaml"),
    ("lock", "two.yaml"),
]


def write(folder: Path, *registries: FakeRegistry) -> None:
    images = "".join(f"  - {registry.host}/a/app:1\n" for registry in registries)
    (folder / "two.yaml").write_text(f"images:\n{images}")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_tls_option_applies_to_every_registry(
    work_dir: Path, run_airbundle: RunAirbundle, command: tuple[str, ...]
) -> None:
    with FakeRegistry() as first, FakeRegistry() as second:
        for registry in (first, second):
            registry.add_image("a/app", "1")
        write(work_dir, first, second)
        refused = run_airbundle(*command)
        assert refused.status == 6
        assert "--tls-verify=false" in refused.stderr
        assert "in two.yaml" in refused.stderr
        result = run_airbundle(*command, "--tls-verify=false")
    assert result.status == 0, result.stderr


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_credentials_apply_to_the_only_registry(
    work_dir: Path, run_airbundle: RunAirbundle, command: tuple[str, ...]
) -> None:
    options = ("--tls-verify=false", "--creds=user:password")
    with FakeRegistry(auth="basic") as first, FakeRegistry() as second:
        first.add_image("a/app", "1")
        write(work_dir, first)
        assert run_airbundle(*command, *options).status == 0
        write(work_dir, first, second)
        result = run_airbundle(*command, *options)
        assert result.status == 2
        assert second.requests == []
    assert "registries" in result.stderr


def test_option_overrides_the_manifest(work_dir: Path, run_airbundle: RunAirbundle) -> None:
    with FakeRegistry() as registry:
        registry.add_image("a/app", "1")
        write(work_dir, registry)
        file = work_dir / "two.yaml"
        access = f'registries: {{"{registry.host}": {{tls: {{verify: true}}}}}}\n'
        file.write_text(file.read_text() + access)
        assert run_airbundle("lock", "two.yaml").status == 6
        assert run_airbundle("lock", "two.yaml", "--tls-verify=false").status == 0


@pytest.mark.parametrize(
    ("credentials", "hint"),
    [
        (
            "{usernameFile: name, passwordFile: wrong}",
            "check the credentials for {host} in two.yaml",
        ),
        ("{anonymous: true}", "specify credentials for {host} in two.yaml"),
        ("{authfile: auth.json}", "airbundle login --authfile auth.json {host}"),
    ],
)
def test_hint_names_the_credentials_of_the_manifest(
    work_dir: Path, run_airbundle: RunAirbundle, credentials: str, hint: str
) -> None:
    (work_dir / "name").write_text("user")
    (work_dir / "wrong").write_text("wrong")
    (work_dir / "auth.json").write_text("{}")
    with FakeRegistry(auth="basic") as registry:
        registry.add_image("a/app", "1")
        write(work_dir, registry)
        with (work_dir / "two.yaml").open("a") as file:
            settings = f"tls: {{verify: false}}, credentials: {credentials}"
            file.write(f'registries: {{"{registry.host}": {{{settings}}}}}\n')
        result = run_airbundle("plan", "two.yaml")
    assert result.status == 7
    assert f"hint: {hint.format(host=registry.host)}\n" in result.stderr
