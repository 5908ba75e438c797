"""The carried program: its launcher, its extension modules, its libraries, and its directory."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import files
from importlib.resources import files as resources
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bundler.bundle.program import archives, copy_program, interpreter, packages
from bundler.bundle.program.carried_extensions import SITE
from bundler.bundle.program.contents import ARCHITECTURES, ARCHIVE, PYTHONS
from bundler.bundle.program.interpreter import list_needed
from bundler.cancel import Cancellation
from bundler.errors import ConflictError, MalformedError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Sequence

LAUNCHERS = resources("bundler.bundle.program") / "launcher"
LOADER = Path("/lib64/ld-linux-x86-64.so.2")
OWN = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.mark.skipif(not LOADER.exists(), reason="no x86-64 with glibc")
@pytest.mark.parametrize("name", ["airbundle", "python3"])
def test_launcher_starts_interpreter_beside_it(tmp_path: Path, name: str) -> None:
    directory = tmp_path / "linux-x86_64"
    directory.mkdir()
    launcher = directory / name
    launcher.write_bytes((LAUNCHERS / "linux-x86_64").read_bytes())
    launcher.chmod(0o755)
    shutil.copyfile(LOADER, directory / "ld.so")
    (directory / "ld.so").chmod(0o755)
    shutil.copyfile("/bin/echo", directory / "interpreter")
    link = tmp_path / "link"
    link.symlink_to(launcher)

    first = f"{directory}/../{ARCHIVE} " if name == "airbundle" else ""
    for program in (launcher, link):
        assert run([program, "ls", "", "a b"]) == f"{first}ls  a b\n"


@pytest.mark.skipif(not LOADER.exists(), reason="no x86-64 with glibc")
def test_launcher_reports_what_cannot_be_started(tmp_path: Path) -> None:
    launcher = tmp_path / "airbundle"
    launcher.write_bytes((LAUNCHERS / "linux-x86_64").read_bytes())
    launcher.chmod(0o755)

    result = subprocess.run([launcher], capture_output=True, text=True, check=False)

    assert result.returncode == 126
    assert result.stderr.endswith(f"{tmp_path}/ld.so\n")


def test_launchers_are_for_their_architectures() -> None:
    for architecture, machine in zip(ARCHITECTURES, (62, 183), strict=True):  # ELF e_machine
        data = (LAUNCHERS / architecture.directory).read_bytes()
        assert int.from_bytes(data[18:20], "little") == machine
        assert list_needed(data) == []


@pytest.mark.parametrize("archived", [False, True], ids=["beside", "in archive"])
def test_extension_modules_are_found_in_flat_directory(tmp_path: Path, archived: bool) -> None:
    """The extension module of yaml is beside the interpreter, or in the archive for others."""
    architecture = next(item for item in ARCHITECTURES if item.machine == machine())
    wheel = make_wheel(tmp_path / "yaml.whl", "pyyaml", "yaml/")
    wheels = packages.Wheels()
    for python in PYTHONS:
        wheels.add(wheel, architecture, python)
    own = Path(packages.__file__).with_name("carried_extensions.py").read_bytes()
    main = SITE + b"import yaml, yaml._yaml\nprint(yaml._yaml.__file__)\n"
    members = wheels.modules | {"carried_extensions.py": own, "__main__.py": main}
    archives.write(tmp_path / ARCHIVE, members)
    directory = tmp_path / architecture.directory
    directory.mkdir()

    stored = wheels.store_extensions(directory, architecture, None if archived else OWN)

    assert [path.name.startswith("ext-yaml._yaml.") for path in stored] == [True] * (not archived)
    found = run([sys.executable, "-S", "-P", tmp_path / ARCHIVE])
    assert found.startswith("/proc/self/fd/" if archived else f"{directory}/ext-yaml._yaml.")


def test_needed_libraries_of_an_extension_module() -> None:
    module = next(file for file in files("pyyaml") or () if file.name.endswith(".so"))

    assert any(name.startswith("libc.so.") for name in list_needed(module.read_binary()))


@pytest.mark.parametrize("size", [0, 5, 63, 64, 100, 1000])
def test_needed_libraries_of_damaged_file_are_malformed(size: int) -> None:
    module = next(file for file in files("pyyaml") or () if file.name.endswith(".so"))

    with pytest.raises(MalformedError):
        list_needed(module.read_binary()[:size])


def test_carry_replaces_former_program(tmp_path: Path) -> None:
    first = make_program(tmp_path / "first", "linux-x86_64/libold.so.1", "airbundle")
    second = make_program(tmp_path / "second", "linux-x86_64/libnew.so.1", "airbundle")
    stick = tmp_path / "stick"
    copy_program.carry(first, stick, Cancellation())

    copy_program.carry(second, stick, Cancellation())

    assert set(copy_program.list_files(stick)) == set(copy_program.list_files(second))
    assert run(["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=stick).count(": OK") == 3
    assert (stick / "airbundle").stat().st_mode & 0o111


def test_carry_refuses_directory_with_other_files(tmp_path: Path) -> None:
    program = make_program(tmp_path / "program")
    stick = tmp_path / "stick"
    stick.mkdir()
    (stick / "holiday.jpg").touch()

    with pytest.raises(ConflictError):
        copy_program.carry(program, stick, Cancellation())

    assert [path.name for path in stick.iterdir()] == ["holiday.jpg"]


def test_missing_wheel_is_reported_with_the_message_of_pip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    line = f"no-such-package==1 --hash=sha256:{'0' * 64}\n"

    with pytest.raises(UnsupportedError, match=r"^pip: .*no-such-package==1"):
        packages.download(line, ARCHITECTURES[0], OWN, tmp_path / "wheels", Cancellation())


def test_interpreter_needs_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(UnsupportedError) as caught:
        interpreter.fetch(ARCHITECTURES[0], tmp_path / "work", Cancellation())

    assert "--no-interpreter" in str(caught.value.hint)
    assert not (tmp_path / "work").exists()


def make_program(path: Path, *names: str) -> Path:
    for name in (ARCHIVE, *names):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(name)
    return path


def make_wheel(path: Path, distribution: str, below: str) -> Path:
    """Pack the installed files of a distribution as its wheel contains them."""
    with zipfile.ZipFile(path, "w") as wheel:
        for file in files(distribution) or ():
            if str(file).startswith(below) and file.suffix != ".pyc":
                wheel.writestr(str(file), file.read_binary())
    return path


def machine() -> str:
    return subprocess.run(
        ["uname", "-m"], capture_output=True, text=True, check=True
    ).stdout.strip()


def run(command: Sequence[object], cwd: Path | None = None) -> str:
    return subprocess.run(
        [*map(str, command)], capture_output=True, text=True, check=True, cwd=cwd
    ).stdout
