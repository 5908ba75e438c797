"""``airbundle completion``: real shells complete the commands of both front ends."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.cli.launcher import install_program
from tests.interop import servers

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("program", ["airbundle", "skopeo"])
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("ins", {"inspect"}),
        ("list-tags --no-c", {"--no-creds"}),
        ("copy --src-cert", {"--src-cert-dir"}),
        ("experimental", set()),
    ],
)
def test_bash_completes_commands_and_options(
    tmp_path: Path, program: str, typed: str, offered: set[str]
) -> None:
    assert _complete(tmp_path, program, typed) == offered


@pytest.mark.parametrize(("program", "offered"), [("airbundle", {"export"}), ("skopeo", set())])
def test_each_front_end_completes_its_own_commands(
    tmp_path: Path, program: str, offered: set[str]
) -> None:
    assert _complete(tmp_path, program, "exp") == offered


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_prints_script_of_shell(tmp_path: Path, shell: str) -> None:
    script = _install_program(tmp_path, "airbundle").ok("completion", shell)

    assert f"_AIRBUNDLE_COMPLETE={shell}_complete" in script


@pytest.mark.parametrize("shell", ["powershell", "tcsh", "bash/../zsh"])
def test_completion_refuses_unknown_shell(tmp_path: Path, shell: str) -> None:
    refused = _install_program(tmp_path, "airbundle")("completion", shell)

    assert refused.returncode in (1, 2)
    assert refused.stdout == ""
    assert "use one of bash, zsh, fish" in refused.stderr


def _complete(home: Path, program: str, typed: str) -> set[str]:
    """Return the words that bash offers for the last word of ``typed``."""
    client = _install_program(home, program)
    script = home / "completion"
    script.write_text(client.ok("completion", "bash"))
    words = [program, *typed.split()]
    ask = (
        f"source {script}; COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; "
        f'_{program}_completion {program}; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    path = f"{home}:{client.env()['PATH']}"
    environment = {**client.env(), "PATH": path}
    completed = subprocess.run(
        ["bash", "--norc", "-c", ask], env=environment, capture_output=True, text=True, check=True
    )
    return set(completed.stdout.split())


def _install_program(home: Path, program: str) -> servers.Client:
    """Write the program into ``home``, under the name ``program``."""
    file = home / program
    install_program(file)
    return servers.Client((str(file),), home, servers.CHECKOUT)
