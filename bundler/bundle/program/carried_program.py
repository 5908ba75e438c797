"""Make the program that a medium carries, and write it to a directory.

The program is made once for each version, in the cache of the user, and copied from there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.bundle.program import archives, interpreter as interpreters, packages
from bundler.bundle.program.contents import ARCHITECTURES, ARCHIVE, LAUNCHER, PYTHONS
from bundler.content.files.os_errors import to_bundler_error
from bundler.events import Notice

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.bundle.program.contents import Architecture
    from bundler.bundle.program.interpreter import Interpreter
    from bundler.cancel import Cancellation
    from bundler.events import Event

_PARALLEL = 3  # downloads


def find_own() -> Path | None:
    """Return the directory of the carried program that is running; None if it is installed."""
    path = Path(__file__).parents[3]
    return path.parent if path.name == ARCHIVE and path.is_file() else None


def prepare(
    cache: Path,
    cancellation: Cancellation,
    emit: Callable[[Event], None],
    *,
    with_interpreter: bool = True,
) -> Path:
    """Return a directory with the carried program, which must not be changed.

    It is made if the cache does not contain it yet, which downloads about 110 MB. A carried program
    returns its own directory.

    Raises:
        UnsupportedError: a program for downloads is missing, or a download failed.
        MediumError: the cache cannot be written.
    """
    if (own := find_own()) is not None:
        return own
    requirements = packages.read_requirements()
    hasher = hashlib.sha256(f"{requirements}{with_interpreter}".encode())
    for name, data in packages.read_own_modules():
        hasher.update(f"{name}\0{len(data)}\0".encode() + data)
    prepared = cache / hasher.hexdigest()[:32]
    if prepared.is_dir():
        return prepared
    emit(Notice("making the program to carry: downloading its dependencies …"))
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as name:
            work, made = Path(name), Path(name) / "program"
            _make(made, work, requirements, cancellation, with_interpreter=with_interpreter)
            for former in cache.iterdir():
                if len(former.name) == len(prepared.name):
                    shutil.rmtree(former, ignore_errors=True)
            if not prepared.is_dir():  # another process may have made it in the meantime
                made.rename(prepared)
    except OSError as error:
        raise to_bundler_error(error, cache, "cannot write") from error
    return prepared


def _make(
    directory: Path,
    work: Path,
    requirements: str,
    cancellation: Cancellation,
    *,
    with_interpreter: bool,
) -> None:
    """Download all parts below ``work``, and combine them to the program in ``directory``."""
    directory.mkdir()
    wheels = packages.Wheels()
    combinations = [(item, python) for item in ARCHITECTURES for python in PYTHONS]
    with ThreadPoolExecutor(_PARALLEL) as pool:
        fetched = [
            pool.submit(interpreters.fetch, item, work / item.debian, cancellation)
            for item in ARCHITECTURES
            if with_interpreter
        ]
        downloads = [
            pool.submit(
                packages.download,
                requirements,
                item,
                python,
                work / f"wheels-{item.machine}-{python}",
                cancellation,
            )
            for item, python in combinations
        ]
        for (item, python), download in zip(combinations, downloads, strict=True):
            for wheel in download.result():
                wheels.add(wheel, item, python)
        found = [item.result() for item in fetched]
    modules = packages.write_modules(wheels, work / "modules")
    own = next((item for item in found if item.triplet.startswith(os.uname().machine)), None)
    if own is not None:
        for compiled in (modules, *(item.library for item in found)):
            own.compile(compiled, cancellation)
    for number, architecture in enumerate(ARCHITECTURES):
        interpreter = found[number] if found else None
        _write_architecture(directory / architecture.directory, architecture, interpreter, wheels)
    members = {
        path.relative_to(modules).as_posix(): path.read_bytes()
        for path in modules.rglob("*")
        if path.is_file()
    }
    archives.write(directory / ARCHIVE, members, start=b"#!/usr/bin/env python3\n")
    if found:
        launcher = files("bundler.bundle.program") / "launcher" / "airbundle.sh"
        (directory / LAUNCHER).write_bytes(launcher.read_bytes())
    for name in ("linux-*/ld.so", "linux-*/interpreter", "linux-*/python3", "**/airbundle*"):
        for path in directory.glob(name):
            path.chmod(0o755)


def _write_architecture(
    directory: Path,
    architecture: Architecture,
    interpreter: Interpreter | None,
    wheels: packages.Wheels,
) -> None:
    directory.mkdir()
    version = None if interpreter is None else interpreter.version
    extensions = wheels.store_extensions(directory, architecture, version)
    if interpreter is None:
        return
    interpreters.install(interpreter, directory, extensions)
    launcher = files("bundler.bundle.program") / "launcher" / architecture.directory
    for name in (LAUNCHER, "python3"):
        (directory / name).write_bytes(launcher.read_bytes())
