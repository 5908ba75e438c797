"""Journal of unfinished uploads: where a later run continues those of a run that was killed.

Each upload of a large blob has one small file in a directory, which contains the URL that the
registry gave to it. The URL may contain a secret of the registry, so only the owner of the records
and their group can read it. A journal that cannot be read or written costs time, and nothing else.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from bundler.content.files import atomic_write
from bundler.content.files.safe_directory import Directory
from bundler.errors import BundlerError
from bundler.oci.json import strict, timestamps
from bundler.oci.json.table import Table

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.oci.digest import Digest

TYPE = "airbundle/upload/v1"
_LIFETIME = timedelta(days=7)  # distribution removes unfinished uploads after this time
_MAX_FILE = 64 * 1024


class UploadJournal:
    """The unfinished uploads of a site. Safe for several threads that upload different blobs."""

    def __init__(self, directory: Path) -> None:
        """``directory`` is created when the first upload is added."""
        self._path = directory

    def find(self, repository: str, digest: Digest) -> str | None:
        """Return the URL of the upload of a blob to ``repository``; None if there is none."""
        with suppress(BundlerError), Directory.open(self._path) as directory:
            raw = directory.read(_format_name(repository, digest), limit=_MAX_FILE)
            table = Table.parse(raw, "upload")
            started = timestamps.parse_utc(table.text("started"), "upload")
            is_same = (table.text("repository"), table.digest("digest")) == (repository, digest)
            is_current = timedelta() <= datetime.now(UTC) - started < _LIFETIME
            if table.text("_type") == TYPE and is_same and is_current:
                return table.text("location")
        return None

    def keep(self, repository: str, digest: Digest, location: str) -> None:
        """Durably store the URL of an upload, in place of a former one."""
        entry = {
            "_type": TYPE,
            "repository": repository,
            "digest": digest.text,
            "location": location,
            "started": timestamps.format_utc(datetime.now(UTC)),
        }
        with suppress(BundlerError, OSError):
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            with Directory.open(self._path) as directory:
                name = _format_name(repository, digest)
                atomic_write.write_bytes_in(directory, name, strict.dumps(entry), mode=0o600)

    def forget(self, repository: str, digest: Digest) -> None:
        """Remove an upload that has ended."""
        with suppress(BundlerError), Directory.open(self._path) as directory:
            directory.remove(_format_name(repository, digest))

    def remove_old(self) -> None:
        """Remove the uploads that registries no longer keep."""
        with suppress(BundlerError, OSError):
            for path in self._path.glob("*.json"):
                age = datetime.now(UTC) - datetime.fromtimestamp(path.lstat().st_mtime, UTC)
                if age > _LIFETIME:
                    path.unlink()


def _format_name(repository: str, digest: Digest) -> str:
    return hashlib.sha256(f"{repository}@{digest}".encode()).hexdigest()[:32] + ".json"
