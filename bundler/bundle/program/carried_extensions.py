"""Import extension modules from the directory of the carried program, which has a flat layout.

``airbundle.pyz`` contains this module at its top. It runs before any other module of the program,
on every supported version of Python, and therefore imports only what is needed.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, ModuleSpec

PREFIX = "ext-"
ARCHIVE = "extensions.zip"
SITE = b"import carried_extensions\n\ncarried_extensions.install()\n"
"""The module that Python imports first, which installs the finder."""


class ExtensionFinder:
    """Finder of extension modules: files beside the interpreter, or members of an archive there.

    A member of the archive is loaded from memory, so that no file is left on the machine.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._files = frozenset(os.listdir(directory))
        tag = EXTENSION_SUFFIXES[0].split("-linux")[0]
        self._has_archived = not any(tag in file for file in self._files)
        self._archived: frozenset[str] | None = None

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        """Return the specification of a module; None if it is no extension module."""
        for suffix in EXTENSION_SUFFIXES:
            file = f"{PREFIX}{name}{suffix}"
            if file in self._files:
                found = f"{self._directory}/{file}"
            elif self._has_archived and file in self._list_archive():
                found = self._load(file)
            else:
                continue
            return ModuleSpec(name, ExtensionFileLoader(name, found), origin=found)
        return None

    def _list_archive(self) -> frozenset[str]:
        if self._archived is None:
            from zipfile import ZipFile  # noqa: PLC0415 - with another version of Python only

            with ZipFile(f"{self._directory}/{ARCHIVE}") as archive:
                self._archived = frozenset(archive.namelist())
        return self._archived

    def _load(self, file: str) -> str:
        from zipfile import ZipFile  # noqa: PLC0415 - with another version of Python only

        with ZipFile(f"{self._directory}/{ARCHIVE}") as archive:
            data = archive.read(file)
        fd = os.memfd_create(file)  # not closed: the path below is valid as long as it is open
        with open(fd, "wb", closefd=False) as memory:
            memory.write(data)
        return f"/proc/self/fd/{fd}"


def install() -> None:
    """Let this process, and the processes of Python that it starts, import the program."""
    archive = os.path.abspath(os.path.dirname(__file__))
    directory = f"{os.path.dirname(archive)}/linux-{os.uname().machine}"
    installed = any(isinstance(finder, ExtensionFinder) for finder in sys.meta_path)
    if not installed and os.path.isdir(directory):
        sys.meta_path.append(ExtensionFinder(directory))
    if not sys.flags.isolated:  # the carried interpreter finds the program by itself
        os.environ["PYTHONPATH"] = archive
