"""A bundle with recovery data, made by an export, and its repair."""

from __future__ import annotations

import random
import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from bundler import transports
from bundler.bundle.exporting import export as exporting
from bundler.bundle.format.files import checksums
from bundler.bundle.format.inventory.read_inventory import read_inventory
from bundler.bundle.format.reading.open_files import open_files
from bundler.bundle.recovery.content import find_paths
from bundler.bundle.recovery.repair import RepairReport, repair
from bundler.bundle.recovery.tables import RecoveryTables
from bundler.config.paths import ConfigPathOverrides
from bundler.config.settings import Settings
from bundler.copy.engine import EngineOptions
from bundler.copy.image import ImageRequest
from bundler.oci.reference import ImageReference
from bundler.ports import OpenOptions
from bundler.trust import keys
from bundler.trust.bundle_trust import TrustedKeys
from tests.fakes import images

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from bundler.bundle.format.inventory.recovery_record import RecoveryRecord

KEY = keys.generate_key()


class ProtectedBundle:
    """A bundle with recovery data in the directory ``path``, and its original in ``original``."""

    def __init__(self, directory: Path, form: str, percent: int, seed: int) -> None:
        self.directory, self.form, self.percent = directory, form, percent
        self.program: dict[str, Path] = {}
        self.path, self.original = directory / "bundle", directory / "original"
        made = random.Random(seed)
        shared = images.layer({"shared": made.randbytes(150_000)}, compression="stored")
        named = {
            name: images.image(
                shared, images.layer({name: made.randbytes(size)}, compression="stored")
            )
            for name, size in {"a": 90_000, "b": 300, "c": 20_000}.items()
        }
        images.write_layout(directory / "layout", named)
        self.export()
        shutil.copytree(self.path, self.original)

    def export(self) -> exporting.ExportReport:
        requests = [
            ImageRequest(
                transports.parse(f"oci:{self.directory / 'layout'}:{name}"),
                ImageReference("registry.corp", name, "1"),
            )
            for name in ("a", "b", "c")
        ]
        home = self.directory / "home"
        paths = ConfigPathOverrides(etc=home, usr_share=home, run=home)
        options = OpenOptions(lambda: Settings.load({}, home, 1000, paths))
        form: Any = self.form
        request = exporting.ExportRequest(
            requests,
            options,
            self.path,
            "plant-7",
            form,
            keys=(KEY,),
            recovery=self.percent,
            program=self.program,
        )
        with ThreadPoolExecutor(1) as executor:
            return exporting.export(request, EngineOptions(executor))

    def restore(self) -> None:
        shutil.rmtree(self.path)
        shutil.copytree(self.original, self.path, copy_function=shutil.copy2)

    def repair(self, **options: Any) -> RepairReport:
        with ThreadPoolExecutor(1) as executor:
            engine = EngineOptions(executor)
            return repair(self.path, TrustedKeys.create([KEY.public]), engine, **options)

    def read(self, directory: Path | None = None) -> dict[str, bytes]:
        """The files by path; a copy of the seal without the zeros at its end."""
        top = directory or self.path
        return {
            str(path.relative_to(top)): path.read_bytes().rstrip(b"\0")
            if path.suffix == ".tar"
            else path.read_bytes()
            for path in top.rglob("*")
            if path.is_file()
        }

    @property
    def recovery(self) -> Path:
        (found,) = (self.path / "recovery").iterdir()
        return found

    def count_slices(self) -> int:
        """The number of slices of each codeword that may be lost."""
        return self._read_record().recovery_slices

    def damage_slices(self, choose: Callable[[int], Iterable[int]]) -> None:
        """Overwrite slices of each codeword, of content or of recovery data.

        ``choose`` returns their positions in a codeword with the given number of slices.
        """
        record = self._read_record()
        with open_files(self.path) as files:
            tables = RecoveryTables(files, record, find_paths(checksums.read(files)))
        geometry, paths = tables.geometry, record.slice_paths
        starts = [0]
        for file in tables.files:
            starts.append(starts[-1] + file.size)
        for row in range(geometry.rows):
            for column in choose(geometry.width):
                if column >= geometry.data_slices:
                    path = paths[column - geometry.data_slices]
                    self.overwrite(path, row * geometry.slice_size)
                    continue
                place = geometry.offset(row, column)
                for file, start in zip(tables.files, starts, strict=False):
                    if start <= place < start + file.size:
                        self.overwrite(file.path, place - start)

    def overwrite(self, path: str, offset: int) -> None:
        """Change one byte of a file."""
        with (self.path / path).open("r+b") as file:
            file.seek(offset)
            byte = file.read(1)
            file.seek(offset)
            file.write(bytes([byte[0] ^ 0x55]))

    def _read_record(self) -> RecoveryRecord:
        with open_files(self.path) as files:
            _, contents = read_inventory(files)
        assert contents.recovery is not None
        return contents.recovery
