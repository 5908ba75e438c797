"""The database of rpm in SQLite: ``rpmdb.sqlite``.

The file is untrusted. SQLite reads it from a copy, and only the rows of one table are requested:
no view, no trigger and no function of the schema is evaluated, and the work is limited.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import closing
from typing import IO, TYPE_CHECKING

from bundler.bundle.audit.packages.ecosystems.rpm.header import MAX_SIZE
from bundler.bundle.audit.packages.found_file import PackageFileError

if TYPE_CHECKING:
    from collections.abc import Iterator

_STEPS = 10_000  # instructions of SQLite's virtual machine between two checks of the limit
_MAX_CHECKS = 20_000
_IS_TABLE = (
    "SELECT count(*) FROM sqlite_schema"
    " WHERE name = 'Packages' AND type = 'table' AND sql LIKE 'CREATE TABLE %' AND rootpage > 0"
)


def read_headers(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the headers of the packages.

    Raises:
        PackageFileError: the file is not a database of rpm.
    """
    with tempfile.NamedTemporaryFile(suffix=".sqlite") as copy:
        shutil.copyfileobj(stream, copy)
        copy.flush()
        checks = iter(range(_MAX_CHECKS))
        try:
            uri = f"file:{copy.name}?mode=ro&immutable=1"
            with closing(sqlite3.connect(uri, uri=True)) as database:
                database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_SIZE)
                database.set_progress_handler(lambda: next(checks, None) is None, _STEPS)
                database.execute("PRAGMA trusted_schema = OFF")
                if database.execute(_IS_TABLE).fetchone() != (1,):
                    raise PackageFileError("no table Packages")
                for (data,) in database.execute("SELECT blob FROM Packages"):
                    if not isinstance(data, bytes):
                        raise PackageFileError("a header that is not a blob")
                    yield data
        except sqlite3.Error as error:
            raise PackageFileError("a damaged database") from error
