"""The files of a report of an audit."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bundler.content.files.os_errors import to_bundler_error
from bundler.errors import BundlerError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bundler.bundle.audit.images import OpenImages
    from bundler.bundle.audit.rules.audited import AuditedLocation
    from bundler.bundle.audit.rules.evaluate import Verdict
    from bundler.bundle.audit.rules.former import FormerBundle


def write(
    paths: tuple[Path, ...],
    images: OpenImages,
    audited: AuditedLocation,
    verdict: Verdict | None,
    former: FormerBundle | None,
) -> None:
    """Write a report about an audit to each of ``paths``.

    Raises:
        BundlerError: the signatures of the bundle cannot be read, or a file cannot be written.
    """
    from bundler.bundle.audit.report.collect import collect_report  # noqa: PLC0415 - only here
    from bundler.bundle.audit.report.write import write_report  # noqa: PLC0415 - as above

    write_report(collect_report(images, audited, verdict, former), paths)


@contextmanager
def state_errors(paths: tuple[Path, ...], location: str) -> Iterator[None]:
    """Write a report that states the error if the audit ends with one, and raise the error.

    The report of a former audit would otherwise be taken for that of this one, so it is removed
    first, also because a process can be killed.

    Raises:
        MediumError: a former report cannot be removed.
    """
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise to_bundler_error(error, path, "cannot remove the former report") from error
    try:
        yield
    except BundlerError as error:
        if paths:
            from bundler.bundle.audit.report.record import Report  # noqa: PLC0415 - only here
            from bundler.bundle.audit.report.write import write_report  # noqa: PLC0415 - as above

            problem = "; ".join(str(error).splitlines())
            try:
                write_report(Report(location, datetime.now(UTC), problem=problem), paths)
            except BundlerError as second:
                error.add_note(f"the report was not written: {second}")
        raise
