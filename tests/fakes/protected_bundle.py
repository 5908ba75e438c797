"""A bundle with recovery data, made by an export, and its repair."""

from __future__ import annotations

import random
import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from bundler import transports
from bundler.bundle.exporting import export as exporting
from bundler.bundle.recovery.repair import RepairReport, repair
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
    from pathlib import Path

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
