"""Checks of refused commands and their error messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from tests.fakes.registry import FakeRegistry
    from tests.interop import servers


def assert_refused(
    result: subprocess.CompletedProcess[str], status: int, *words: str, hint: bool = True
) -> None:
    """Assert that stderr holds one error with all ``words``, a hint, and no traceback."""
    output = result.stderr
    assert result.returncode == status, output + result.stdout
    assert "Traceback" not in output
    assert "internal error" not in output
    errors = [line for line in output.splitlines() if line.startswith("airbundle: error: ")]
    assert len(errors) == 1, output
    message = output[output.index(errors[0]) :]
    assert [word for word in words if word not in message] == [], output
    if hint:
        assert "\nhint: " in message, output


def copy_from(
    airbundle: servers.Client, fake: FakeRegistry, tmp_path: Path, name: str = "library/app:1"
) -> subprocess.CompletedProcess[str]:
    source = f"docker://{fake.host}/{name}"
    return airbundle("copy", "--src-tls-verify=false", source, f"dir:{tmp_path}/out")


def export(
    airbundle: servers.Client, tmp_path: Path, text: str
) -> subprocess.CompletedProcess[str]:
    (tmp_path / "m.yaml").write_text(text)
    return airbundle("export", "m.yaml", tmp_path / "out", "--unsigned", cwd=tmp_path)


def import_(
    airbundle: servers.Client, bundle: Path, target: str, keys: Path, *more: str
) -> subprocess.CompletedProcess[str]:
    ours = ("--key", keys / "ours.pub", "--tls-verify=false")
    return airbundle("import", bundle, target, *ours, *more)
