"""Write reports to files, in the form that the end of each name states."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bundler.content.files import atomic_write

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from bundler.bundle.audit.report.record import Report


def write_report(report: Report, paths: Iterable[Path]) -> None:
    """Write a report to each of ``paths``, whose names end in ``.html`` or ``.json``.

    Raises:
        NotFoundError, NoSpaceError, MediumError: a file cannot be written.
    """
    for path in paths:
        if path.suffix == ".json":
            from bundler.bundle.audit.report.document import create_document  # noqa: PLC0415 - only for this form

            text = json.dumps(create_document(report), separators=(",", ":")) + "\n"
        else:
            from bundler.bundle.audit.report.page import create_page  # noqa: PLC0415 - as above

            text = create_page(report)
        atomic_write.write_bytes(path, text.encode("utf-8"))
