"""Import the volumes of a bundle, and ask on a terminal for those that are missing."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.cli.output import text
from bundler.cli.runtime import prompts
from bundler.errors import VolumesOwedError

if TYPE_CHECKING:
    from bundler.bundle.format.authenticate import AuthenticatedBundle
    from bundler.bundle.importing.import_bundle import ImportRequest
    from bundler.bundle.importing.report import ImportReport
    from bundler.copy.engine import EngineOptions


def import_volumes(request: ImportRequest, engine: EngineOptions, *, may_ask: bool) -> ImportReport:
    """Import a bundle; as long as volumes are missing, ask for the directory of the next one.

    Without a terminal, or without ``may_ask``, nothing is asked.

    Raises:
        VolumesOwedError: volumes are missing, and no directory was given.
        BundlerError: as ``import_bundle``.
    """
    from bundler.bundle.format.reading.volume_files import find_volume_number  # noqa: PLC0415 - not for --help
    from bundler.bundle.importing.import_bundle import import_bundle  # noqa: PLC0415 - as above

    admit, admitted = request.admit, set[bytes]()

    def admit_once(bundle: AuthenticatedBundle) -> None:
        if admit is not None and bundle.raw not in admitted:
            admit(bundle)
            admitted.add(bundle.raw)

    request = replace(request, admit=None if admit is None else admit_once)
    while True:
        try:
            return import_bundle(request, engine)
        except VolumesOwedError as error:
            if request.dry_run or not may_ask or not sys.stdin.isatty():
                raise
            text.print_note(error.message)
            numbers = ", ".join(map(str, error.owed))
            answer = prompts.prompt(f"Directory of volume {numbers} (empty to end)", default="")
            if not answer:
                raise
            bundle = request.bundle if isinstance(request.bundle, tuple) else (request.bundle,)
            # A medium may have been replaced by another one at the same place.
            present = [path for path in bundle if find_volume_number(path) is not None]
            found = dict.fromkeys([*present, Path(answer)])
            request = replace(request, bundle=tuple(found))
